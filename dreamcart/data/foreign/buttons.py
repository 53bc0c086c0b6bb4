"""Reads a CSV of buttons: a row a frame, with a column a button, or one column of actions."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dreamcart.core.errors import UserError, shown
from dreamcart.data.external import NAMES

MOST_BYTES = 2**28  # of a file
MOST_ROWS = 10**7
NOTHING = {"", ".", "-", "none", "noop", "nothing"}  # what is written where no button is held
VALUES = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1, "": 0}
# Columns that count or time rows, or name their frames: no buttons.
COUNTS = {
    *("", "frame", "frames", "frame_index", "frame_id", "index", "id", "step", "time", "timestamp"),
    *("file", "filename", "file_name", "image", "path", "episode", "episode_id", "episode_index"),
}
OTHERS = ("rewards", "terminations", "truncations")  # canonical columns that it may hold


@dataclass
class Table:
    """A CSV that was read: `rows` with canonical names, and which column became what."""

    rows: list[dict[str, Any]]
    buttons: list[str] = field(default_factory=list)  # that have a column each
    columns: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)


def read_buttons(path: Path, shown_path: Path) -> Table:
    """Read a CSV of buttons.

    `actions` of a row is a frozenset of names, or a whole number where all of a column are.

    Args:
        path: the file, links followed; shown_path: what messages call it.

    Raises:
        UserError: no CSV in UTF-8, no rows, a line of another length, a column twice, or a value
            that is none of a button.
    """
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{shown_path} has more than {MOST_BYTES >> 20} MiB; split it by episode.")
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            first = handle.readline()
            handle.seek(0)
            mark = max(",;\t", key=first.count)
            lines = list(_lines(csv.reader(handle, delimiter=mark), shown_path))
    except (UnicodeDecodeError, csv.Error) as problem:
        raise UserError(
            f"{shown_path} is no CSV in UTF-8 ({shown(str(problem))[1:-1]}); save it as such."
        ) from None
    if len(lines) < 2:
        raise UserError(
            f"{shown_path} has no rows of buttons; it needs a line of names, then a line a frame."
        )
    header = [name.strip() for name in lines[0]]
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{shown_path} has the column {shown(twice)} twice; remove one of them.")
    return _table(header, lines[1:], shown_path)


def _lines(reader: Iterator[list[str]], path: Path) -> Iterator[list[str]]:
    """Yield the lines that hold something, all of one length."""
    length = None
    for number, line in enumerate(reader, 1):
        if not line:
            continue
        length = length or len(line)
        if len(line) != length or number > MOST_ROWS:
            raise UserError(
                f"{path} has {len(line)} values in line {number}, and {length} in its first line;"
                " correct it."
            )
        yield line


def _table(header: list[str], lines: list[list[str]], path: Path) -> Table:
    places = {name.lower(): place for place, name in enumerate(header)}
    table = Table([{} for _ in lines])
    others = {
        canonical: next((name for name in NAMES[canonical] if name in places), None)
        for canonical in OTHERS
    }
    for canonical, name in others.items():
        if name is not None:
            table.columns[canonical] = header[places[name]]
            for row, line in zip(table.rows, lines, strict=True):
                row[canonical] = _number(line[places[name]], name, path)
    rest = [name for name in places if name not in {*others.values(), *COUNTS}]
    one = next((name for name in NAMES["actions"] if name in places), None)
    if one is not None:
        table.columns["actions"] = header[places[one]]
        for row, action in zip(
            table.rows, _actions([line[places[one]] for line in lines]), strict=True
        ):
            row["actions"] = action
        rest.remove(one)
        table.ignored = [header[places[name]] for name in rest]
    else:
        table.buttons = [header[places[name]] for name in rest]
        if not table.buttons:
            raise UserError(
                f"{path} has no column of a button, and none called actions; give it one a button."
            )
        table.columns["actions"] = "a column a button"
        _press(table, [places[name] for name in rest], lines, path)
    table.ignored += [header[places[name]] for name in places if name in COUNTS and name]
    return table


def _press(table: Table, places: list[int], lines: list[list[str]], path: Path) -> None:
    for number, (row, line) in enumerate(zip(table.rows, lines, strict=True), 1):
        pressed = set()
        for name, place in zip(table.buttons, places, strict=True):
            value = VALUES.get(line[place].strip().lower())
            if value is None:
                raise UserError(
                    f"{path} has {shown(line[place])} in the column {shown(name)} of row {number},"
                    " and a button is 0 or 1; remove the column if it is no button."
                )
            if value:
                pressed.add(name)
        row["actions"] = frozenset(pressed)


def _actions(values: list[str]) -> list[frozenset[str] | int]:
    """Names joined by +, or numbers where all are."""
    if all(re.fullmatch("[0-9]{1,9}", value.strip()) for value in values):
        return [int(value) for value in values]
    return [
        frozenset(part.strip() for part in value.split("+") if part.strip().lower() not in NOTHING)
        for value in values
    ]


def _number(value: str, name: str, path: Path) -> float | None:
    """A number, or None where the cell is empty: `canonical_rows` checks its range."""
    text = value.strip().lower()
    if name in NAMES["rewards"] and text:
        try:
            return float(text)
        except ValueError:
            raise UserError(
                f"{path} has {shown(value)} in the column {shown(name)}, which is no number;"
                " correct it."
            ) from None
    if text and text not in VALUES:
        raise UserError(
            f"{path} has {shown(value)} in the column {shown(name)}, which is neither 0 nor 1;"
            " correct it."
        )
    return VALUES[text] if text else None
