"""Where a game's picture lives: the cells that play changes, packed into a small window, and the
backdrops behind.

Most cells of a screen never change while one plays; they change together when the scene does (title
to play). So a frame of tokens is split into a *window*, the cells that ordinary transitions change
(with as few others as a rectangle allows), and a *backdrop*, one of the few known fillings of all
other cells. The network sees the window and the number of the backdrop, which costs a fraction of
the whole screen.
"""

from dataclasses import dataclass

import numpy as np
import torch

# a transition that changes a larger share of the screen's cells is a cut to another scene
CUT = 0.25
MOST_BACKDROPS = 256
CHUNK = 2048


@dataclass(frozen=True)
class Layout:
    """A screen's window and backdrops.

    cells: int64 [h, w], the flat number of the screen's cell at each place of the window (-1:
    nothing there); mask: bool [h, w], the places whose cell may change within a scene; backdrops:
    int16 [K, H, W], whole frames, of which the cells that are not in the mask count.
    """

    cells: torch.Tensor
    mask: torch.Tensor
    backdrops: torch.Tensor

    def window(self, tokens: torch.Tensor) -> torch.Tensor:
        """Whole frames [..., H, W] → windows [..., h, w]; token 0 where there is nothing."""
        flat = tokens.flatten(-2)[..., self.cells.clamp(min=0)]
        return torch.where(self.cells >= 0, flat, 0)

    def backdrop_of(self, tokens: torch.Tensor) -> torch.Tensor:
        """The nearest backdrop of whole frames: int [B, H, W] → int64 [B]."""
        still = torch.ones(tokens[0].numel(), dtype=torch.bool, device=tokens.device)
        still[self.cells[self.mask]] = False
        known = self.backdrops.flatten(1)[:, still]
        shown = tokens.flatten(1)[:, still].to(known.dtype)
        return torch.stack([(known != frame).sum(1).argmin() for frame in shown])

    def compose(self, window: torch.Tensor, backdrop: torch.Tensor) -> torch.Tensor:
        """Whole frames from windows [B, h, w] and backdrop numbers [B]: int16 [B, H, W]."""
        whole = self.backdrops[backdrop]
        flat = whole.flatten(1)
        flat[:, self.cells[self.mask]] = window[:, self.mask].to(flat.dtype)
        return flat.view_as(whole)


def find_layout(tokens: np.ndarray, rows: np.ndarray, transitions: np.ndarray) -> Layout:
    """The layout of a training split.

    Args:
        tokens: int [U, H, W], every distinct frame once.
        rows: int [N], the row of `tokens` that each record shows.
        transitions: int [T], records with a successor.
    """
    at = transitions[rows[transitions] != rows[transitions + 1]]
    pairs = np.unique(np.stack([rows[at], rows[at + 1]], 1), axis=0)
    active = np.zeros(tokens.shape[1:], bool)
    for first in range(0, len(pairs), CHUNK):
        before, after = pairs[first : first + CHUNK].T
        differs = tokens[before] != tokens[after]
        active |= differs[differs.sum((1, 2)) <= CUT * active.size].any(0)
    if not active.any():  # a game that only ever cuts, or stands still
        active[:] = True
    backdrops: dict[bytes, int] = {}
    for number in range(len(tokens)):
        backdrops.setdefault(tokens[number][~active].tobytes(), number)
        # scenery without end: then every cell is the network's to paint
        if len(backdrops) > MOST_BACKDROPS:
            active[:] = True
            backdrops = {b"": 0}
            break
    cells = pack(active)
    mask = (cells >= 0) & active.flatten()[cells]
    kind = np.int16 if tokens.dtype == np.int16 else np.int64
    backdrop_frames = tokens[sorted(backdrops.values())].astype(kind)
    return Layout(
        torch.from_numpy(cells), torch.from_numpy(mask), torch.from_numpy(backdrop_frames)
    )


def pack(active: np.ndarray) -> np.ndarray:
    """The active cells of a screen, bool [H, W], in a rectangle with rows and columns kept
    together: int64 [h, w].

    Rows and columns without any are left out. Parts of the screen with still columns between them
    (a board and a panel) are set one above the other, each with its own rows, where that makes the
    rectangle smaller.
    """
    number = np.arange(active.size).reshape(active.shape)
    used = np.flatnonzero(active.any(0))
    whole = number[np.ix_(active.any(1), active.any(0))]
    together = np.split(used, np.flatnonzero(np.diff(used) > 1) + 1)
    parts = [number[np.ix_(active[:, columns].any(1), columns)] for columns in together]
    width = max(part.shape[1] for part in parts)
    stack = np.concatenate(
        [np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=-1) for part in parts]
    )
    return stack if stack.size < whole.size else whole
