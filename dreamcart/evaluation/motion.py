"""Does the dream go on? Its frame-to-frame change against the game's, early and late: a dream that
has collapsed to a still picture may score well by any error, and has a ratio of 0 here; one that
boils has a large one.
"""

import numpy as np

from dreamcart.data.processed import Split

SPAN = 10  # steps before a horizon over which the change is averaged
STEPS = 300  # horizons beyond are left out


class Motion:
    """Collects the changes of all rollouts of an evaluation."""

    def __init__(self, test: Split, horizons: list[int]) -> None:
        self.test = test
        self.horizons = sorted(h for h in set(horizons) if SPAN <= h <= STEPS)
        self.real: dict[int, list[np.ndarray]] = {h: [] for h in self.horizons}
        self.dreamed: dict[int, list[np.ndarray]] = {h: [] for h in self.horizons}

    def begin(self, at: np.ndarray) -> None:
        """A batch of rollouts starts after the records `at`."""
        self.at = at

    def see(self, step: int, frames: np.ndarray, before: np.ndarray | None) -> None:
        """The batch's frames at a step (from 1), uint8 [B, H, W, C];

        `before` are those of the step before.
        """
        within = [h for h in self.horizons if h - SPAN < step <= h]
        if not within or before is None:
            return
        rows = (
            self.test.index["frame"][self.at + step],
            self.test.index["frame"][self.at + step - 1],
        )
        moved = rows[0] != rows[1]
        real = np.zeros(len(frames))
        if moved.any():
            real[moved] = change(self.test.frames[rows[0][moved]], self.test.frames[rows[1][moved]])
        dreamed = change(frames, before)
        for horizon in within:
            self.real[horizon].append(real)
            self.dreamed[horizon].append(dreamed)

    def report(self) -> dict[str, dict[str, float | None]]:
        """For each horizon, the mean change a step on [0, 1] over the SPAN steps before it, real
        and dreamed, and their ratio.
        """
        table = {}
        for horizon in self.horizons:
            real, dreamed = (
                float(np.mean(np.concatenate(side[horizon]))) for side in (self.real, self.dreamed)
            )
            ratio = round(dreamed / real, 4) if real else None
            table[str(horizon)] = {
                "real": round(real, 6),
                "dream": round(dreamed, 6),
                "ratio": ratio,
            }
        return table


def change(frames: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Mean absolute difference on [0, 1] of uint8 frames [B, H, W, C], float64 [B]."""
    return np.abs(frames.astype(np.int16) - before).mean((1, 2, 3), dtype=np.float64) / 255
