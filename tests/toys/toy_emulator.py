"""An emulator of the game "toy" (see `synthetic`) in ten lines, deterministic as real ones are."""

from typing import Any

import numpy as np

from dreamcart.core.errors import UserError
from toys.synthetic import BUTTONS, make_frame

VERSIONS = {"emulator": "toy", "emulator_version": "1", "rom_sha1": "a" * 40}


class ToyEmulator:
    """RIGHT and LEFT move the block, A scores, START ends; B does nothing that could be seen."""

    def reset(self, state: str, seed: int) -> np.ndarray:
        if state != "Begin":
            raise UserError(f"Toy has no start state {state!r}; it has Begin.")
        self.x = seed
        return make_frame(self.x)

    def step(self, action: list[int]) -> tuple[np.ndarray, float, bool, bool]:
        held = {name for name, on in zip(BUTTONS, action, strict=True) if on}
        self.x += ("RIGHT" in held) - ("LEFT" in held)
        return make_frame(self.x), float("A" in held), "START" in held, False

    def variables(self) -> dict[str, Any]:
        return {"x": self.x, "board": np.array([self.x % 7, 1], np.uint8)}

    def versions(self) -> dict[str, str]:
        return VERSIONS

    def close(self) -> None:
        pass
