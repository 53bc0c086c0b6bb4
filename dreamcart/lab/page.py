"""The scoreboard: every criterion of a list beside what its recorded runs have shown, as
Markdown.
"""

import math
import shlex
from collections import Counter
from typing import Any

from dreamcart.lab.plan import Criterion, Experiment, Plan, expand, runs_of
from dreamcart.lab.results import Verdict, judge

Results = dict[tuple[str, int], dict[str, Any]]
SPEEDS = ("steps_per_second",)  # last keys of what depends on what else the machine does
SIGNS = {"pass": "✔ pass", "miss": "✘ miss", "shown": "shown", "not run": "○ not run"}


def scoreboard(
    plan: Plan, name: str, full: Results, quick: Results, current: dict[str, dict[str, str]]
) -> str:
    """The page.

    Args:
        name: of the list, whose command is scripts/`name`.py; full, quick: recorded runs, see
            `results.load_results`.
        current: fingerprints that runs would have now, by "experiment-sN": others ran on other code
            or params, and say so.
    """
    judged = [
        (criterion, judge(criterion, full))
        for item in plan.items.values()
        for criterion in item.criteria
    ]
    states = Counter(verdict.state for _, verdict in judged)
    open_misses = sum(
        verdict.state == "miss" and not criterion.tried for criterion, verdict in judged
    )
    old, shared = stale(full, current), beside_others(full)
    lines = [
        f"# {plan.title}",
        "",
        (
            f"Written by `python scripts/{name}.py page` from the recorded runs in"
            f" `experiments/results/{name}`; not by hand."
        ),
        (
            f"`python scripts/{name}.py run` makes them (`--quick` a smaller set), `python"
            f" scripts/{name}.py run NAME` one."
        ),
        "",
        (
            f"**{len(judged)} criteria: {states['pass']} pass, {states['miss']}"
            f" miss{_unexplained(open_misses)}, {states['not run']} not run, {states['shown']}"
            " pictures shown.** Measured values are means over seeds ± their standard deviation; a"
            " difference is taken seed by seed. The last column is the same of the quick set,"
            " which judges nothing."
        ),
    ]
    if old:
        lines += [
            "",
            (
                f"† {len(old)} of the {len(full)} recorded runs are of other code or settings than"
                " the present ones."
            ),
        ]
    if shared:
        lines += [
            "",
            (
                f"‡ {shared}: speeds and minutes so marked are of that share of the machine, beside"
                " other work."
            ),
        ]
    for number, item in plan.items.items():
        lines += ["", f"## {number} · {item.asks}", ""]
        lines += [
            "| criterion | required | measured | | made by | quick set |",
            "|---|---|---|---|---|---|",
        ]
        for criterion in item.criteria:
            lines.append(
                _row(criterion, judge(criterion, full), judge(criterion, quick), full, old)
            )
        lines += _pictures([c for c in item.criteria if c.picture], full)
        lines += _words(item.criteria, full, item.learned)
    return "\n".join([*lines, "", *_runs(plan, name, full, quick, old)]) + "\n"


def _unexplained(misses: int) -> str:
    return f" ({misses} without an analysis yet)" if misses else ""


def beside_others(results: Results) -> str:
    """How the runs were made that were not made one at a time; nothing where all were."""
    made = Counter(
        (result["jobs"], result["threads"])
        for result in results.values()
        if result.get("jobs", 1) > 1
    )
    ways = [
        f"{count} runs were made {jobs} at a time, on cores: {threads} each"
        for (jobs, threads), count in sorted(made.items())
    ]
    return "; ".join(ways)


def stale(results: Results, current: dict[str, dict[str, str]]) -> set[str]:
    """The recorded runs that are of other code or params than the present ones."""
    names = {f"{name}-s{seed}": result for (name, seed), result in results.items()}
    return {name for name, result in names.items() if result["fingerprint"] != current.get(name)}


def number(value: float) -> str:
    """Four significant digits; whole numbers as they are."""
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e6 else f"{value:.4g}"


def words(verdict: Verdict) -> str:
    """A verdict's value: mean ± spread (seeds)."""
    if not verdict.values:
        return "–"
    if any(map(math.isnan, verdict.values)):
        return "no value"
    if verdict.spread is None:
        return number(verdict.mean)
    return f"{number(verdict.mean)} ± {verdict.spread:.2g} ({len(verdict.values)} seeds)"


