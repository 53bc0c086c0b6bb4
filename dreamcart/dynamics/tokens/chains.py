"""Parts of the screen in which one picture follows another as it always did: a counter, a box that
tells what comes next.

Cells that may change and touch one another, and showed no more than MOST_CONTENTS contents in all
recordings, are known link by link: after a 5 came a 6 in every episode that left the 5. Where a
content was left in LEAST episodes or more, and next to never for one that no other episode shows
(what is still unseen is as likely as what was seen once, Good 1953), nothing else comes after it.
What came too seldom, such as the end of the longest recorded game, is left to the network; so a
counter goes on.
"""

from dataclasses import dataclass

import numpy as np
import torch

from dreamcart.dynamics.layout import Layout
from dreamcart.dynamics.tokens.contents import contents_of, parts_of, places_in, scenes_of, table_of
from dreamcart.dynamics.tokens.regions import Chances, likeliest

MOST_CONTENTS = 256
LEAST = 5  # episodes that left a content
MOST_NEW = 0.01  # of the times that a content was left: above it more is to come


@dataclass(frozen=True)
class Chains:
    """places: int64 [R, S], the flat numbers of a part's cells in the window, -1 where it has no
    more; contents: int16 [R, K, S], the tokens that they showed together, -1 where there are no
    more; follows: bool [R, K, K], which may come after each, itself included; all of them where
    that is not known: then others may come as well.
    """

    places: torch.Tensor
    contents: torch.Tensor
    follows: torch.Tensor

    @staticmethod
    def empty(parts: int = 0, contents: int = 0, cells: int = 0) -> "Chains":
        """A table of this size that knows nothing yet."""
        places, shown = (
            torch.zeros(parts, cells, dtype=torch.int64),
            torch.zeros(parts, contents, cells, dtype=torch.int16),
        )
        return Chains(places, shown, torch.ones(parts, contents, contents, dtype=torch.bool))

    def shown(self, window: torch.Tensor) -> torch.Tensor:
        """Which of its contents each part shows in windows [B, h, w]: int64 [B, R], -1 for another
        one.
        """
        cells = window.flatten(1)[:, self.places.clamp(min=0)]
        alike = ((cells[:, :, None] == self.contents) | (self.places < 0)[:, None]).all(3) & (
            self.contents[:, :, 0] >= 0
        )
        return torch.where(alike.any(2), alike.int().argmax(2), -1)

    def settle(
        self, before: torch.Tensor, window: torch.Tensor, cut: torch.Tensor, chances: Chances
    ) -> torch.Tensor:
        """Windows [B, h, w] in which every part shows what may follow what it showed before, see
        `likeliest`. Changed in place.

        Args:
            before: windows of the step before; cut: bool [B], steps that cut to another scene: then
                all may come; chances: see `Regions.settle`.
        """
        places = self.places.clamp(min=0)
        # as in most steps
        if torch.equal(before.flatten(1)[:, places], window.flatten(1)[:, places]):
            return window
        old, new = self.shown(before), self.shown(window)
        part = torch.arange(len(self.places), device=old.device)
        may = self.follows[part, old.clamp(min=0)]  # [B, R, K]
        known = (old >= 0) & ~may.all(2) & ~cut[:, None]
        wrong = known & ((new < 0) | ~may.gather(2, new.clamp(min=0)[:, :, None]).squeeze(2))
        for row, number in wrong.nonzero().tolist():
            places = self.places[number][self.places[number] >= 0]
            contents = self.contents[number][may[row, number]][:, : len(places)]
            window[row].view(-1)[places] = likeliest(
                window[row].view(-1)[places], contents, chances(row, places)
            )
        return window


def find_chains(tokens: np.ndarray, index: np.ndarray, layout: Layout) -> Chains:
    """The parts of a training split's screens in which it is known what follows what.

    Args:
        tokens: int [U, H, W], every distinct frame once; index: the split's records, with the row
            of `tokens` that each shows.
    """
    place, scene = places_in(layout, tokens.shape[1:]), scenes_of(tokens, layout)[index["frame"]]
    goes_on = np.r_[
        (index["episode"][1:] == index["episode"][:-1]) & (scene[1:] == scene[:-1]), False
    ]
    found = []
    for part in parts_of(place >= 0):
        shown = contents_of(tokens, part, MOST_CONTENTS)
        if shown is not None:
            which, contents = shown
            follows = follows_of(which[index["frame"]], index["episode"], goes_on, len(contents))
            if not follows.all():
                found.append((place[part], contents, follows))
    places, known = table_of([part[:2] for part in found])
    may = torch.ones(len(found), known.shape[1], known.shape[1], dtype=torch.bool)
    for own, (_, contents, follows) in zip(may, found, strict=True):
        # nor what fills the table up
        own[: len(contents)][torch.from_numpy(~follows.all(1))] = False
        own[: len(contents), : len(contents)] = torch.from_numpy(follows)
    return Chains(places, known, may)


def follows_of(
    which: np.ndarray, episode: np.ndarray, goes_on: np.ndarray, contents: int
) -> np.ndarray:
    """Which contents may follow each, bool [K, K], see `Chains`.

    Args:
        which, episode: int [N], the content that each record shows, and its episode; goes_on: bool
            [N], whether the next record is the step after it.
    """
    left = np.flatnonzero(goes_on[:-1] & (which[1:] != which[:-1]))
    pairs, times = np.unique(
        np.stack([which[left], which[left + 1], episode[left]], 1), axis=0, return_counts=True
    )
    follows = np.eye(contents, dtype=bool)
    for content in range(contents):
        own = pairs[:, 0] == content
        after, episodes = np.unique(pairs[own, 1], return_counts=True)
        new = np.isin(pairs[own, 1], after[episodes == 1])
        known = (
            len(np.unique(pairs[own, 2])) >= LEAST
            and times[own][new].sum() <= MOST_NEW * times[own].sum()
        )
        follows[content, after if known else slice(None)] = True
    return follows
