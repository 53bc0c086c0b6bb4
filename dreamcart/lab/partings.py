"""Where dreams part from the game: the first step of a rollout that is not the game's, and what
happened in the game then.
"""

from typing import Any

import numpy as np

from dreamcart.evaluation.readback import judge
from dreamcart.evaluation.screens import Screens


class Partings(Screens):
    """Watches rollouts for the first step at which each is not the game's."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # by rollout: step, and the dream's frame
        self.parted: dict[int, tuple[int, np.ndarray]] = {}

    def see(self, step: int, frames: np.ndarray, before: np.ndarray | None) -> None:
        super().see(step, frames, before)
        for number, frame in enumerate(frames, self.first):
            if number not in self.parted and not np.array_equal(frame, self.real(number, step)):
                self.parted[number] = step, frame

    def real(self, number: int, step: int) -> np.ndarray:
        """The game's frame at a step of a rollout."""
        return self.test.frames[self.test.index["frame"][self.records[number] + step]]

    def name(self, number: int, step: int) -> str:
        """What happened in the game at a step of a rollout, as its reader sees it."""
        events = judge(
            self.reader,
            [self._real(self.records[number] + step)],
            [self._real(self.records[number] + step - 1)],
        ).events
        return "+".join(sorted(events[0])) or "nothing"
