"""Inertia: what a screen shows next if everything on it that moves keeps moving.

A ball in free flight shows no new thing, only the same thing further on; but between tokens it
shows another tile each time, and how each of a thousand tiles follows from two before had to be
learned one by one: half of what dreams of Breakout got wrong in a step was a ball a pixel off its
straight line (docs/lab). Here it is worked out in pixels and told to the network, which is left to
say where that does not hold: at walls, bats and bricks.

A thing is a small patch of one colour that is not the ground's (the commonest). One that has the
very shape of another in the screen before has moved from there; it goes on by the same way, and
leaves behind what was there before it came.
"""

from collections import Counter
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from dreamcart.dynamics.layout import CUT
from dreamcart.dynamics.tokens.budget import along

MOST_SHARE = 0.02  # of the screen: what is larger is scenery
FAR = 20  # pixels that a thing may move in a step
MOST_COLOURS = 255
UNKNOWN = -1  # a cell that would show what is no tile
SAMPLE = 2000  # transitions that are looked at to tell whether a game has inertia
LEAST_RIGHT, LEAST_SHARE = 0.5, 0.1  # of what it says, and of what changes


@dataclass(frozen=True)
class Thing:
    """A patch of one colour: where its box begins, and which pixels of the box are its own, bool
    [h, w].
    """

    colour: int
    y: int
    x: int
    mask: np.ndarray

    @property
    def shape(self) -> tuple[int, tuple[int, ...], bytes]:
        """The same for things that look alike."""
        return self.colour, self.mask.shape, self.mask.tobytes()

    def within(self, picture: np.ndarray) -> np.ndarray:
        """The part of a picture that its box covers, as a view."""
        return picture[self.y : self.y + self.mask.shape[0], self.x : self.x + self.mask.shape[1]]


class Inertia:
    """Screens of tokens, continued."""

    def __init__(self, tiles: np.ndarray) -> None:
        """tiles: uint8 [V, t, t], what tokens look like, see `colours`."""
        self.tiles, self.side = tiles, tiles.shape[1]
        self.numbers = {tile.tobytes(): number for number, tile in enumerate(tiles)}

    def onward(self, before: np.ndarray, now: np.ndarray) -> np.ndarray:
        """Screens int [H, W] → what comes after them, int16 [H, W]:

        `now` where nothing moves, UNKNOWN where no tile shows it.
        """
        result = now.astype(np.int16)
        if (before == now).all():
            return result
        moved = self.moved(before, now)
        if not moved:
            return result
        old, new = self.draw(before), self.draw(now)
        after = _move(old, new, moved)
        cells = (after != new).reshape(now.shape[0], self.side, now.shape[1], self.side).any((1, 3))
        for y, x in np.argwhere(cells):
            tile = after[y * self.side : (y + 1) * self.side, x * self.side : (x + 1) * self.side]
            result[y, x] = self.numbers.get(tile.tobytes(), UNKNOWN)
        return result

    def moved(self, before: np.ndarray, now: np.ndarray) -> list[tuple[Thing, Thing]]:
        """The things that went elsewhere between two screens, int [H, W]: as they were, and as they
        are.
        """
        old, new = self.draw(before), self.draw(now)
        return [] if (before != now).mean() > CUT else _pairs(_things(old, new), _things(new, old))

    def draw(self, tokens: np.ndarray) -> np.ndarray:
        """uint8 [H t, W t] of colours."""
        rows, columns = tokens.shape
        return np.ascontiguousarray(
            self.tiles[tokens].transpose(0, 2, 1, 3).reshape(rows * self.side, columns * self.side)
        )


def colours(pictures: torch.Tensor) -> np.ndarray | None:
    """Tiles uint8 [V, t, t, C] with their colours as numbers, uint8 [V, t, t];

    None where there are too many, or no tiles.
    """
    if pictures.dim() != 4:
        return None
    flat = pictures.cpu().numpy().reshape(-1, pictures.shape[3])
    different, number = np.unique(flat, axis=0, return_inverse=True)
    return (
        None
        if len(different) > MOST_COLOURS
        else number.reshape(pictures.shape[:3]).astype(np.uint8)
    )


