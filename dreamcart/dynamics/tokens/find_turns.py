"""Which part of the screen tells what comes next, and which tells that nothing comes any more:
found in the recordings.
"""

from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np
import torch

from dreamcart.dynamics.layout import Layout
from dreamcart.dynamics.tokens.budget import along
from dreamcart.dynamics.tokens.contents import contents_of, parts_of, places_in
from dreamcart.dynamics.tokens.find_live import EXCEPTIONS, LEAST, Step, watch
from dreamcart.dynamics.tokens.history import MOST_IDLE
from dreamcart.dynamics.tokens.live import Deed, Follower, Live
from dreamcart.dynamics.tokens.turns import TURNS, Turns

MOST_CONTENTS = 64
AWAY = Deed.OTHER, Deed.CUT
FEW = 5  # ends of games that show what an end is


class Part(NamedTuple):
    """A part of the screen: its flat cells, int64 [S]; the number of what it shows in each frame,
    int64 [U]; int16 [K, S].
    """

    cells: np.ndarray
    which: np.ndarray
    contents: np.ndarray


def find_turns(
    tokens: np.ndarray, index: np.ndarray, transitions: np.ndarray, layout: Layout, live: Live
) -> Turns:
    """The turns of a training split in which `live` is known, see `find_live`; nothing where no
    part tells what comes.
    """
    if not len(live.tokens):
        return Turns.empty()
    rows, follower = index["frame"], Follower(live)
    parts, beside = parts_beside(tokens, layout, live)
    steps = list(watch(follower, tokens, rows, transitions, "turns"))
    told = [
        (part, comings)
        for part in along(parts, "turns, parts", "part")
        if (comings := _told(part, steps, rows, tokens))
    ]
    if not told:
        return Turns.empty()
    notice, comings = min(told, key=lambda known: len(known[0].contents))
    falls = {
        step.at: step.known and follower.fallen(step.live, tokens[rows[step.at]]) is not None
        for step in steps
    }
    others = along((part for part in parts if part is not notice), "turns, ends", "part")
    panels = [part for part in others if _ends(part, steps, rows, falls).any()]
    panel = (
        panels[0]
        if len(panels) == 1
        else Part(np.zeros(0, np.int64), np.zeros_like(notice.which), np.zeros((1, 0), np.int16))
    )
    follows, opens = np.zeros((2, len(notice.contents), len(notice.contents)), np.int64)
    by_cells = {cells: content for content, (_, cells) in comings.items()}
    begins, firsts = np.zeros(len(panel.contents), bool), []
    for step in steps:
        now, then = rows[step.at], rows[step.at + 1]
        if step.deed is Deed.COMES:
            follows[notice.which[now], notice.which[then]] += 1
        first = by_cells.get(tuple(np.flatnonzero(step.then.ravel() > 0).tolist()))
        if step.deed in AWAY and first is not None:
            begins[panel.which[now]] = True
            opens[first, notice.which[then]] += 1
            firsts.append(then)
    comes, places = _where(comings, len(notice.contents))
    ends, runs, still = (
        _ends(panel, steps, rows, falls),
        _runs(panel, steps, rows),
        _still(panel, steps, rows),
    )
    patience = _patience(panel, steps, rows, runs, follower, tokens)
    beside.flat[notice.cells] = False
    blank = _blank(tokens[firsts], beside)
    parts = (
        notice.cells,
        notice.contents,
        comes,
        places,
        follows,
        opens,
        panel.cells,
        panel.contents,
    )
    return Turns(
        *map(torch.from_numpy, (*parts, ends, begins, blank, runs, still)), torch.tensor(patience)
    )


def parts_beside(tokens: np.ndarray, layout: Layout, live: Live) -> tuple[list[Part], np.ndarray]:
    """The parts of the screen, where nothing live is, that show some contents; and which cells are
    there, bool [H, W].
    """
    beside = (places_in(layout, tokens.shape[1:]) >= 0) & ~live.area.numpy()
    shown = [(part, contents_of(tokens, part, MOST_CONTENTS)) for part in parts_of(beside)]
    return [
        Part(np.flatnonzero(part), *known)
        for part, known in shown
        if known is not None and len(known[1]) > 1
    ], beside


