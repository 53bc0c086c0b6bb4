"""VizDoom (Doom's engine with scenarios for learning) behind the Emulator seam; an optional
library.
"""

import contextlib
import hashlib
import json
import multiprocessing
import multiprocessing.util
import re
import signal
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from dreamcart.core.errors import UserError
from dreamcart.games.emulator import cropped
from dreamcart.games.spec import GameSpec

START = "Start"
# Counters beside a scenario's own variables, for the coverage report; all begin at 0 with a round.
COUNTERS = ("KILLCOUNT", "ITEMCOUNT", "HITS_TAKEN")
OWN_VARIABLES = ("score", "rounds")


class VizdoomEmulator:
    """A scenario, stepped `frame_skip` tics at a time with buttons by name. The picture is the
    screen, 120 x 160.

    Other buffers of a Gymnasium VizDoom observation (depth, labels, map) are not drawn; its game
    variables are `variables()`. Delta buttons (so many degrees at once) are no buttons that one can
    hold, and are left out.
    """

    def __init__(self, spec: GameSpec) -> None:
        try:
            import vizdoom
        except ModuleNotFoundError:
            raise UserError(
                f"{spec.title} needs vizdoom, which is not installed; run `pip install --no-deps -r"
                " requirements-vizdoom.txt`."
            ) from None
        self.spec, self.vizdoom = spec, vizdoom
        self.game, file = _configured(spec.env, spec.name)
        available = _buttons(self.game)
        missing = [name for name in spec.buttons if name not in available]
        if missing:
            has = ", ".join(available)
            raise UserError(
                f"games/{spec.name}/game.yaml names a button {missing[0]!r} that {spec.env} lacks;"
                f" it has {has}."
            )
        self.game.set_available_buttons([getattr(vizdoom.Button, name) for name in spec.buttons])
        for name in COUNTERS:
            if name not in [variable.name for variable in self.game.get_available_game_variables()]:
                self.game.add_available_game_variable(getattr(vizdoom.GameVariable, name))
        self.counted = self.game.get_available_game_variables()
        self.game.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
        self.game.set_screen_format(vizdoom.ScreenFormat.RGB24)
        self.game.set_window_visible(False)
        self.game.set_sound_enabled(False)
        self.game.set_mode(vizdoom.Mode.PLAYER)
        for buffer in ("depth", "labels", "automap", "audio", "notifications"):
            getattr(self.game, f"set_{buffer}_buffer_enabled")(False)
        self.rom_sha1 = hashlib.sha1(file.read_bytes()).hexdigest()
        self.scratch = tempfile.TemporaryDirectory(prefix="dreamcart-vizdoom-")
        # The engine is a process of its own and outlives ours unless told to stop, also where a
        # pool ends its workers.
        self.at_exit = multiprocessing.util.Finalize(None, self._stop, exitpriority=10)
        if multiprocessing.parent_process():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            # where the engine leaves its settings, when it starts and ends
            with contextlib.chdir(self.scratch.name):
                self.game.init()
        except vizdoom.FileDoesNotExistException as problem:
            raise UserError(
                f"Cannot start {spec.env}: {str(problem).rstrip('.')}; put your own copy there."
            ) from None
        self.reset(START, 0)

    def reset(self, state: str, seed: int) -> np.ndarray:
        """Begin a round by `seed`. The only state is `Start`."""
        if state != START:
            raise UserError(
                f"{self.spec.title} has no start state {state!r}; VizDoom's scenarios have"
                f" {START!r} only."
            )
        self.seed, self.held = seed, []
        self.score, self.rounds = 0.0, 0
        self._begin()
        return self._crop()

    def step(self, action: Iterable[int]) -> tuple[np.ndarray, float, bool, bool]:
        """Hold `action` for `frame_skip` tics; the reward is the sum of all.

        The engine draws nothing at a round's end: the last picture stays. The next step begins
        another round where the spec says `continuing`; else the game stands still.
        """
        reward = self._advance([int(pressed) for pressed in action])
        ended = self.game.is_episode_finished()
        return self._crop(), reward, ended and not self.spec.continuing, False

    def variables(self) -> dict[str, Any]:
        """The scenario's variables and a few counters, `score` (the sum of all rewards) and
        `rounds` that are over.
        """
        named = {
            variable.name.lower(): self.game.get_game_variable(variable)
            for variable in self.counted
        }
        plain = {
            name: int(value) if value == int(value) else value for name, value in named.items()
        }
        return plain | {"score": self.score, "rounds": self.rounds}

    def save(self) -> bytes:
        """Seed and buttons since the reset: the engine's own saves do not come back exactly."""
        return json.dumps({"seed": self.seed, "held": self.held}).encode()

    def restore(self, state: bytes) -> None:
        """Play it again, which takes half a millisecond a step; undrawn it would not come out the
        same.
        """
        saved = json.loads(state)
        self.reset(START, saved["seed"])
        for action in saved["held"]:
            self._advance(action)

    def versions(self) -> dict[str, str]:
        return {
            "emulator": "vizdoom",
            "emulator_version": self.vizdoom.__version__,
            "rom_sha1": self.rom_sha1,
        }

    def close(self) -> None:
        self.at_exit()  # once

    def _stop(self) -> None:
        self.game.close()
        self.scratch.cleanup()

    def _begin(self) -> None:
        # Each round of a continuing game has a seed of its own, or all would be the same.
        self.game.set_seed((self.seed + 7919 * self.rounds) % 2**32)
        self.game.new_episode()
        self._look()

    def _advance(self, action: list[int]) -> float:
        if self.game.is_episode_finished():
            if not self.spec.continuing:
                return 0.0
            self._begin()
        self.held.append(action)
        reward = self.game.make_action(action, self.spec.frame_skip)
        self.score += reward
        self.rounds += self.game.is_episode_finished()
        self._look()
        return reward

    def _look(self) -> None:
        state = self.game.get_state()
        if state is not None:
            self.screen = state.screen_buffer.copy()  # uint8 [120, 160, 3]

    def _crop(self) -> np.ndarray:
        return cropped(self.screen, self.spec)