def _row(
    criterion: Criterion, verdict: Verdict, quick: Verdict, full: Results, old: set[str]
) -> str:
    metrics = [
        metric
        for metric in (criterion.value, criterion.minus, criterion.over, criterion.picture)
        if metric
    ]
    names = list(dict.fromkeys(run for metric in metrics for run in runs_of(metric)))
    on = sorted(
        {
            result["device"]
            for (name, _), result in full.items()
            if name in names and "GPU" in result["device"]
        }
    )
    made = ", ".join(f"`{name}`" for name in names) + "".join(f" ({device})" for device in on)
    mark = " †" if old & set(verdict.runs) else ""
    if criterion.value.endswith(SPEEDS) and any(
        full[_key(name)].get("jobs", 1) > 1 for name in verdict.runs
    ):
        mark += " ‡"
    what = "picture" if criterion.picture else criterion.bar
    quickly = words(quick) if quick.values else "–"
    return (
        f"| {criterion.says} | {_safe(what)} | {words(verdict)}{mark} | {SIGNS[verdict.state]} |"
        f" {made} | {quickly} |"
    )


def _key(name: str) -> tuple[str, int]:
    """ "experiment-sN" as results are kept."""
    experiment, seed = name.rsplit("-s", 1)
    return experiment, int(seed)


def _safe(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;")


def _pictures(criteria: list[Criterion], full: Results) -> list[str]:
    lines = []
    for criterion in criteria:
        (run,), picture = runs_of(criterion.picture), criterion.picture.split(":")[1]
        path = full.get((run, 0), {}).get("pictures", {}).get(picture)
        if path:
            lines += [
                "",
                f"![{criterion.says}]({path})",
                "",
                f"*{criterion.says}: `{run}`, seed 0.*",
            ]
    return lines


def _words(criteria: list[Criterion], full: Results, learned: str) -> list[str]:
    """What was learned, and for each miss its analysis, or that there is none yet.

    Nothing is said of what was not run.
    """
    verdicts = [(criterion, judge(criterion, full)) for criterion in criteria]
    lines = []
    if learned and any(verdict.values for _, verdict in verdicts):
        lines.append(f"- {learned}")
    for criterion, verdict in verdicts:
        if verdict.values and criterion.learned:
            lines.append(f"- {criterion.says}: {criterion.learned}")
        if verdict.state == "miss":
            lines.append(f"- **Missed**, {criterion.says}: {criterion.tried or 'no analysis yet.'}")
    return ["", *lines] if lines else []


def _runs(plan: Plan, name: str, full: Results, quick: Results, old: set[str]) -> list[str]:
    """How each run is made, and what it took."""
    lines = [
        "## Runs",
        "",
        "| run | what it asks | seeds | minutes a seed (estimate) | quick | on |",
        "|---|---|---|---|---|---|",
    ]
    for experiment, own in plan.runs.items():
        mine, small = (
            [r for (n, _), r in results.items() if n == experiment] for results in (full, quick)
        )
        mark = " †" if any(f"{experiment}-s{r['seed']}" in old for r in mine) else ""
        on = ", ".join(sorted({r["device"] for r in mine})) or "–"
        took = [
            _took(some, minutes) for some, minutes in zip((mine, small), own.minutes, strict=True)
        ]
        lines.append(
            f"| `{experiment}`{mark} | {own.asks} | {len(mine)} of {own.seeds} | {took[0]} |"
            f" {took[1]} | {on} |"
        )
    done = [sum(r["seconds"] for r in results.values()) / 3600 for results in (full, quick)]
    clock = sum(r["seconds"] / r.get("jobs", 1) for r in full.values()) / 3600
    side = (
        f" added up, about {clock:.1f} by the clock, as several ran at a time"
        if clock < done[0]
        else ""
    )
    guess = estimates(plan)
    lines += [
        "",
        (
            f"All recorded runs took {done[0]:.1f} hours{side} (the whole set by estimate:"
            f" {guess[0]:.1f}), those of the quick set {done[1]:.1f} ({guess[1]:.1f})."
        ),
        "",
        "As commands of DVC, with the full set's settings:",
        "",
        "```",
        *(shlex.join(run.command) for run in expand(plan, name, [], quick=False, seeds=1)),
        "```",
    ]
    return lines


def _took(results: list[dict[str, Any]], estimate: float) -> str:
    if not results:
        return f"– ({estimate:g})"
    return f"{sum(result['seconds'] for result in results) / len(results) / 60:.1f} ({estimate:g})"


def estimates(plan: Plan) -> tuple[float, float]:
    """Hours that the full and the quick set would take, by the list's own estimates (the quick set
    has one seed each).
    """
    own: list[Experiment] = list(plan.runs.values())
    return (
        sum(run.minutes[0] * run.seeds for run in own) / 60,
        sum(run.minutes[1] for run in own) / 60,
    )
