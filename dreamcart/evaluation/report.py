"""The parts of an evaluation as tables on the screen."""

from typing import Any

from dreamcart.tables import print_table


def print_screens(report: dict[str, Any]) -> None:
    """What was read back from the dreamed frames, as tables."""
    states = [[horizon, *scores.values()] for horizon, scores in report["states"].items()]
    if states:
        print_table("Read back from the dream: share right", ["step", *next(iter(report["states"].values()))], states)
    events = [[name, *numbers.values()] for name, numbers in report["events"].items()]
    print_table("Events", ["event", "real", "dreamed", "matched", "recall", "precision", "f1"], events)
    legal = report["legality"]
    row = [legal["illegal"], legal["steps"], legal["until_first"], legal["reasons"]]
    print_table("Legality", ["illegal screens", "steps", "first after", "reasons"], [row])


def print_control(report: dict[str, Any]) -> None:
    """Controllability: over all buttons, and of each."""
    print_table("Controllability, IoU", ["all", *report["by_button"]], [[report["iou"], *report["by_button"].values()]])
