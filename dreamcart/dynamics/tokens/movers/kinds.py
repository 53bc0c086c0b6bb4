"""Which things a game moves, where they are on a screen, and how they came there.

A mover is a patch of one colour and one shape that was often seen to go from one place to another
(`inertia.py`): a ball, a bat. Where it goes next is a choice among the few ways that recordings
show, wherever on the screen it is; as tokens the same choice had to be learned for each of a
thousand tiles.
"""

from collections import Counter
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from dreamcart.dynamics.tokens.budget import LeftOutError, along
from dreamcart.dynamics.tokens.inertia import FAR, SAMPLE, Inertia, Thing

MOST_KINDS, MOST_WAYS = 16, 255
MOST_THINGS = 8  # on a screen
LEAST = 0.01  # of the steps in which anything changes: what moves more seldom is left to the cells
PAST = 6  # steps whose ways are told: speeds that are no whole number of pixels take turns
MOST_ABSENT = 256  # steps
UNSEEN = 2 * FAR + 1  # a way that is not known


@dataclass(frozen=True)
class Kinds:
    """K kinds of movers, the D ways on which one of them may go, and N places where one may come
    from nowhere.

    colours: int64 [K], of the game's numbered colours; sizes: int64 [K, 2], height and width;
    masks: bool [K, h, w], the pixels of its box that are its own, padded; ways: int64 [D, 2],
    pixels down and to the right; births: int64 [N, 3], kind, top and left; usual: float32 [N], the
    share of its kind's births; follows: float32 [N, C, N], the same after each, by steps since then
    on a clock of C steps (0: nothing is to be told from them); dials: float32 [K, B, 2, 2], slope
    and offset of the line by which a kind's top and left follow each dial, see `dials.py`; fields:
    int64 [K, 4], where it is to be seen (top, left, bottom, right); tints: uint8 [K, L], its colour
    in each line of the screen, and taller: bool [K, L], whether it has a line more when its top is
    there, see `looks.py`; returns: float32 [K, MOST_ABSENT], how often it comes from nowhere in the
    next step, by the steps for which it has not been seen, see `births.py`. Of those that follow a
    dial (see `followers.py`): leads: int64 [K, 2], its number and the axis on which they do, -1
    where they follow none; pulls: float32 [K], the share of the way that they go to it in a step;
    grids: int64 [K, 2], every how many pixels they are drawn, and the first such; stops, aims:
    float32 [K, V], where the dial may stand, rising (beyond its ends where it has no more), and
    where it draws them to then; ticks: float32 [T, K, D + N + 1], how much likelier than usual each
    choice of each kind is at each step of a clock, see `clocks.py`.
    """

    colours: torch.Tensor
    sizes: torch.Tensor
    masks: torch.Tensor
    ways: torch.Tensor
    births: torch.Tensor
    usual: torch.Tensor
    follows: torch.Tensor
    dials: torch.Tensor
    fields: torch.Tensor
    tints: torch.Tensor
    taller: torch.Tensor
    returns: torch.Tensor
    leads: torch.Tensor
    pulls: torch.Tensor
    grids: torch.Tensor
    stops: torch.Tensor
    aims: torch.Tensor
    ticks: torch.Tensor

    @staticmethod
    def empty(
        kinds: int = 0,
        height: int = 0,
        width: int = 0,
        ways: int = 0,
        births: int = 0,
        clock: int = 0,
        dials: int = 0,
        lines: int = 0,
        stops: int = 0,
        ticks: int = 0,
    ) -> "Kinds":
        """A table of this size that knows nothing yet."""
        sizes, gone, come = (
            torch.zeros(*shape, dtype=torch.int64) for shape in ((kinds, 2), (ways, 2), (births, 3))
        )
        masks, slopes = (
            torch.zeros(kinds, height, width, dtype=torch.bool),
            torch.zeros(kinds, dials, 2, 2),
        )
        usual, follows = torch.ones(births), torch.zeros(births, clock, births)
        fields, tints = (
            torch.zeros(kinds, 4, dtype=torch.int64),
            torch.zeros(kinds, lines, dtype=torch.uint8),
        )
        taller = torch.zeros(kinds, lines, dtype=torch.bool)
        seen = fields, tints, taller, torch.zeros(kinds, MOST_ABSENT)
        leads, grids = torch.full((kinds, 2), -1), torch.ones(kinds, 2, dtype=torch.int64)
        after = leads, torch.zeros(kinds), grids, *torch.zeros(2, kinds, stops)
        after = *after, torch.zeros(ticks, kinds, ways + births + 1)
        return Kinds(
            torch.zeros(kinds, dtype=torch.int64),
            sizes,
            masks,
            gone,
            come,
            usual,
            follows,
            slopes,
            *seen,
            *after,
        )

    @property
    def shape(self) -> list[int]:
        """What `empty` needs to make such a table."""
        lines, stops, ticks = self.tints.shape[1], self.stops.shape[1], len(self.ticks)
        return [
            *self.masks.shape,
            len(self.ways),
            *self.follows.shape[:2],
            self.dials.shape[1],
            lines,
            stops,
            ticks,
        ]

    def everywhere(self, height: int, width: int) -> "Kinds":
        """The same, where nothing is known of their looks (as at first, and in older files): seen
        on all of a screen of so many pixels, in their own colours.
        """
        if self.tints.shape[1] or not len(self.colours):
            return self
        fields = torch.tensor([0, 0, height, width]).repeat(len(self.colours), 1)
        tints = self.colours.to(torch.uint8)[:, None].repeat(1, height)
        return replace(
            self, fields=fields, tints=tints, taller=torch.zeros_like(tints, dtype=torch.bool)
        )

    def numpy(self) -> dict[str, np.ndarray]:
        """The same as arrays, by name."""
        return {field.name: getattr(self, field.name).cpu().numpy() for field in fields(self)}


