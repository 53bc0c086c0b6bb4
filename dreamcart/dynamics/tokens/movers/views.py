"""What a mover's network sees of a thing: the pixels around it, how it came, where it is, and what
is pressed.
"""

import numpy as np
import torch

from dreamcart.dynamics.tokens.movers.memory import lately
from dreamcart.dynamics.tokens.movers.network import SIDE, Views

BEHIND = 32  # pixels by which a thing may be behind the place that its dial points to


def view(
    tiles: torch.Tensor,
    screens: torch.Tensor,
    thing: np.ndarray,
    kinds: dict[str, np.ndarray],
    before: np.ndarray,
    dials: np.ndarray,
    action: np.ndarray,
    last: np.ndarray,
    moments: np.ndarray,
    absent: np.ndarray,
    places: np.ndarray,
    recalled: torch.Tensor,
) -> Views:
    """Views of N things.

    Args:
        tiles, screens: see `crops`; thing: int64 [N, 3], kind, top and left; kinds: see
            `Kinds.numpy`; before: see `ways_before`;
        dials: float32 [N, (P + 1) B], where they stood and will stand, see `Samples.dialled`;
            action, last: [N, n], what is pressed now, and what was in the step before; moments:
            float32 [N, M], see `followers.believe`;
        absent: int [N, K], steps for which each kind has not been seen; places: float32 [N, K, 2],
            see `followers.exact`; recalled: see `Views`.
    """
    size = np.array(screens.shape[2:]) * tiles.shape[1]
    kind, place = thing[:, 0], thing[:, 1:]
    middles = torch.from_numpy(place + kinds["sizes"][kind] // 2)
    lines = kinds["dials"][kind]  # [N, B, 2, 2]
    numbers = [place / size, dials]
    if lines.shape[1]:
        stood = (
            dials.reshape(len(thing), -1, lines.shape[1], 1) * lines[:, None, :, :, 0]
            + lines[:, None, :, :, 1]
        )
        behind = ((place[:, None, None] - stood) / BEHIND).clip(-1, 1)
        numbers.append((behind.reshape(len(thing), -1) + 1) / 2)
    pressed = np.concatenate([action, action * (1 - last)], 1).astype(np.float32)
    return Views(
        crops(tiles, screens, middles),
        torch.from_numpy(before),
        torch.from_numpy(kind.copy()),
        torch.from_numpy(np.concatenate(numbers, 1).astype(np.float32)),
        torch.from_numpy(pressed),
        torch.from_numpy(moments).float().softmax(1),
        lately(torch.from_numpy(absent)).float(),
        torch.from_numpy(places - place[:, None]).float(),
        recalled,
    )


def crops(tiles: torch.Tensor, screens: torch.Tensor, middles: torch.Tensor) -> torch.Tensor:
    """Parts of screens.

    Args:
        tiles: uint8 [V, t, t], see `inertia.colours`; screens: int [N, L, H, W], of tokens;
            middles: int64 [N, 2], pixels.

    Returns uint8 [N, L, SIDE, SIDE], see `Views`.
    """
    side, (height, width) = tiles.shape[1], screens.shape[2:]
    y, x = (
        middles[:, axis, None] - SIDE // 2 + torch.arange(SIDE, device=middles.device)
        for axis in (0, 1)
    )
    inside = ((y >= 0) & (y < height * side))[:, :, None] & ((x >= 0) & (x < width * side))[:, None]
    y, x = y.clamp(0, height * side - 1)[:, :, None], x.clamp(0, width * side - 1)[:, None]
    cells = ((y // side) * width + x // side)[:, None].expand(-1, screens.shape[1], -1, -1)
    token = screens.flatten(2).gather(2, cells.flatten(2).to(torch.int64)).long().view(cells.shape)
    pixel = ((y % side) * side + x % side)[:, None]
    colour = tiles.flatten()[token * side * side + pixel].long() + 1
    return torch.where(inside[:, None], colour, 0).to(torch.uint8)
