"""Run a list of experiments through DVC, one after another or several at a time, and write their
table.

python scripts/run.py experiments/latent_dim.yaml [NAME …] [--jobs N]
    →  experiments/latent_dim.md, experiments/results/latent_dim/

What is on record for the same params and the same code is not run again, and a killed run goes on
from its checkpoint (see dreamcart/lab/runner.py). With names only those are run; the table holds
all that are on record. "all" in the list holds overrides that every run gets. Where all runs are of
one game that has a committed cart, the table ends with what is on record for it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import Parser, existing_file, text, whole
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.files import write_text
from dreamcart.core.paths import Paths
from dreamcart.core.tensors import load_tensors
from dreamcart.lab.machine import cores
from dreamcart.lab.plan import NAME, changed_params, expand, load_plan
from dreamcart.lab.results import find, load_results
from dreamcart.lab.runner import Runner


def parser() -> Parser:
    made = Parser(description=__doc__)
    words = "such as experiments/latent_dim.yaml"
    made.add_argument("list", type=existing_file(".yaml"), help=words)
    made.add_argument("names", type=text, nargs="*", help="experiments of the list (default: all)")
    words = "runs at a time, each on its share of the cores"
    made.add_argument("--jobs", type=whole(1, cores()), default=1, metavar="N", help=words)
    return made


def main() -> None:
    args = parser().parse_intermixed_args()  # names may come after options
    plan, name = load_plan(args.list), args.list.stem
    if not NAME.fullmatch(name):
        why = "its runs are called after it; use letters, digits, - and _ alone"
        raise UserError(f"{args.list} cannot name a list: {why}.")
    if not plan.columns:
        raise UserError(
            f"{args.list} has no columns, and so no table; the roadmap's list is for"
            " scripts/roadmap.py."
        )
    runs = expand(plan, name, args.names, quick=False, seeds=1)
    if not Runner(plan, jobs=args.jobs).run_all(runs):
        raise UserError(
            "Some runs failed (above), so there is no table yet; run the same command again to go"
            " on with them."
        )
    results = load_results(name, quick=False)
    done = [run for run in plan.runs if (run, 0) in results]
    games = {
        changed_params(run.overrides).game for run in expand(plan, name, done, quick=False, seeds=1)
    }
    carts = [Paths(game).cart for game in games if len(games) == 1 and Paths(game).cart.is_file()]
    names = [*done, *(f"carts/{cart.name}" for cart in carts)]
    lines = [f"# {plan.title}", "", f"`python scripts/run.py {args.list.as_posix()}`", ""]
    lines += ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for label, path in plan.columns.items():
        values = [find(results[run, 0]["metrics"], path) for run in done]
        values += [
            find(load_tensors(cart)[1].get("metrics", {}), path.removeprefix("rollout."))
            for cart in carts
        ]
        lines.append(
            f"| {label} | "
            + " | ".join("–" if value is None else f"{value:.4g}" for value in values)
            + " |"
        )
    write_text(args.list.with_suffix(".md"), "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    run_stage(main)