def environments() -> dict[str, bool]:
    """VizDoom's environments in Gymnasium, and whether the game data they need is here (Doom's own
    is for sale).

    Of environments that differ in their action space alone, the first: buttons are buttons.
    """
    found, told = {}, set()
    for name, kwargs in _registered().items():
        what = json.dumps(
            {key: value for key, value in kwargs.items() if key != "max_buttons_pressed"},
            sort_keys=True,
        )
        # a sound or a text is no picture
        if what not in told and "udio" not in name and "otifications" not in name:
            told.add(what)
            found[name] = all(
                path.is_file() for path in _data_files(kwargs["scenario_config_file"])
            )
    return found


def describe(env: str) -> dict[str, Any]:
    """Values of a GameSpec for a scenario: all its buttons that can be held, 35 steps a second,
    round after round.
    """
    game, _ = _configured(env, "")
    name = re.sub(r"-v\d+$|^Vizdoom", "", env)
    return {
        "title": f"{re.sub(r'(?<=[a-z])(?=[A-Z])', ' ', name)} (VizDoom)",
        "buttons": _buttons(game),
        "fps": float(game.get_ticrate()),
        "frame_skip": 1,
        "continuing": True,  # rounds are short
        "images": "webp",  # three dimensions: no part of a frame comes again
        "events": {"kills": "killcount", "hits_taken": "hits_taken", "rounds": "rounds"},
        "start_states": [START],
        "scripts": [{"policy": "held", "state": START, "share": 1.0}],
    }


def _registered() -> dict[str, dict[str, Any]]:
    """Name in Gymnasium → what it is registered with."""
    import gymnasium
    import vizdoom.gymnasium_wrapper  # noqa: F401 (registers)

    return {
        name: env.kwargs
        for name, env in gymnasium.registry.items()
        if name.startswith("Vizdoom") and "scenario_config_file" in env.kwargs
    }


def _configured(env: str, folder: str) -> tuple[Any, Path]:
    """(the game as its scenario says, not begun; the file with its map).

    Raises UserError for an unknown one.
    """
    import vizdoom

    registered = _registered()
    if env not in registered:
        raise UserError(
            f"vizdoom knows no game {env!r}; correct `env` in games/{folder}/game.yaml."
        )
    kwargs, game = registered[env], vizdoom.DoomGame()
    game.load_config(str(Path(vizdoom.scenarios_path) / kwargs["scenario_config_file"]))
    if "doom_map" in kwargs:
        game.set_doom_map(kwargs["doom_map"])
        game.set_doom_skill(kwargs["doom_skill"])
    files = _data_files(kwargs["scenario_config_file"])
    missing = [path for path in files if not path.is_file()]
    if missing and folder:
        raise UserError(
            f"The game data of {env} is missing: copy your own {missing[0].name} to"
            f" {missing[0].parent}."
        )
    return game, files[-1]


def _data_files(config: str) -> list[Path]:
    """The game data and the map that a scenario's configuration names, the map last."""
    import vizdoom

    text = (Path(vizdoom.scenarios_path) / config).read_text()
    package = Path(vizdoom.__file__).parent
    game = re.findall(r"(?m)^\s*doom_game_path\s*=\s*(\S+)", text) or ["freedoom2.wad"]
    maps = re.findall(r"(?m)^\s*doom_scenario_path\s*=\s*(\S+)", text)
    return [package / game[0], *(Path(vizdoom.scenarios_path) / name for name in maps)]


def _buttons(game: Any) -> list[str]:
    """The names of a game's buttons that can be held."""
    import vizdoom

    return [
        button.name
        for button in game.get_available_buttons()
        if not vizdoom.is_delta_button(button)
    ]
