"""Start states saved by hand: F5 in the window of `record.py play`."""

import gzip
import re
from pathlib import Path
from typing import Any

import yaml

from dreamcart.core.errors import UserError
from dreamcart.core.files import read_text, write_text, writing
from dreamcart.core.paths import below
from dreamcart.games.catalog import game_files, integration_of
from dreamcart.games.emulator import Emulator
from dreamcart.games.spec import GameSpec

STEM = "Saved"
FLOW = re.compile(r"^(start_states:[ ]*\[)([^\]\n]*)(\][ ]*(?:#.*)?)$", re.MULTILINE)


def save_start_state(spec: GameSpec, emulator: Emulator) -> str:
    """Save the emulator's state as a start state of `spec`; it stands in game.yaml at once.

    Returns its name: Saved1, Saved2, … Recordings begin in it where a script in game.yaml names it.
    Raises UserError where the game has no folder with an integration of its own, or its game.yaml
    cannot be added to.
    """
    folder = integration_of(spec.name) if spec.backend == "retro" else None
    if folder is None:
        raise UserError(
            f"{spec.title} has no integration in games/ to save a start state in; `record.py new`"
            " makes one."
        )
    known = {path.stem for path in below(folder, spec.env).glob("*.state")}
    name = next(f"{STEM}{n}" for n in range(1, 10**6) if f"{STEM}{n}" not in known)
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
        new = FLOW.sub(lambda m: f"{m[1]}{m[2]}{', ' if m[2].strip() else ''}{name}{m[3]}", text)
        known = list(before["start_states"])
    else:
        new = f"{text.rstrip()}\nstart_states: [{', '.join([*known, name])}]\n"
    if not _adds(new, before, [*known, name]):
        raise UserError(
            f"{file} cannot be added to: write start_states on one line, as [A, B], and try again."
        )
    return new


def _adds(text: str, before: dict[str, Any], states: list[str]) -> bool:
    """Whether a game.yaml says what it said before, and these start states."""
    try:
        return yaml.safe_load(text) == before | {"start_states": states}
    except yaml.YAMLError:
        return False
