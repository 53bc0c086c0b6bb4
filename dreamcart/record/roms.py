"""Importing ROMs: stable-retro's own importer, which knows games by the hash of their ROM, with a
list of what it met.

Files and archives are only read and hashed; what is recognised is copied to where stable-retro
looks for it, or into the folder of games/ that has an integration for it.
"""

import argparse
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from dreamcart.core.arguments import existing
from dreamcart.core.errors import UserError
from dreamcart.games.catalog import game_names, integration_of


@dataclass
class Report:
    """What was found. Files in an archive are named archive!file."""

    imported: dict[str, str] = field(default_factory=dict)  # game → file
    already: dict[str, str] = field(default_factory=dict)  # game → file
    # file that ends as a ROM does → its SHA-1
    unknown: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)  # file → why
    others: int = 0  # files that are no ROMs by their ending


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of `import`."""
    words = "a folder with ROMs (and folders of them, and zips), or one file"
    parser.add_argument("folder", type=existing, help=words)


def run(args: argparse.Namespace) -> None:
    """Import and print what was found, what was there and what was not recognised.

    Raises UserError where there is no such folder, nothing in it, or nothing in it is recognised.
    """
    report = import_roms(args.folder)
    for title, entries in (
        ("Imported", report.imported),
        ("Already here", report.already),
        (
            (
                "Not recognised (stable-retro knows a game by its ROM's SHA-1: another version is"
                " another game)"
            ),
            report.unknown,
        ),
        ("Not readable", report.unreadable),
    ):
        if entries:
            print(f"\n{title}: {len(entries)}")
            for name, what in sorted(entries.items()):
                print(f"  {name}  ({what})")
    if report.others:
        print(f"\n{report.others} other files were left alone.")
    if not report.imported and not report.already:
        raise UserError(
            f"No game was recognised in {args.folder}; `python stages/record.py games NAME` says"
            " what is known."
        )


def import_roms(folder: Path) -> Report:
    """Import what stable-retro recognises in `folder` (or in one file).

    Raises UserError where there is nothing to read.
    """
    from dreamcart.games.retro import library

    data = library().data
    own = _own_integrations()
    data.Integrations.clear_custom_paths()
    for path in own:
        data.Integrations.add_custom_path(str(path))
    folder = folder.expanduser()
    if not folder.exists():
        raise UserError(f"There is no folder {folder}; name one with ROMs in it.")
    files = (
        sorted(path for path in folder.rglob("*") if path.is_file())
        if folder.is_dir()
        else [folder]
    )
    if not files:
        raise UserError(f"{folder} is empty; name a folder with ROMs in it.")
    known, report = data.get_known_hashes(), Report()
    endings = {ending.lower() for ending in data.EMU_EXTENSIONS} | {".smd", ".bin"}
    for path in tqdm(files, unit="file", desc="import", disable=len(files) < 50):
        for name, stream in _streams(path, folder, report):
            _take(name, stream, known, endings, data, report)
    return report


def _take(
    name: str, stream: BinaryIO, known: dict, endings: set[str], data: object, report: Report
) -> None:
    """Hash one file as stable-retro does, and let it import what it knows."""
    looks_like_rom = Path(name).suffix.lower() in endings
    try:
        content, sha1 = data.groom_rom(name, stream)
    except (OSError, ValueError, TypeError, RuntimeError, zipfile.BadZipFile) as problem:
        # more than 32 MiB; a format that stable-retro stumbles over; a locked or broken archive
        if looks_like_rom:
            report.unreadable[name] = str(problem) or type(problem).__name__
        else:
            report.others += 1
        return
    if sha1 in known:
        game, extension, folder = known[sha1]
        place = Path(folder) / game / f"rom{extension}"
        if place.is_file():
            with open(place, "rb") as present:
                if data.groom_rom(place.name, present)[1] == sha1:
                    report.already.setdefault(game, name)
                    return
            place.unlink()  # a wrong or damaged one, with which the game does not start
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / f"rom{Path(name).suffix}"
            copy.write_bytes(content)
            data.merge(str(copy))
        if not place.is_file():
            raise UserError(
                f"stable-retro did not take {name} for {game}; copy it to {place} yourself."
            )
        report.imported[game] = name
    elif name.lower().endswith(".zip"):
        return  # what is in it counts
    elif looks_like_rom and b"\0" in content:  # README.md ends as a Mega Drive's ROM does
        report.unknown[name] = f"SHA-1 {sha1}"
    else:
        report.others += 1


def _streams(path: Path, folder: Path, report: Report) -> Iterator[tuple[str, BinaryIO]]:
    """(name, open file) of a file and, where it is an archive, of all that is in it."""
    name = path.relative_to(folder).as_posix() if path != folder else path.name
    try:
        with open(path, "rb") as stream:
            yield name, stream
            if path.suffix.lower() == ".zip":
                yield from _in_archive(name, stream, report)
    except OSError as problem:
        report.unreadable[name] = problem.strerror or type(problem).__name__


def _in_archive(name: str, stream: BinaryIO, report: Report) -> Iterator[tuple[str, BinaryIO]]:
    stream.seek(0)
    try:
        with zipfile.ZipFile(stream) as archive:
            for entry in archive.infolist():
                if entry.is_dir():
                    continue
                with archive.open(entry) as inner:
                    yield f"{name}!{entry.filename}", inner
                    if entry.filename.lower().endswith(".zip"):
                        yield from _in_archive(f"{name}!{entry.filename}", inner, report)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as problem:
        # broken, locked, or packed in an unknown way
        report.unreadable[name] = str(problem)


def _own_integrations() -> list[Path]:
    """Folders of games/ with an integration of their own, whose ROM may be for the player to
    bring.
    """
    folders = []
    for name in game_names():
        try:
            folders.append(integration_of(name))
        except UserError:
            continue
    return list(dict.fromkeys(filter(None, folders)))
