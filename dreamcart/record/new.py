"""A game of one ROM file: `record.py new my.nes` writes games/<name> and finds a start state.

The ROM is only read here, and run in the emulator by a process of its own, so that one that
crashes its core is a sentence. Nothing is written before the search is over.
"""

import argparse
import gzip
import importlib.util
import json
import os
import re
import tempfile
import unicodedata
from pathlib import Path

import yaml
from tqdm import tqdm

from dreamcart.core import arguments
from dreamcart.core.errors import UserError, shown
from dreamcart.core.files import write_json, write_text, writing
from dreamcart.core.paths import Paths, game_folder, game_name
from dreamcart.core.tables import print_table
from dreamcart.data.scripts import FROM_POWER_ON, WITHOUT_BOT, built_in
from dreamcart.data.whole import making
from dreamcart.evaluation.pictures import save_png
from dreamcart.games.catalog import PLATFORMS
from dreamcart.games.keys import key_map
from dreamcart.games.retro import POWER_ON, library
from dreamcart.games.spec import GameSpec
from dreamcart.record import seed_address
from dreamcart.record.apart import CrashError, HangError, run_apart
from dreamcart.record.explore import Found, explore
from dreamcart.record.machine import FRAME_SKIP
from dreamcart.record.rom_files import Rom, read_rom
from dreamcart.record.seed_address import SeedAddress
from dreamcart.record.way_picture import draw_way

STATE = "Play"
BRACKETS = re.compile(r"[(\[].*?[)\]]")  # (USA), [!]: what collectors write behind a title
LONGEST_NAME = 40  # characters of a name made of a file's


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of `new`."""
    words = "a ROM (.nes .md .gen .gb .gbc .gba .sfc .sms .gg .pce .a26), or a zip with one in it"
    parser.add_argument("rom", type=arguments.existing, metavar="ROM", help=words)
    words = "folder in games/ (default: made of the file's name)"
    parser.add_argument("--name", type=arguments.game, help=words)
    words = "start states to look for beside the best one"
    count = arguments.whole(0, 50)
    parser.add_argument("--start", type=count, default=0, metavar="N", help=words)
    seconds = arguments.number(1, 3600)
    words = "for the search"
    parser.add_argument("--seconds", type=seconds, default=60.0, metavar="S", help=words)
    seed = arguments.whole(*arguments.SEED)
    words = "another one searches in another order"
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help=words)
    seed_address.add(parser)


def run(args: argparse.Namespace) -> None:
    """Make the game and print what was found.

    Raises UserError for a name that is taken, a ROM that is none, damaged or dead, and an address
    that is none of its RAM.
    """
    place = seed_address.of(args)
    name = _free_name(args.name or _name_of(args.rom))
    rom = read_rom(args.rom)
    check_core(rom)
    for note in rom.notes:
        print(f"{note}.")
    env = f"{_camel(name)}-{rom.console.system}-v0"
    found = search_apart(rom, env, args.seconds, args.seed, 1 + args.start, place)
    write_game(name, env, _title_of(args.rom), rom, found, place)
    _report(name, found, 1 + args.start, place)


def search_apart(
    rom: Rom, env: str, seconds: float, seed: int, count: int, place: SeedAddress | None = None
) -> Found:
    """Search a ROM for `count` start states, in a process of its own.

    Raises UserError where it never shows anything, crashes its core, or makes it hang.
    """
    with (
        tempfile.TemporaryDirectory() as scratch,
        tqdm(
            total=round(seconds), unit="s", desc="search", bar_format="{l_bar}{bar}| {postfix}"
        ) as bar,
    ):
        _write_integration(Path(scratch) / env, rom, None, place)

        def told(report: tuple[float, str] | None) -> None:
            if report:
                bar.n = min(round(report[0]), bar.total)
                bar.set_postfix_str(report[1])

        try:
            return run_apart(explore, (Path(scratch), env, seconds, seed, count), told)
        except CrashError as problem:
            raise UserError(
                f"This ROM crashes its emulator ({problem}) after {bar.n} seconds of play: it is"
                " damaged, or needs a cartridge that the core does not know; get another copy."
            ) from None
        except HangError:
            raise UserError(
                f"This ROM makes its emulator hang after {bar.n} seconds of play: it is damaged, or"
                " needs a cartridge that the core does not know; get another copy."
            ) from None


def write_game(
    name: str, env: str, title: str, rom: Rom, found: Found, place: SeedAddress | None = None
) -> None:
    """Write games/<name>, all of it or nothing, and the filmstrip of the search.

    Raises UserError where the folder is there by now.
    """
    text = _game_yaml(env, title, rom, found, place)
    GameSpec.from_dict({"name": name} | _spec_values(text), "The new game.yaml")
    with making(game_folder(name)) as folder:
        _write_integration(folder / env, rom, found, place)
        write_text(folder / ".gitignore", f"{env}/rom{rom.console.ending}\n")
        write_text(folder / "game.yaml", text)
        save_png(draw_way(found.way, found.answers), Paths(name).plots / "new.png")


def _write_integration(
    folder: Path, rom: Rom, found: Found | None, place: SeedAddress | None = None
) -> None:
    """Write what stable-retro wants of a game: ROM, hash, variables, scenario, states."""
    with writing(folder / f"rom{rom.console.ending}") as temporary:
        temporary.write_bytes(rom.content)
    write_text(folder / "rom.sha", f"{rom.sha1}\n")
    info = {seed_address.VARIABLE: place.variable(rom.console.system)} if place else {}
    write_json(folder / "data.json", {"info": info})
    write_json(folder / "scenario.json", {"done": {"variables": {}}, "reward": {"variables": {}}})
    states = _states(found) if found else {}
    write_json(folder / "metadata.json", {"default_state": next(iter(states))} if states else {})
    for name, content in states.items():
        with writing(folder / f"{name}.state") as temporary:
            temporary.write_bytes(gzip.compress(content, mtime=0))


def _states(found: Found) -> dict[str, bytes]:
    """Start states by name: Play, Play2, Play3, …"""
    return {
        STATE if number == 1 else f"{STATE}{number}": start.state
        for number, start in enumerate(found.starts, 1)
    }


def _game_yaml(
    env: str, title: str, rom: Rom, found: Found, place: SeedAddress | None = None
) -> str:
    states = [*_states(found)] or [POWER_ON]
    scripts = "\n".join(
        f"  - {{policy: {script.policy}, state: {script.state}, share: {script.share:g}}}"
        for script in built_in(states, WITHOUT_BOT if found.starts else FROM_POWER_ON)
    )
    crop = f"# Borders of one colour that never changed: pixels off top, bottom, left and right.\n\
crop: {found.crop}\n"
    seed = f"# Where an episode's own seed is written as it begins: {place}, see data.json.\n\
seed_variable: {seed_address.VARIABLE}\n"
    return f"""\
