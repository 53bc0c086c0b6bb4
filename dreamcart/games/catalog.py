"""Finding games by name: a folder of games/, or an environment by the name it has in Gymnasium.

`breakout` is games/breakout/game.yaml; `ALE/Assault-v5`, `Airstriker-Genesis-v0` and
`VizdoomBasic-v1` need no folder: their buttons, keys, start state and rates come from the
environment. A folder is for what needs saying, and may build on another game by `extends`.
"""

import difflib
import importlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from dreamcart.core.errors import UserError, shown
from dreamcart.core.files import fingerprint, read_yaml
from dreamcart.core.paths import ROOT, game_folder, games_folder, inside
from dreamcart.games.keys import key_map
from dreamcart.games.spec import GameSpec

# `dvc exp run --temp` and --queue check out what git knows
IN_EXPERIMENT = ".dvc/tmp/exps" in ROOT.as_posix()


@dataclass(frozen=True)
class Platform:
    """A family of games: a module of this package, and the library behind it.

    The module has `environments() -> {name: is its ROM here}` and `describe(name) -> values of a
    GameSpec, keys aside`.
    """

    backend: str
    title: str
    prefix: str  # of all its environments' names, where there is one
    library: str
    install: str

    def module(self) -> ModuleType | None:
        """None where the library is not installed."""
        return (
            importlib.import_module(f"dreamcart.games.{self.backend}")
            if importlib.util.find_spec(self.library)
            else None
        )

    def environments(self) -> dict[str, bool]:
        """Its games by their names in Gymnasium, and whether their ROMs are here; none without the
        library.
        """
        module = self.module()
        return module.environments() if module else {}


PLATFORMS = {
    "ale": Platform("ale", "Atari 2600", "ALE/", "ale_py", "pip install ale-py"),
    "retro": Platform("retro", "Consoles", "", "stable_retro", "pip install stable-retro"),
    # Without its dependencies: they are here, and its pygame-ce would overwrite pygame.
    "vizdoom": Platform(
        "vizdoom", "Doom", "Vizdoom", "vizdoom", "pip install --no-deps -r requirements-vizdoom.txt"
    ),
}


def game_names() -> list[str]:
    """The games with a folder of their own: those of games/ with a game.yaml."""
    return sorted(path.parent.name for path in games_folder().glob("*/game.yaml"))


def game_files(name: str) -> list[Path]:
    """The yaml files that define a game, its own first, then what it extends; none for an
    environment's name.

    Raises UserError where there is no such game.
    """
    files, environment = _chain(name)
    if environment or not files:
        _platform(environment, files)
    return files


def load_game(name: str) -> GameSpec:
    """Read games/<name>/game.yaml; keys it lacks come from the game or the environment that it
    `extends`.

    Raises:
        UserError: no such game, or a value that is unknown, missing, or of the wrong type or range.
    """
    files, environment = _chain(name)
    values: dict[str, Any] = _describe(environment, files) if environment or not files else {}
    for path in reversed(files):
        values |= {
            key: value
            for key, value in _read(path).items()
            if key not in ("extends", "integration")
        }
    # also where a folder names fewer buttons
    if environment and "keys" not in values and isinstance(values["buttons"], list):
        values["keys"] = key_map(map(str, values["buttons"]))
    spec = GameSpec.from_dict({"name": name} | values, _said(files[0]) if files else name)
    integration_of(name)
    if any(script.policy == "bot" for script in spec.scripts) and game_file(name, "bot.py") is None:
        raise UserError(
            f"games/{name} has no bot.py, which its script 'bot' needs; use 'held' in its"
            " game.yaml."
        )
    return spec


def local_game(spec: GameSpec) -> GameSpec:
    """The game of this checkout that `spec`, which may come from a dataset or a cart, means by its
    name.

    Raises UserError where there is none, or one of that name on another emulator.
    """
    own = load_game(spec.name)
    for name in ("backend", "env"):
        if getattr(own, name) != getattr(spec, name):
            raise UserError(
                f"This dataset or cart says that {spec.name} has {name} {getattr(spec, name)!r},"
                f" and the game of that name here has {getattr(own, name)!r}: it is of another"
                " game, which would have to be in games/."
            )
    return own


def integration_of(name: str) -> Path | None:
    """The folder with the game's own stable-retro integration, in this checkout; None where
    stable-retro has it.

    Raises UserError where game.yaml names a folder outside of the game's.
    """
    for path in game_files(name):
        told = _read(path).get("integration")
        if told:
            try:
                return inside(path.parent, told)
            except UserError as problem:
                raise UserError(f"{_said(path)}: integration: {problem}") from None
    return None


