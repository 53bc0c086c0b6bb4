"""Which buttons act in a state, and what it is worth as a start of play.

A button acts where the same state shows something else with it than without it: nothing that moves
by itself is taken for an answer.
"""

import numpy as np

from dreamcart.record.machine import Frame, Machine
from dreamcart.record.moves import DIRECTIONS, is_play, random_play

NOW, SOON = 2, 5  # steps within which a button has to change the screen: at once, or with a lag
PLAYS, STEPS, LOOK = 5, 60, 20  # random plays that judge a state, and steps between two looks
PROBED = 2  # of the plays
CUT = 0.7  # share of the pixels that change in a step where one scene is cut to another
SPARSE = 4  # every so many pixels are compared for that

Acts = dict[str, int]  # button → steps until the screen shows it


def at_once(acts: Acts) -> set[str]:
    """Buttons that change the screen within two steps."""
    return {button for button, lag in acts.items() if lag <= NOW}


class Judge:
    """Tries states of a machine; it is left in another state than before."""

    def __init__(self, machine: Machine, buttons: list[str], rng: np.random.Generator) -> None:
        self.machine, self.buttons, self.rng = machine, buttons, rng
        self.play_buttons = [*filter(is_play, buttons)]

    def probe(self, state: bytes, buttons: list[str] | None = None) -> Acts:
        """Hold each button from `state`; those are left out that show nothing within SOON steps."""
        quiet = self._trail(state, (), [])
        lags = {b: len(self._trail(state, (b,), quiet)) for b in buttons or self.buttons}
        return {button: lag for button, lag in lags.items() if lag <= SOON}

    def _trail(self, state: bytes, pressed: tuple[str, ...], quiet: list[int]) -> list[int]:
        """Digests of what is shown from a state on, until one differs from `quiet`."""
        self.machine.restore(state)
        for _ in range(self.machine.lag):
            self.machine.step()
        digests = []
        for number in range(SOON):
            self.machine.step(pressed)
            digests.append(self.machine.digest)
            if quiet and digests[-1] != quiet[number]:
                return digests
        return digests if not quiet else [*digests, 0]

    def worth(self, state: bytes) -> float:
        """What a state is worth as a start of play, 0 to 1, by random plays of two seconds.

        It counts how many buttons act at moments of them; how many plays are at different screens
        at the same time (a menu has few, a film one); and how many stay in the scene (a menu is
        left by some button or other).
        """
        acting, ends, stays = [], [], []
        for number in range(PLAYS):
            self.machine.restore(state)
            digests, cut, before = [], False, None
            for step, pressed in enumerate(random_play(self.play_buttons, STEPS, self.rng)):
                if number < PROBED and step % LOOK == 0:
                    here = self.machine.save()
                    acting.append(_share(self.probe(here, self.play_buttons)))
                    self.machine.restore(here)
                frame = self.machine.step(pressed)[::SPARSE, ::SPARSE]
                digests.append(self.machine.digest)
                cut |= _is_cut(before, frame)
                before = frame
            ends.append((digests[STEPS // 2], digests[-1]))
            stays.append(not cut)
        apart = np.mean([len(set(column)) - 1 for column in zip(*ends, strict=True)]) / (PLAYS - 1)
        return float(np.mean(acting) * (0.2 + 0.8 * apart) * (0.5 + 0.5 * np.mean(stays)))


def _share(acts: Acts) -> float:
    """How much of play answers at a moment: two directions, all four, and another button; half for
    those that answer late.
    """
    shares = []
    for answering in (set(acts), at_once(acts)):
        directions = len(answering & set(DIRECTIONS))
        moving = 0.5 * min(1.0, directions / 2) + 0.05 * directions
        shares.append(moving + 0.3 * (len(answering) > directions))
    return sum(shares) / 2


def _is_cut(before: Frame | None, frame: Frame) -> bool:
    """Whether a frame belongs to another scene than the one before: it is of one colour, or new."""
    if before is None or before.shape != frame.shape:
        return before is not None
    return bool((frame == frame[0, 0]).all() or (frame != before).any(2).mean() > CUT)
