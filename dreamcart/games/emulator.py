"""The seam between Dreamcart and real emulators: one class a backend, chosen by
`GameSpec.backend`.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from dreamcart.core.errors import UserError
from dreamcart.games.catalog import local_game
from dreamcart.games.spec import GameSpec


class Emulator(Protocol):
    """A running game. One model step is `frame_skip` emulator frames with the same buttons held."""

    def reset(self, state: str, seed: int) -> np.ndarray:
        """Load a start state and seed the game. Returns the frame, uint8 [H, W, 3]."""

    def step(self, action: Iterable[int]) -> tuple[np.ndarray, float, bool, bool]:
        """Hold the multi-hot `action` for one step.

        Returns frame, summed reward, terminated, truncated.
        """

    def variables(self) -> dict[str, Any]:
        """The game's RAM variables; those named `name_000`, `name_001`, … come as one uint8 array
        `name`.
        """

    def save(self) -> bytes:
        """The machine's whole state."""

    def restore(self, state: bytes) -> None:
        """Return to a state that `save` gave."""

    def versions(self) -> dict[str, str]:
        """Name and version of the emulator, and the ROM's SHA-1."""

    def close(self) -> None:
        """Free the emulator; stable-retro allows one a process."""


LEAST_SIDE = 8  # pixels of a frame, after cropping


def open_emulator(spec: GameSpec) -> Emulator:
    """Start the emulator for `spec`, and check what of it only the running game can tell.

    The spec may come from a dataset or a cart. Its ROM, integration and scripts do not: they are
    those of the game of that name in this checkout.

    Raises:
        UserError: the game or its ROM is missing or another, or a value of its game.yaml does not
            fit the running game.
    """
    local_game(spec)
    emulator = _start(spec)
    try:
        _check_running(emulator, spec)
    except BaseException:
        emulator.close()  # stable-retro allows one a process
        raise
    return emulator


def _start(spec: GameSpec) -> Emulator:
    # Imported late: training machines have no emulator.
    if spec.backend == "ale":
        from dreamcart.games.ale import AleEmulator

        return AleEmulator(spec)
    if spec.backend == "vizdoom":
        from dreamcart.games.vizdoom import VizdoomEmulator

        return VizdoomEmulator(spec)
    from dreamcart.games.retro import RetroEmulator

    return RetroEmulator(spec)


def _check_running(emulator: Emulator, spec: GameSpec) -> None:
    """Raise UserError where a start state is missing, the crop leaves nothing, or a variable is
    none of the game's.
    """
    for state in dict.fromkeys(
        [
            *spec.start_states,
            *(script.state for script in spec.scripts if script.policy != "person"),
        ]
    ):
        emulator.reset(state, 0)
    known = emulator.variables()
    asked = {f"events: {event}": name for event, name in spec.events.items()}
    asked |= {
        f"edge_cases: {case}": said.removeprefix("most ").split(" = ")[0]
        for case, said in spec.edge_cases.items()
    }
    asked |= {"seed_variable": spec.seed_variable} if spec.seed_variable else {}
    for where, name in asked.items():
        if name not in known:
            raise UserError(
                f"The game.yaml of {spec.name} names a variable {name!r} ({where}) that {spec.env}"
                f" lacks; it has {', '.join(sorted(known)) or 'none'}."
            )
    for event, name in spec.events.items():
        if not isinstance(known[name], (int, float)):
            raise UserError(
                f"The game.yaml of {spec.name} counts {event} by {name}, which is no number; name"
                " another variable."
            )


def cropped(frame: np.ndarray, spec: GameSpec) -> np.ndarray:
    """The part of the emulator's picture, uint8 [H, W, 3], that `spec.crop` leaves.

    Raises UserError where that is nothing.
    """
    top, bottom, left, right = spec.crop
    height, width = frame.shape[:2]
    if min(height - top - bottom, width - left - right) < LEAST_SIDE:
        raise UserError(
            f"The game.yaml of {spec.name} crops {spec.crop} (top, bottom, left, right) off a"
            f" picture of {height} x {width}, which leaves less than {LEAST_SIDE} pixels; crop"
            " less."
        )
    return np.ascontiguousarray(frame[top : height - bottom, left : width - right])