# Made by `python stages/record.py new`. rom.sha is the hash of the ROM as stable-retro counts it:
# {_hash_rule(rom)}. git ignores the ROM; delete .gitignore if it is yours to publish.
title: {json.dumps(title)}
backend: retro
env: {env}
integration: .
buttons: {_flow(found.buttons)}
keys: {_flow(key_map(found.buttons))}
fps: {found.rate}
frame_skip: {FRAME_SKIP}
{crop if any(found.crop) else ""}\
{seed if place else ""}\
start_states: {_flow(states)}
# Random holds; `lean` holds one button for seconds, `held` and `menu` press START too, `explore`
# looks for places that are seldom seen and plays its way there.
scripts:
{scripts}
"""


def _hash_rule(rom: Rom) -> str:
    nes = rom.console.system == "Nes"
    return "SHA-1 without the 16 bytes of its header" if nes else "SHA-1 of the whole file"


def _flow(value: object) -> str:
    """YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6).strip()


def _spec_values(text: str) -> dict:
    values = yaml.safe_load(text)
    return {key: value for key, value in values.items() if key != "integration"}


def _free_name(name: str) -> str:
    """Return a name that no game has. Raises UserError for another."""
    game_name(name)
    if "/" in name:
        raise UserError(f"{shown(name)} names a folder in a folder; choose a name without a slash.")
    if os.path.lexists(game_folder(name)):
        raise UserError(f"There is a game {shown(name)} in games/; choose another with --name.")
    return name


def _words_of(path: Path) -> str:
    """What a file's name says of the game, in ASCII."""
    text = unicodedata.normalize("NFKD", BRACKETS.sub(" ", path.stem))
    return text.encode("ascii", "ignore").decode()


def _name_of(path: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", _words_of(path).lower()).strip("_")[:LONGEST_NAME]
    if not name:
        raise UserError(f"No name can be made of {shown(path.name)}; choose one with --name.")
    return name


def _title_of(path: Path) -> str:
    words = re.sub(r"[^\w'!.,&-]|_", " ", _words_of(path))
    return " ".join(words.split())[:100] or "Untitled"


def _camel(name: str) -> str:
    parts = re.split(r"[^A-Za-z0-9]+", name)
    return "".join(part[:1].upper() + part[1:] for part in parts) or "Game"


def check_core(rom: Rom) -> None:
    """Raise UserError where stable-retro, or its core for the console, is not here."""
    platform = PLATFORMS["retro"]
    if importlib.util.find_spec(platform.library) is None:
        raise UserError(
            f"{rom.console.title} games need {platform.library}, which is not installed; run"
            f" `{platform.install}`."
        )
    retro = library()
    core = retro.data.EMU_CORES.get(rom.console.system)
    if core is None or not (Path(retro.core_path()) / core).is_file():
        raise UserError(
            f"stable-retro has no emulator for the {rom.console.title} here; install it anew with"
            " `pip install --force-reinstall stable-retro`."
        )


def _report(name: str, found: Found, wanted: int, place: SeedAddress | None) -> None:
    """Print what was found, what was not, and what to do next."""
    height, width = found.size
    rows = [
        [state, f"{start.steps / 30:.1f}", *map(" ".join, (start.acts, start.late)), start.worth]
        for state, start in zip(_states(found), found.starts, strict=True)
    ]
    print_table(
        f"games/{name}: {height} x {width}, {found.rate:g} frames a second; searched"
        f" {found.seconds:.0f} s, {found.frames} frames",
        ["start state", "seconds from power-on", "act within two steps", "later", "worth"],
        rows,
    )
    print(f"The way there:        plots/{name}/new.png")
    by_hand = f"Play on in `python stages/record.py play {name}` and press F5 in a better place"
    if not found.starts:
        print(
            "No state was found in which a button does something at once: the game begins at"
            f" power-on. {by_hand}, then let its scripts name that state. Or delete games/{name}"
            " and search longer, with --seconds 300 or another --seed."
        )
    elif len(found.starts[0].acts) < 2:
        print(f"Only one button acts there, which may be a menu. {by_hand}.")
    if found.starts and len(found.starts) < wanted:
        print(f"Of {wanted} start states {len(found.starts)} were found that look different.")
    if found.starts and found.idle:
        print(
            f"Not seen to act:      {', '.join(found.idle)}; if the game does not use them, take"
            f" them out of buttons and keys in games/{name}/game.yaml."
        )
    if place and found.seeded is False:
        print(
            f"Another seed ({place}) changed nothing in {seed_address.SECONDS} seconds of play: see"
            " whether it is the right place."
        )
    print(f"To learn it:          dvc exp run -S game={name}")
