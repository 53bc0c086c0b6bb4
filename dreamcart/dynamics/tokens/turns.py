"""Turns: when the live thing falls at the latest, which comes next and where, when none can, and how a game begins anew.

A part of the screen (NEXT) may tell which thing comes and where: it does if each of its contents was always followed by the same
thing in the same place. Another (a panel) may show a content after which nothing moves again (GAME OVER), and it comes only when
the next thing has no room; or one under which time stands still (a pause). While it does not, the live thing falls, or its turn
ends, after so many steps at most. All of that is counted in the recordings. At the full board, where a game ends, a network that
decides cell by cell is often wrong: few recordings show each such board, and a thing that comes over others, in halves or not at
all is no game any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from dreamcart.dynamics.tokens.controls import Controls, Hands
from dreamcart.dynamics.tokens.live import UNKNOWN, Deed, Follower, Live
from dreamcart.dynamics.tokens.pace import Pace, Pacer, Time, Watched

TURNS = Deed.COMES, Deed.OTHER, Deed.CUT  # what is live after them is another
ANY = Time()
RARE = 0.05  # where at most this share of what followed was another, the usual one follows


@dataclass(frozen=True)
class Turns:
    """notice: int64 [S], the flat cells of the part that tells what comes; notes: int16 [K, S], its contents; comes: int16 [K],
    the token of what comes after each, -1 where it is not known; places: int64 [K, N], its flat cells, -1 where it has no
    more; follows: int64 [K, K], how often the part showed one after another then; opens: int64 [K, K], how often a game began
    with what comes after one while the part showed another. panel: int64 [E], contents: int16 [J, E], alike; ends: bool [J], after
    which of them nothing moves again; begins: bool [J], after which of them a game begins; blank: int16 [H, W], what all else
    shows then, -1 where that is not always the same; runs: bool [J], under which of them time runs, and still: bool [J], under
    which nothing moves; patience: int64 [], for how many steps in which time runs the live thing did not fall at most. Without
    contents of the notice nothing is known."""

    notice: torch.Tensor
    notes: torch.Tensor
    comes: torch.Tensor
    places: torch.Tensor
    follows: torch.Tensor
    opens: torch.Tensor
    panel: torch.Tensor
    contents: torch.Tensor
    ends: torch.Tensor
    begins: torch.Tensor
    blank: torch.Tensor
    runs: torch.Tensor
    still: torch.Tensor
    patience: torch.Tensor

    @staticmethod
    def empty(
        notes: Sequence[int] = (0, 0), places: int = 0, contents: Sequence[int] = (0, 0), screen: Sequence[int] = (0, 0)
    ) -> "Turns":
        """A table of this size that knows nothing yet."""
        (own, cells), (shown, size) = notes, contents
        return Turns(
            torch.zeros(cells, dtype=torch.int64),
            torch.zeros(own, cells, dtype=torch.int16),
            torch.full((own,), -1, dtype=torch.int16),
            torch.full((own, places), -1, dtype=torch.int64),
            torch.zeros(own, own, dtype=torch.int64),
            torch.zeros(own, own, dtype=torch.int64),
            torch.zeros(size, dtype=torch.int64),
            torch.zeros(shown, size, dtype=torch.int16),
            *torch.zeros(2, shown, dtype=torch.bool),
            torch.full(tuple(screen) if own else (0, 0), -1, dtype=torch.int16),
            *torch.zeros(2, shown, dtype=torch.bool),
            torch.tensor(0),
        )

    @property
    def size(self) -> list[Any]:
        """The arguments of `empty`, but for the screen."""
        return [list(self.notes.shape), self.places.shape[1], list(self.contents.shape)]


class Referee:
    """Keeps a dream to the turns of its game."""

    def __init__(self, live: Live, turns: Turns, pace: Pace, controls: Controls) -> None:
        self.follower = Follower(live)
        self.pacer, self.hands = Pacer(self.follower, pace), Hands(self.follower, live.shapes, controls)
        for field in fields(turns):
            setattr(self, field.name, getattr(turns, field.name).cpu().numpy())

    def follow(self, now: Watched, before: np.ndarray, after: np.ndarray, action: Sequence[float]) -> Watched:
        """What is known of the live thing after a step in which buttons [n] were pressed."""
        return self.count(now, *self.follower.follow(now.live, before, after), before, after, action)

    def count(
        self, now: Watched, deed: Deed, then: np.ndarray, before: np.ndarray, after: np.ndarray, action: Sequence[float]
    ) -> Watched:
        """`follow` where it is known what the step does and what is live then, see `Follower.follow`."""
        if deed is Deed.STRANGER:
            return Watched(then)
        if deed in TURNS:
            comes = deed is Deed.COMES or self._is_first(then, after)
            if deed is Deed.OTHER and not comes and (then > 0).any():  # what is left alone when rows have gone is not live
                then = np.zeros_like(then)
            return Watched(then, timed=comes and bool((then > 0).any()))
        if not self.runs_on(after):
            return now._replace(live=then)
        if deed is Deed.MOVES and self.follower.falls_of(now.live, then, before):
            return Watched(then, timed=True)
        lies = now.lain > 0 or self.pacer.lies_down(self.pacer.time(now, before, action), then, after)
        return Watched(then, now.waited + 1, now.timed, now.lain + lies)

    def time(self, now: Watched, screen: np.ndarray, action: Sequence[float], held: np.ndarray) -> Time:
        """What is known of the next step by its time, see `Pacer.time`, and by the buttons, see `Hands.moved`; where that is
        nothing, what has not fallen for as long as any falls, or its turn ends."""
        time, runs = self.pacer.time(now, screen, action), self.runs_on(screen)
        if time.falls is None:
            return Time(ends=bool(now.waited >= self.patience and runs))
        if time.lies or time.ends or not runs or not (now.live > 0).any():
            return time
        return time._replace(moved=self.hands.moved(now.live, screen, action, held))

    def runs_on(self, screen: np.ndarray) -> bool:
        """Whether time runs in the step to a screen."""
        return self._is(self.runs, screen)

    def presses(self, live: np.ndarray, screen: np.ndarray, time: Time) -> bool:
        """Whether something happens in the next step, whatever a network says."""
        if not self.runs_on(screen):
            return False
        moves = time.moved is not None and not np.array_equal(time.moved, live)
        return time.ends or moves or bool(time.falls and self.follower.fallen(live, screen) is not None)

    def rule(self, live: np.ndarray, before: np.ndarray, after: np.ndarray, time: Time = ANY) -> np.ndarray | None:
        """The screen that follows by the rules, where one is decided otherwise; None where they have nothing to say.

        Args:
            live: int8 [H, W], see `State.live`; before, after: int16 [H, W], now, and as it was decided; time: see `time`.
        """
        if not len(self.notes):
            return None
        deed, then = self.follower.follow(live, before, after)
        if deed is not Deed.NOTHING and self._is(self.begins, before) and (before != after).flat[self.panel].any():
            return self._open(after)
        ends = self._is(self.ends, after) and not self._is(self.ends, before)
        anew = deed is Deed.OTHER and self._is_first(then, after)  # though none has ended
        if deed is not Deed.NOTHING and not ends and self._is(self.still, after):
            return np.where(self.follower.area, before, after)
        hangs = time.ends and live.flat[0] != UNKNOWN and (np.array_equal(before, after) or time.falls is not None)
        turn = self.follower.arrives(before, after) or ends or anew or (hangs and self.runs_on(after))
        if not turn and deed is not Deed.OTHER:
            return None
        if turn and time.falls is not None and not time.ends and (live > 0).any():
            return None  # it is not time: see `in_time`
        fallen = self.follower.fallen(live, before)
        if fallen is not None and not ends:  # a pause may have ended
            fallen.flat[self.panel] = after.flat[self.panel]
        if fallen is not None or not turn:  # rows go when what was live lies
            return fallen
        note = self._shown(before, self.notice, self.notes)
        if note is None or self.comes[note] < 0:
            return None
        cells = self._cells(note)
        if (before.flat[cells] == self.follower.ground).all():
            return self._come(note, cells, before, after)
        return self._end(before)

    def in_time(self, live: np.ndarray, before: np.ndarray, after: np.ndarray, time: Time) -> np.ndarray:
        """A screen int16 [H, W] that was decided, with the live thing where it is by then: it falls in its time, and nothing comes
        or ends before."""
        if time.falls is None or time.ends or not (live > 0).any():
            return after
        deed, then = self.follower.follow(live, before, after)
        ends = self._is(self.ends, after) and not self._is(self.ends, before)
        early = deed is Deed.OTHER and not time.falls and not time.lies and self.runs_on(before)  # rows go when it is to fall
        if deed is Deed.CUT or (deed is Deed.OTHER and not early) or not (ends or self.runs_on(after)):
            return after
        goes = then if deed is Deed.MOVES and not time.lies else live
        goes = goes if time.moved is None or not self.runs_on(before) else time.moved
        screen = np.where(self.follower.area, self.pacer.keep(live, before, goes, time), before if early else after)
        if ends:
            screen.flat[self.panel] = before.flat[self.panel]
        if deed is Deed.COMES:
            screen.flat[self.notice] = before.flat[self.notice]
        return screen

    def _cells(self, note: int) -> np.ndarray:
        return self.places[note][self.places[note] >= 0]

    def _come(self, note: int, cells: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """The screen on which what is told has come, and what comes after it is told; all else outside as it was decided."""
        screen = np.where(self.follower.area, before, after)
        if self._is(self.ends, after):
            screen.flat[self.panel] = before.flat[self.panel]
        screen.flat[cells] = self.comes[note]
        told = likely(self.follows[note], self._shown(after, self.notice, self.notes), note)
        screen.flat[self.notice] = self.notes[told]
        return screen

    def _open(self, after: np.ndarray) -> np.ndarray:
        """The screen on which a game has begun: with nothing but what comes; if that is not nearly always the same, with what
        agrees with most cells."""
        screen = np.where(self.blank >= 0, self.blank, np.where(self.follower.area, self.follower.ground, after))
        firsts = {int(note): screen.copy() for note in self.opens.any(1).nonzero()[0]}
        for note, first in firsts.items():
            first.flat[self._cells(note)] = self.comes[note]
        times = self.opens.sum(1)
        nearest = min(firsts, key=lambda one: (firsts[one] != after).sum())
        note = int(times.argmax()) if times.max() >= (1 - RARE) * times.sum() else nearest
        told = likely(self.opens[note], self._shown(after, self.notice, self.notes))
        screen = firsts[note]
        screen.flat[self.notice] = self.notes[told]
        return screen

    def _end(self, before: np.ndarray) -> np.ndarray | None:
        """The screen on which the game has ended."""
        if not self.ends.any():
            return None
        screen = before.copy()
        screen.flat[self.panel] = self.contents[self.ends.argmax()]
        return screen

    def _is_first(self, thing: np.ndarray, screen: np.ndarray) -> bool:
        """Whether a thing, int8 [H, W], is where one comes."""
        cells = np.flatnonzero(thing > 0)
        alike = [np.array_equal(cells, np.sort(self._cells(note))) for note in range(len(self.notes))]
        return len(cells) > 0 and bool((self.comes[alike] == screen.flat[cells[0]]).any())

    def _is(self, which: np.ndarray, screen: np.ndarray) -> bool:
        """Whether the panel of a screen shows one of some contents, bool [J]."""
        shown = self._shown(screen, self.panel, self.contents)
        return shown is not None and bool(which[shown])

    @staticmethod
    def _shown(screen: np.ndarray, part: np.ndarray, contents: np.ndarray) -> int | None:
        """Which of its contents a part shows."""
        alike = (contents == screen.flat[part]).all(1)
        return int(alike.argmax()) if alike.any() else None

    def allows(self, live: np.ndarray, before: np.ndarray, after: np.ndarray) -> bool:
        """Whether a step may follow: nothing moves but what is live, and nothing comes but by `rule`."""
        deed, _ = self.follower.follow(live, before, after)
        if deed is Deed.STRANGER:
            return False
        return deed is not Deed.COMES or self._may_come(live, before, after)

    def _may_come(self, live: np.ndarray, before: np.ndarray, after: np.ndarray) -> bool:
        if self.follower.fallen(live, before) is not None:
            return False
        note = self._shown(before, self.notice, self.notes) if len(self.notes) else None
        if note is None or self.comes[note] < 0:
            return True
        cells = self._cells(note)
        changed = np.flatnonzero(((before != after) & self.follower.area).ravel())
        return np.array_equal(changed, np.sort(cells)) and bool((after.flat[cells] == self.comes[note]).all())


def likely(times: np.ndarray, told: int | None, before: int | None = None) -> int:
    """What a part shows next, of contents that followed so often, int [K]: what it was decided to (told), if that is one; where
    nearly always the same follows, then that, in place of what never did or of what was shown before."""
    usual = int(times.argmax())
    sure = times[usual] >= (1 - RARE) * times.sum()
    if told is None or (sure and (not times[told] or told == before)):
        return usual
    return told
