"""Put the trained model of a game on a cart: one file that plays anywhere.

python stages/cart.py                  →  carts/<game>.cart
python stages/cart.py --out my.cart
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.cart import FOLDER, load_cart, save_cart
from dreamcart.config import load_params
from dreamcart.errors import run_stage
from dreamcart.files import read_json
from dreamcart.hardware import pick_device
from dreamcart.paths import Paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game", help="which game (default: `game` in params.yaml)")
    parser.add_argument("--out", type=Path, help="the file to write (default: carts/<game>.cart)")
    args = parser.parse_args()
    game = args.game or load_params().game
    paths = Paths(game)
    out = args.out or FOLDER / f"{game}.cart"
    rollout = paths.metrics / "rollout.json"
    save_cart(out, paths.models, read_json(rollout) if rollout.is_file() else {})
    world, _ = load_cart(out, pick_device())  # it opens before anybody is told of it
    print(
        f"{world.spec.title} is on {out} ({out.stat().st_size / 2**20:.1f} MiB); play it with: python stages/play.py --cart {out}"
    )


if __name__ == "__main__":
    run_stage(main)
