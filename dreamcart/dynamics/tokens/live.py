"""The live thing: of all that looks alike, the one that may move.

A piece that falls and the stack on which it falls are of the same tiles; which of them moves is
told by what moved last. In a game where only that moves ever again, until another comes, a dream
keeps to it: no piece of the stack turns in its place. And where no other came while the live one
could still go some way (down), none does in a dream: the live one goes that way instead, so that
nothing stays in mid-air; nor do rows vanish then. What comes next, and where, is in `turns.py`.

All of that is counted in the recordings, and where they do not hold nothing is known. The thing is
of one token at a time, and what it moves over of another, the ground.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import torch
from skimage.measure import label

from dreamcart.dynamics.layout import CUT

MOST_CELLS = 12  # of a thing
UNKNOWN = -1
NO_MORE = -1  # rows and columns from the first cell in reading order are never both negative


@dataclass(frozen=True)
class Live:
    """tokens: int16 [T], of things that move; ground: int16 [], what they move over; sizes: bool
    [MOST_CELLS + 1], how many cells they have when they come; area: bool [H, W], where they move;
    falls: int16 [D, 2], rows and columns: ways of which none was open to the live thing when
    another came, or rows went; shapes: int16 [M, N, 2], rows and columns of the cells of a thing
    from its first, in reading order, -1 and -1 where it has no more, and made_of: int16 [M], its
    token; turned: int16 [M, M], how many falls (of the first way) its first cell goes when one
    shape becomes another and the thing does not fall. Without tokens nothing is known.
    """

    tokens: torch.Tensor
    ground: torch.Tensor
    sizes: torch.Tensor
    area: torch.Tensor
    falls: torch.Tensor
    shapes: torch.Tensor
    made_of: torch.Tensor
    turned: torch.Tensor

    @staticmethod
    def empty(
        tokens: int = 0,
        falls: int = 0,
        shapes: Sequence[int] = (0, 0),
        screen: Sequence[int] = (0, 0),
    ) -> "Live":
        """A table of this size that knows nothing yet."""
        sizes = {
            "tokens": (tokens,),
            "ground": (),
            "falls": (falls, 2),
            "shapes": (*shapes, 2),
            "made_of": shapes[:1],
        }
        sizes["turned"] = (shapes[0], shapes[0])
        tables = {name: torch.zeros(size, dtype=torch.int16) for name, size in sizes.items()}
        area = torch.zeros(*(screen if tokens else (0, 0)), dtype=torch.bool)
        return Live(**tables, sizes=torch.zeros(MOST_CELLS + 1, dtype=torch.bool), area=area)

    @property
    def size(self) -> list[Any]:
        """The arguments of `empty`, but for the screen."""
        return [len(self.tokens), len(self.falls), list(self.shapes.shape[:2])]


class Deed(Enum):
    """What a step does in the area where things move."""

    NOTHING = 0
    MOVES = 1  # the live thing does
    COMES = 2  # another thing comes
    STRANGER = 3  # another moves, or several do, or one while another comes
    OTHER = 4  # more than that: rows go, a game begins
    CUT = 5  # to another scene


class Follower:
    """Follows the live thing from screen to screen."""

    def __init__(self, live: Live) -> None:
        self.tokens, self.ground = live.tokens.cpu().numpy(), int(live.ground)
        self.sizes, self.area, self.falls = (
            getattr(live, name).cpu().numpy() for name in ("sizes", "area", "falls")
        )
        shapes = zip(live.made_of.tolist(), live.shapes.cpu().numpy(), strict=True)
        known = ((token, shape[(shape != NO_MORE).any(1)].tobytes()) for token, shape in shapes)
        self.shapes = {shape: number for number, shape in enumerate(known)}
        self.turned = live.turned.cpu().numpy()

    def begin(self, screen: np.ndarray) -> np.ndarray:
        """What is live on a screen int [H, W] of which nothing before is known: int8 [H, W], 1
        where the live thing is; UNKNOWN everywhere, unless it is alone. (0 everywhere: nothing is,
        as after rows have gone, until something comes.)
        """
        own = self.area & (screen != self.ground)
        count = int(own.sum())
        alone = (
            0 < count <= MOST_CELLS and self.sizes[count] and (screen[own] == screen[own][0]).all()
        )
        known = alone and screen[own][0] in self.tokens and self._shaped(screen[own][0], own)
        return own.astype(np.int8) if known else np.full(screen.shape, UNKNOWN, np.int8)

    def _shaped(self, token: np.int16, thing: np.ndarray) -> bool:
        return not self.shapes or (int(token), shape_of(thing)) in self.shapes

    def follow(
        self, live: np.ndarray, before: np.ndarray, after: np.ndarray
    ) -> tuple[Deed, np.ndarray]:
        """What a step from screen int [H, W] to another does, and what is live then, see
        `begin`.
        """
        differs = before != after
        changed = differs & self.area
        if not changed.any():
            return Deed.NOTHING, live
        if differs.sum() > CUT * differs.size:
            return Deed.CUT, self.begin(after)
        one = self._one(live, before, after, changed)
        if one is not None:
            return one
        anew = self.begin(after)
        things = np.isin(
            np.concatenate([before[changed], after[changed]]), [self.ground, *self.tokens]
        ).all()
        if anew.flat[0] == UNKNOWN and things and changed.sum() <= 2 * MOST_CELLS:
            return Deed.STRANGER, anew
        return Deed.OTHER, anew if anew.flat[0] != UNKNOWN else np.zeros_like(live)

    def _one(
        self, live: np.ndarray, before: np.ndarray, after: np.ndarray, changed: np.ndarray
    ) -> tuple[Deed, np.ndarray] | None:
        """The move or the coming of one thing and what is live then, if that is all that some cells
        show, bool [H, W].
        """
        leaves, arrives = changed & (after == self.ground), changed & (before == self.ground)
        own = np.concatenate([before[leaves], after[arrives]])
        gone, come = int(leaves.sum()), int(arrives.sum())
        if gone + come < changed.sum() or (own != own[0]).any() or own[0] not in self.tokens:
            return None
        if not gone:
            deed, then = Deed.COMES, arrives.astype(np.int8)
            known = come <= MOST_CELLS and self.sizes[come]
        else:
            deed, known = Deed.MOVES, gone == come
            if live.flat[0] == UNKNOWN:
                then = self._alone(after, arrives)
            else:
                then = np.where(leaves, 0, np.where(arrives, 1, live)).astype(np.int8)
                known &= bool((live[leaves] > 0).all())
        known = known and (then.flat[0] == UNKNOWN or self._shaped(own[0], then))
        return (deed, then) if known else None

    def _alone(self, screen: np.ndarray, arrived: np.ndarray) -> np.ndarray:
        """The thing to which cells belong, if it touches no other of its token; else not known."""
        labels = label((screen == screen[arrived][0]) & self.area, connectivity=1)
        thing = np.isin(labels, labels[arrived])
        size = int(thing.sum())
        return (
            thing.astype(np.int8)
            if size <= MOST_CELLS and self.sizes[size]
            else np.full(screen.shape, UNKNOWN, np.int8)
        )

    def placed(self, live: np.ndarray, screen: np.ndarray, cells: np.ndarray) -> np.ndarray | None:
        """The screen on which the live thing is at cells int [N, 2], where it goes over the ground;

        None where it has no room.
        """
        own = live > 0
        inside = (cells >= 0).all() and (cells < screen.shape).all()
        if not own.any() or not inside or not self.area[tuple(cells.T)].all():
            return None
        if not ((screen[tuple(cells.T)] == self.ground) | own[tuple(cells.T)]).all():
            return None
        after = np.where(own, self.ground, screen)
        after[tuple(cells.T)] = screen[own][0]
        return after

    def gone(self, live: np.ndarray, screen: np.ndarray, way: np.ndarray) -> np.ndarray | None:
        """The screen on which the live thing has gone a way, int [2], over the ground;

        None where it cannot, or none is known.
        """
        return self.placed(live, screen, np.argwhere(live > 0) + way)

    def falls_of(self, live: np.ndarray, then: np.ndarray, screen: np.ndarray) -> int:
        """How many times the live thing of a screen int [H, W] has fallen, whatever else it did, if
        it is `then`, int8 [H, W].
        """
        before, after = np.argwhere(live > 0), np.argwhere(then > 0)
        if not len(self.falls) or not len(before) or not len(after):
            return 0
        way = self.falls[0].astype(np.int64)
        token = int(screen[live > 0][0])
        shapes = [self.shapes.get((token, shape_of(thing))) for thing in (live, then)]
        turned = 0 if None in shapes else int(self.turned[tuple(shapes)])
        return max(0, int((after[0] - before[0]) @ way) // int(way @ way) - turned)

    def fallen(self, live: np.ndarray, screen: np.ndarray) -> np.ndarray | None:
        """The screen on which the live thing has fallen; None where it cannot."""
        ways = (self.gone(live, screen, way) for way in self.falls)
        return next((after for after in ways if after is not None), None)

    def arrives(self, before: np.ndarray, after: np.ndarray) -> bool:
        """Whether all that changes in the area is ground that becomes a few cells of things, of
        whatever tokens and shape.
        """
        changed = (before != after) & self.area
        return 0 < changed.sum() <= MOST_CELLS and bool(
            (before[changed] == self.ground).all() and np.isin(after[changed], self.tokens).all()
        )


def shape_of(live: np.ndarray) -> bytes:
    """The shape of a live thing int8 [H, W], wherever it is."""
    cells = np.argwhere(live > 0)
    return (cells - cells[:1]).astype(np.int16).tobytes()
