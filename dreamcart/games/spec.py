"""GameSpec: what the pipeline must know of a game (where it comes from: `catalog`).

It travels with the data and with the models, so that a dream can be played by button *name* on a machine
that has neither the game folder nor an emulator.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from dreamcart.config import Count, Positive, build
from dreamcart.errors import UserError

Address = Annotated[int, (0, 127)]  # in the Atari's 128 bytes of RAM


@dataclass(frozen=True)
class Script:
    """One kind of scripted play: which policy starts from which state, for which share of the episodes."""

    policy: str
    state: str = ""
    share: float = 1.0


@dataclass(frozen=True)
class GameSpec:
    """A game as the pipeline sees it.

    `buttons` fixes the order of the multi-hot action vector; `crop` is (top, bottom, left, right) pixels cut
    off the emulator's picture; `frame_skip` emulator frames make one model step, `fps` is the emulator's
    native rate, so the model runs at fps / frame_skip steps a second.
    """

    name: str
    title: str
    backend: Literal["retro", "ale", "vizdoom"]
    env: str
    buttons: list[str]
    keys: dict[str, str]
    fps: float
    frame_skip: Positive
    scripts: list[Script]
    integration: str = ""
    start_states: list[str] = field(default_factory=list)
    crop: list[Count] = field(default_factory=lambda: [0, 0, 0, 0])
    # RAM variable poked after a reset with 1 + (seed mod 65535), for games that draw from a generator.
    seed_variable: str = ""
    # What no picture tells decides some of what happens (a counter in RAM, say): a dream of it must draw.
    hidden: bool = False
    # Variable -> its address, for Atari games; stable-retro has its own list in data.json.
    ram: dict[str, Address] = field(default_factory=dict)
    # The game goes on after its own "done" (game over is a screen like any other).
    continuing: bool = False
    # After its own "done" a console's game begins anew from its start state, at the next step; Atari's and Doom's do so
    # where they are `continuing`.
    restarts: bool = False
    # How recordings hold its frames, both without loss: PNG put together from strips that come again, or WebP.
    images: Literal["png", "webp"] = "png"
    # Event name -> RAM variable whose increase counts as one such event.
    events: dict[str, str] = field(default_factory=dict)
    # Edge case -> "variable = value", or "most array": the frame where that array has most non-zero entries.
    edge_cases: dict[str, str] = field(default_factory=dict)

    @property
    def step_rate(self) -> float:
        """Model steps a second for play in real time."""
        return self.fps / self.frame_skip

    @property
    def random(self) -> bool:
        """The game draws from a generator of its own, or seems to: a dream of it must draw too."""
        return bool(self.seed_variable) or self.hidden

    @property
    def temperature(self) -> float:
        """At which a dream of it is played unless the player says otherwise."""
        return 1.0 if self.random else 0.0

    def vector(self, pressed: set[str]) -> list[int]:
        """Button names -> multi-hot list in `buttons` order. Raises UserError for an unknown name."""
        unknown = pressed - set(self.buttons)
        if unknown:
            raise UserError(f"{self.title} has no button {sorted(unknown)[0]!r}; it has {', '.join(self.buttons)}.")
        return [int(name in pressed) for name in self.buttons]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, for datasets and models."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> "GameSpec":
        """The inverse of `to_dict`. Raises UserError on unknown or missing keys."""
        return build(GameSpec, values, "game.")
