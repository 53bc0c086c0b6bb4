"""The Arcade Learning Environment (Atari 2600) behind the Emulator seam; ale-py brings its ROMs
along.
"""

import difflib
import hashlib
import re
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from dreamcart.core.errors import UserError
from dreamcart.games.emulator import cropped
from dreamcart.games.spec import GameSpec

JOYSTICK = ("FIRE", "UP", "RIGHT", "LEFT", "DOWN")
START = "Start"
# An Atari game is the same after every reset: the seed says how many frames without a button tell
# starts apart. Two at least, since Pong draws its first two in other colours.
IDLE_FRAMES = range(2, 31)
OWN_VARIABLES = ("lives", "lives_lost", "score")


class AleEmulator:
    """An Atari game, stepped `frame_skip` frames at a time with joystick buttons by name.

    Nothing is random (no sticky actions), and frames are what the screen shows (no pooling over
    frames).
    """

    def __init__(self, spec: GameSpec) -> None:
        import ale_py

        missing = [name for name in spec.buttons if name not in JOYSTICK]
        if missing:
            has = ", ".join(JOYSTICK)
            raise UserError(
                f"games/{spec.name}/game.yaml names a button {missing[0]!r} that an Atari lacks; it"
                f" has {has}."
            )
        taken = [name for name in spec.ram if name in OWN_VARIABLES]
        if taken:
            raise UserError(
                f"games/{spec.name}/game.yaml gives `ram` a name {taken[0]!r} that is Dreamcart's"
                " own; choose another."
            )
        self.spec = spec
        self.ale_py = ale_py
        rom = _find_rom(spec.env, ale_py, spec.name)
        self.rom_sha1 = hashlib.sha1(rom.read_bytes()).hexdigest()
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self.ale = ale_py.ALEInterface()
        self.ale.setInt("random_seed", 0)
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.loadROM(rom)
        self.switched_on = self.ale.cloneState(include_rng=True)
        self._begin()
        self.lives_at_start = self.ale.lives()

    def reset(self, state: str, seed: int) -> np.ndarray:
        """Start the game anew and let 2 to 30 frames pass, by `seed`. The only state is `Start`."""
        if state != START:
            raise UserError(
                f"{self.spec.title} has no start state {state!r}; Atari games have {START!r} only."
            )
        self._begin()
        for _ in range(IDLE_FRAMES[seed % len(IDLE_FRAMES)]):
            self.ale.act(self.ale_py.Action.NOOP)
        self.screen = self.ale.getScreenRGB()
        return self._crop()

    def step(self, action: Iterable[int]) -> tuple[np.ndarray, float, bool, bool]:
        """Hold `action` for `frame_skip` frames; the picture is that of the last, the reward the
        sum of all.

        A game that is over stands still, or starts anew at the next step where the spec says
        `continuing`.
        """
        stick = self._stick(
            {name for name, held in zip(self.spec.buttons, action, strict=True) if held}
        )
        if self.ale.game_over() and self.spec.continuing:
            self._begin()
        # ALE would not draw; after `restore` its screen may be that of another time
        if self.ale.game_over():
            return self._crop(), 0.0, True, False
        reward = sum(self.ale.act(stick) for _ in range(self.spec.frame_skip))
        self.score += reward
        self.screen = self.ale.getScreenRGB()
        return self._crop(), float(reward), self.ale.game_over() and not self.spec.continuing, False

    def variables(self) -> dict[str, Any]:
        """The RAM bytes that game.yaml names, `lives` and `lives_lost` (0 in games without), and
        `score`.

        `score` is the sum of all rewards since the game began.
        """
        ram, lives = self.ale.getRAM(), self.ale.lives()
        named = {name: int(ram[address]) for name, address in self.spec.ram.items()}
        return named | {
            "lives": lives,
            "lives_lost": self.lives_at_start - lives,
            "score": self.score,
        }

    def save(self) -> bytes:
        # ALE's state has neither our score nor the picture.
        state = self.ale.cloneState(include_rng=True).serialize()
        return struct.pack("<q", self.score) + self.screen.tobytes() + state

    def restore(self, state: bytes) -> None:
        (self.score,) = struct.unpack_from("<q", state)
        pixels = np.frombuffer(state, np.uint8, self.screen.size, offset=8)
        self.screen = pixels.reshape(self.screen.shape).copy()
        self.ale.restoreState(self.ale_py.ALEState(state[8 + pixels.size :]))

    def versions(self) -> dict[str, str]:
        return {
            "emulator": "ale-py",
            "emulator_version": self.ale_py.__version__,
            "rom_sha1": self.rom_sha1,
        }

    def close(self) -> None:
        del self.ale

    def _begin(self) -> None:
        # a reset alone leaves some games (Assault, Seaquest) with parts of the last one
        self.ale.restoreState(self.switched_on)
        self.ale.reset_game()
        self.score = 0
        self.screen = self.ale.getScreenRGB()  # uint8 [210, 160, 3]

    def _stick(self, pressed: set[str]) -> Any:
        """Buttons → one of ALE's 18 actions, such as UPLEFTFIRE; opposite directions cancel."""
        vertical = pressed & {"UP", "DOWN"}
        horizontal = pressed & {"RIGHT", "LEFT"}
        directions = [
            *(vertical if len(vertical) == 1 else ()),
            *(horizontal if len(horizontal) == 1 else ()),
        ]
        name = "".join([*directions, *(pressed & {"FIRE"})])
        return self.ale_py.Action.__members__[name or "NOOP"]

    def _crop(self) -> np.ndarray:
        return cropped(self.screen, self.spec)


