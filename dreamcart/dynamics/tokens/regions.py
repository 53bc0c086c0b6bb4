"""Parts of the screen that show one of a few pictures, whatever is played: a box, a text, a counter
of few digits.

Cells that may change and touch one another are a region. Where a region showed only a few contents
in all recordings, and each of them early in several episodes, there is hardly another one to come
(what is still unseen is as likely as what was seen once, Good 1953; a counter, which would go on,
shows its last contents late and seldom). A dream may then show nothing else there: what it decided
cell by cell becomes the nearest known content. A board has thousands of contents, and is left
alone.

Right after a cut to another scene more is known: a new game begins with an empty board and one of a
few pieces on it. There a region is what differs between the screens to which the recordings have
cut, and holds at that one step.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from dreamcart.dynamics.layout import Layout
from dreamcart.dynamics.tokens.contents import contents_of, parts_of, places_in, scenes_of, table_of

MOST_CONTENTS = 64
EARLY = 1 / 3  # of an episode
LEAST = 2  # episodes that show each content early
ALWAYS = -1

Chances = Callable[[int, torch.Tensor], torch.Tensor]
# a region's cells in the window, its contents, and the backdrop or ALWAYS
Found = tuple[np.ndarray, np.ndarray, int]


@dataclass(frozen=True)
class Regions:
    """places: int64 [R, S], the flat numbers of a region's cells in the window, -1 where it has no
    more; contents: int16 [R, K, S], the tokens that they showed together, -1 where there are no
    more; after: int64 [R], the backdrop of which it holds for the first frame, or ALWAYS.
    """

    places: torch.Tensor
    contents: torch.Tensor
    after: torch.Tensor

    @staticmethod
    def empty(regions: int = 0, contents: int = 0, cells: int = 0) -> "Regions":
        """A table of this size that knows nothing yet."""
        places, after = (
            torch.zeros(regions, cells, dtype=torch.int64),
            torch.full((regions,), ALWAYS),
        )
        return Regions(places, torch.zeros(regions, contents, cells, dtype=torch.int16), after)

    def unknown(self, window: torch.Tensor) -> torch.Tensor:
        """Regions of windows [B, h, w] with a content that is not known, bool [B, R]."""
        shown = window.flatten(1)[:, self.places.clamp(min=0)]
        alike = ((shown[:, :, None] == self.contents) | (self.places < 0)[:, None]).all(3) & (
            self.contents[:, :, 0] >= 0
        )
        return ~alike.any(2)

    def settle(self, window: torch.Tensor, cut: torch.Tensor, chances: Chances) -> torch.Tensor:
        """Windows [B, h, w] in which every region shows a known content, see `likeliest`. Changed
        in place.

        Args:
            cut: int64 [B], the backdrop to which a step cuts, ALWAYS where it cuts to none.
            chances: log-probabilities of the tokens at places of a row, [S, vocabulary].
        """
        unknown = self.unknown(window)
        unknown &= (self.after == ALWAYS) | (self.after == cut[:, None])
        for row, number in unknown.nonzero().tolist():
            places = self.places[number][self.places[number] >= 0]
            contents = self.contents[number][self.contents[number, :, 0] >= 0][:, : len(places)]
            window[row].view(-1)[places] = likeliest(
                window[row].view(-1)[places], contents, chances(row, places)
            )
        return window


def likeliest(shown: torch.Tensor, contents: torch.Tensor, chances: torch.Tensor) -> torch.Tensor:
    """Of contents [K, S] the one that agrees with most of the cells shown, [S]; of several such the
    most probable one (cells taken one by one). chances: log-probabilities of their tokens, [S,
    vocabulary].
    """
    alike = (contents == shown).sum(1)
    best = contents[alike == alike.max()]
    return best[chances.gather(1, best.T.long()).sum(0).argmax()]


def find_regions(tokens: np.ndarray, index: np.ndarray, layout: Layout) -> Regions:
    """The regions of a training split with few contents.

    Args:
        tokens: int [U, H, W], every distinct frame once; index: the split's records, with the row
            of `tokens` that each shows.
    """
    place = places_in(layout, tokens.shape[1:])
    last = np.zeros(index["episode"].max() + 1, np.int64)
    np.maximum.at(last, index["episode"], index["step"])
    early = index[index["step"] <= EARLY * last[index["episode"]]]
    found: list[Found] = [
        (*region, ALWAYS)
        for region in connected(tokens, early["frame"], early["episode"], place >= 0, place)
    ]
    found += after_cuts(tokens, index, layout, place)
    after = torch.tensor([after for *_, after in found], dtype=torch.int64)
    return Regions(*table_of([region[:2] for region in found]), after)


def after_cuts(
    tokens: np.ndarray, index: np.ndarray, layout: Layout, place: np.ndarray
) -> list[Found]:
    """The regions of the first frames after a cut. place: int [H, W], a cell's place in the window,
    -1 for none.
    """
    backdrop = scenes_of(tokens, layout)
    scene = backdrop[index["frame"]]
    cut = index[np.r_[False, scene[1:] != scene[:-1]] & (index["step"] > 0)]
    found: list[Found] = []
    for target in np.unique(backdrop[cut["frame"]]):
        some = cut[backdrop[cut["frame"]] == target]
        distinct, rows = np.unique(some["frame"], return_inverse=True)
        frames = tokens[distinct]
        differs = (frames != frames[0]).any(0) & (place >= 0)
        found += [
            (*region, int(target))
            for region in connected(frames, rows, some["episode"], differs, place)
        ]
    return found


def connected(
    tokens: np.ndarray, rows: np.ndarray, episodes: np.ndarray, area: np.ndarray, place: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of the parts of `area`, bool [H, W], whose cells touch: those with few contents: places and
    contents.
    """
    parts = [(part, early_contents(tokens, rows, episodes, part)) for part in parts_of(area)]
    return [(place[part], contents) for part, contents in parts if contents is not None]


def early_contents(
    tokens: np.ndarray, rows: np.ndarray, episodes: np.ndarray, region: np.ndarray
) -> np.ndarray | None:
    """What a region, bool [H, W], shows in all of the frames: int16 [K, S]; None where that is
    much, or may go on.

    rows, episodes: int [N], the records that must show each content, in LEAST episodes or more.
    """
    shown = contents_of(tokens, region, MOST_CONTENTS)
    if shown is None or len(shown[1]) < 2:
        return None
    which, contents = shown
    pairs = np.unique(np.stack([which[rows], episodes.astype(np.int64)], 1), axis=0)
    return contents if np.bincount(pairs[:, 0], minlength=len(contents)).min() >= LEAST else None
