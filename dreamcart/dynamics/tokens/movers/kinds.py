"""Which things a game moves, where they are on a screen, and how they came there.

A mover is a patch of one colour and one shape that was often seen to go from one place to another (`inertia.py`): a ball, a bat.
Where it goes next is a choice among the few ways that recordings show, wherever on the screen it is; as tokens the same choice
had to be learned for each of a thousand tiles.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch

from dreamcart.dynamics.tokens.inertia import FAR, SAMPLE, Inertia

MOST_KINDS, MOST_WAYS = 16, 255
LEAST = 0.01  # of the steps in which anything changes: what moves more seldom is left to the cells
MOST_THINGS = 8  # on a screen
PAST = 6  # steps whose ways are told: speeds that are no whole number of pixels take turns
UNSEEN = 2 * FAR + 1  # a way that is not known


@dataclass(frozen=True)
class Kinds:
    """K kinds of movers, the D ways on which one of them may go, and N places where one may come from nowhere.

    colours: int64 [K], of the game's numbered colours; sizes: int64 [K, 2], height and width; masks: bool [K, h, w], the pixels
    of its box that are its own, padded; ways: int64 [D, 2], pixels down and to the right; births: int64 [N, 3], kind, top and left;
    usual: float32 [N], the share of its kind's births; follows: float32 [N, C, N], the same after each, by steps since then on a
    clock of C steps (0: nothing is to be told from them); dials: float32 [K, B, 2, 2], slope and offset of the line by which a
    kind's top and left follow each dial, see `dials.py`.
    """

    colours: torch.Tensor
    sizes: torch.Tensor
    masks: torch.Tensor
    ways: torch.Tensor
    births: torch.Tensor
    usual: torch.Tensor
    follows: torch.Tensor
    dials: torch.Tensor

    @staticmethod
    def empty(
        kinds: int = 0, height: int = 0, width: int = 0, ways: int = 0, births: int = 0, clock: int = 0, dials: int = 0
    ) -> "Kinds":
        """A table of this size that knows nothing yet."""
        sizes, gone, come = (torch.zeros(*shape, dtype=torch.int64) for shape in ((kinds, 2), (ways, 2), (births, 3)))
        masks, lines = torch.zeros(kinds, height, width, dtype=torch.bool), torch.zeros(kinds, dials, 2, 2)
        usual, follows = torch.ones(births), torch.zeros(births, clock, births)
        return Kinds(torch.zeros(kinds, dtype=torch.int64), sizes, masks, gone, come, usual, follows, lines)

    @property
    def shape(self) -> list[int]:
        """What `empty` needs to make such a table."""
        return [*self.masks.shape, len(self.ways), *self.follows.shape[:2], self.dials.shape[1]]

    def numpy(self) -> dict[str, np.ndarray]:
        """The same as arrays, by name."""
        return {field.name: getattr(self, field.name).cpu().numpy() for field in fields(self)}


class Finder:
    """Finds the movers of a game on its screens."""

    def __init__(self, tiles: np.ndarray, kinds: Kinds) -> None:
        """tiles: uint8 [V, t, t], see `inertia.colours`."""
        self.draw, self.tiles = Inertia(tiles).draw, tiles
        table = kinds.numpy()
        self.count = len(table["colours"])
        self.kinds: dict[int, list[tuple[int, np.ndarray]]] = {}  # of each colour, numbers and masks
        for kind, (colour, mask, (height, width)) in enumerate(zip(table["colours"], table["masks"], table["sizes"], strict=True)):
            self.kinds.setdefault(int(colour), []).append((kind, mask[:height, :width]))
        for own in self.kinds.values():
            own.sort(key=lambda kind: -kind[1].sum())  # the largest first
        self.shows = {colour: (tiles == colour).any((1, 2)) for colour in self.kinds}

    def find(self, tokens: np.ndarray) -> np.ndarray:
        """The movers on a screen int [H, W], as far as there is room: int16 [MOST_THINGS, 3], kind (-1 for none), top and left."""
        found = np.full((MOST_THINGS, 3), -1, np.int16)
        for line, thing in zip(found, self._things(tokens), strict=False):
            line[:] = thing
        return found

    def _things(self, tokens: np.ndarray) -> Iterator[tuple[int, int, int]]:
        side = self.tiles.shape[1]
        for colour, kinds in self.kinds.items():
            rows, columns = (np.flatnonzero(self.shows[colour][tokens].any(axis)) for axis in (1, 0))
            if not len(rows):
                continue
            row, column = rows[0], columns[0]  # only the part of the screen that shows the colour is searched
            picture = self.draw(tokens[row : rows[-1] + 1, column : columns[-1] + 1])
            _, labels, stats, _ = cv2.connectedComponentsWithStats((picture == colour).astype(np.uint8), connectivity=8)
            most = 2 * max(mask.sum() for _, mask in kinds)
            for label, (x, y, width, height, size) in enumerate(stats.tolist()):
                if label and size <= most:
                    area = labels[y : y + height, x : x + width] == label
                    for kind, top, left in parts_of(area, kinds):
                        yield kind, int(row) * side + y + top, int(column) * side + x + left


def parts_of(area: np.ndarray, kinds: list[tuple[int, np.ndarray]]) -> list[tuple[int, int, int]]:
    """Which movers a patch of one colour, bool [h, w], is: one, or two that touch or cover one another; each with its top and left.

    Args:
        kinds: numbers and masks, the largest first.
    """
    for kind, mask in kinds:
        if mask.shape == area.shape and (mask == area).all():
            return [(kind, 0, 0)]
    for kind, mask in kinds:
        places = places_of(mask, area)
        if len(places) != 1:
            continue
        (top, left), rest = places[0], area.copy()
        within(rest, top, left, mask)[mask] = False
        for other, small in kinds:
            covers = [(y, x) for y, x in places_of(small, area) if within(rest, y, x, small)[small].sum() == rest.sum()]
            if len(covers) == 1:
                return [(kind, top, left), (other, *covers[0])]
    return []


def within(area: np.ndarray, top: int, left: int, mask: np.ndarray) -> np.ndarray:
    """The part of an area that a mask's box covers, as a view."""
    return area[top : top + mask.shape[0], left : left + mask.shape[1]]


