"""Parts of the screen in which one picture follows another as it always did: a counter, a box that tells what comes next.

Cells that may change and touch one another, and showed no more than MOST_CONTENTS contents in all recordings, are known link by
link: after a 5 came a 6 in every episode that left the 5. Where a content was left in LEAST episodes or more, and next to
never for one that no other episode shows (what is still unseen is as likely as what was seen once, Good 1953), nothing else comes
after it. What came too seldom, such as the end of the longest recorded game, is left to the network; so a counter goes on.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from dreamcart.dynamics.tokens.layout import Layout
from dreamcart.dynamics.tokens.regions import CHUNK, Chances, likeliest

MOST_CONTENTS = 256
LEAST = 5  # episodes that left a content
MOST_NEW = 0.01  # of the times that a content was left: above it more is to come


@dataclass(frozen=True)
class Chains:
    """places: int64 [R, S], the flat numbers of a part's cells in the window, -1 where it has no more; contents: int16 [R, K, S],
    the tokens that they showed together, -1 where there are no more; follows: bool [R, K, K], which may come after each, itself
    included; all of them where that is not known: then others may come as well."""

    places: torch.Tensor
    contents: torch.Tensor
    follows: torch.Tensor

    @staticmethod
    def empty(parts: int = 0, contents: int = 0, cells: int = 0) -> "Chains":
        """A table of this size that knows nothing yet."""
        places, shown = torch.zeros(parts, cells, dtype=torch.int64), torch.zeros(parts, contents, cells, dtype=torch.int16)
        return Chains(places, shown, torch.ones(parts, contents, contents, dtype=torch.bool))

    def shown(self, window: torch.Tensor) -> torch.Tensor:
        """Which of its contents each part shows in windows [B, h, w]: int64 [B, R], -1 for another one."""
        cells = window.flatten(1)[:, self.places.clamp(min=0)]
        alike = ((cells[:, :, None] == self.contents) | (self.places < 0)[:, None]).all(3) & (self.contents[:, :, 0] >= 0)
        return torch.where(alike.any(2), alike.int().argmax(2), -1)

    def settle(self, before: torch.Tensor, window: torch.Tensor, cut: torch.Tensor, chances: Chances) -> torch.Tensor:
        """Windows [B, h, w] in which every part shows what may follow what it showed before, see `likeliest`. Changed in place.

        Args:
            before: windows of the step before; cut: bool [B], steps that cut to another scene: then all may come; chances: see
            `Regions.settle`.
        """
        places = self.places.clamp(min=0)
        if torch.equal(before.flatten(1)[:, places], window.flatten(1)[:, places]):  # as in most steps
            return window
        old, new = self.shown(before), self.shown(window)
        part = torch.arange(len(self.places), device=old.device)
        may = self.follows[part, old.clamp(min=0)]  # [B, R, K]
        known = (old >= 0) & ~may.all(2) & ~cut[:, None]
        wrong = known & ((new < 0) | ~may.gather(2, new.clamp(min=0)[:, :, None]).squeeze(2))
        for row, number in wrong.nonzero().tolist():
            places = self.places[number][self.places[number] >= 0]
            contents = self.contents[number][may[row, number]][:, : len(places)]
            window[row].view(-1)[places] = likeliest(window[row].view(-1)[places], contents, chances(row, places))
        return window


def find_chains(tokens: np.ndarray, index: np.ndarray, layout: Layout) -> Chains:
    """The parts of a training split's screens in which it is known what follows what.

    Args:
        tokens: int [U, H, W], every distinct frame once; index: the split's records, with the row of `tokens` that each shows.
    """
    place = np.full(tokens[0].size, -1)
    place[layout.cells[layout.mask].numpy()] = layout.mask.flatten().nonzero().squeeze(1).numpy()
    place = place.reshape(tokens.shape[1:])
    count, labels = cv2.connectedComponents((place >= 0).astype(np.uint8), connectivity=8)
    scene = np.concatenate(
        [
            layout.backdrop_of(torch.from_numpy(np.array(tokens[first : first + CHUNK]).astype(np.int16))).numpy()
            for first in range(0, len(tokens), CHUNK)
        ]
    )[index["frame"]]
    goes_on = np.r_[(index["episode"][1:] == index["episode"][:-1]) & (scene[1:] == scene[:-1]), False]
    found = []
    for number in range(1, count):
        shown = contents_of(tokens, labels == number)
        if shown is not None:
            which, contents = shown
            follows = follows_of(which[index["frame"]], index["episode"], goes_on, len(contents))
            if not follows.all():
                found.append((place[labels == number], contents, follows))
    return table_of(found)


def contents_of(tokens: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """What a part, bool [H, W], shows in frames [U, H, W]: the number of each one's content, int64 [U], and the contents, int16
    [K, S]; None where there are many."""
    shown: dict[bytes, int] = {}
    which = np.zeros(len(tokens), np.int64)
    for first in range(0, len(tokens), CHUNK):
        for row, content in enumerate(tokens[first : first + CHUNK][:, part].astype(np.int16), first):
            which[row] = shown.setdefault(content.tobytes(), len(shown))
            if len(shown) > MOST_CONTENTS:
                return None
    return which, np.stack([np.frombuffer(content, np.int16) for content in shown])


def follows_of(which: np.ndarray, episode: np.ndarray, goes_on: np.ndarray, contents: int) -> np.ndarray:
    """Which contents may follow each, bool [K, K], see `Chains`.

    Args:
        which, episode: int [N], the content that each record shows, and its episode; goes_on: bool [N], whether the next record is
        the step after it.
    """
    left = np.flatnonzero(goes_on[:-1] & (which[1:] != which[:-1]))
    pairs, times = np.unique(np.stack([which[left], which[left + 1], episode[left]], 1), axis=0, return_counts=True)
    follows = np.eye(contents, dtype=bool)
    for content in range(contents):
        own = pairs[:, 0] == content
        after, episodes = np.unique(pairs[own, 1], return_counts=True)
        new = np.isin(pairs[own, 1], after[episodes == 1])
        known = len(np.unique(pairs[own, 2])) >= LEAST and times[own][new].sum() <= MOST_NEW * times[own].sum()
        follows[content, after if known else slice(None)] = True
    return follows


def table_of(found: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Chains:
    """Parts of unlike size as one table."""
    most, largest = (max((part[1].shape[axis] for part in found), default=0) for axis in (0, 1))
    chains = Chains.empty(len(found), most, largest)
    chains.places.fill_(-1)
    chains.contents.fill_(-1)
    for number, (where, contents, follows) in enumerate(found):
        chains.places[number, : len(where)] = torch.from_numpy(where)
        chains.contents[number, : len(contents), : len(where)] = torch.from_numpy(contents)
        known = torch.from_numpy(~follows.all(1))
        chains.follows[number, : len(contents)][known] = False
        chains.follows[number, : len(contents), : len(contents)] = torch.from_numpy(follows)
    return chains
