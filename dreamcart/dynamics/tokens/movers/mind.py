"""Things that are not to be made out on a screen, but were a moment ago: found again, or kept in
mind where they should be.

A ball that touches a brick of its own colour is no known thing. Where that colour is new tells
where the ball is, mostly; if not, it is still somewhere, and comes out again.
"""

from collections.abc import Callable

import numpy as np

from dreamcart.dynamics.tokens.movers.kinds import nearest

LONGEST = 2  # steps for which a thing is kept in mind
AMONG = -1  # it is found among what has its colour

Again = Callable[[int, int, tuple[int, int, int]], tuple[int, int] | None]


def keep_in_mind(found: np.ndarray, again: Again) -> tuple[np.ndarray, np.ndarray]:
    """Things on screens that follow one another, those included that are gone from one of them and
    had gone some known way before: where they are found again, or where the same way leads.

    Args:
        found: int [N, P, M, 3], see `Finder.find`, the last screen last.
        again: of a row, a screen's number and a thing on the screen before it, where it is found
            again: top and left, or None.

    Returns the same with them, as far as there is room, and int [N, P, M], for how many steps each
    has not been seen: 0 where it is, AMONG where it was found again.
    """
    things, lost = found.copy(), np.zeros(found.shape[:3], np.int64)
    for step in range(2, found.shape[1]):
        rows, slots = np.nonzero((things[:, step - 1, :, 0] >= 0) & (lost[:, step - 1] < LONGEST))
        thing = things[rows, step - 1, slots].astype(np.int64)
        missed = np.flatnonzero(~nearest(things[rows, step], thing)[1])
        if not len(missed):
            continue
        rows, slots, thing = rows[missed], slots[missed], thing[missed]
        before, known = nearest(things[rows, step - 2], thing)
        for at in np.flatnonzero(known):
            row, place = rows[at], None
            free = np.flatnonzero(things[row, step, :, 0] < 0)
            if len(free):
                if lost[row, step - 1, slots[at]] <= 0:
                    place = again(int(row), step, tuple(thing[at].tolist()))
                lost[row, step, free[0]] = (
                    AMONG if place else max(lost[row, step - 1, slots[at]], 0) + 1
                )
                things[row, step, free[0]] = (
                    thing[at, 0],
                    *(place or 2 * thing[at, 1:] - before[at]),
                )
    return things, lost