def mask_of(table: dict[str, np.ndarray], kind: int, y: int) -> np.ndarray:
    """The pixels of a mover's box, bool [h, w], when its top is in a line; where it is taller its
    last line stands there twice.

    Args:
        table: see `Kinds.numpy`.
    """
    height, width = table["sizes"][kind].tolist()
    mask = table["masks"][kind][:height, :width]
    taller = 0 <= y < table["taller"].shape[1] and table["taller"][kind, y]
    return longer(mask) if taller else mask


def longer(mask: np.ndarray) -> np.ndarray:
    """A mask whose last line stands there twice."""
    return np.concatenate([mask, mask[-1:]])


def shown_of(
    table: dict[str, np.ndarray], kind: int, y: int, x: int
) -> tuple[int, int, np.ndarray]:
    """What is to be seen of a mover somewhere, as its field cuts it off: top, left, bool [h, w].

    Args:
        table: see `Kinds.numpy`.
    """
    whole, (top, left, bottom, right) = mask_of(table, kind, y), table["fields"][kind].tolist()
    first, begin = max(y, top), max(x, left)
    end = max(min(y + len(whole), bottom), first)
    return (
        first,
        begin,
        whole[first - y : end - y, begin - x : max(min(x + whole.shape[1], right), begin) - x],
    )


def drawn(table: dict[str, np.ndarray], kind: int, y: int, x: int) -> list[Thing]:
    """The same by colour, in the colours of its lines."""
    first, begin, mask = shown_of(table, kind, y, x)
    tint = table["tints"][kind][first : first + len(mask)]
    return [
        Thing(colour, first, begin, mask & (tint == colour)[:, None])
        for colour in np.unique(tint).tolist()
    ]


def choice_numbers(table: dict[str, np.ndarray]) -> dict[tuple[int, ...], int]:
    """The number of each choice that a thing has, see `Mover`: ways by (down, right), then births
    by (kind, top, left).

    Args:
        table: see `Kinds.numpy`.
    """
    choices = [*table["ways"].tolist(), *table["births"].tolist()]
    return {tuple(choice): number for number, choice in enumerate(choices)}


def find_kinds(
    tiles: np.ndarray, tokens: np.ndarray, rows: np.ndarray, transitions: np.ndarray
) -> Kinds:
    """The kinds of movers in a training split, from a sample of its steps: seen everywhere and in
    their own colours, as far as is known yet, and of unknown ways.

    Args:
        tiles: see `inertia.colours`; tokens: int [U, H, W]; rows: int [N], the row of `tokens` that
            each record shows;
        transitions: int [T], records with a successor.

    Raises LeftOutError where more of them move in a step than there is room for on a screen.
    """
    changing = transitions[rows[transitions] != rows[transitions + 1]]
    inertia, seen, moves = Inertia(tiles), Counter(), Counter()
    looked = changing[:: max(1, len(changing) // SAMPLE)]
    for record in along(looked, "movers, kinds"):
        moved = [
            thing.shape
            for _, thing in inertia.moved(tokens[rows[record]], tokens[rows[record + 1]])
        ]
        seen.update(list(dict.fromkeys(moved)))  # ties as on the screen, not as bytes hash
        moves.update(moved)
    shapes = [shape for shape, times in seen.most_common(MOST_KINDS) if times > LEAST * len(looked)]
    often = sum(moves[shape] for shape in shapes) / max(1, len(looked))
    if often > MOST_THINGS:
        room = f"a screen has room for {MOST_THINGS}"
        raise LeftOutError(f"{often:.0f} of them move in a step on average and {room}")
    height, width = (max((shape[1][axis] for shape in shapes), default=0) for axis in (0, 1))
    kinds = Kinds.empty(len(shapes), height, width)
    for number, (colour, size, mask) in enumerate(shapes):
        kinds.colours[number], kinds.sizes[number] = colour, torch.tensor(size)
        kinds.masks[number, : size[0], : size[1]] = torch.from_numpy(
            np.frombuffer(mask, bool).reshape(size).copy()
        )
    return kinds.everywhere(*(side * inertia.side for side in tokens[0].shape))


def nearest(found: np.ndarray, things: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where things are on other screens: the nearest of the same kind.

    Args:
        found: int [N, M, 3], what `Finder.find` has of the other screens; things: int [N, 3], kind,
            top and left.

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
        found: int [N, P, M, 3], what was on the screens before, the last one last; things: int [N,
            3], on the screen now.

    Returns int64 [N, P, 2], the way of each step, the last one first: pixels down and to the right,
    FAR added; UNSEEN where there was no such thing.
    """
    ways = np.full((len(things), found.shape[1], 2), UNSEEN)
    place, known = things.astype(np.int64), np.ones(len(things), bool)
    for step in range(found.shape[1]):
        before, there = nearest(found[:, -1 - step], place)
        known &= there
        ways[known, step] = place[known, 1:] - before[known] + FAR
        place = np.concatenate([place[:, :1], before], 1)
    return ways
