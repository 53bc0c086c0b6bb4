"""An emulator whose far end random buttons hardly reach: a long corridor, walked step by step."""

from typing import Any

import numpy as np

from toys.synthetic import BUTTONS
from toys.toy_emulator import VERSIONS

LENGTH = 400
HEIGHT, WIDTH = 16, 400


class Corridor:
    """RIGHT and LEFT walk; START ends the game; for `title` steps nothing happens."""

    def __init__(self, title: int = 0) -> None:
        self.title = title

    def reset(self, state: str, seed: int) -> np.ndarray:
        self.x, self.time = 0, 0
        return self.frame

    @property
    def frame(self) -> np.ndarray:
        """uint8 [HEIGHT, WIDTH, 3]: all behind the walker is bright."""
        frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        frame[:, : self.x] = 255
        return frame

    def step(self, action: list[int]) -> tuple[np.ndarray, float, bool, bool]:
        held = {name for name, on in zip(BUTTONS, action, strict=True) if on}
        self.time += 1
        if self.time > self.title:
            self.x = min(LENGTH, max(0, self.x + ("RIGHT" in held) - ("LEFT" in held)))
        return self.frame, 0.0, self.time > self.title and "START" in held, False

    def variables(self) -> dict[str, Any]:
        return {"x": self.x}

    def save(self) -> bytes:
        return f"{self.x} {self.time}".encode()

    def restore(self, state: bytes) -> None:
        self.x, self.time = map(int, state.split())

    def versions(self) -> dict[str, str]:
        return VERSIONS

    def close(self) -> None:
        pass
