"""What buttons do to the live thing: found in the recordings, and kept where it has no exception
there.

A button slides a thing one way if it is down whenever it goes so; one that ends that is up then. A
button turns it if it mostly changes its shape as it goes down. What follows from both is compared
with every step.
"""

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import islice

import numpy as np
import torch

from dreamcart.dynamics.tokens.budget import along
from dreamcart.dynamics.tokens.controls import Controls, Hands
from dreamcart.dynamics.tokens.course import Course
from dreamcart.dynamics.tokens.find_live import EXCEPTIONS, LEAST
from dreamcart.dynamics.tokens.history import MOST_HELD
from dreamcart.dynamics.tokens.live import Deed, Follower, Live, shape_of
from dreamcart.dynamics.tokens.pace import UNSEEN, Pace
from dreamcart.dynamics.tokens.samples import held_of

FEW = 5  # steps that show it
MOSTLY = 0.5  # of the times that a button goes down: what turns a thing of some shape


class Steps:
    """N steps in which time runs and the live thing may move. numbers: int64 [N], of the course;
    shape, then: int64 [N], of `Live`, -1 another; gone: int64 [N, 2], how far its first cell went,
    but for falls; down: bool [N, n], the buttons, and held: int64 [N, n], for how long each was so.
    """

    def __init__(self, course: Course, index: np.ndarray, live: Live, pace: Pace) -> None:
        """index: the records of the split, with the buttons and the step of each in its episode."""
        follower, self.course = Follower(live), course
        way = live.falls[0].numpy().astype(np.int64)
        held = held_of(index["action"], np.arange(len(index)) - index["step"]).astype(np.int64)
        # what was down as an episode began may have been down before, or not have been seen yet
        unclear = ((held == index["step"][:, None]) & (index["action"] > 0)).any(1)[course.at]
        own = course.runs & course.ran & (course.some > 0) & course.did(Deed.NOTHING, Deed.MOVES)
        self.numbers = np.flatnonzero(own & (course.lain(pace) == 0) & ~unclear)
        table = np.zeros((len(self.numbers), 4), np.int64)
        for row, number in along(
            zip(table, self.numbers, strict=True), "controls", total=len(table)
        ):
            (one, other), screen = course.live(number), course.before(course.at[number])
            token = int(screen[one > 0][0])
            gone = (
                np.argwhere(other > 0)[0]
                - np.argwhere(one > 0)[0]
                - follower.falls_of(one, other, screen) * way
            )
            row[:] = (
                *(follower.shapes.get((token, shape_of(thing)), -1) for thing in (one, other)),
                *gone,
            )
        self.shape, self.then, self.gone = table[:, 0], table[:, 1], table[:, 2:]
        at = course.at[self.numbers]
        self.down, self.held = course.pressed[at], held[at]

    def at(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The live thing before one of them, int8 [H, W], and the screen, int [H, W]."""
        number = self.numbers[number]
        return self.course.live(number)[0], self.course.before(self.course.at[number])


def find_controls(course: Course, index: np.ndarray, live: Live, pace: Pace) -> Controls:
    """What the buttons of a training split do, of which what is live and its pace are known;
    nothing where that is not always so. index: its records, with the buttons and the step of each
    in its episode.
    """
    if not len(pace.contents):
        return Controls.empty()
    steps = Steps(course, index, live, pace)
    slides = _slides(steps, Follower(live))
    sliding = np.zeros(len(steps.numbers), bool)
    for _, button, against, _ in slides:
        sliding |= steps.down[:, button] & ~(steps.down[:, against] & (against >= 0))
    buttons, becomes, offsets = _turns(steps, sliding, len(live.shapes))
    tables = [
        np.array([slide[part] for slide in slides], kind)
        for part, kind in enumerate((np.int16, np.int64, np.int64, np.int8))
    ]
    tables[0], tables[3] = tables[0].reshape(-1, 2), tables[3].reshape(-1, MOST_HELD)
    found = Controls(
        *map(torch.from_numpy, (*tables, buttons, becomes, offsets)), torch.tensor(True)
    )
    tried = [replace(found, turns_first=torch.tensor(first)) for first in (True, False)]
    wrong = [_wrong(steps, live, controls) for controls in tried]
    moves = int((steps.gone.any(1) | (steps.shape != steps.then)).sum())
    return tried[int(np.argmin(wrong))] if min(wrong) <= EXCEPTIONS * moves else Controls.empty()


def _slides(steps: Steps, follower: Follower) -> list[tuple[tuple[int, int], int, int, np.ndarray]]:
    """A row of `Controls.ways`, `button`, `against` and `beats` for each way in which things
    slide.
    """
    found, same = [], steps.shape == steps.then
    ways, times = np.unique(steps.gone[same], axis=0, return_counts=True)
    for way in ways[(times >= LEAST) & ways.any(1)].tolist():
        slid = same & (steps.gone == way).all(1)
        always = [
            button
            for button in range(steps.down.shape[1])
            if (~steps.down[slid, button]).sum() <= EXCEPTIONS * slid.sum()
        ]
        if not always:
            return []
        button = max(always, key=lambda one: slid[steps.down[:, one]].mean())
        down = steps.down[:, button]
        both = {
            other: down & steps.down[:, other]
            for other in range(steps.down.shape[1])
            if other != button
        }
        ends = [other for other, at in both.items() if at.sum() >= LEAST and not slid[at].any()]
        against = max(ends, key=lambda other: both[other].sum(), default=-1)
        active = down & ~(against >= 0 and steps.down[:, against]) & same
        since = np.array([Hands.since(row, button, against) for row in steps.held])
        beats = np.full(MOST_HELD, UNSEEN, np.int8)
        for count in range(MOST_HELD):
            own = active & (since == count)
            numbers = along(np.flatnonzero(own & ~slid), "controls, slides")
            stayed = (
                follower.gone(*steps.at(number), np.array(way)) is not None for number in numbers
            )
            if (slid & own).sum() >= FEW:
                beats[count] = 1
            elif not (slid & own).any() and len(list(islice(filter(None, stayed), FEW))) == FEW:
                # though there was room
                beats[count] = 0
        found.append((tuple(way), button, against, going_on(beats)))
    return found


def going_on(beats: np.ndarray) -> np.ndarray:
    """Beats int8 [N] that go on as they did: where they came back three times before the first that
    was not seen, those after it are alike, unless one that was seen is not. That nothing came back
    is no beat.
    """
    seen = int((beats == UNSEEN).argmax()) if (beats == UNSEEN).any() else len(beats)
    for period in range(1, seen // 3 + 1):
        last = beats[seen - period : seen]
        if last.any() and (beats[seen - 3 * period : seen].reshape(3, period) == last).all():
            then = np.concatenate([beats[:seen], np.resize(last, len(beats) - seen)])
            return then if ((beats == UNSEEN) | (beats == then)).all() else beats
    return beats


def _turns(
    steps: Steps, sliding: np.ndarray, shapes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`Controls.turns`, `becomes` and `offsets`. sliding: bool [N], steps in which a thing may
    slide.
    """
    turned, fresh = (
        (steps.shape != steps.then) & (steps.shape >= 0) & (steps.then >= 0),
        steps.down & (steps.held == 0),
    )
    alone = fresh & (fresh.sum(1) == 1)[:, None]

    def mostly(button: int, shape: int) -> bool:
        own = alone[:, button] & (steps.shape == shape)
        return own.sum() >= LEAST and turned[own].mean() >= MOSTLY

    buttons = [
        button
        for button in range(fresh.shape[1])
        if any(mostly(button, shape) for shape in range(shapes))
    ]
    becomes = np.full((len(buttons), shapes), UNSEEN, np.int16)
    for number, button in enumerate(buttons):
        one = fresh[:, button] & (fresh[:, buttons].sum(1) == 1)
        for shape in range(shapes):
            into = Counter(steps.then[one & turned & (steps.shape == shape)].tolist())
            if into.total() >= FEW:
                becomes[number, shape] = into.most_common(1)[0][0]
            elif (one & (steps.shape == shape)).sum() >= LEAST:
                becomes[number, shape] = shape  # it looks alike
    offsets, ways = np.zeros((shapes, shapes, 2), np.int16), defaultdict(Counter)
    for number in np.flatnonzero(turned & ~sliding):
        ways[int(steps.shape[number]), int(steps.then[number])][
            tuple(steps.gone[number].tolist())
        ] += 1
    for pair, gone in ways.items():
        offsets[pair] = gone.most_common(1)[0][0]
    for into in becomes:
        for shape, then in enumerate(into):
            if then not in (UNSEEN, shape) and ways[shape, int(then)].total() < FEW:
                into[shape] = UNSEEN  # not where it goes
    both = turned & (fresh[:, buttons].sum(1) > 1)
    first = [int((steps.then[both] == into[steps.shape[both]]).sum()) for into in becomes]
    order = np.argsort(first, kind="stable")[::-1].copy()
    return np.array(buttons, np.int64)[order], becomes[order], offsets


def _wrong(steps: Steps, live: Live, controls: Controls) -> int:
    """In how many steps the thing does not go where the buttons say."""
    follower = Follower(live)
    hands, wrong = Hands(follower, live.shapes, controls), 0
    pressed = steps.down[:, [*controls.button.tolist(), *controls.turns.tolist()]].any(1)
    moves = steps.gone.any(1) | (steps.shape != steps.then)
    for number in along(np.flatnonzero(pressed | moves), "controls, compared"):
        thing, screen = steps.at(number)
        then = hands.moved(thing, screen, steps.down[number], steps.held[number])
        if then is not None:
            shape = follower.shapes.get((int(screen[thing > 0][0]), shape_of(then)), -1)
            gone = np.argwhere(then > 0)[0] - np.argwhere(thing > 0)[0]
            wrong += shape != steps.then[number] or (gone != steps.gone[number]).any()
    return wrong
