"""The play loop, headless, on one core: steps a second and their slowest percent, over the emulator's own.

python benchmarks/play.py [--game NAME] [--cart FILE] [--steps N]
"""

import argparse
import itertools
import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch starts its threads
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from dreamcart.config import load_params
from dreamcart.games.catalog import load_game
from dreamcart.hardware import pick_device
from dreamcart.play.actions import parse_actions
from dreamcart.play.library import Title, find
from dreamcart.play.loop import Script, run
from dreamcart.play.sources import Dream, Real
from dreamcart.tables import print_table

BUTTONS = "LEFT*3 .*5 A .*4 RIGHT*6 DOWN*8 .*6"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game")
    parser.add_argument("--cart", type=Path, help="this cart, instead of the model trained here")
    parser.add_argument("--steps", type=int, default=2000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {0})
    title = Title(args.cart.stem, args.cart) if args.cart else find(args.game or load_params().game)
    dream = Dream(title.load(pick_device()), None)
    game = dream.spec.name
    steps = parse_actions(BUTTONS, dream.spec) if game.startswith("blockfall") else [set()]
    reports = {}
    for name, source in (("dream", dream), ("emulator", Real(load_game(game), None, 0))):
        for count in (50, args.steps):  # the first run warms up
            reports[name] = run(source, Script(itertools.islice(itertools.cycle(steps), count), count))
    rows = [[name, *report.numbers().values()] for name, report in reports.items()]
    print_table(f"{title.label}, one core, batch 1", ["", *reports["dream"].numbers()], rows)
    rates = [report.numbers()["steps/s"] for report in reports.values()]
    print(f"dream / emulator: {rates[0] / rates[1]:.3f}; real time is {dream.spec.step_rate:.0f} steps/s")


if __name__ == "__main__":
    main()