def places_of(mask: np.ndarray, area: np.ndarray) -> list[list[int]]:
    """Where a mask lies wholly in an area: tops and lefts."""
    if mask.shape[0] > area.shape[0] or mask.shape[1] > area.shape[1]:
        return []
    windows = np.lib.stride_tricks.sliding_window_view(area, mask.shape)
    return np.argwhere(windows[:, :, mask].all(2)).tolist()


def find_kinds(tiles: np.ndarray, tokens: np.ndarray, rows: np.ndarray, transitions: np.ndarray) -> Kinds:
    """The kinds of movers in a training split, from a sample of its steps; how many there are and their ways are not known yet.

    Args:
        tiles: see `inertia.colours`; tokens: int [U, H, W]; rows: int [N], the row of `tokens` that each record shows;
        transitions: int [T], records with a successor.
    """
    changing = transitions[rows[transitions] != rows[transitions + 1]]
    inertia, seen = Inertia(tiles), Counter()
    looked = changing[:: max(1, len(changing) // SAMPLE)]
    for record in looked:
        seen.update({thing.shape for _, thing in inertia.moved(tokens[rows[record]], tokens[rows[record + 1]])})
    shapes = [shape for shape, times in seen.most_common(MOST_KINDS) if times > LEAST * len(looked)]
    height, width = (max((shape[1][axis] for shape in shapes), default=0) for axis in (0, 1))
    kinds = Kinds.empty(len(shapes), height, width)
    for number, (colour, size, mask) in enumerate(shapes):
        kinds.colours[number], kinds.sizes[number] = colour, torch.tensor(size)
        kinds.masks[number, : size[0], : size[1]] = torch.from_numpy(np.frombuffer(mask, bool).reshape(size).copy())
    return kinds


def nearest(found: np.ndarray, things: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where things are on other screens: the nearest of the same kind.

    Args:
        found: int [N, M, 3], what `Finder.find` has of the other screens; things: int [N, 3], kind, top and left.

    Returns int64 [N, 2], top and left, and bool [N], whether there is one within FAR pixels.
    """
    things = things.astype(np.int64)
    far = np.abs(found[:, :, 1:] - things[:, None, 1:]).max(2)
    far = np.where(found[:, :, 0] == things[:, None, 0], far, FAR + 1)
    which = far.argmin(1)
    rows = np.arange(len(things))
    return found[rows, which, 1:].astype(np.int64), far[rows, which] <= FAR


def ways_before(found: np.ndarray, things: np.ndarray) -> np.ndarray:
    """How things came where they are.

    Args:
        found: int [N, P, M, 3], what was on the screens before, the last one last; things: int [N, 3], on the screen now.

    Returns int64 [N, P, 2], the way of each step, the last one first: pixels down and to the right, FAR added; UNSEEN where there
    was no such thing.
    """
    ways = np.full((len(things), found.shape[1], 2), UNSEEN)
    place, known = things.astype(np.int64), np.ones(len(things), bool)
    for step in range(found.shape[1]):
        before, there = nearest(found[:, -1 - step], place)
        known &= there
        ways[known, step] = place[known, 1:] - before[known] + FAR
        place = np.concatenate([place[:, :1], before], 1)
    return ways
