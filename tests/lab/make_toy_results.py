"""Makes tests/golden/toy_results: the runs of tests/toy.yaml through the real runner, from the
committed state.

python tests/lab/make_toy_results.py
    some minutes; what is on record for this code is not run again
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.paths import ROOT
from dreamcart.lab.plan import expand, load_plan
from dreamcart.lab.runner import Runner


def main() -> None:
    plan, folder = load_plan(ROOT / "tests" / "toy.yaml"), ROOT / "tests" / "golden" / "toy_results"
    if not Runner(plan, results=folder, pictures=ROOT / ".dvc" / "tmp" / "toy-pictures").run_all(
        expand(plan, "toy", [], False)
    ):
        raise UserError("Some toy runs failed (above); run the same command again.")


if __name__ == "__main__":
    run_stage(main)
