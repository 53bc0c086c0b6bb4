"""What runs have shown: one small JSON file a run, committed, from which tables and pages are made
without the runs.
"""

import io
import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from dreamcart.core.files import read_json, writing
from dreamcart.core.paths import ROOT, below
from dreamcart.lab.plan import Criterion, Run, holds, runs_of

RESULTS = ROOT / "experiments" / "results"


def result_path(run: Run, folder: Path | None = None) -> Path:
    """Where a run's result is kept; those of the quick set are in a folder of their own."""
    return below(folder or RESULTS, run.plan, *["quick"] * run.quick, f"{run.name}.json")


def load_results(
    plan: str, quick: bool, folder: Path | None = None
) -> dict[tuple[str, int], dict[str, Any]]:
    """The recorded runs of a list by experiment and seed. Raises UserError on a damaged file."""
    found = below(folder or RESULTS, plan, *["quick"] * quick).glob("*.json")
    loaded = [read_json(path) for path in sorted(found)]
    return {(result["experiment"], result["seed"]): result for result in loaded}


def find(value: Any, path: str) -> Any:
    """`value` at "key.key"; None where there is none."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


@dataclass(frozen=True)
class Verdict:
    """A criterion beside its bar. state: "pass", "miss", "shown" (a picture) or "not run"; values:
    one a seed, NaN where the runs are on record without one (a ratio over 0, a metric that is
    null), which is a miss.
    """

    state: str
    values: tuple[float, ...] = ()
    runs: tuple[str, ...] = ()  # that it rests on, "experiment-sN"

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over the seeds; None for one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


def judge(criterion: Criterion, results: dict[tuple[str, int], dict[str, Any]]) -> Verdict:
    """The verdict on a criterion, by the mean over the seeds with which all of its runs are on
    record.
    """
    if criterion.picture:
        (run,), picture = runs_of(criterion.picture), criterion.picture.split(":")[1]
        shown = picture in results.get((run, 0), {}).get("pictures", {})
        return Verdict("shown", runs=(f"{run}-s0",)) if shown else Verdict("not run")
    parts = [metric for metric in (criterion.value, criterion.minus, criterion.over) if metric]
    names = sorted({run for part in parts for run in runs_of(part)})
    values, used = [], []
    for seed in sorted({seed for name, seed in results if name in names}):
        value = measured(criterion, results, seed)
        if value is not None:
            values.append(value)
            used += [f"{name}-s{seed}" for name in names]
    if not values:
        return Verdict("not run")
    good = not any(map(math.isnan, values)) and holds(criterion.bar, statistics.fmean(values))
    return Verdict("pass" if good else "miss", tuple(values), tuple(used))


def measured(
    criterion: Criterion, results: dict[tuple[str, int], dict[str, Any]], seed: int
) -> float | None:
    """The criterion's value with a seed;

    None where a run of it, or what it wrote, is not there; NaN where that holds none.
    """
    parts = [metric for metric in (criterion.value, criterion.minus, criterion.over) if metric]
    files = [(run, part.split(":", 1)[1].split(".")[0]) for part in parts for run in runs_of(part)]
    if any(file not in results.get((run, seed), {}).get("metrics", {}) for run, file in files):
        return None
    names = max((part.rsplit(".", 1)[-1].split("|") for part in parts), key=len)
    # the same of "one|two" in all parts: LPIPS with trained weights and without do not compare
    for number in range(len(names)):
        found = [_metric(part, number, criterion.pick, results, seed) for part in parts]
        if not any(map(math.isnan, found)):
            value, *others = found
            if criterion.minus:
                value -= others.pop(0)
            return value if not others else value / others[0] if others[0] else math.nan
    return math.nan


def _metric(
    metric: str, number: int, pick: str, results: dict[tuple[str, int], dict[str, Any]], seed: int
) -> float:
    """Of a last key "one|two|…" the one with this number (of one without others, itself), over the
    runs; NaN without a value.
    """
    way, dot, last = metric.split(":", 1)[1].rpartition(".")
    names = last.split("|")
    path = way + dot + names[min(number, len(names) - 1)]
    found = [find(results[run, seed]["metrics"], path) for run in runs_of(metric)]
    return math.nan if None in found else float({"min": min, "max": max}[pick](found))


def save_picture(source: Path, to: Path, most: int) -> None:
    """Copy a picture as a PNG of at most `most` bytes: fewer colours first, then smaller."""
    with Image.open(source) as opened:
        picture = opened.convert("RGB")
    while True:
        for colors in (256, 64):
            buffer = io.BytesIO()
            picture.quantize(colors, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
            if buffer.tell() <= most or max(picture.size) < 64:
                with writing(to) as temporary:
                    temporary.write_bytes(buffer.getbuffer())
                return
        picture = picture.resize(
            [max(1, round(side * 0.8)) for side in picture.size], Image.Resampling.LANCZOS
        )
