"""Roll the trained dream, or a cart, out on *validation* episodes: for choosing, which the test
must not do.

python scripts/validate.py [--starts N] [--cart FILE] [--pictures FOLDER]

Prints the table of rollout_eval for validation starts; where the game has a reader also what it
reads from the dream's screens, and what happened in the game at the step at which each dream parted
from it. With --pictures every such step is drawn: the game before it and after it, the dream after
it, and the difference. Writes nothing else.
"""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from dreamcart.core.arguments import Parser, new_folder, path, whole
from dreamcart.core.errors import run_stage
from dreamcart.core.files import read_array
from dreamcart.core.paths import Paths
from dreamcart.core.tables import print_table
from dreamcart.data.processed import load_split
from dreamcart.evaluation.judge import check_same
from dreamcart.evaluation.pictures import save_png
from dreamcart.evaluation.readback import load_reader
from dreamcart.evaluation.report import print_screens
from dreamcart.evaluation.rollout import curve_rows, evaluate_rollouts
from dreamcart.lab.partings import Partings
from dreamcart.params import load_params
from dreamcart.training.device import make_repeatable, pick_device
from dreamcart.world.cart import load_cart
from dreamcart.world.model import load_world

SCALE = 2  # of the pictures
SOON = 60


def parser() -> Parser:
    made = Parser(description=__doc__)
    words = "how many rollouts"
    made.add_argument("--starts", type=whole(1, 10**6), default=100, metavar="N", help=words)
    words = "a cart instead of the trained model"
    made.add_argument("--cart", type=path, metavar="FILE", help=words)
    words = "draw the steps at which dreams part from the game there"
    made.add_argument("--pictures", type=new_folder, metavar="FOLDER", help=words)
    return made


def main() -> None:
    args = parser().parse_args()
    params = load_params()
    paths = Paths(params.game)
    make_repeatable(params.seed)
    world = (
        load_cart(args.cart, pick_device())[0]
        if args.cart
        else load_world(paths.models, pick_device())
    )
    val, median = load_split(paths.processed, "val"), read_array(paths.processed / "median.npy")
    check_same(world, val.frames.shape[1:], params)
    longest = int(val.index["step"].max())
    config = replace(
        params.rollout_eval,
        starts=args.starts,
        horizons=[h for h in params.rollout_eval.horizons if h < longest],
    )
    reader = load_reader(world.spec)
    screens = Partings(reader, val, ["{}"] * len(val.index), config.horizons) if reader else None
    table, _ = evaluate_rollouts(world, val, median, config, params.seed, screens)
    rows = curve_rows(table)
    title = f"{world.spec.title}: validation episodes"
    print_table(title, list(rows[0]), [list(row.values()) for row in rows])
    if screens:
        print_screens(screens.report())
        print_partings(title, screens)
    if screens and args.pictures:
        for number, (step, dream) in screens.parted.items():
            before, real = screens.real(number, step - 1), screens.real(number, step)
            difference = np.abs(real.astype(int) - dream).astype(np.uint8)
            shown = np.concatenate([before, real, dream, difference], 1)
            name = f"{step:04d}_{number:03d}_{screens.name(number, step)}.png"
            save_png(shown, args.pictures / name, SCALE)


def print_partings(title: str, screens: Partings) -> None:
    """What happened in the game when dreams parted from it."""
    found = [(screens.name(number, step), step) for number, (step, _) in screens.parted.items()]
    soon = Counter(name for name, step in found if step <= SOON)
    rows = [
        [name, times, soon[name]]
        for name, times in Counter(name for name, _ in found).most_common()
    ]
    print_table(
        f"{title}: dreams parted when this happened",
        ["in the game", "rollouts", f"within {SOON} steps"],
        rows,
    )


if __name__ == "__main__":
    run_stage(main)
