"""The league: one setting on many games, as rows, their means, and the page that shows them."""

import statistics
from typing import Any

from dreamcart.lab.results import find

HORIZONS = (1, 10, 30, 60, 300)
# Scores of a row: its name in metrics/league.json, and where the run has it.
SCORES = (
    *((f"exact_{h}", f"rollout.model.{h}.exact") for h in HORIZONS),
    *((f"skill_{h}", f"rollout.model.{h}.skill") for h in (10, 60, 300)),
    *((f"ssim_{h}", f"rollout.model.{h}.ssim") for h in (10, 60)),
    *((f"lpips_{h}", f"rollout.model.{h}.lpips") for h in (10, 60)),
    ("controllability", "rollout.controllability.iou"),
    ("representation_exact", "train_ae.exact"),
    ("alone", "speed.alone"),
    ("of_64", "speed.of_64"),
    ("minutes", "speed.minutes"),
    ("megabytes", "speed.megabytes"),
    ("machine_gflops", "speed.machine.gflops"),
)
BUTTONS = "rollout.controllability.by_button"
MEAN = "mean"
FIDELITY = {
    "game": "",
    **{f"exact {h}": f"exact_{h}" for h in HORIZONS},
    **{f"skill {h}": f"skill_{h}" for h in (10, 60, 300)},
    "controllability": "controllability",
}
PICTURES = {
    "game": "",
    "SSIM 10": "ssim_10",
    "SSIM 60": "ssim_60",
    "LPIPS 10": "lpips_10",
    "LPIPS 60": "lpips_60",
    "representation exact": "representation_exact",
    "steps/s alone": "alone",
    "64 at once": "of_64",
    "training, minutes": "minutes",
    "megabytes": "megabytes",
    "machine, GFLOP/s": "machine_gflops",
}


def row_of(result: dict[str, Any]) -> dict[str, Any]:
    """Return a game's row, of a recorded run; {"failed": why} of one that failed."""
    origin = {name: result[name] for name in ("commit", "device", "command")}
    if "failed" in result:
        return {"failed": result["failed"], **origin}
    metrics = result["metrics"]
    scores = {name: find(metrics, path) for name, path in SCORES}
    return {**scores, "buttons": find(metrics, BUTTONS) or {}, **origin}


def mean_of(rows: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    """Return the mean of every score over the games that did not fail and have one."""
    kept = [row for row in rows.values() if "failed" not in row]
    means = {}
    for name, _ in SCORES:
        values = [row[name] for row in kept if row[name] is not None]
        means[name] = round(statistics.fmean(values), 4) if values else None
    return means


def summary(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what metrics/league.json holds of a setting: its rows by game, their mean and how
    many games that is of.
    """
    done = sum("failed" not in row for row in rows.values())
    return {"games": rows, MEAN: mean_of(rows), "done": done, "failed": len(rows) - done}


def cells(summed: dict[str, Any], columns: dict[str, str]) -> list[list[Any]]:
    """Return the table of a setting: a row a game, the mean last."""
    table = []
    for game, row in summed["games"].items():
        failed = ["failed", *[""] * (len(columns) - 2)]
        table.append([game, *(failed if "failed" in row else shown(row, columns))])
    return [*table, [f"{MEAN} of {summed['done']}", *shown(summed[MEAN], columns)]]


def shown(row: dict[str, Any], columns: dict[str, str]) -> list[Any]:
    """Return a row's numbers for the columns but the first."""
    return [row[name] for name in list(columns.values())[1:]]


def page(title: str, league: dict[str, dict[str, Any]], command: str) -> str:
    """Return docs/league.md: two tables a setting, failures and buttons below them."""
    lines = [f"# {title}", "", f"`{command}` writes this page from `metrics/league.json`.", ""]
    lines += [
        "Every game has the same params but for `game`: the same number of frames and minutes of",
        "training. Scores are those of [metrics](metrics.md), of dreams on test episodes; a skill",
        "of 1 is perfect, 0 no better than the better of the last and the median frame. Minutes",
        "are of this machine; its speed in a fixed convolution stands beside them.",
        "",
    ]
    for label, summed in league.items():
        lines += [f"## {label}", ""]
        for columns in (FIDELITY, PICTURES):
            lines += [*markdown(list(columns), cells(summed, columns)), ""]
        lines += [f"- **{game}** failed: {row['failed']}" for game, row in failures(summed)]
        lines += [f"- {game}, by button: {told}" for game, told in buttons(summed)]
        lines += [""]
    return "\n".join(lines).rstrip() + "\n"


def failures(summed: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the games of a setting that failed."""
    return [(game, row) for game, row in summed["games"].items() if "failed" in row]


def buttons(summed: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the controllability of each game's buttons, in words."""
    return [
        (game, ", ".join(f"{name} {score:.2f}" for name, score in row["buttons"].items()))
        for game, row in summed["games"].items()
        if row.get("buttons")
    ]


def markdown(header: list[str], rows: list[list[Any]]) -> list[str]:
    """Return a table in Markdown; small numbers have three digits after the point."""
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    return lines + ["| " + " | ".join(map(text, row)) + " |" for row in rows]


def text(value: Any) -> str:
    """Return a cell of a table."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:,.0f}"
    return str(value)
