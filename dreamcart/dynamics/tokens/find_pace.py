"""At which pace the live thing falls: found in the recordings, where it is without exception.

In each step in which time runs and the live thing has room below, it falls or does not. Buttons with which it always does are
fast; without them it falls in a certain step after the last time, by what one part of the screen shows.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from dreamcart.dynamics.tokens.controls import Controls
from dreamcart.dynamics.tokens.find_live import EXCEPTIONS, LEAST
from dreamcart.dynamics.tokens.find_turns import Part, parts_beside
from dreamcart.dynamics.tokens.layout import Layout
from dreamcart.dynamics.tokens.live import Deed, Live
from dreamcart.dynamics.tokens.pace import Pace, Watched
from dreamcart.dynamics.tokens.turns import Referee, Turns

FEW = 5  # falls that show a pace
LONG = 2**31  # steps that nothing lies


class Step(NamedTuple):
    """A step to a screen on which time runs, with a live thing. at: its record; waited, timed, lain: see `State`, before it; fell:
    whether the thing fell; room: whether it could, whatever else it did; live, then: int8 [H, W], the thing before and after; runs:
    whether time ran before, too."""

    at: int
    deed: Deed
    waited: int
    timed: bool
    lain: int
    fell: bool
    room: bool
    live: np.ndarray
    then: np.ndarray
    runs: bool


def find_pace(tokens: np.ndarray, index: np.ndarray, transitions: np.ndarray, layout: Layout, live: Live, turns: Turns) -> Pace:
    """The pace of a training split of which what is live and whose turn it is are known; nothing where there is none.

    Args:
        tokens: int [U, H, W], every distinct frame once; index: the split's records, with the row of `tokens` that each shows and
        the buttons; transitions: int [T], records with a successor.
    """
    if not len(turns.notes) or not len(live.falls):
        return Pace.empty()
    rows, pressed = index["frame"], index["action"] > 0
    none = Pace.empty(buttons=pressed.shape[1])
    steps = [
        (step.at, step.waited, step.timed, step.fell, step.room)
        for step in walk(tokens, index, transitions, live, turns, none)
        if step.deed in (Deed.NOTHING, Deed.MOVES)
    ]
    if not steps:
        return Pace.empty()
    at, waited, timed, fell, room = map(np.array, zip(*steps, strict=True))
    fast = np.array([_always(fell[room & down]) for down in pressed[at].T])
    slow = timed & room & ~pressed[at][:, fast].any(1)
    whole = Part(np.zeros(0, np.int64), np.zeros(len(tokens), np.int64), np.zeros((1, 0), np.int16))  # everywhere the same pace
    parts = [whole, *parts_beside(tokens, layout, live)[0]]
    told = [_every(part.which[rows[at[slow]]], len(part.contents), waited[slow], fell[slow]) for part in parts]
    best = min(range(len(parts)), key=lambda number: told[number][0])
    every, wrong = told[best][1], told[best][0]
    if (fell & slow).sum() < LEAST or wrong > EXCEPTIONS * (fell & slow).sum():
        return Pace.empty()
    pace = Pace(*map(torch.from_numpy, (parts[best].cells, parts[best].contents, every, fast)), torch.tensor(LONG))
    return replace(pace, lies=torch.tensor(_lies(walk(tokens, index, transitions, live, turns, pace))))


def walk(tokens: np.ndarray, index: np.ndarray, transitions: np.ndarray, live: Live, turns: Turns, pace: Pace) -> Iterator[Step]:
    """The steps of a split in which time runs, with a live thing, one after another."""
    rows, pressed = index["frame"], index["action"]
    referee = Referee(live, turns, pace, Controls.empty())
    follower = referee.follower
    last, stands = -2, None  # stands: whether what stands still has room, worked out once a screen
    for at in tqdm(transitions.tolist(), desc="pace", unit="step", unit_scale=True, mininterval=0.5):
        before, after, same = tokens[rows[at]], tokens[rows[at + 1]], rows[at] == rows[at + 1]
        if at != last + 1:
            now, stands = Watched(follower.begin(before)), None
        last, (thing, *timing) = at, now
        deed, then = (Deed.NOTHING, thing) if same else follower.follow(thing, before, after)
        now = referee.count(now, deed, then, before, after, pressed[at])
        stands = stands if same else None
        if (thing > 0).any() and referee.runs_on(after):
            fell = deed is Deed.MOVES and follower.falls_of(thing, then, before) > 0
            room = stands
            if room is None:
                here = (then, after) if deed is Deed.MOVES else (thing, before)
                room = fell or follower.fallen(*here) is not None
            stands = room if same else None
            yield Step(at, deed, *timing, fell, room, thing, then, referee.runs_on(before))


def _always(fell: np.ndarray) -> bool:
    return len(fell) >= LEAST and (~fell).sum() <= EXCEPTIONS * len(fell)


def _every(shown: np.ndarray, contents: int, waited: np.ndarray, fell: np.ndarray) -> tuple[int, np.ndarray]:
    """How many of N steps are not as `Pace.every` says, and that, int16 [K]. shown: which content a part shows, int64 [N]."""
    every, wrong = np.full(contents, -1, np.int16), 0
    for content in range(contents):
        own = shown == content
        if (fell & own).sum() >= FEW:
            every[content] = Counter(waited[fell & own].tolist()).most_common(1)[0][0]
            wrong += int((fell != (waited >= every[content]))[own].sum())
        else:
            wrong += int((fell & own).sum())
    return wrong, every


def _lies(steps: Iterable[Step]) -> int:
    """`Pace.lies`, by steps in which what lay was counted."""
    came, lay = Counter(), Counter()
    for step in steps:
        came[step.lain] += step.deed is Deed.COMES and not step.room
        lay[step.deed, step.lain] += step.lain > 0
    if came.total() < LEAST:
        return -1
    lies = came.most_common(1)[0][0]
    wrong = came.total() - came[lies]
    for (deed, lain), times in lay.items():
        wrong += times * (deed is Deed.MOVES or (deed is Deed.NOTHING and lain >= lies))
    return lies if wrong <= EXCEPTIONS * came.total() else -1
