"""Start states saved by hand: F5 in the window of `record.py play`, or Shift+F5 with a name."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import yaml

from dreamcart.core.errors import UserError, shown
from dreamcart.core.files import read_text, write_text, writing
from dreamcart.core.paths import below
from dreamcart.games.catalog import game_files, integration_of
from dreamcart.games.emulator import Emulator
from dreamcart.games.retro import POWER_ON
from dreamcart.games.spec import GameSpec

STEM = "Saved"
# What a name may be: emulators make a file's name of it.
NAME = re.compile(r"\w[\w-]{0,39}", re.ASCII)
FLOW = re.compile(r"^(start_states:[ ]*\[)([^\]\n]*)(\][ ]*(?:#.*)?)$", re.MULTILINE)


def save_start_state(spec: GameSpec, emulator: Emulator, name: str = "") -> str:
    """Save the emulator's state as a start state of `spec`; it stands in game.yaml at once.

    Returns its name, by default Saved1, Saved2, … Recordings begin in it where a script in
    game.yaml names it. Raises UserError where the game has no folder with an integration of its
    own, its game.yaml cannot be added to, or the name is taken or none.
    """
    folder = integration_of(spec.name) if spec.backend == "retro" else None
    if folder is None:
        raise UserError(
            f"{spec.title} has no integration in games/ to save a start state in; `record.py new`"
            " makes one."
        )
    known = {path.stem for path in below(folder, spec.env).glob("*.state")}
    if name and not NAME.fullmatch(name):
        raise UserError(
            f"{shown(name)} cannot name a start state: letters, digits, - and _ only, 40 at most."
        )
    if name in {*known, *spec.start_states, POWER_ON}:
        raise UserError(f"There is a start state {name}; choose another name.")
    name = name or next(f"{STEM}{n}" for n in range(1, 10**6) if f"{STEM}{n}" not in known)
    file = game_files(spec.name)[0]
    text = _with_state(file, [*spec.start_states], name)
    with writing(below(folder, spec.env, f"{name}.state")) as temporary:
        temporary.write_bytes(gzip.compress(emulator.save(), mtime=0))
    write_text(file, text)
    return name


def _with_state(file: Path, known: list[str], name: str) -> str:
    """The text of a game.yaml with one more start state, all else as it was.

    `known` are those of the game where the file does not say them. Raises UserError where that
    needs a person.
    """
    text = read_text(file, f"{file} is missing.")
    before = yaml.safe_load(text)
    if "start_states" in before:
        said = _scalar(name)
        new = FLOW.sub(lambda m: f"{m[1]}{m[2]}{', ' if m[2].strip() else ''}{said}{m[3]}", text)
        known = list(before["start_states"])
    else:
        new = f"{text.rstrip()}\nstart_states: [{', '.join(map(_scalar, [*known, name]))}]\n"
    if not _adds(new, before, [*known, name]):
        raise UserError(
            f"{file} cannot be added to: write start_states on one line, as [A, B], and try again."
        )
    return new


def _scalar(name: str) -> str:
    """A name as YAML reads it as text: 12 and on are none there."""
    return name if yaml.safe_load(name) == name else json.dumps(name)


def _adds(text: str, before: dict[str, Any], states: list[str]) -> bool:
    """Whether a game.yaml says what it said before, and these start states."""
    try:
        return yaml.safe_load(text) == before | {"start_states": states}
    except yaml.YAMLError:
        return False
