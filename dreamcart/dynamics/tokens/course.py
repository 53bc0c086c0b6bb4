"""The course of recorded play: what each step did to the live thing, worked out once for all that
is counted in it.
"""

from collections.abc import Iterator

import numpy as np

from dreamcart.dynamics.tokens.budget import along
from dreamcart.dynamics.tokens.controls import Controls
from dreamcart.dynamics.tokens.lines import Lines
from dreamcart.dynamics.tokens.live import Deed, Live
from dreamcart.dynamics.tokens.pace import UNSEEN, Pace, Watched
from dreamcart.dynamics.tokens.referee import Referee
from dreamcart.dynamics.tokens.turns import TURNS, Turns


class Course:
    """The N steps of a split, in order. at: int64 [N], their records, `begun`: bool [N], the first
    of an episode; deed: int8 [N], `Deed` by value; some: int8 [N], whether something is live before
    it, -1 where that is not known; waited: int64 [N] and timed: bool [N], see `State`; fell: bool
    [N], whether the thing fell; room: bool [N], whether it could, whatever else it did (False where
    time does not run); runs, ran: bool [N], whether time runs on the screen after the step, and
    before.
    """

    def __init__(
        self,
        tokens: np.ndarray,
        index: np.ndarray,
        transitions: np.ndarray,
        live: Live,
        turns: Turns,
    ) -> None:
        """tokens: int [U, H, W], every distinct frame once; index: the split's records, with the
        row of `tokens` that each shows and the buttons; transitions: int [N], records with a
        successor, of which none count where no turns are known.
        """
        transitions = transitions if len(turns.notes) else transitions[:0]
        self.tokens, self.rows, self.pressed = tokens, index["frame"], index["action"] > 0
        self.referee = Referee(
            live, turns, Pace.empty(buttons=self.pressed.shape[1]), Controls.empty(), Lines.empty()
        )
        self.things: list[tuple[np.ndarray, np.ndarray]] = []  # before and after each step, packed
        names = "at", "begun", "deed", "some", "waited", "timed", "fell", "room", "runs", "ran"
        kinds = np.int64, bool, np.int8, np.int8, np.int64, bool, bool, bool, bool, bool
        columns = (
            zip(*self._steps(transitions), strict=True) if len(transitions) else ((),) * len(names)
        )
        for name, kind, column in zip(names, kinds, columns, strict=True):
            setattr(self, name, np.array(column, kind))

    def _steps(self, transitions: np.ndarray) -> Iterator[tuple]:
        # stands: whether what stands still has room
        follower, last, stands = self.referee.follower, -2, None
        for at in along(transitions.tolist(), "course", unit_scale=True, mininterval=0.5):
            before, after = self.before(at), self.after(at)
            same, begun = self.rows[at] == self.rows[at + 1], at != last + 1
            if begun:
                now, stands = Watched(follower.begin(before)), None
            last, (thing, waited, timed, _) = at, now
            deed, then = (Deed.NOTHING, thing) if same else follower.follow(thing, before, after)
            now = self.referee.count(now, deed, then, before, after, self.pressed[at])
            some, runs, stands = (
                int(thing.max()),
                self.referee.runs_on(after),
                stands if same else None,
            )
            fell = room = False
            if some > 0 and runs:
                fell = deed is Deed.MOVES and follower.falls_of(thing, then, before) > 0
                room = stands
                if room is None:
                    here = (then, after) if deed is Deed.MOVES else (thing, before)
                    room = fell or follower.fallen(*here) is not None
                stands = room if same else None
            packed = self.things[-1][1] if same and not begun else np.packbits(thing > 0)
            self.things.append((packed, packed if deed is Deed.NOTHING else np.packbits(then > 0)))
            yield (
                at,
                begun,
                deed.value,
                some,
                waited,
                timed,
                fell,
                room,
                runs,
                self.referee.runs_on(before),
            )

    def before(self, at: int) -> np.ndarray:
        """The screen before the step at a record, int [H, W]."""
        return self.tokens[self.rows[at]]

    def after(self, at: int) -> np.ndarray:
        """The screen after it."""
        return self.tokens[self.rows[at + 1]]

    def live(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The live thing before and after a step, int8 [H, W]: 1 where it is."""
        screen = self.tokens.shape[1:]
        bits = (np.unpackbits(thing, count=screen[0] * screen[1]) for thing in self.things[number])
        return tuple(cells.reshape(screen).astype(np.int8) for cells in bits)

    def did(self, *deeds: Deed) -> np.ndarray:
        """Which steps did one of these, bool [N]."""
        return np.isin(self.deed, [deed.value for deed in deeds])

    def due(self, pace: Pace) -> np.ndarray:
        """In which steps what is live falls if it can, bool [N], but for what lies."""
        every = np.full(len(self.at), UNSEEN, np.int64)
        part, contents = pace.part.numpy(), pace.contents.numpy()
        shown, which = np.unique(
            self.tokens[:, *np.unravel_index(part, self.tokens.shape[1:])],
            axis=0,
            return_inverse=True,
        )
        for number, content in enumerate(shown):
            alike = (contents == content).all(1)
            own = which.reshape(-1)[self.rows[self.at]] == number
            every[own] = int(pace.every[alike.argmax()]) if alike.any() else UNSEEN
        in_time = self.timed & (every != UNSEEN) & (self.waited >= every)
        return self.pressed[self.at][:, pace.fast.numpy()].any(1) | in_time

    def lain(self, pace: Pace) -> np.ndarray:
        """For how many steps what is live had lain before each step, see `State`, int64 [N]."""
        lain, anew = np.zeros(len(self.at), np.int64), self.did(*TURNS, Deed.STRANGER) | self.fell
        lies_down = self.due(pace) & ~self.room & (self.some > 0) & bool(pace.lies > 0)
        so_far = 0
        for number, (begun, goes, down, runs) in enumerate(
            zip(self.begun, anew, lies_down, self.runs, strict=True)
        ):
            so_far = lain[number] = 0 if begun else so_far
            if goes:
                so_far = 0
            elif runs:
                so_far += so_far > 0 or down
        return lain
