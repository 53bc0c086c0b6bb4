"""Stage 6: find where the dream first differs from the game, and train on with play from there.

python -m stages.refine  →  models/<game>/dynamics.safetensors, metrics/<game>/refine.json +
                            refine_details.json, plots/<game>/refine.png

DVC's stages form no cycles, and as stages of their own (foreach) rounds would be there when refine
is off, each with names for all that it makes: so all are made here, and a killed run goes on in the
round in which it was.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import from_params
from dreamcart.core.errors import run_stage
from dreamcart.core.paths import Paths
from dreamcart.core.reports import pick, write_report
from dreamcart.core.tables import print_table
from dreamcart.families import FAMILIES
from dreamcart.games.spec import GameSpec
from dreamcart.params import Params, load_params
from dreamcart.refine.branches import can_branch
from dreamcart.refine.picture import differences_picture, note_picture
from dreamcart.refine.rounds import Rounds, copy_trained
from dreamcart.training.device import make_repeatable
from dreamcart.world.cart import model_print

SUMMARIES = ("before", "after")
NAMES = ("exact.010", "exact.030", "val")
HEADLINE = ("rounds", *(f"{when}.{name}" for when in SUMMARIES for name in NAMES))


def main() -> None:
    params = load_params()
    paths = Paths(params.game)
    make_repeatable(params.seed)
    why = why_not(params) or ""
    rounds = None if why else Rounds(params, paths)
    if rounds and not can_branch(rounds.spec):
        why = unable(rounds.spec)
    if why:
        print(why)
        report: dict[str, Any] = {"rounds": 0, "why": why}
        copy_trained(paths)
        note_picture(why, paths.plots / "refine.png")
    else:
        report = rounds.run()
        rounds.save(paths.models / "dynamics.safetensors")
        print_rounds(report)
        world = rounds.world
        differences_picture(
            world.starts[world.first_start],
            {when: report[when] for when in SUMMARIES},
            f"{world.spec.title}: where the dream first differs from the game",
            paths.plots / "refine.png",
        )
    made = model_print(paths.models)
    write_report(paths.metrics / "refine.json", report, pick(report, HEADLINE), made)
    if not why:
        rounds.clean()


def why_not(params: Params) -> str | None:
    """Return the sentence that says why a dream stays as it was trained, as far as params tell."""
    stays = "so the dream stays as it was trained."
    if not params.refine.rounds:
        return f"refine.rounds is 0, {stays}"
    if not FAMILIES[params.dynamics_kind].warm:
        return f"Dynamics of kind {params.dynamics_kind!r} cannot be trained on, {stays}"
    if params.collect.source != "emulator":
        return f"These recordings came without an emulator to ask, {stays}"
    return None


def unable(spec: GameSpec) -> str:
    """Return the sentence about an emulator that saves no states."""
    return (
        f"The emulator of {spec.title} cannot save its state, so the dream stays as it was trained."
    )


def print_rounds(report: dict[str, Any]) -> None:
    """Print what the rounds did, and what went wrong first before and after them."""
    columns = ("stretches", "differences", "steps", "val_before", "val", "kept")
    print_table(
        "Rounds: stretches compared, those that differ, steps learned from, validation error",
        ["round", *(name.replace("_", " ") for name in columns)],
        [
            [number, *(one.get(name) for name in columns)]
            for number, one in report["by_round"].items()
        ],
    )
    told = [report[when] for when in SUMMARIES]
    rows = [
        [f"no difference in {int(steps)} steps", *(one["exact"].get(steps) for one in told)]
        for steps in told[0]["exact"]
    ]
    rows += [
        [f"differs at {name}", *(one["by_button"][name]["share"] for one in told)]
        for name in told[0]["by_button"]
    ]
    print_table("Streams that no round saw, in shares", ["", *SUMMARIES], rows)


if __name__ == "__main__":
    run_stage(from_params(main, __doc__))
