"""A step taken apart: several known moves at once.

A step in which one thing moves while another appears is one of so many combinations that few come
twice; but each of its moves does. Cells that touch are a piece of a change, and a known move
explains one piece or several: the ends of a bar that lies, or a new piece together with the box
that announces the one after it, which no recording shows apart.
"""

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
from scipy import ndimage

MOST_PIECES = 7  # of a change that is taken apart
TOUCH = np.ones((3, 3), bool)  # by a side or a corner


def pieces_of(group: np.ndarray) -> Iterator[np.ndarray]:
    """The cells of a change that touch one another: int16 [n, 4], see `moves.groups_of`, in parts
    of it.
    """
    y, x = (group[:, :2] - group[:, :2].min(0)).T
    area = np.zeros((y.max() + 1, x.max() + 1), bool)
    area[y, x] = True
    labels, most = ndimage.label(area, structure=TOUCH)
    for label in range(1, most + 1):
        yield group[labels[y, x] == label]


def unexplained(group: np.ndarray, knows: Callable[[np.ndarray], bool]) -> list[np.ndarray]:
    """The pieces of a change that are left beside the known moves which explain most of its cells.

    Args:
        knows: whether some of its cells, in reading order, are a known move.
    """
    pieces = list(pieces_of(group))
    return pieces if len(pieces) > MOST_PIECES else _least(pieces, knows)


def _least(pieces: list[np.ndarray], knows: Callable[[np.ndarray], bool]) -> list[np.ndarray]:
    if not pieces:
        return []
    first, *others = pieces
    best = [first, *_least(others, knows)]
    for size in range(len(others) + 1):
        for chosen in combinations(range(len(others)), size):
            if knows(in_order([first, *(others[number] for number in chosen)])):
                left = _least(
                    [other for number, other in enumerate(others) if number not in chosen], knows
                )
                best = min(best, left, key=cells)
    return best


def cells(pieces: list[np.ndarray]) -> int:
    return sum(map(len, pieces))


def in_order(pieces: list[np.ndarray]) -> np.ndarray:
    """Pieces as one change, its cells in reading order."""
    together = np.concatenate(pieces)
    return together[np.lexsort((together[:, 1], together[:, 0]))]


def largest(pieces: list[np.ndarray]) -> int:
    """Cells of the largest piece, 0 of none."""
    return max(map(len, pieces), default=0)
