"""At which pace the live thing falls: found in the recordings, where it is without exception.

In each step in which time runs and the live thing has room below, it falls or does not. Buttons
with which it always does are fast; without them it falls in a certain step after the last time, by
what one part of the screen shows.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
import torch

from dreamcart.dynamics.layout import Layout
from dreamcart.dynamics.tokens.course import Course
from dreamcart.dynamics.tokens.find_live import EXCEPTIONS, LEAST
from dreamcart.dynamics.tokens.find_turns import Part, parts_beside
from dreamcart.dynamics.tokens.live import Deed, Live
from dreamcart.dynamics.tokens.pace import Pace

FEW = 5  # falls that show a pace
LONG = 2**31  # steps that nothing lies


def find_pace(course: Course, layout: Layout, live: Live) -> Pace:
    """The pace of a training split of which what is live and whose turn it is are known; nothing
    where there is none.
    """
    own = course.did(Deed.NOTHING, Deed.MOVES) & (course.some > 0) & course.runs
    if not own.any() or not len(live.falls):
        return Pace.empty()
    tokens, at, waited, fell, room = (
        course.tokens,
        *(part[own] for part in (course.at, course.waited, course.fell, course.room)),
    )
    pressed = course.pressed[at]
    fast = np.array([_always(fell[room & down]) for down in pressed.T])
    slow = course.timed[own] & room & ~pressed[:, fast].any(1)
    # everywhere the same pace
    whole = Part(np.zeros(0, np.int64), np.zeros(len(tokens), np.int64), np.zeros((1, 0), np.int16))
    parts = [whole, *parts_beside(tokens, layout, live)[0]]
    told = [
        _every(part.which[course.rows[at[slow]]], len(part.contents), waited[slow], fell[slow])
        for part in parts
    ]
    best = min(range(len(parts)), key=lambda number: told[number][0])
    every, wrong = told[best][1], told[best][0]
    if (fell & slow).sum() < LEAST or wrong > EXCEPTIONS * (fell & slow).sum():
        return Pace.empty()
    pace = Pace(
        *map(torch.from_numpy, (parts[best].cells, parts[best].contents, every, fast)),
        torch.tensor(LONG),
    )
    return replace(pace, lies=torch.tensor(_lies(course, pace)))


def _always(fell: np.ndarray) -> bool:
    return len(fell) >= LEAST and (~fell).sum() <= EXCEPTIONS * len(fell)


def _every(
    shown: np.ndarray, contents: int, waited: np.ndarray, fell: np.ndarray
) -> tuple[int, np.ndarray]:
    """How many of N steps are not as `Pace.every` says, and that, int16 [K]. shown: which content a
    part shows, int64 [N].
    """
    every, wrong = np.full(contents, -1, np.int16), 0
    for content in range(contents):
        own = shown == content
        if (fell & own).sum() >= FEW:
            every[content] = Counter(waited[fell & own].tolist()).most_common(1)[0][0]
            wrong += int((fell != (waited >= every[content]))[own].sum())
        else:
            wrong += int((fell & own).sum())
    return wrong, every


def _lies(course: Course, pace: Pace) -> int:
    """`Pace.lies`. pace: all else, with a turn that never ends."""
    lain, own = course.lain(pace), (course.some > 0) & course.runs
    came = Counter(lain[own & course.did(Deed.COMES) & ~course.room].tolist())
    if came.total() < LEAST:
        return -1
    lies = came.most_common(1)[0][0]
    late = course.did(Deed.NOTHING) & (lain >= lies)
    wrong = (
        came.total() - came[lies] + int((own & (lain > 0) & (course.did(Deed.MOVES) | late)).sum())
    )
    return lies if wrong <= EXCEPTIONS * came.total() else -1
