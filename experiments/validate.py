"""Roll the trained dream, or a cart, out on *validation* episodes: for choosing, which the test must not do.

python experiments/validate.py [--starts N] [--cart FILE]

Prints the table of rollout_eval for validation starts. Writes nothing.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.cart import load_cart
from dreamcart.config import load_params
from dreamcart.data.processed import load_split
from dreamcart.errors import run_stage
from dreamcart.evaluation.judge import check_same
from dreamcart.evaluation.rollout import curve_rows, evaluate_rollouts
from dreamcart.files import read_array
from dreamcart.hardware import make_repeatable, pick_device
from dreamcart.paths import Paths
from dreamcart.tables import print_table
from dreamcart.world_model import load_world


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=100)
    parser.add_argument("--cart", type=Path, help="a cart instead of the trained model")
    args = parser.parse_args()
    params = load_params()
    paths = Paths(params.game)
    make_repeatable(params.seed)
    world = load_cart(args.cart, pick_device())[0] if args.cart else load_world(paths.models, pick_device())
    val, median = load_split(paths.processed, "val"), read_array(paths.processed / "median.npy")
    check_same(world, val.frames.shape[1:], params)
    longest = int(val.index["step"].max())
    config = replace(params.rollout_eval, starts=args.starts, horizons=[h for h in params.rollout_eval.horizons if h < longest])
    table, _ = evaluate_rollouts(world, val, median, config, params.seed)
    rows = curve_rows(table)
    print_table(f"{world.spec.title}: validation episodes", list(rows[0]), [list(row.values()) for row in rows])


if __name__ == "__main__":
    run_stage(main)
