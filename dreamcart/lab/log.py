"""What a run leaves behind: how long it took, its validation curve, why it failed."""

import csv
import time
from pathlib import Path

from dreamcart.core.files import write_text


def began(clock: Path, log: Path) -> float:
    """When a run begins, in seconds since the epoch: earlier by what attempts that were cut off
    have taken, of which the file `clock` tells the begin and the last change of their `log` the
    end.
    """
    begin = time.time()
    if clock.is_file() and log.is_file():
        begin -= max(0.0, log.stat().st_mtime - float(clock.read_text()))
    write_text(clock, str(begin))
    return begin


def curve(path: Path) -> dict[str, float]:
    """A training's validation: the first, the best and the last value."""
    with open(path, newline="") as handle:
        values = [float(row["val"]) for row in csv.DictReader(handle)]
    return {"first": values[0], "best": min(values), "last": values[-1]}


def said_last(log: Path) -> str:
    """The sentence that says why a command failed: a stage's own "error: …", else DVC's, else the
    last line.
    """
    lines = [
        line.strip()
        for line in log.read_text(errors="replace").replace("\r", "\n").splitlines()
        if line.strip()
    ]
    for begin in ("error: ", "ERROR: "):
        for line in reversed(lines):
            if line.startswith(begin):
                return line.removeprefix(begin)
    return lines[-1] if lines else "it said nothing"
