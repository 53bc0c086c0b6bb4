"""What a stage has measured, on disk: few numbers that people compare, and beside them all of it.

metrics/<game>/<stage>.json is a metric of DVC: what it holds is a column of `dvc metrics show` and
`dvc exp show` and a row of `dvc metrics diff`, so it holds little. <stage>_details.json is the
whole report. In dvc.yaml it stands under `plots`, for DVC's run cache leaves out a stage with any
other file that Git keeps. DVC draws a file's first list, and this has none.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dreamcart.core.files import read_json, write_json
from dreamcart.core.provenance import stamp


def details_of(path: Path) -> Path:
    """Return the name of the whole report beside a stage's metrics file."""
    return path.with_name(f"{path.stem}_details.json")


def write_report(
    path: Path, report: dict[str, Any], headline: dict[str, Any], model: str = ""
) -> None:
    """Write a stage's metrics file, with the headline, and beside it the whole report and what made
    it (`stamp`).
    """
    write_json(details_of(path), _without_lists(report | {"made": stamp(model)}))
    write_json(path, headline)


def read_report(path: Path) -> Any:
    """Read the whole report of a stage, by the name of its metrics file.

    One that has no details beside it is a whole report itself, as all were before there were any.
    Raises UserError where the file is missing or damaged.
    """
    details = details_of(path)
    return read_json(details if details.is_file() else path)


def pick(report: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the entries of a report with these names, where it has them; dots lead into it."""
    picked: dict[str, Any] = {}
    for name in names:
        *way, last = name.split(".")
        place, into = report, picked
        for key in way:
            place = place.get(key, {})
        if last in place:
            for key in way:
                into = into.setdefault(key, {})
            into[last] = place[last]
    return picked


def _without_lists(value: Any) -> Any:
    """A list as an object, numbered from 1; one of words alone as one text."""
    if isinstance(value, dict):
        return {name: _without_lists(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        if all(isinstance(inner, str) for inner in value):
            return ", ".join(value)
        return {str(number): _without_lists(inner) for number, inner in enumerate(value, 1)}
    return value
