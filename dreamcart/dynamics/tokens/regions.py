"""Parts of the screen that show one of a few pictures, whatever is played: a box, a text, a counter of few digits.

Cells that may change and touch one another are a region. Where a region showed only a few contents in all recordings, and
each of them early in several episodes, there is hardly another one to come (what is still unseen is as likely as what was
seen once, Good 1953; a counter, which would go on, shows its last contents late and seldom). A dream may then show nothing else
there: what it decided cell by cell becomes the nearest known content.
A board has thousands of contents, and is left alone.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from dreamcart.dynamics.tokens.layout import Layout

MOST_CONTENTS = 64
EARLY = 1 / 3  # of an episode
LEAST = 2  # episodes that show each content early
CHUNK = 4096


@dataclass(frozen=True)
class Regions:
    """places: int64 [R, S], the flat numbers of a region's cells in the window, -1 where it has no more; contents: int16
    [R, K, S], the tokens that they showed together, -1 where there are no more."""

    places: torch.Tensor
    contents: torch.Tensor

    def unknown(self, window: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of windows [B, h, w]: bool [B, R], regions with a content that is not known; and how many cells of each known
        content they show, int64 [B, R, K], -1 where there are no more."""
        shown = window.flatten(1)[:, self.places.clamp(min=0)]
        own = self.places >= 0
        alike = ((shown[:, :, None] == self.contents) & own[:, None]).sum(3)
        alike = alike.masked_fill(self.contents[:, :, 0] < 0, -1)
        return alike.amax(2) < own.sum(1), alike


def find_regions(tokens: np.ndarray, index: np.ndarray, layout: Layout) -> Regions:
    """The regions of a training split with few contents.

    Args:
        tokens: int [U, H, W], every distinct frame once; index: the split's records, with the row of `tokens` that each shows.
    """
    cells = layout.cells[layout.mask].numpy()
    place = np.full(tokens[0].size, -1)
    place[cells] = layout.mask.flatten().nonzero().squeeze(1).numpy()
    active = (place >= 0).reshape(tokens.shape[1:])
    count, labels = cv2.connectedComponents(active.astype(np.uint8), connectivity=8)
    last = np.zeros(index["episode"].max() + 1, np.int64)
    np.maximum.at(last, index["episode"], index["step"])
    early = index[index["step"] <= EARLY * last[index["episode"]]]
    found = []
    for number in range(1, count):
        contents = contents_of(tokens, early, labels == number)
        if contents is not None:
            found.append((place[(labels == number).flatten()], contents))
    most, largest = (max((size(part) for part in found), default=0) for size in (lambda p: len(p[1]), lambda p: len(p[0])))
    places = torch.full((len(found), largest), -1, dtype=torch.int64)
    known = torch.full((len(found), most, largest), -1, dtype=torch.int16)
    for number, (where, contents) in enumerate(found):
        places[number, : len(where)] = torch.from_numpy(where)
        known[number, : len(contents), : len(where)] = torch.from_numpy(contents)
    return Regions(places, known)


def contents_of(tokens: np.ndarray, early: np.ndarray, region: np.ndarray) -> np.ndarray | None:
    """What a region, bool [H, W], shows in all of the frames: int16 [K, S]; None where that is much, or may go on.

    early: the records of the first part of each episode.
    """
    shown: dict[bytes, int] = {}
    which = np.zeros(len(tokens), np.int64)
    for first in range(0, len(tokens), CHUNK):
        for row, content in enumerate(tokens[first : first + CHUNK][:, region].astype(np.int16), first):
            which[row] = shown.setdefault(content.tobytes(), len(shown))
            if len(shown) > MOST_CONTENTS:
                return None
    pairs = np.unique(np.stack([which[early["frame"]], early["episode"].astype(np.int64)], 1), axis=0)
    if len(shown) < 2 or np.bincount(pairs[:, 0], minlength=len(shown)).min() < LEAST:
        return None
    return np.stack([np.frombuffer(content, np.int16) for content in shown])
