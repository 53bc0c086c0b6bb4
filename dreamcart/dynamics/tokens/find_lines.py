"""What full lines do: found in the recordings, where it is without exception.

What a line that was full shows before it goes is a single token that no thing is made of. From that
follows when it comes, how long it stays, and the whole screen after it has gone; that is compared
with every step.
"""

from collections import Counter

import numpy as np
import torch

from dreamcart.dynamics.tokens.budget import along
from dreamcart.dynamics.tokens.course import Course
from dreamcart.dynamics.tokens.find_live import EXCEPTIONS
from dreamcart.dynamics.tokens.lines import Clears, Lines, straight
from dreamcart.dynamics.tokens.live import Deed
from dreamcart.dynamics.tokens.pace import Pace

LEAST = 30  # times that lines went


def find_lines(course: Course, pace: Pace) -> Lines:
    """What full lines do in a training split of which the pace is known; nothing where that is not
    always so.
    """
    follower = course.referee.follower
    if not len(pace.contents) or not straight(follower):
        return Lines.empty()
    other = np.flatnonzero(course.did(Deed.OTHER) & course.runs & (course.some > 0))
    mark = _mark(course, other)
    if mark is None:
        return Lines.empty()
    lines = Lines(torch.tensor(mark, dtype=torch.int16), *torch.zeros(2, dtype=torch.int64))
    clears = Clears(follower, lines)
    screens = [along(course.tokens, about, "screen") for about in ("lines, marked", "lines, full")]
    shows = np.array([(clears.well(screen) == mark).any() for screen in screens[0]])
    full = np.array(
        [
            (clears.full(screen) & (clears.well(screen) != mark).any(1)).any()
            for screen in screens[1]
        ]
    )
    before, after = (course.rows[course.at + k] for k in (0, 1))
    lies_down = (
        course.due(pace) & (course.lain(pace) == 0) & (course.some > 0) & course.runs & ~course.fell
    )
    comes, nothing = course.did(Deed.COMES), (course.some == 0) & course.runs
    marks = course.did(Deed.OTHER) & (course.some > 0) & shows[after] & ~shows[before]
    goes = nothing & course.did(Deed.OTHER) & shows[before]
    wrong = marks & ~lies_down  # at another time
    wrong |= lies_down & ~(marks | course.room) & full[after]  # they were not marked
    wrong |= marks & full[after]  # not all of them
    wrong[goes] = [
        (clears.well(clears.gone(course.before(at))) != clears.well(course.after(at))).any()
        for at in course.at[goes]
    ]
    stays, late = _usual(course.waited, goes, nothing & shows[before])
    rests, later = _usual(course.waited, nothing & comes & ~shows[before], nothing & ~shows[before])
    wrong = int(wrong.sum()) + late + later
    if min(marks.sum(), goes.sum()) < LEAST or wrong > EXCEPTIONS * marks.sum():
        return Lines.empty()
    return Lines(lines.mark, torch.tensor(stays), torch.tensor(rests))


def _mark(course: Course, numbers: np.ndarray) -> int | None:
    """What lines show in some steps when they did not before."""
    clears, things = (
        Clears(course.referee.follower, Lines.empty()),
        set(course.referee.follower.tokens.tolist()),
    )
    shown: Counter[int] = Counter()
    for at in course.at[numbers]:
        before, after = clears.well(course.before(at)), clears.well(course.after(at))
        alike = (after == after[:, :1]).all(1) & (before != after).any(1)
        shown.update(set(after[alike, 0].tolist()) - things - {course.referee.follower.ground})
    return shown.most_common(1)[0][0] if shown else None


def _usual(waited: np.ndarray, ends: np.ndarray, all_of: np.ndarray) -> tuple[int, int]:
    """How long it mostly is until some steps, and how many are otherwise: of those that end it, and
    of all, bool [N].
    """
    times = Counter(waited[ends].tolist())
    if not times:
        return 0, 0
    usual = times.most_common(1)[0][0]
    return usual, int((ends != (waited >= usual))[all_of].sum())
