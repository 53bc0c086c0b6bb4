"""stable-retro (NES, Mega Drive, …) behind the Emulator seam."""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from dreamcart.core.errors import UserError, shown
from dreamcart.core.paths import ROOT
from dreamcart.games.catalog import integration_of
from dreamcart.games.emulator import cropped
from dreamcart.games.retro_names import array_groups, seed_count
from dreamcart.games.spec import GameSpec

POWER_ON = "PowerOn"
# Buttons of no use in play: MODE changes what a Genesis pad is, RESET ends the game, C-MODE is the
# N64 pad's shift.
LEFT_OUT = {"MODE", "RESET", "C-MODE", "L3", "R3"}


class RetroEmulator:
    """A stable-retro game, stepped `frame_skip` frames at a time with buttons by name."""

    def __init__(self, spec: GameSpec) -> None:
        stable_retro = library()
        self.spec = spec
        kind, folder = stable_retro.data.Integrations.STABLE, integration_of(spec.name)
        if folder:
            kind = stable_retro.data.Integrations.CUSTOM_ONLY
            kind.clear_custom_paths()
            kind.add_custom_path(str(folder))
        self.inttype = kind
        self.rom_sha1 = _check_rom(spec, stable_retro, kind, folder)
        try:
            self.env = stable_retro.make(
                spec.env,
                state=stable_retro.State.NONE,
                inttype=kind,
                use_restricted_actions=stable_retro.Actions.ALL,
                render_mode="rgb_array",
            )
        except RuntimeError as problem:  # "Cannot create multiple emulator instances per process"
            raise UserError(
                f"Cannot start {spec.env}: {problem}; close the other emulator of this program"
                " first."
            ) from None
        names = [name or "" for name in self.env.buttons]
        missing = [name for name in spec.buttons if name not in names]
        if missing:
            has = ", ".join(filter(None, names))
            raise UserError(
                f"games/{spec.name}/game.yaml names a button {missing[0]!r} that {spec.env} lacks;"
                f" it has {has}."
            )
        self.order = [names.index(name) for name in spec.buttons]
        names = list(self.env.data.lookup_all())
        self.arrays = array_groups(names)
        members = {member for group in self.arrays.values() for member in group}
        self.scalars = [name for name in names if name not in members]
        self.blocks = self._find_blocks(stable_retro)
        self.seeds = seed_count(spec, self.env.data)
        self.version = stable_retro.__version__.strip()  # a line end comes with it
        self.switched_on = self.env.em.get_state()
        self.frame = np.zeros(0, np.uint8)

    def reset(self, state: str, seed: int) -> np.ndarray:
        """Load the start state named `state` and, where the game has one, poke its random seed.

        `PowerOn` is the console just switched on, for games that come without saved states.
        """
        import stable_retro

        # a file's name is made of it, and recordings name states too
        if not re.fullmatch(r"\w[\w.-]*", state, re.ASCII):
            raise UserError(
                f"{shown(state)} cannot name a start state of {self.spec.env}: letters, digits and"
                " . _ - only."
            )
        try:
            if state == POWER_ON:
                self.env.initial_state = self.switched_on
            else:
                self.env.load_state(state, self.inttype)
        except (OSError, TypeError):
            known = ", ".join(
                [*sorted(stable_retro.data.list_states(self.spec.env, self.inttype)), POWER_ON]
            )
            raise UserError(
                f"{self.spec.env} has no start state {state!r}; it has {known}."
            ) from None
        self.env.reset()
        if self.spec.seed_variable:
            self.env.data.set_value(self.spec.seed_variable, 1 + seed % self.seeds)
        self.frame = cropped(self.env.get_screen(), self.spec)
        return self.frame

    def step(self, action: Iterable[int]) -> tuple[np.ndarray, float, bool, bool]:
        """Hold `action` for `frame_skip` frames; picture, variables, reward and end are read after
        the last of them.

        Rewards are changes of variables, so one reading a step sums those of its frames.
        """
        if self.spec.restarts and self.env.data.is_done():
            self.env.reset()
        # RetroEnv.step would copy screen and variables every frame, which costs as much as
        # emulating it.
        self.env.em.set_button_mask(self.lines(action), 0)
        for _ in range(self.spec.frame_skip):
            self.env.em.step()
        self.env.data.update_ram()
        reward, done = float(self.env.data.current_reward()), bool(self.env.data.is_done())
        self.frame = cropped(self.env.get_screen(), self.spec)
        return self.frame, reward, done and not (self.spec.continuing or self.spec.restarts), False

    def lines(self, action: Iterable[int]) -> np.ndarray:
        """A multi-hot action in the spec's order → the pad's lines in the console's order, uint8
        [its buttons].
        """
        lines = np.zeros(len(self.env.buttons), np.uint8)
        for place, pressed in zip(self.order, action, strict=True):
            lines[place] = pressed
        return lines

    def variables(self) -> dict[str, Any]:
        """RAM variables as ints, numbered ones gathered into uint8 arrays."""
        data = self.env.data
        values = {name: data.lookup_value(name) for name in self.scalars}
        memory = data.memory.blocks if self.blocks else {}
        for name, members in self.arrays.items():
            if name in self.blocks:
                start, offset = self.blocks[name]
                values[name] = np.frombuffer(memory[start], np.uint8, len(members), offset)
            else:
                values[name] = np.array([data.lookup_value(member) for member in members], np.uint8)
        return values

    def _find_blocks(self, stable_retro: Any) -> dict[str, tuple[int, int]]:
        """Arrays that lie in memory as they are: {name: (start of the memory block, offset in it)}.

        Reading one as a whole costs a tenth of looking its members up by name.
        """
        if "overlay" in stable_retro.get_system_info(self.env.system):
            return {}  # the console's words are stored with their bytes swapped
        info = json.loads(
            Path(
                stable_retro.data.get_file_path(self.spec.env, "data.json", self.inttype)
            ).read_text()
        )["info"]
        blocks = {}
        for name, members in self.arrays.items():
            first = info[members[0]]["address"]
            wanted = [{"address": first + place, "type": "|u1"} for place in range(len(members))]
            for start, block in self.env.data.memory.blocks.items():
                if (
                    start <= first
                    and first + len(members) <= start + len(block)
                    and [info[m] for m in members] == wanted
                ):
                    blocks[name] = (start, first - start)
        return blocks

    def save(self) -> bytes:
        return self.env.em.get_state()

    def restore(self, state: bytes) -> None:
        # The core draws only when it runs: the picture is current after the next step.
        self.env.em.set_state(state)
        self.env.data.update_ram()

    def versions(self) -> dict[str, str]:
        return {
            "emulator": "stable-retro",
            "emulator_version": self.version,
            "rom_sha1": self.rom_sha1,
        }

    def close(self) -> None:
        self.env.close()


