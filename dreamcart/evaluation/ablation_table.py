"""The rows of an ablation (`ablate.py`) as a table: for the terminal, and as Markdown."""

from typing import Any

from dreamcart.evaluation.ablate import HORIZONS, Row

NOTHING = "–"
EXACT = [f"exact at {horizon}" for horizon in HORIZONS]
HEADER = ["off", *EXACT, "illegal screens", "dreams with one", "controllability"]


def table(rows: list[Row], done: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Return the lines below HEADER, of the rows that are done (by name, as `measure` has them)."""
    return [_line(row.name, done[row.name]) for row in rows if row.name in done]


def _line(name: str, found: dict[str, Any]) -> list[str]:
    illegal, exact = found.get("illegal") or {}, found.get("exact", {})
    screens = f"{illegal['screens']} of {illegal['of']}" if illegal else NOTHING
    shares = [percent(exact.get(str(horizon))) for horizon in HORIZONS]
    last = percent(illegal.get("dreams")), percent(found.get("controllability"))
    return [name, *shares, screens, *last]


def percent(share: dict[str, float] | None) -> str:
    """Return a share as "98 % (95–99)"; a dash for what was not measured."""
    if share is None:
        return NOTHING
    return "{:.0f} % ({:.0f}–{:.0f})".format(*(100 * share[n] for n in ("share", "low", "high")))


def markdown(rows: list[Row], done: dict[str, dict[str, Any]]) -> str:
    """Return the table as Markdown, and below it what each part does."""
    lines = [HEADER, ["---"] * len(HEADER), *table(rows, done)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    parts = "\n".join(_words(row) for row in rows if row.name in done)
    return f"{text}\n\n{parts}\n"


def _words(row: Row) -> str:
    along = [name for name in row.off if name != row.name]
    with_it = f" (with it go {', '.join(along)})" if along and row.name in row.off else ""
    return f"- `{row.name}`: {row.says}{with_it}"