def game_file(name: str, file: str) -> Path | None:
    """A file of a game's folder, or of the game that it extends; None where neither has one.

    Raises UserError where there is no such game.
    """
    return next(
        (path.parent / file for path in game_files(name) if (path.parent / file).is_file()), None
    )


def game_module(name: str, file: str) -> ModuleType | None:
    """The Python file `file` of a game's folder, run as a module;

    None where there is none, see `game_file`.
    """
    source = game_file(name, file)
    if source is None:
        return None
    found = importlib.util.spec_from_file_location(f"{source.stem}_{source.parent.name}", source)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def game_contents(name: str) -> dict[str, str]:
    """The files of a game's folder and of those that it extends → a hash of each; none for an
    environment.

    Left out is what no recording depends on: texts, what is built on the way to the ROM, and
    game.yaml itself, whose values are in the spec (a comment in it changes nothing, nor does a
    key).
    """
    folders = [path.parent for path in game_files(name)]
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    aside = {"__pycache__", "build", "README.md", ".gitignore", "game.yaml"}
    return {_said(path): fingerprint(path) for path in files if not aside & set(path.parts)}


def near_names(name: str, count: int = 3) -> list[str]:
    """The names of games most like `name`: those that contain it, then those spelt alike."""
    known = {
        known: _core(known)
        for known in (*game_names(), *(n for p in PLATFORMS.values() for n in p.environments()))
    }
    core = _core(name)
    held = sorted(
        (n for n, plain in known.items() if len(core) > 2 and core in plain),
        key=lambda n: (len(n), n),
    )
    alike = difflib.get_close_matches(core, known.values(), 4 * count, 0.7)
    spelt = sorted((n for n in known if known[n] in alike), key=lambda n: alike.index(known[n]))
    return list(dict.fromkeys([*held, *spelt]))[:count]


def _core(name: str) -> str:
    """A name without what people forget: platform, version, signs, capitals."""
    name = name.lower().removeprefix("ale/").removeprefix("vizdoom").replace("noframeskip", "")
    return "".join(filter(str.isalnum, re.sub(r"-v\d+$", "", name)))


def _chain(name: str) -> tuple[list[Path], str]:
    """(yaml files, the environment at their end): each file extends the next; "" where the last
    stands alone.
    """
    files: list[Path] = []
    while name:
        path = game_folder(name) / "game.yaml"
        if path in files:
            raise UserError(
                f"{_said(path)} extends itself; name another game, or leave `extends` out."
            )
        if not path.is_file():
            return files, name
        files.append(path)
        name = _read(path).get("extends", "")
    return files, ""


def _said(path: Path) -> str:
    """A file of games/ as messages name it."""
    return f"games/{path.relative_to(games_folder()).as_posix()}"


def _read(path: Path) -> dict[str, Any]:
    """A game.yaml.

    Raises UserError where it is no mapping with texts as names, or names what it extends by no
    text.
    """
    values = read_yaml(path, f"{path} is missing.")
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UserError(
            f"{_said(path)} must be a mapping of settings; see games/breakout/game.yaml for one."
        )
    for key in ("extends", "integration"):
        if not isinstance(values.get(key, ""), str):
            raise UserError(f"{_said(path)}: {key} is {shown(values[key])}; it must be a text.")
    return values


def _platform(environment: str, files: list[Path]) -> Platform:
    """The platform that has this environment. Raises UserError where none has."""
    for platform in PLATFORMS.values():
        if environment.startswith(platform.prefix) and environment in platform.environments():
            return platform
    for platform in PLATFORMS.values():
        if platform.prefix and environment.startswith(platform.prefix) and not platform.module():
            raise UserError(
                f"{environment} needs {platform.library}, which is not installed; run"
                f" `{platform.install}`."
            )
    where = (
        f"games/{files[-1].parent.name}/game.yaml extends {environment!r}, and there"
        if files
        else "There"
    )
    near = ", ".join(near_names(environment))
    hint = (
        " A new folder in games/ is in an experiment's own checkout only after `git add"
        " games/NAME`." * IN_EXPERIMENT
    )
    raise UserError(
        f"{where} is no game {environment!r}{f' (near: {near})' if near else ''}; "
        f"`python stages/record.py games NAME` searches all that can be played here.{hint}"
    )


def _describe(environment: str, files: list[Path]) -> dict[str, Any]:
    """What the environment says of itself, as values of a GameSpec."""
    platform = _platform(environment, files)
    return {"backend": platform.backend, "env": environment} | platform.module().describe(
        environment
    )