def has_inertia(
    tiles: np.ndarray | None, tokens: np.ndarray, rows: np.ndarray, transitions: np.ndarray
) -> bool:
    """Whether things in a game go on by themselves.

    Args: see `come_true`; tiles: None for a game of no tiles.
    """
    if tiles is None:
        return False
    right, share = come_true(tiles, tokens, rows, transitions)
    return right > LEAST_RIGHT and share > LEAST_SHARE


def come_true(
    tiles: np.ndarray, tokens: np.ndarray, rows: np.ndarray, transitions: np.ndarray
) -> tuple[float, float]:
    """Of the cells that inertia would change, the share that it is right about; and of those that
    change, the share that it foretells. From a sample of transitions.

    Args:
        tiles: see `colours`; tokens: int [U, H, W]; rows: int [N], the row of `tokens` that each
            record shows; transitions: int [T], records with a successor, of which those are looked
            at that have one before them, too.
    """
    at = transitions[np.isin(transitions - 1, transitions)]
    inertia, said, right, changes = Inertia(tiles), 0, 0, 0
    for record in along(at[:: max(1, len(at) // SAMPLE)], "inertia"):
        before, now, following = (tokens[rows[record + step]] for step in (-1, 0, 1))
        onward = inertia.onward(before, now)
        says = onward != now
        said, right, changes = (
            said + says.sum(),
            right + (says & (onward == following)).sum(),
            changes + (now != following).sum(),
        )
    return float(right / max(said, 1)), float(right / max(changes, 1))


def _things(picture: np.ndarray, other: np.ndarray) -> list[Thing]:
    """The small things of a picture that are not in the other one just as they are."""
    differs = picture != other
    ground = np.bincount(picture.ravel()).argmax()
    found = []
    for colour in np.unique(np.concatenate([picture[differs], other[differs]])):
        lit = picture == colour
        rows, columns = (np.flatnonzero(lit.any(axis)) for axis in (1, 0))
        if colour == ground or not len(rows):
            continue
        # to search no more than what shows the colour
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        _, labels, stats, _ = cv2.connectedComponentsWithStats(
            lit[part].astype(np.uint8), connectivity=8
        )
        for label in np.unique(labels[differs[part]]):
            x, y, width, height, size = stats[label].tolist()
            if label and size <= MOST_SHARE * picture.size:
                mask = labels[y : y + height, x : x + width] == label
                found.append(Thing(int(colour), int(rows[0]) + y, int(columns[0]) + x, mask))
    return found


def _pairs(before: list[Thing], now: list[Thing]) -> list[tuple[Thing, Thing]]:
    """Which thing came from which, the nearest of those that look alike first."""
    # once: many things make very many pairs
    shapes = [[thing.shape for thing in things] for things in (before, now)]
    ways = [
        (max(abs(new.y - old.y), abs(new.x - old.x)), b, n)
        for b, old in enumerate(before)
        for n, new in enumerate(now)
        if shapes[0][b] == shapes[1][n]
    ]
    pairs, gone, come = [], set(), set()
    for far, b, n in sorted(ways):
        if 0 < far <= FAR and b not in gone and n not in come:
            pairs.append((before[b], now[n]))
            gone.add(b)
            come.add(n)
    return pairs


def _move(old: np.ndarray, new: np.ndarray, moved: list[tuple[Thing, Thing]]) -> np.ndarray:
    """The picture after `new` in which each pair's thing has gone on."""
    after = new.copy()
    # by a thing that moves: what lay below it then is not known
    covered = np.zeros(old.shape, bool)
    for was, _ in moved:
        was.within(covered)[was.mask] = True
    for was, thing in moved:
        bared = was.within(new)[was.mask & (was.within(new) != was.colour)]
        ground = Counter(bared.tolist()).most_common(1)
        if ground:
            left = np.where(thing.within(covered), ground[0][0], thing.within(old))
            thing.within(after)[thing.mask] = left[thing.mask]
    for was, thing in moved:
        stamp(after, replace(thing, y=2 * thing.y - was.y, x=2 * thing.x - was.x), thing.colour)
    return after


def stamp(picture: np.ndarray, thing: Thing, value: int) -> None:
    """Set a thing's pixels in a picture; what is beyond the picture is cut off."""
    top, left = max(thing.y, 0), max(thing.x, 0)
    part = thing.mask[
        top - thing.y : max(picture.shape[0] - thing.y, 0),
        left - thing.x : max(picture.shape[1] - thing.x, 0),
    ]
    picture[top : top + part.shape[0], left : left + part.shape[1]][part] = value
