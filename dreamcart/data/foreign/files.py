"""Finds the files of a stranger's folder, in the order of the numbers in their names."""

import re
from pathlib import Path
from typing import Any

from dreamcart.core.errors import UserError, shown
from dreamcart.core.paths import inside


def found(folder: Path, suffixes: tuple[str, ...], deep: bool = True) -> list[Path]:
    """List the files below a folder (or right in it) that end so, in natural order.

    What begins with a dot is no data. Names are listed as they stand: see `kept` before reading.
    """
    paths = folder.rglob("*") if deep else folder.iterdir()
    return sorted(
        (
            path
            for path in paths
            if path.suffix.lower() in suffixes and not _hidden(path.relative_to(folder))
        ),
        key=lambda path: natural(path.relative_to(folder).as_posix()),
    )


def folders(folder: Path) -> list[Path]:
    """List the folders right in a folder, in natural order."""
    return sorted(
        (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")),
        key=lambda path: natural(path.name),
    )


def natural(name: str) -> list[Any]:
    """Return a key that sorts by the numbers in names: 2 before 10."""
    return [
        int(part) if number % 2 else part.casefold()
        for number, part in enumerate(re.split("([0-9]+)", name))
    ]


def kept(folder: Path, path: Path) -> Path:
    """Return the file that a path in a folder means, links followed.

    Raises UserError where it leads out of the folder or is no file: a pipe would be waited for.
    """
    file = inside(folder, path.relative_to(folder).as_posix())
    if not file.is_file():
        raise UserError(f"{path} is no file; move it away.")
    return file


def named(names: list[str], most: int = 8) -> str:
    """Words for a list of names that somebody else chose: short, and on one line."""
    return ", ".join(shown(name)[1:-1] for name in names[:most]) + ", …" * (len(names) > most)


def _hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)
