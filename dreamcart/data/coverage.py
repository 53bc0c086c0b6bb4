"""What recorded play met of a game, counted while it is recorded."""

from collections import Counter
from typing import Any

import numpy as np

from dreamcart.games.spec import GameSpec


class Coverage:
    """Counts of what recorded play met.

    Merged in any order they come out the same.
    """

    def __init__(self, spec: GameSpec) -> None:
        self.buttons = Counter(dict.fromkeys(spec.buttons, 0))
        self.events = Counter(dict.fromkeys(spec.events, 0))
        self.distinct: set[bytes] = set()
        self.steps = self.episodes = self.repeats = self.ended = 0
        # By shape: one frame, uint8 [H, W, 3], and where another one was ever different, bool.
        self.changed: dict[tuple[int, ...], tuple[np.ndarray, np.ndarray]] = {}

    def see(self, frame: np.ndarray, key: bytes) -> None:
        """Count a frame, uint8 [H, W, 3], by its `images.frame_key`."""
        if key not in self.distinct:
            self.distinct.add(key)
            self._note(frame, None)

    def _note(self, frame: np.ndarray, mask: np.ndarray | None) -> None:
        if frame.shape not in self.changed:
            empty = np.zeros(frame.shape, bool)
            self.changed[frame.shape] = (frame.copy(), empty if mask is None else mask.copy())
            return
        first, changed = self.changed[frame.shape]
        changed |= frame != first
        if mask is not None:
            changed |= mask

    def merge(self, other: "Coverage") -> None:
        """Add what another one counted."""
        for name in ("buttons", "events"):
            getattr(self, name).update(getattr(other, name))
        self.distinct |= other.distinct
        for first, mask in other.changed.values():
            self._note(first, mask)
        for name in ("steps", "episodes", "repeats", "ended"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def changed_share(self) -> float:
        """Share of the screen's pixels that were not the same in all frames."""
        masks = [mask.any(2) for _, mask in self.changed.values()]
        return sum(int(mask.sum()) for mask in masks) / max(1, sum(mask.size for mask in masks))

    def summary(self) -> dict[str, Any]:
        """JSON-able numbers.

        `ended` counts the episodes that the game itself ended, `changed_share` is the share of the
        screen's pixels that ever changed, `repeated_share` that of the frames that were equal to
        the one before, `held` the share of steps each button was down.
        """
        return {
            "episodes": self.episodes,
            "ended": self.ended,
            "frames": self.steps,
            "distinct_frames": len(self.distinct),
            "changed_share": round(self.changed_share, 4),
            "repeated_share": round(self.repeats / self.steps, 4),
            "held": {name: round(n / self.steps, 4) for name, n in self.buttons.items()},
            "events": dict(self.events),
        }