def _blank(firsts: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """`Turns.blank` from the screens on which a game had begun, int [N, H, W]; beside: bool [H, W],
    cells that may be told.
    """
    if len(firsts) < FEW:
        return np.full(beside.shape, -1, np.int16)
    return np.where(beside & (firsts == firsts[0]).all(0), firsts[0], -1).astype(np.int16)


def _told(
    part: Part, steps: list[Step], rows: np.ndarray, tokens: np.ndarray
) -> dict[int, tuple[int, tuple[int, ...]]]:
    """What comes after each content of a part: its token and flat cells; nothing unless that was
    the same thing nearly always, and not the same after all of them, and the part changes only
    then, or as a game begins.
    """
    seen: dict[int, Counter] = defaultdict(Counter)
    idly = 0
    for step in steps:
        idly += (
            step.deed not in (Deed.COMES, *AWAY)
            and part.which[rows[step.at]] != part.which[rows[step.at + 1]]
        )
        if step.deed is Deed.COMES:
            cells = np.flatnonzero(step.then.ravel() > 0).tolist()
            seen[int(part.which[rows[step.at]])][
                int(tokens[rows[step.at + 1]].flat[cells[0]]), tuple(cells)
            ] += 1
    often = {content: comings for content, comings in seen.items() if comings.total() >= FEW}
    total, same = (
        sum(f(comings) for comings in often.values())
        for f in (Counter.total, lambda c: c.most_common(1)[0][1])
    )
    told = {content: comings.most_common(1)[0][0] for content, comings in often.items()}
    return told if total - same + idly <= EXCEPTIONS * total and len(set(told.values())) > 1 else {}


def _ends(part: Part, steps: list[Step], rows: np.ndarray, falls: dict[int, bool]) -> np.ndarray:
    """After which contents of a part nothing moves again, bool [K]: those that come alone, when the
    live thing cannot fall.

    falls: of each step, by its record, whether the live thing could fall.
    """
    moved, left, came, wrongly = np.zeros((4, len(part.contents)), np.int64)
    for step in steps:
        now, then = part.which[rows[step.at]], part.which[rows[step.at + 1]]
        moved[now] += step.deed not in (Deed.NOTHING, *AWAY)
        left[now] += step.deed in AWAY
        if now != then:
            came[then] += step.deed is Deed.NOTHING
            wrongly[then] += step.deed is not Deed.NOTHING or falls[step.at]
    return (moved == 0) & (left >= FEW) & (came >= FEW) & (wrongly == 0)


def _runs(part: Part, steps: list[Step], rows: np.ndarray) -> np.ndarray:
    """Under which contents of a part time runs, bool [K]: the screen never stands still for as long
    as is counted.
    """
    most, times = np.zeros((2, len(part.contents)), np.int64)
    for step in steps:
        now = part.which[rows[step.at]]
        most[now], times[now] = max(most[now], step.idle), times[now] + 1
    return (most < MOST_IDLE) & (times >= LEAST)


def _still(part: Part, steps: list[Step], rows: np.ndarray) -> np.ndarray:
    """Under which contents of a part nothing moves, bool [K]: not even in the step in which they
    come.
    """
    moved, came = np.zeros((2, len(part.contents)), np.int64)
    for step in steps:
        now, then = part.which[rows[step.at]], part.which[rows[step.at + 1]]
        moved[then] += step.deed is not Deed.NOTHING
        came[then] += now != then
    return (moved == 0) & (came >= FEW)


def _patience(
    part: Part,
    steps: list[Step],
    rows: np.ndarray,
    runs: np.ndarray,
    follower: Follower,
    tokens: np.ndarray,
) -> int:
    """For how many steps in which time runs the live thing did not fall at most, but for a few
    exceptions.
    """
    # by record: time runs in the step to it, if it does on its screen
    time = np.cumsum(runs[part.which[rows]])
    waits: Counter[int] = Counter()
    since = 0
    for step in steps:
        since = max(since, step.begin)
        waits[int(time[step.at] - time[since])] += step.known and runs[part.which[rows[step.at]]]
        if step.deed in TURNS or (step.deed is Deed.MOVES and step.falls(follower, tokens, rows)):
            since = step.at + 1
    longer, most = 0, max(waits, default=0)
    while most > 0 and longer + waits[most] <= EXCEPTIONS * waits.total():
        longer, most = longer + waits[most], most - 1
    return most


def _where(
    comings: dict[int, tuple[int, tuple[int, ...]]], contents: int
) -> tuple[np.ndarray, np.ndarray]:
    """`Turns.comes` and `Turns.places`."""
    comes = np.full(contents, -1, np.int16)
    places = np.full((contents, max(len(cells) for _, cells in comings.values())), -1, np.int64)
    for content, (token, cells) in comings.items():
        comes[content] = token
        places[content, : len(cells)] = cells
    return comes, places
