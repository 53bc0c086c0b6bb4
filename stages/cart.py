"""Put the trained model of a game on a cart: one file that plays anywhere.

python stages/cart.py                  →  carts/my_<game>.cart, beside the one that came with Dreamcart
python stages/cart.py --out my.cart
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.cart import FOLDER, load_cart, model_print, save_cart
from dreamcart.config import load_params
from dreamcart.errors import run_stage
from dreamcart.files import read_json
from dreamcart.hardware import pick_device
from dreamcart.paths import Paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game", help="which game (default: `game` in params.yaml)")
    parser.add_argument("--out", type=Path, help="the file to write (default: carts/my_<game>.cart)")
    args = parser.parse_args()
    game = args.game or load_params().game
    paths = Paths(game)
    own = Path(game)
    out = args.out or FOLDER / own.with_name(f"my_{own.name}.cart")
    save_cart(out, paths.models, metrics_of(paths))
    world, _ = load_cart(out, pick_device())  # it opens before anybody is told of it
    print(f"{world.spec.title} is on {out} ({out.stat().st_size / 1e6:.1f} MB); play it with: python stages/play.py --cart {out}")


def metrics_of(paths: Paths) -> dict[str, Any]:
    """The last evaluation, if it is of the model that is here; else nothing, and that is said."""
    rollout = paths.metrics / "rollout.json"
    report = read_json(rollout) if rollout.is_file() else {}
    if report.get("of", {}).get("model") == model_print(paths.models):
        return report
    print("The trained model has not been evaluated, so its cart has no metrics; `dvc repro` evaluates it.")
    return {}


if __name__ == "__main__":
    run_stage(main)