def _check_rom(spec: GameSpec, stable_retro: Any, kind: Any, integration: Path | None) -> str:
    """The SHA-1 of the game's ROM as stable-retro counts it.

    Raises UserError where it is missing or another.
    """
    try:
        path = Path(stable_retro.data.get_romfile_path(spec.env, kind))
    except FileNotFoundError:
        known = stable_retro.data.list_games(kind)
        if spec.env not in known and not (integration and (integration / spec.env).is_dir()):
            raise UserError(
                f"stable-retro knows no game {spec.env!r}; correct `env` in"
                f" games/{spec.name}/game.yaml."
            ) from None
        if integration and (integration / "src").is_dir():  # Dreamcart's own, built from that
            how = f"restore it with `git checkout {integration.relative_to(ROOT)}`"
        else:
            how = "import your own copy with `python stages/record.py import FOLDER`"
        raise UserError(f"The ROM of {spec.title} is missing: {how}.") from None
    found, wanted = _rom_hashes(path)
    if not set(found) & wanted:
        raise UserError(
            f"{path.name} of {spec.title} is not the ROM that the integration was made for: its"
            f" SHA-1 is {found[0]}, wanted {sorted(wanted)[0]}; put the right file in its place."
        )
    return sorted(set(found) & wanted)[0]


def _rom_hashes(path: Path) -> tuple[list[str], set[str]]:
    """SHA-1 of a ROM, whole and without a 16-byte iNES header (stable-retro's), and those that its
    integration accepts.
    """
    content = path.read_bytes()
    found = [hashlib.sha1(content).hexdigest(), hashlib.sha1(content[16:]).hexdigest()]
    hash_file = path.parent / "rom.sha"
    return found, set(hash_file.read_text().split() if hash_file.is_file() else found)


def environments() -> dict[str, bool]:
    """stable-retro's games by name, and whether their ROMs have been imported (and are the right
    ones).
    """
    data = library().data
    return {name: has_rom(name) for name in data.list_games(data.Integrations.STABLE)}


def has_rom(env: str, folder: Path | None = None) -> bool:
    """Is the right ROM of `env` here: in stable-retro itself, or in an integration of our own at
    `folder`?
    """
    data = library().data
    folder = (folder or Path(data.path()) / "stable") / env
    held = os.listdir(folder) if folder.is_dir() else []
    roms = [
        folder / f"rom{extension}" for extension in data.EMU_EXTENSIONS if f"rom{extension}" in held
    ]
    return any(set(found) & wanted for found, wanted in map(_rom_hashes, roms))


def describe(env: str) -> dict[str, Any]:
    """Values of a GameSpec for a game that stable-retro knows, ROM or not: its pad, its default
    state, its variables.
    """
    stable_retro = library()
    folder = Path(stable_retro.data.path()) / "stable" / env
    name, console = env.rpartition("-v")[0].rsplit("-", 1)
    metadata = json.loads((folder / "metadata.json").read_text())
    system = metadata.get("system") or console
    pad = stable_retro.get_system_info(system)["buttons"]
    variables = json.loads((folder / "data.json").read_text())["info"]
    states = stable_retro.data.list_states(env, stable_retro.data.Integrations.STABLE)
    state = metadata.get("default_state") or (states or [POWER_ON])[0]
    return {
        "title": f"{re.sub(r'(?<=[a-z])(?=[A-Z0-9])', ' ', name)} ({console})",
        "buttons": [button for button in pad if button and button not in LEFT_OUT],
        "fps": 60.0,
        "frame_skip": 2,
        "restarts": True,  # or an episode would be as short as a novice's game
        "events": {"points": "score"} if "score" in variables else {},
        "start_states": [state],
        # START pauses most games: seldom, or half of what is recorded stands still.
        "scripts": [
            {"policy": "play", "state": state, "share": 0.9},
            {"policy": "held", "state": state, "share": 0.1},
        ],
    }


def library() -> Any:
    """stable_retro, imported without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import stable_retro
    return stable_retro
