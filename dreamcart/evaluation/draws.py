"""How a dream holds up to the next thing that nobody can foresee: the game's own random draw."""

import json
from typing import Any

import numpy as np

STEPS = 60  # a rollout counts up to the step before the first draw, and no further than this
FAR = 30  # steps: some rollouts have a draw so near that little is asked of them


class Draws:
    """Collects, for all rollouts of an evaluation, whether every frame before the next draw was
    exact.

    The game draws when the RAM variable that its seed is written to changes.
    """

    def __init__(self, infos: list[str], variable: str, horizon: int) -> None:
        """infos:

        RAM variables of every record, as JSON; variable: `GameSpec.seed_variable`; horizon: of the
        rollouts.
        """
        self.steps = min(STEPS, horizon)
        value = [json.loads(info).get(variable) for info in infos]
        self.draws = np.array(
            [now != before for before, now in zip([None, *value], value, strict=False)]
        )
        self.before: list[np.ndarray] = []  # steps that count
        self.exact: list[np.ndarray] = []

    def begin(self, at: np.ndarray) -> None:
        """A batch of rollouts starts after the records `at`."""
        ahead = self.draws[at[:, None] + np.arange(1, self.steps + 1)]
        self.before.append(np.where(ahead.any(1), ahead.argmax(1), self.steps))
        self.exact.append(np.ones(len(at), bool))

    def see(self, step: int, frames: np.ndarray, true: np.ndarray) -> None:
        """The batch's dreamed and real frames at a step (from 1), uint8 [B, H, W, C]."""
        right = (frames == true).reshape(len(frames), -1).all(1)
        self.exact[-1] &= right | (step > self.before[-1])

    def report(self) -> dict[str, Any]:
        """Share of the rollouts that are exact in every frame before the draw, and how many steps
        that is on average; `far`: of those alone that have FAR steps or more before it.

        Rollouts in which the very next step draws say nothing, and do not count.
        """
        before, exact = np.concatenate(self.before), np.concatenate(self.exact)
        report = {}
        for name, counts in (("", before > 0), ("far_", before >= FAR)):
            report |= {
                f"{name}rollouts": int(counts.sum()),
                f"{name}steps": round(float(before[counts].mean()), 2) if counts.any() else None,
                f"{name}exact": round(float(exact[counts].mean()), 6) if counts.any() else None,
            }
        return report