def environments() -> dict[str, bool]:
    """Atari games by their names in Gymnasium, and whether ale-py has their ROMs."""
    return {name: _has_rom(rom) for name, rom in _rom_ids().items()}


def describe(env: str) -> dict[str, Any]:
    """Values of a GameSpec for an Atari game without a folder: the buttons are those of its minimal
    action set.
    """
    import ale_py

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.loadROM(_find_rom(env, ale_py))
    used = set().union(*(buttons_of(action.name) for action in ale.getMinimalActionSet()))
    name = env.removeprefix("ALE/").removesuffix("-v5")
    return {
        "title": re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", name),
        "buttons": [button for button in JOYSTICK if button in used],
        "fps": 60.0,
        "frame_skip": 2,
        "continuing": True,  # many a game is over in less than an episode
        "events": {"points": "score", "lives_lost": "lives_lost"},
        "start_states": [START],
        "scripts": [{"policy": "held", "state": START, "share": 1.0}],
    }


def buttons_of(action: str) -> set[str]:
    """The buttons of one of ALE's actions by its name: UPLEFTFIRE → {UP, LEFT, FIRE}, NOOP → {}."""
    return set(re.findall("|".join(JOYSTICK), action))


def _rom_ids() -> dict[str, str]:
    """Name in Gymnasium → name of the ROM. Games for two people only are in neither."""
    import ale_py
    import gymnasium

    gymnasium.register_envs(ale_py)
    return {
        name: env.kwargs["game"]
        for name, env in gymnasium.registry.items()
        if re.fullmatch(r"ALE/\w+-v5", name) and "game" in env.kwargs
    }


def _has_rom(rom: str) -> bool:
    from ale_py import roms

    try:
        return bool(roms.get_rom_path(rom))
    except OSError:  # no file, or another content than ale-py expects
        return False


def _find_rom(env: str, ale_py: Any, folder: str = "") -> Path:
    """The ROM file of `env`.

    Raises UserError where ale-py knows no such game or its file is damaged.
    """
    from ale_py import roms

    known = _rom_ids()
    if env not in known:
        near = difflib.get_close_matches(env, known, 1, 0.0)[0]
        raise UserError(
            f"ale-py knows no game {env!r}; correct `env` in games/{folder}/game.yaml (the nearest"
            f" name is {near})."
        )
    if not _has_rom(known[env]):
        raise UserError(
            f"The ROM of {env} is missing or damaged; install ale-py again with "
            f"`pip install --force-reinstall --no-deps ale-py=={ale_py.__version__}`."
        )
    return Path(roms.get_rom_path(known[env]))
