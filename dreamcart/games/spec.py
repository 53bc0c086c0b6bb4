"""GameSpec: what the pipeline must know of a game, read from games/<game>/game.yaml.

It travels with the data and with the models, so that a dream can be played by button *name* on a machine
that has neither the game folder nor an emulator.
"""

import dataclasses
import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import yaml

from dreamcart.config import Count, Positive, build
from dreamcart.errors import ROOT, UserError

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
    backend: Literal["retro", "ale"]
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


def game_names() -> list[str]:
    """Names that `game` in params.yaml may have: the folders of games/ with a game.yaml."""
    return sorted(path.parent.name for path in (ROOT / "games").glob("*/game.yaml"))


def game_files(name: str) -> list[Path]:
    """The yaml files that define a game, its own first, then what it extends."""
    files = []
    while name:
        path = ROOT / "games" / name / "game.yaml"
        if not path.is_file() or path in files:
            raise UserError(f"There is no game {name!r}; games/ has {', '.join(game_names())}.")
        files.append(path)
        name = (yaml.safe_load(path.read_text()) or {}).get("extends", "")
    return files


def load_game(name: str) -> GameSpec:
    """Read games/<name>/game.yaml; keys it lacks come from the game it `extends`.

    Raises:
        UserError: no such game, or a key that is unknown, missing or of the wrong type.
    """
    values: dict[str, Any] = {}
    for path in reversed(game_files(name)):
        layer = yaml.safe_load(path.read_text())
        layer.pop("extends", None)
        if layer.get("integration"):
            layer["integration"] = str((path.parent / layer["integration"]).resolve().relative_to(ROOT))
        values |= layer
    return GameSpec.from_dict({"name": name, **values})


def game_module(name: str, file: str) -> ModuleType | None:
    """The Python file `file` of a game's folder, or of the game that it extends; None where neither has one.

    Raises UserError where there is no such game.
    """
    for path in game_files(name):
        source = path.parent / file
        if source.is_file():
            found = importlib.util.spec_from_file_location(f"{source.stem}_{path.parent.name}", source)
            module = importlib.util.module_from_spec(found)
            found.loader.exec_module(module)
            return module
    return None
