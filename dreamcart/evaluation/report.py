"""What an evaluation has found: the few numbers that people compare, and tables of all of it."""

from typing import Any

from scipy.stats import binomtest

from dreamcart.core.pretrained import COMMAND
from dreamcart.core.tables import print_table
from dreamcart.evaluation.judge import sources_of
from dreamcart.evaluation.rollout import curve_rows

HEADLINE = ("exact", "ssim", "lpips", "l1", "skill")
STEPS = (1, 5, 10, 30, 60, 300)  # of the headline, where they were measured


def headline(report: dict[str, Any]) -> dict[str, Any]:
    """Return the dream's {score: {step: mean}} and its `controllability`, 31 numbers at most.

    Steps are padded to three digits, because DVC's tables sort them as texts. What was not measured
    is absent.
    """
    model = report["model"]
    steps = [step for step in STEPS if str(step) in model] or sorted(map(int, model))[: len(STEPS)]
    found = {
        name: {f"{step:03}": model[str(step)].get(name) for step in steps} for name in HEADLINE
    }
    picked = {name: scores for name, scores in found.items() if set(scores.values()) != {None}}
    if "controllability" in report:
        picked["controllability"] = report["controllability"]["iou"]
    return picked


def print_report(title: str, report: dict[str, Any]) -> None:
    """Print all that `judge` found, the headline first."""
    print_headline(title, report)
    rows = curve_rows(sources_of(report))
    cells = [[row.get(name) for name in rows[0]] for row in rows]
    print_table("All scores, beside baselines and the ceiling", list(rows[0]), cells)
    print_exact(report)
    print_table(
        "Change a step (1 of the game's own: it goes on; 0: it stands still)",
        ["step", "real", "dream", "ratio"],
        [[step, *change.values()] for step, change in report["motion"].items()],
    )
    spread = report["diversity"]
    if spread:
        print(
            f"{spread['samples']} dreams of one moment, temperature {spread['temperature']:.0f}:"
            " they differ by a mean L1 of"
            f" {', '.join(f'{value} at +{step}' for step, value in spread['pairwise_l1'].items())}."
        )
    if "screens" in report:
        print_screens(report["screens"])
    if "until_draw" in report:
        until = report["until_draw"]
        print_table(
            "Every frame exact up to the game's next random draw",
            list(until),
            [list(until.values())],
        )
    if "controllability" in report:
        print_control(report["controllability"])


def print_headline(title: str, report: dict[str, Any]) -> None:
    """Print the scores that people compare, at every step that was measured."""
    model = report["model"]
    rows = [[step, *map(scores.get, HEADLINE)] for step, scores in model.items()]
    print_table(title, ["step", *HEADLINE], rows)
    if not any("lpips" in scores for scores in model.values()):
        print(f"LPIPS is missing: it needs AlexNet's weights, which `{COMMAND}` brings.")


def print_exact(report: dict[str, Any]) -> None:
    """The share of exact frames with the interval in which it lies by 95 %: as many starts as there
    are say no more.
    """
    starts = report["of"]["starts"]
    rows = []
    for step, scores in report["model"].items():
        found = binomtest(round(scores["exact"] * starts), starts).proportion_ci(method="wilson")
        rows.append([step, scores["exact"], round(found.low, 3), round(found.high, 3)])
    print_table(
        f"Exact frames of {starts} starts, and where that may lie (95 %, Wilson)",
        ["step", "exact", "from", "to"],
        rows,
    )


def print_screens(report: dict[str, Any]) -> None:
    """What was read back from the dreamed frames, as tables."""
    for name, what in (
        ("states", "the dream"),
        ("states_persistence", "the last real frame, as a baseline"),
    ):
        states = [[horizon, *scores.values()] for horizon, scores in report[name].items()]
        if states:
            print_table(
                f"Read back from {what}: share right",
                ["step", *next(iter(report[name].values()))],
                states,
            )
    events = [[name, *numbers.values()] for name, numbers in report["events"].items()]
    print_table(
        "Events", ["event", "real", "dreamed", "matched", "recall", "precision", "f1"], events
    )
    legal = report["legality"]
    row = [legal["illegal"], legal["steps"], legal["until_first"], legal["reasons"]]
    print_table("Legality", ["illegal screens", "steps", "first after", "reasons"], [row])


def print_control(report: dict[str, Any]) -> None:
    """Print controllability: of each button that does something in the game, and their mean."""
    rows = [[name, iou, report["states"][name]] for name, iou in report["by_button"].items()]
    print_table(
        "Controllability: what a button changes, dreamed against real",
        ["button", "IoU", "states in which it does something"],
        [*rows, ["mean over buttons", report["iou"], report["cases"]]],
    )
    print(
        f"Where a button does nothing, the dream changes in {report['false_effect']} of the cases."
    )
