"""Judge a cart by the test episodes that are here now: its own numbers are of those of its day.

python experiments/judge.py carts/blockfall.cart [--write]

Prints the tables of `rollout_eval` for it, to set beside metrics/<game>/rollout.json. With --write the cart keeps them as its
metrics, which `rollout_eval` prints beside a run that was judged by the same test episodes.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.cart import load_cart, write_cart
from dreamcart.config import load_params
from dreamcart.errors import UserError, run_stage
from dreamcart.evaluation.control import controllability
from dreamcart.evaluation.draws import Draws
from dreamcart.evaluation.readback import load_reader
from dreamcart.evaluation.report import print_control, print_screens
from dreamcart.evaluation.rollout import curve_rows, evaluate_rollouts, load_test
from dreamcart.evaluation.screens import Screens, load_infos
from dreamcart.files import read_array
from dreamcart.games.emulator import open_emulator
from dreamcart.hardware import make_repeatable, pick_device
from dreamcart.paths import Paths
from dreamcart.tables import print_table
from dreamcart.tensors import load_tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cart", type=Path)
    parser.add_argument("--write", action="store_true", help="put the result into the cart")
    args = parser.parse_args()
    params = load_params()
    paths, config = Paths(params.game), params.rollout_eval
    make_repeatable(params.seed)
    world, meta = load_cart(args.cart, pick_device())
    if world.spec.name != params.game:
        raise UserError(f"{args.cart} is of {world.spec.name}, and `game` in params.yaml is {params.game}; make them agree.")
    median = read_array(paths.processed / "median.npy")
    with tempfile.TemporaryDirectory() as scratch:
        test = load_test(paths.raw_test, params.preprocess, Path(scratch))
        reader = load_reader(test.spec)
        infos = load_infos(paths.raw_test)
        screens = Screens(reader, test, infos, config.horizons) if reader else None
        draws = Draws(infos, test.spec.seed_variable, max(config.horizons)) if test.spec.seed_variable else None
        metrics = dict(evaluate_rollouts(world, test, median, config, params.seed, screens, draws)[0])
        rows = curve_rows(metrics)
        print_table(f"{args.cart} against {test.spec.title}", list(rows[0]), [list(row.values()) for row in rows])
        if screens:
            metrics["screens"] = screens.report()
            print_screens(metrics["screens"])
        if draws:
            metrics["until_draw"] = until = draws.report()
            print_table("Every frame exact up to the game's next random draw", list(until), [list(until.values())])
    emulator = open_emulator(test.spec)
    control = controllability(emulator, test.spec, world, params.preprocess, config.control_states, params.seed)
    emulator.close()
    print_control(control)
    if args.write:
        write_cart(args.cart, load_tensors(args.cart)[0], meta | {"metrics": metrics | {"controllability": control}})


if __name__ == "__main__":
    run_stage(main)
