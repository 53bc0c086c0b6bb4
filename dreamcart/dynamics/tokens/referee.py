"""Keeps a dream to the turns of its game: what is live moves in its time and as buttons say, then
what is told comes, or the game ends.

A network decides each step; where recordings know better (`live.py`, `turns.py`, `pace.py`,
`controls.py`, `lines.py`) they have the last word.
"""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from dreamcart.dynamics.tokens.controls import Controls, Hands
from dreamcart.dynamics.tokens.lines import Clears, Lines
from dreamcart.dynamics.tokens.live import UNKNOWN, Deed, Follower, Live
from dreamcart.dynamics.tokens.pace import Pace, Pacer, Time, Watched
from dreamcart.dynamics.tokens.turns import TURNS, Turns

ANY = Time()
RARE = 0.05  # where at most this share of what followed was another, the usual one follows


class Referee:
    """Keeps a dream to the turns of its game."""

    def __init__(
        self, live: Live, turns: Turns, pace: Pace, controls: Controls, lines: Lines
    ) -> None:
        self.follower = Follower(live)
        self.pacer, self.hands = (
            Pacer(self.follower, pace),
            Hands(self.follower, live.shapes, controls),
        )
        self.clears = Clears(self.follower, lines)
        for field in fields(turns):
            setattr(self, field.name, getattr(turns, field.name).cpu().numpy())

    def follow(
        self, now: Watched, before: np.ndarray, after: np.ndarray, action: Sequence[float]
    ) -> Watched:
        """What is known of the live thing after a step in which buttons [n] were pressed."""
        return self.count(
            now, *self.follower.follow(now.live, before, after), before, after, action
        )

    def count(
        self,
        now: Watched,
        deed: Deed,
        then: np.ndarray,
        before: np.ndarray,
        after: np.ndarray,
        action: Sequence[float],
    ) -> Watched:
        """`follow` where it is known what the step does and what is live then, see
        `Follower.follow`.
        """
        if deed is Deed.STRANGER:
            return Watched(then)
        if deed in TURNS:
            comes = deed is Deed.COMES or self._is_first(then, after)
            # what is left alone when rows have gone is not live
            if deed is Deed.OTHER and not comes and (then > 0).any():
                then = np.zeros_like(then)
            return Watched(then, timed=comes and bool((then > 0).any()))
        if not self.runs_on(after):
            return now._replace(live=then)
        if deed is Deed.MOVES and self.follower.falls_of(now.live, then, before):
            return Watched(then, timed=True)
        lies = now.lain > 0 or self.pacer.lies_down(
            self.pacer.time(now, before, action), then, after
        )
        return Watched(then, now.waited + 1, now.timed, now.lain + lies)

    def time(
        self, now: Watched, screen: np.ndarray, action: Sequence[float], held: np.ndarray
    ) -> Time:
        """What is known of the next step by its time, see `Pacer.time` and `Clears.time`, and by
        the buttons, see `Hands.moved`; where that is nothing, what has not fallen for as long as
        any falls, or its turn ends.
        """
        if self.clears.known and not now.live.any():
            return self.clears.time(now.waited, screen)
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
        clears = time.lines is not None and not np.array_equal(time.lines, screen)
        return time.ends or moves or clears or bool(time.falls and self._falls(live, screen))

    def _falls(self, live: np.ndarray, screen: np.ndarray) -> bool:
        """Whether what is to fall in the next step does something: it falls, or lies down and fills
        a line.
        """
        return self.follower.fallen(live, screen) is not None or (
            self.clears.known and bool(self.clears.full(screen).any())
        )

    def rule(
        self, live: np.ndarray, before: np.ndarray, after: np.ndarray, time: Time = ANY
    ) -> np.ndarray | None:
        """The screen that follows by the rules, where one is decided otherwise; None where they
        have nothing to say.

        Args:
            live: int8 [H, W], see `State.live`; before, after: int16 [H, W], now, and as it was
                decided; time: see `time`.
        """
        if not len(self.notes):
            return None
        deed, then = self.follower.follow(live, before, after)
        if (
            deed is not Deed.NOTHING
            and self._is(self.begins, before)
            and (before != after).flat[self.panel].any()
        ):
            return self._open(after)
        ends = self._is(self.ends, after) and not self._is(self.ends, before)
        anew = deed is Deed.OTHER and self._is_first(then, after)  # though none has ended
        if deed is not Deed.NOTHING and not ends and self._is(self.still, after):
            return np.where(self.follower.area, before, after)
        hangs = (
            time.ends
            and live.flat[0] != UNKNOWN
            and (np.array_equal(before, after) or time.falls is not None)
        )
        turn = (
            self.follower.arrives(before, after) or ends or anew or (hangs and self.runs_on(after))
        )
        if not turn and deed is not Deed.OTHER:
            return None
        if time.lines is not None or (
            turn and time.falls is not None and not time.ends and (live > 0).any()
        ):
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

    def in_time(
        self, live: np.ndarray, before: np.ndarray, after: np.ndarray, time: Time
    ) -> np.ndarray:
        """A screen int16 [H, W] that was decided, with the live thing and full lines where they are
        by then: it falls in its time, they go in theirs, and nothing comes, is told or ends before.
        """
        deed, then = self.follower.follow(live, before, after)
        if deed in (Deed.NOTHING, Deed.MOVES) and (before != after).flat[self.notice].any():
            after = after.copy()
            after.flat[self.notice] = before.flat[self.notice]
        ends = self._is(self.ends, after) and not self._is(self.ends, before)
        if time.falls is None or time.ends or deed is Deed.CUT or not (ends or self.runs_on(after)):
            return after
        if time.lines is not None:
            own, same = time.lines, np.array_equal(time.lines, before)
        elif not (live > 0).any():
            return after
        else:
            # rows go when it is to fall
            early = not time.falls and not time.lies and self.runs_on(before)
            if deed is Deed.OTHER and not early and not self.clears.known:
                return after
            goes = then if deed is Deed.MOVES and not time.lies else live
            goes = goes if time.moved is None or not self.runs_on(before) else time.moved
            own, fell = self.pacer.keep(live, before, goes, time)
            marked = (
                self.clears.marked(own) if self.clears.known and time.falls and not fell else None
            )
            own, same = (own, True) if marked is None else (marked, False)
        screen = np.where(self.follower.area, own, before if same and deed is Deed.OTHER else after)
        if ends:
            screen.flat[self.panel] = before.flat[self.panel]
        if deed in (Deed.COMES, Deed.OTHER):
            screen.flat[self.notice] = before.flat[self.notice]
        return screen

    def _cells(self, note: int) -> np.ndarray:
        return self.places[note][self.places[note] >= 0]

    def _come(
        self, note: int, cells: np.ndarray, before: np.ndarray, after: np.ndarray
    ) -> np.ndarray:
        """The screen on which what is told has come, and what comes after it is told; all else
        outside as it was decided.
        """
        screen = np.where(self.follower.area, before, after)
        if self._is(self.ends, after):
            screen.flat[self.panel] = before.flat[self.panel]
        screen.flat[cells] = self.comes[note]
        told = likely(self.follows[note], self._shown(after, self.notice, self.notes), note)
        screen.flat[self.notice] = self.notes[told]
        return screen

    def _open(self, after: np.ndarray) -> np.ndarray:
        """The screen on which a game has begun: with nothing but what comes; if that is not nearly
        always the same, with what agrees with most cells.
        """
        screen = np.where(
            self.blank >= 0, self.blank, np.where(self.follower.area, self.follower.ground, after)
        )
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
        alike = [
            np.array_equal(cells, np.sort(self._cells(note))) for note in range(len(self.notes))
        ]
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
        """Whether a step may follow: nothing moves but what is live, and nothing comes but by
        `rule`.
        """
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
        return np.array_equal(changed, np.sort(cells)) and bool(
            (after.flat[cells] == self.comes[note]).all()
        )


def likely(times: np.ndarray, told: int | None, before: int | None = None) -> int:
    """What a part shows next, of contents that followed so often, int [K]: what it was decided to
    (told), if that is one; where nearly always the same follows, then that, in place of what never
    did or of what was shown before.
    """
    usual = int(times.argmax())
    sure = times[usual] >= (1 - RARE) * times.sum()
    if told is None or (sure and (not times[told] or told == before)):
        return usual
    return told
