"""What a mover's network sees of a thing: the pixels around it, how it came, where it is, and what is pressed."""

import numpy as np
import torch

from dreamcart.dynamics.tokens.movers.kinds import nearest
from dreamcart.dynamics.tokens.movers.network import SIDE, Views

BEHIND = 32  # pixels by which a thing may be behind the place that its dial points to
BESIDE = 64  # pixels as far as which others are told


def view(
    tiles: torch.Tensor,
    screens: torch.Tensor,
    thing: np.ndarray,
    kinds: dict[str, np.ndarray],
    before: np.ndarray,
    dials: np.ndarray,
    action: np.ndarray,
    last: np.ndarray,
    after: np.ndarray,
) -> Views:
    """Views of N things.

    Args:
        tiles, screens: see `crops`; thing: int64 [N, 3], kind, top and left; kinds: see `Kinds.numpy`; before: see `ways_before`;
        dials: float32 [N, (P + 1) B], where they stood and will stand, see `Samples.dialled`; action, last: [N, n], what is pressed
        now, and what was in the step before; after: see `beside`.
    """
    size = np.array(screens.shape[2:]) * tiles.shape[1]
    kind, place = thing[:, 0], thing[:, 1:]
    middles = torch.from_numpy(place + kinds["sizes"][kind] // 2)
    lines = kinds["dials"][kind]  # [N, B, 2, 2]
    numbers = [place / size, dials]
    if lines.shape[1]:
        stood = dials.reshape(len(thing), -1, lines.shape[1], 1) * lines[:, None, :, :, 0] + lines[:, None, :, :, 1]
        behind = ((place[:, None, None] - stood) / BEHIND).clip(-1, 1)
        numbers.append((behind.reshape(len(thing), -1) + 1) / 2)
    numbers.append(beside(thing, after, kinds).reshape(len(thing), -1))
    pressed = np.concatenate([action, action * (1 - last)], 1).astype(np.float32)
    return Views(
        crops(tiles, screens, middles),
        torch.from_numpy(before),
        torch.from_numpy(kind.copy()),
        torch.from_numpy(np.concatenate(numbers, 1).astype(np.float32)),
        torch.from_numpy(pressed),
    )


def order(kinds: dict[str, np.ndarray]) -> list[int]:
    """The kinds in the order in which it is decided where they go, the largest first: a ball bounces off where a bat will be."""
    return np.argsort(-kinds["masks"].sum((1, 2)), kind="stable").tolist()


def beside(thing: np.ndarray, after: np.ndarray, kinds: dict[str, np.ndarray]) -> np.ndarray:
    """Where others will be, as far as that is decided before: of each kind the nearest one.

    Args:
        thing: see `view`; after: int [N, M, 3], things on the screen to come, kind (-1 for none), top and left.

    Returns float64 [N, K, 3]: how far below and to the right of each thing, 0 to 1 (0.5: at its place), and whether there is one.
    """
    rank = np.argsort(order(kinds))
    told = np.zeros((len(thing), len(rank), 3))
    for kind in range(len(rank)):
        other = thing.copy()
        other[:, 0] = kind
        place, there = nearest(after, other, BESIDE)
        there &= rank[kind] < rank[thing[:, 0]]
        told[there, kind, :2] = ((place - thing[:, 1:])[there] / BESIDE + 1) / 2
        told[there, kind, 2] = 1
    return told


def crops(tiles: torch.Tensor, screens: torch.Tensor, middles: torch.Tensor) -> torch.Tensor:
    """Parts of screens.

    Args:
        tiles: uint8 [V, t, t], see `inertia.colours`; screens: int [N, L, H, W], of tokens; middles: int64 [N, 2], pixels.

    Returns uint8 [N, L, SIDE, SIDE], see `Views`.
    """
    side, (height, width) = tiles.shape[1], screens.shape[2:]
    y, x = (middles[:, axis, None] - SIDE // 2 + torch.arange(SIDE, device=middles.device) for axis in (0, 1))
    inside = ((y >= 0) & (y < height * side))[:, :, None] & ((x >= 0) & (x < width * side))[:, None]
    y, x = y.clamp(0, height * side - 1)[:, :, None], x.clamp(0, width * side - 1)[:, None]
    cells = ((y // side) * width + x // side)[:, None].expand(-1, screens.shape[1], -1, -1)
    token = screens.flatten(2).gather(2, cells.flatten(2).to(torch.int64)).long().view(cells.shape)
    pixel = ((y % side) * side + x % side)[:, None]
    colour = tiles.flatten()[token * side * side + pixel].long() + 1
    return torch.where(inside[:, None], colour, 0).to(torch.uint8)
