"""Command-line arguments: each has a type, with its range, where it is declared.

Types are functions for argparse's `type`. Each raises ArgumentTypeError, which `Parser` prints as
one sentence: `error: …`.
"""

import argparse
import contextlib
import os
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from dreamcart.core.errors import UserError, leave, shown
from dreamcart.core.paths import game_name

SEED = (0, 2**31 - 1)
SCALE = (1, 32)  # times that a window enlarges a picture
LONGEST_NUMBER, LONGEST_ERROR = 40, 500  # characters
# Control characters, line ends, bytes that are no UTF-8: an error with them would break its line.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Help(argparse.RawDescriptionHelpFormatter):
    """Keeps a description's line ends, and tells of each argument its range and its default."""

    def _get_help_string(self, action: argparse.Action) -> str:
        said, aside, default = action.help or "", "", action.default
        none = default is False or default in (None, "", [], argparse.SUPPRESS)
        default = "" if none or "default" in said else "default: %(default)s"
        if said.endswith(")"):
            said, _, aside = said[:-1].rpartition(" (")
        facts = "; ".join(filter(None, (getattr(action.type, "allowed", ""), aside, default)))
        return f"{said} ({facts})" if facts else said


class Parser(argparse.ArgumentParser):
    """An ArgumentParser without abbreviations, whose errors are one sentence and exit status 2."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**{"formatter_class": Help, "allow_abbrev": False, **settings})

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """Refuse `--seed=--`, of which argparse makes an empty list without asking the type."""
        args = sys.argv[1:] if args is None else list(args)
        for word in args:
            if word.startswith("--") and word.endswith("=--"):
                self.error(f"argument {word.removesuffix('=--')}: expected one argument")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where to read more, then exit."""
        said = UNPRINTABLE.sub("?", message).removeprefix("argument ").rstrip(".")
        short = said if len(said) <= LONGEST_ERROR else said[:LONGEST_ERROR] + "…"
        leave(f"{short}; see `{self.prog} --help`.")


def add_force(parser: argparse.ArgumentParser) -> None:
    """Add --force, without which `tracked.spare` refuses to overwrite."""
    parser.add_argument("--force", action="store_true", help="overwrite a file that git tracks")


def from_params(main: Callable[[], None], about: str) -> Callable[[], None]:
    """Return `main` for a stage with settings from params.yaml alone: it takes no argument."""

    def command() -> None:
        settings = "Settings: params.yaml, or for one run  dvc exp run -S key=value"
        Parser(description=about, epilog=settings).parse_args()
        main()

    return command


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return the type of whole numbers from `low` to `high`."""
    return _within(int, "whole number", low, high, f"{low} to {high}")


def number(low: float, high: float) -> Callable[[str], float]:
    """Return the type of numbers from `low` to `high`; neither is infinite, and nan is none."""
    return _within(float, "number", low, high, f"{low:g} to {high:g}")


def text(content: str) -> str:
    """Return a text that is not empty and stands on one line."""
    if not content.strip() or UNPRINTABLE.search(content):
        raise ArgumentTypeError(f"{shown(content)} is empty or holds control characters")
    return content


def game(name: str) -> str:
    """Return a name that a game can have; whether there is such a game is looked up later."""
    try:
        return game_name(name)
    except UserError as problem:
        raise ArgumentTypeError(str(problem)) from None


def path(name: str) -> Path:
    """Return a path; what is there is looked up later, by who can say what to do."""
    try:
        return Path(text(name)).expanduser()
    except RuntimeError:  # ~nobody
        raise ArgumentTypeError(f"{shown(name)} names the home of nobody here") from None


def existing(name: str) -> Path:
    """Return the path of a file or a folder to read."""
    found = path(name)
    if not _is(found, Path.exists):
        raise ArgumentTypeError(f"{shown(name)} is not there; name a file or a folder")
    return found


def existing_file(*endings: str) -> Callable[[str], Path]:
    """Return the type of files to read, whose names have one of these endings (.yaml)."""

    def read(name: str) -> Path:
        found = path(name)
        if not _is(found, Path.is_file):
            what = "a folder" if _is(found, Path.is_dir) else "not there"
            raise ArgumentTypeError(f"{shown(name)} is {what}; name a file")
        return _ending(found, endings)

    return read


def new_file(*endings: str) -> Callable[[str], Path]:
    """Return the type of files to write, whose names have one of these endings (.gif)."""

    def read(name: str) -> Path:
        to = path(name)
        if _is(to, Path.is_dir):
            raise ArgumentTypeError(f"{shown(name)} is a folder; name a file in it")
        return _writable(_ending(to, endings), to.parent)

    return read


def new_folder(name: str) -> Path:
    """Return the path of a folder to write into, which may be there."""
    to = path(name)
    if os.path.lexists(to) and not _is(to, Path.is_dir):
        raise ArgumentTypeError(f"{shown(name)} is no folder; name another place")
    return _writable(to if to.name.strip(".") else to.resolve(), to)


def _within(kind: type, what: str, low: float, high: float, allowed: str) -> Callable[[str], Any]:
    def read(word: str) -> Any:
        try:
            value = kind(word) if len(word) < LONGEST_NUMBER else None
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            wrong = f"{shown(word)} is out of range or no {what}"
            raise ArgumentTypeError(f"{wrong}, allowed: {allowed}")
        return value

    read.allowed = allowed  # for --help
    return read


def _is(place: Path, question: Callable[[Path], bool]) -> bool:
    """Ask the file system; a name that it cannot even look up is none of its things."""
    try:
        return question(place)
    except (OSError, ValueError):
        return False


def _ending(place: Path, endings: tuple[str, ...]) -> Path:
    if place.suffix.lower() not in endings:
        wrong = f"the name {shown(str(place))} does not end in"
        raise ArgumentTypeError(f"{wrong} {' or '.join(endings)}")
    return place


def _writable(to: Path, folder: Path) -> Path:
    """Return `to` where it can be a name, and `folder` or what is there of it can be written to."""
    try:
        with contextlib.suppress(FileNotFoundError):
            to.lstat()  # too long a name, a circle of links, a folder that nobody may look into
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        fits = there.is_dir() and os.access(there, os.W_OK)
    except (OSError, ValueError):
        fits = False
    if not fits:
        wrong = f"{shown(str(to))} cannot be written"
        raise ArgumentTypeError(f"{wrong}; choose another name or place")
    return to
