"""The whole roadmap as experiments, and the page that judges it.

python scripts/roadmap.py run [NAME …] [--quick] [--seeds N] [--jobs N]
    →  experiments/results/roadmap/, docs/roadmap/
python scripts/roadmap.py page     →  docs/roadmap.md
python scripts/roadmap.py list [--quick]     the runs, what is done, how long the rest takes

The list is experiments/roadmap.yaml. `run` leaves out what is on record for the same params and the
same code; a killed run goes on from its checkpoint. The quick set has one seed, and fewer frames
and steps.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import Parser, text, whole
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.files import write_text
from dreamcart.core.paths import ROOT
from dreamcart.core.tables import print_table
from dreamcart.lab.machine import cores
from dreamcart.lab.page import scoreboard
from dreamcart.lab.plan import Run, expand, load_plan
from dreamcart.lab.results import load_results
from dreamcart.lab.runner import Runner

NAME = "roadmap"


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument("what", choices=("run", "page", "list"), help="as above")
    words = "experiments of experiments/roadmap.yaml (default: all)"
    made.add_argument("names", type=text, nargs="*", help=words)
    words = "the small set: one seed, fewer frames and steps"
    made.add_argument("--quick", action="store_true", help=words)
    words = "so many seeds of each, in place of the list's own number"
    made.add_argument("--seeds", type=whole(1, 100), metavar="N", help=words)
    words = "runs at a time, each on its share of the cores"
    made.add_argument("--jobs", type=whole(1, cores()), default=1, metavar="N", help=words)
    return made


def main() -> None:
    args = parser().parse_intermixed_args()  # names may come after options
    plan = load_plan(ROOT / "experiments/roadmap.yaml")
    seeds = args.seeds or (1 if args.quick else None)
    runs, runner = expand(plan, NAME, args.names, args.quick, seeds), Runner(plan, jobs=args.jobs)
    if args.what == "run" and not runner.run_all(runs):
        raise UserError("Some runs failed (above); run the same command again to go on with them.")
    if args.what == "list":
        show(runs, runner)
    if args.what == "page":
        full, quick = (load_results(NAME, small) for small in (False, True))
        everything = expand(
            plan, NAME, [], quick=False, seeds=1 + max((seed for _, seed in full), default=0)
        )
        current = {
            run.name: runner.prints(run) for run in everything if (run.experiment, run.seed) in full
        }
        write_text(ROOT / "docs/roadmap.md", scoreboard(plan, NAME, full, quick, current))
        runs = f"{len(full)} runs of the full and {len(quick)} of the quick set"
        print(f"docs/roadmap.md is written, from {runs}.")


def show(runs: list[Run], runner: Runner) -> None:
    """The runs with their estimates, and the time that is left."""
    states = [(run, runner.done(run)) for run in runs]
    rows = [
        [run.reference, run.own.asks, "done" if done else "to do", run.minutes]
        for run, done in states
    ]
    print_table(runner.plan.title, ["run", "asks", "state", "minutes"], rows)
    left = sum(run.minutes for run, done in states if not done)
    print(
        f"{sum(not done for _, done in states)} of {len(runs)} are to do, by estimate"
        f" {left / 60:.1f} hours."
    )


if __name__ == "__main__":
    run_stage(main)
