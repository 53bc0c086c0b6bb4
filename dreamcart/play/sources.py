"""What can be played: the dream, the real game, or both side by side, behind one small seam."""

from typing import Protocol

import cv2
import numpy as np
import torch

from dreamcart.core.errors import UserError
from dreamcart.data.preprocess import process_frame
from dreamcart.families import FAMILIES
from dreamcart.games.emulator import open_emulator
from dreamcart.games.spec import GameSpec
from dreamcart.params import PreprocessConfig
from dreamcart.world.model import WorldModel

WARMEST, NOTCH = 2.0, 0.1  # of the temperature in play


class Source(Protocol):
    """Something that shows a picture for every step of held buttons.

    Attributes:
        temperature: of its chance; None where there is none to be had.
    """

    spec: GameSpec
    temperature: float | None

    def reset(self) -> np.ndarray:
        """Back to the start screen. Returns the picture, uint8 [H, W, 3]."""

    def step(self, pressed: set[str]) -> np.ndarray:
        """Hold these buttons for one model step. Returns the picture, uint8 [H, W, 3]."""

    def warm(self, notches: int) -> str:
        """Change the temperature. Returns what to tell the player."""


class Dream:
    """The world model, free-running.

    `temperature` 0 takes the likeliest future, 1 draws as the model has learned; by default as the
    game does. Raises UserError for one that the model cannot have, and for an unknown start.
    """

    def __init__(
        self, world: WorldModel, start: str | None, temperature: float | None = None, seed: int = 0
    ) -> None:
        self.world, self.spec, self.seen_as = world, world.spec, world.seen_as
        self.generator = torch.Generator(world.device).manual_seed(seed)
        self.start_name = start or world.first_start
        if self.start_name not in world.starts:
            raise UserError(
                f"{world.spec.title} has no start state {start!r}; the model has"
                f" {', '.join(world.starts)}."
            )
        if temperature is not None and not 0 <= temperature <= WARMEST:
            raise UserError(f"The temperature is {temperature}; allowed: 0 to {WARMEST:.0f}.")
        if temperature and not world.dynamics.random:
            able = ", ".join(name for name, family in FAMILIES.items() if family.random)
            raise UserError(
                f"The dynamics of this dream ({world.dynamics.kind}) knows one future only and has"
                " no temperature; leave it out, or train one that draws with dynamics.kind"
                f" ({able})."
            )
        asked = world.temperature if temperature is None else temperature
        self.temperature = float(asked) if world.dynamics.random else None

    def reset(self) -> np.ndarray:
        first = self.world.starts[self.start_name]
        self.state = self.world.start(
            first[None, None], np.zeros((1, 0, len(self.spec.buttons)), np.uint8)
        )
        return _colour(first)

    def step(self, pressed: set[str]) -> np.ndarray:
        action = np.array([self.spec.vector(pressed)], np.uint8)
        frames, self.state = self.world.step(
            self.state, action, self.temperature or 0.0, self.generator
        )
        return _colour(frames[0])

    def warm(self, notches: int) -> str:
        if self.temperature is None:
            return "this dream knows one future only: no temperature"
        self.temperature = round(min(max(self.temperature + notches * NOTCH, 0.0), WARMEST), 2)
        return ""


class Real:
    """The emulator, at its own resolution, or as the model would see it."""

    def __init__(
        self, spec: GameSpec, start: str | None, seed: int, seen_as: PreprocessConfig | None = None
    ) -> None:
        self.spec, self.seed, self.seen_as = spec, seed, seen_as
        self.start_name = start or (spec.start_states or [spec.scripts[0].state])[0]
        self.emulator = open_emulator(spec)
        self.temperature = None

    def reset(self) -> np.ndarray:
        return self._show(self.emulator.reset(self.start_name, self.seed))

    def step(self, pressed: set[str]) -> np.ndarray:
        return self._show(self.emulator.step(self.spec.vector(pressed))[0])

    def warm(self, notches: int) -> str:
        return "this is the game itself: no temperature"

    def _show(self, frame: np.ndarray) -> np.ndarray:
        return _colour(process_frame(frame, self.seen_as)) if self.seen_as else frame


class SideBySide:
    """Real | dream | overlay: green where only the game is bright, red where only the dream, yellow
    both.

    The dream is never corrected by the game.
    """

    def __init__(self, real: Real, dream: Dream) -> None:
        self.real, self.dream, self.spec = real, dream, dream.spec

    @property
    def temperature(self) -> float | None:
        return self.dream.temperature

    def warm(self, notches: int) -> str:
        return self.dream.warm(notches)

    def reset(self) -> np.ndarray:
        return self._panels(self.real.reset(), self.dream.reset())

    def step(self, pressed: set[str]) -> np.ndarray:
        return self._panels(self.real.step(pressed), self.dream.step(pressed))

    @staticmethod
    def _panels(real: np.ndarray, dream: np.ndarray) -> np.ndarray:
        overlay = np.zeros_like(real)
        overlay[:, :, 0] = cv2.cvtColor(dream, cv2.COLOR_RGB2GRAY)
        overlay[:, :, 1] = cv2.cvtColor(real, cv2.COLOR_RGB2GRAY)
        gap = np.full((len(real), 2, 3), 96, np.uint8)
        return np.concatenate([real, gap, dream, gap, overlay], axis=1)


def _colour(frame: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.broadcast_to(frame, (*frame.shape[:2], 3)))
