"""Make what tests/world/test_carts.py checks the committed carts by: pinned frames, short
recordings.

python scripts/pin_carts.py [CART ...] [--record]
    →  tests/golden/carts/pins.json; with --record tests/golden/carts/<cart>/ as well

Run it when a cart was made anew, or the code was meant to change what carts show; and on a kind of
machine that no pin names yet, which adds it. The buttons stand in pins.json: a cart of another name
first gets them there. The recordings are the first episodes of the plan that `collect` makes of the
game, by a seed of their own: nobody has chosen them. The frames are pinned on the CPU.
"""

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in the tests

import torch

from dreamcart.core.arguments import Parser, text
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.files import read_json, write_json
from dreamcart.core.paths import ROOT
from dreamcart.core.tables import print_table
from dreamcart.core.tensors import load_tensors
from dreamcart.data.collect import record
from dreamcart.evaluation.pins import add_pin, digests, exact_windows, frames_of, machine
from dreamcart.games.catalog import load_game
from dreamcart.params import load_params
from dreamcart.world.cart import FOLDER, load_cart

GOLDEN = ROOT / "tests" / "golden" / "carts"
PINS = GOLDEN / "pins.json"
SEED, EPISODES, LONG = 300, 3, 240  # far from any seed of training; episodes, steps of one


def parser() -> Parser:
    made = Parser(description=__doc__)
    words = "names as in pins.json (default: all)"
    made.add_argument("carts", type=text, nargs="*", metavar="CART", help=words)
    made.add_argument("--record", action="store_true", help="record the games anew as well")
    return made


def main() -> None:
    args = parser().parse_args()
    pins = read_json(PINS, "restore it with `git checkout`")
    for name in args.carts:
        if name not in pins:
            raise UserError(f"{PINS} has no cart {name!r}; it has {', '.join(pins)}.")
    rows = []
    for name in args.carts or pins:
        path, golden = FOLDER / f"{name}.cart", GOLDEN / name
        world, meta = load_cart(path, torch.device("cpu"))
        if args.record:
            record_episodes(meta["game"]["name"], golden)
        shown = frames_of(world, pins[name]["actions"])
        made = {part: digests(frames) for part, frames in shown.items()}
        pins[name] = add_pin(pins[name], load_tensors(path)[1]["fingerprint"], made, machine())
        exact = exact_windows(world, golden)
        pins[name]["exact"] = int(exact.all(1).sum())
        write_json(PINS, pins)
        rows.append([name, len(pins[name]["pins"]), len(exact), exact.all(1).mean(), exact.mean()])
    header = ["cart", "pins", "moments", "all 10 steps exact", "frames exact"]
    print_table(f"Pinned on {machine()}", header, rows)


def record_episodes(game: str, folder: Path) -> None:
    """Record the first episodes of a game's plan. Raises UserError where the game is missing."""
    config = replace(load_params().collect, test_episodes=EPISODES, test_steps=LONG)
    config = replace(config, frames=1, episode_steps=1)  # of those for training
    with tempfile.TemporaryDirectory() as unwanted:
        record(load_game(game), config, SEED, Path(unwanted) / "play", folder)


if __name__ == "__main__":
    run_stage(main)
