"""What can be played here: the games of games/, and every environment of the installed libraries.

python stages/record.py games              all that is ready, by platform
python stages/record.py games zelda        every known game of such a name, its ROM here or not
"""

import argparse
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path

from dreamcart.core.arguments import text
from dreamcart.core.errors import UserError
from dreamcart.core.tables import print_table
from dreamcart.games.catalog import PLATFORMS, game_names, integration_of, load_game, near_names
from dreamcart.games.retro import has_rom

MOST = 110  # names printed of one platform: all of Atari's; Doom's maps by skill are hundreds


@dataclass(frozen=True)
class Listed:
    """One game: `name` is what `game` in params.yaml takes."""

    name: str
    platform: str
    title: str
    ready: bool
    folder: bool
    problem: str = ""  # why it cannot be looked at

    @property
    def state(self) -> str:
        return "ready" if self.ready else "ROM missing" if self.title else "not installed"


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of `games`."""
    words = "search: a part of the name, capitals aside"
    parser.add_argument("name", type=text, nargs="?", help=words)


def run(args: argparse.Namespace) -> None:
    """Print the list. Raises UserError where a search finds nothing."""
    listed = all_games()
    if args.name:
        wanted = _plain(args.name)
        found = [
            game for game in listed if wanted in _plain(game.name) or wanted in _plain(game.title)
        ]
        if not found:
            near = ", ".join(near_names(args.name))
            raise UserError(
                f"No game has {args.name!r} in its name{f' (near: {near})' if near else ''}."
            )
        found.sort(key=lambda game: not game.ready)  # what can be played first, else as they come
        _print_games(f"Games with {args.name!r} in their names", found[:MOST])
        if len(found) > MOST:
            print(f"and {len(found) - MOST} more")
        _say_what_to_do(found)
        return
    _print_games("Games with a folder in games/", [game for game in listed if game.folder])
    for backend, platform in PLATFORMS.items():
        games = [game for game in listed if game.platform == backend and not game.folder]
        ready = [game.name for game in games if game.ready]
        if platform.module() is None:
            print(
                f"\n{platform.title} ({platform.library}): not installed; run `{platform.install}`"
            )
            continue
        print(
            f"\n{platform.title} ({platform.library}): {len(ready)} ready,"
            f" {len(games) - len(ready)} without a ROM"
        )
        more = f" and {len(ready) - MOST} more" if len(ready) > MOST else ""
        width = shutil.get_terminal_size().columns
        print(
            textwrap.fill(
                "  ".join(ready[:MOST]) + more,
                width,
                initial_indent="  ",
                subsequent_indent="  ",
                break_on_hyphens=False,
            )
        )
    print(
        "\nAny of these names is a `game`: dvc exp run -S game=NAME, python stages/play.py --real"
        " --game NAME."
    )
    print(
        "Search with: python stages/record.py games PART. Import ROMs you own with: python"
        " stages/record.py import FOLDER"
    )


def all_games() -> list[Listed]:
    """The games of games/, then every environment, by platform."""
    environments = {backend: platform.environments() for backend, platform in PLATFORMS.items()}
    here = {name: ready for games in environments.values() for name, ready in games.items()}
    listed = []
    for name in game_names():
        try:
            spec = load_game(name)
        except UserError as problem:  # it extends a game of a library that is not installed
            listed.append(Listed(name, "", "", False, True, str(problem)))
            continue
        folder = integration_of(name)
        ready = _own_rom(spec.env, folder) if folder else here.get(spec.env, False)
        listed.append(Listed(name, spec.backend, spec.title, ready, True))
    for backend, games in environments.items():
        listed += [Listed(name, backend, name, ready, False) for name, ready in games.items()]
    return listed


def _own_rom(env: str, integration: Path) -> bool:
    """The ROM of a game with an integration of its own."""
    return PLATFORMS["retro"].module() is not None and has_rom(env, integration)


def _say_what_to_do(found: list[Listed]) -> None:
    """How to come by what is not ready."""
    for problem in dict.fromkeys(game.problem for game in found if game.problem):
        print(problem)
    if any(game.state == "ROM missing" for game in found):
        print("Import ROMs you own with: python stages/record.py import FOLDER")


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _print_games(title: str, games: list[Listed]) -> None:
    rows = [
        [game.name, PLATFORMS[game.platform].title if game.platform else "", game.state]
        for game in games
    ]
    print_table(title, ["game", "platform", "state"], rows)
