"""What parts of the screen showed in all recordings: what regions and chains are made from."""

from collections.abc import Iterator

import cv2
import numpy as np
import torch

from dreamcart.dynamics.layout import Layout
from dreamcart.dynamics.tokens.budget import along

CHUNK = 4096


def places_in(layout: Layout, shape: tuple[int, ...]) -> np.ndarray:
    """The place in the window, laid out flat, of each cell of a screen [H, W]; -1 for those that
    are none of the network's.
    """
    place = np.full(np.prod(shape), -1)
    place[layout.cells[layout.mask].numpy()] = layout.mask.flatten().nonzero().squeeze(1).numpy()
    return place.reshape(shape)


def scenes_of(tokens: np.ndarray, layout: Layout) -> np.ndarray:
    """The backdrop of each frame int [U, H, W]: int64 [U]."""
    begins = along(range(0, len(tokens), CHUNK), "scenes", "batch")
    chunks = (torch.from_numpy(np.array(tokens[at : at + CHUNK]).astype(np.int16)) for at in begins)
    return np.concatenate([layout.backdrop_of(chunk).numpy() for chunk in chunks])


def parts_of(area: np.ndarray) -> Iterator[np.ndarray]:
    """The parts of an area, bool [H, W], whose cells touch by a side or a corner."""
    count, labels = cv2.connectedComponents(area.astype(np.uint8), connectivity=8)
    return (labels == number for number in along(range(1, count), "parts of the screen", "part"))


def contents_of(
    tokens: np.ndarray, part: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """What a part shows in frames int [U, H, W]: the number of each one's content, int64 [U], and
    the contents, int16 [K, S]; None where there are more than `most`.
    """
    shown: dict[bytes, int] = {}
    which = np.zeros(len(tokens), np.int64)
    for first in along(range(0, len(tokens), CHUNK), "a part's contents", "batch"):
        for row, content in enumerate(
            tokens[first : first + CHUNK][:, part].astype(np.int16), first
        ):
            which[row] = shown.setdefault(content.tobytes(), len(shown))
            if len(shown) > most:
                return None
    return which, np.stack([np.frombuffer(content, np.int16) for content in shown])


def table_of(found: list[tuple[np.ndarray, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Places [S] and contents [K, S] of parts of unlike size as one table, int64 [R, S] and int16
    [R, K, S], -1 beyond.
    """
    most, largest = (
        max((contents.shape[axis] for _, contents in found), default=0) for axis in (0, 1)
    )
    places = torch.full((len(found), largest), -1, dtype=torch.int64)
    known = torch.full((len(found), most, largest), -1, dtype=torch.int16)
    for number, (where, contents) in enumerate(found):
        places[number, : len(where)] = torch.from_numpy(where)
        known[number, : len(contents), : len(where)] = torch.from_numpy(contents)
    return places, known
