"""Print the last evaluation of the model trained here: `make` ends with it.

python scripts/table.py [--game NAME]

On a machine like the one that committed dvc.lock, DVC knows the evaluation's result and skips the
stage, which then prints nothing.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import Parser, game
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.paths import Paths
from dreamcart.core.reports import read_report
from dreamcart.core.tables import print_table
from dreamcart.params import load_params

SOURCES = {"model": "dream", "persistence": "copy", "reconstruction": "ceiling"}
SCORES = {"exact": "exact", "ssim": "SSIM", "lpips": "LPIPS"}


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument("--game", type=game, help="which game (default: `game` in params.yaml)")
    return made


def main() -> None:
    name = parser().parse_args().game or load_params().game
    path = Paths(name).metrics / "rollout.json"
    if not path.is_file():
        raise UserError(f"{path} is missing: nothing was evaluated yet; run `dvc repro`.")
    report = read_report(path)
    columns = [(score, source) for score in SCORES for source in SOURCES]
    header = ["step", *(f"{SCORES[score]}, {SOURCES[source]}" for score, source in columns)]
    rows = [
        [step, *((report[source].get(step) or {}).get(score) for score, source in columns)]
        for step in sorted(report["model"], key=int)
    ]
    print_table(f"{name}: the dream, copying the last frame, and the ceiling", header, rows)


if __name__ == "__main__":
    run_stage(main)
