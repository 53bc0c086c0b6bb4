"""The seam between Dreamcart and real emulators: one class a backend, chosen by `GameSpec.backend`."""

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from dreamcart.games.spec import GameSpec


class Emulator(Protocol):
    """A running game. One model step is `frame_skip` emulator frames with the same buttons held."""

    def reset(self, state: str, seed: int) -> np.ndarray:
        """Load a start state and seed the game. Returns the frame, uint8 [H, W, 3]."""

    def step(self, action: Iterable[int]) -> tuple[np.ndarray, float, bool, bool]:
        """Hold the multi-hot `action` for one step. Returns frame, summed reward, terminated, truncated."""

    def variables(self) -> dict[str, Any]:
        """The game's RAM variables; those named `name_000`, `name_001`, … come as one uint8 array `name`."""

    def save(self) -> bytes:
        """The machine's whole state."""

    def restore(self, state: bytes) -> None:
        """Return to a state that `save` gave."""

    def versions(self) -> dict[str, str]:
        """Name and version of the emulator, and the ROM's SHA-1."""

    def close(self) -> None:
        """Free the emulator; stable-retro allows one a process."""


def open_emulator(spec: GameSpec) -> Emulator:
    """Start the emulator for `spec`. Raises UserError where the game or its ROM is missing or wrong."""
    # Imported late: training machines have no emulator.
    if spec.backend == "ale":
        from dreamcart.games.ale import AleEmulator

        return AleEmulator(spec)
    if spec.backend == "vizdoom":
        from dreamcart.games.vizdoom import VizdoomEmulator

        return VizdoomEmulator(spec)
    from dreamcart.games.retro import RetroEmulator

    return RetroEmulator(spec)
