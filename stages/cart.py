"""Stage 8: put the trained model on a cart: one file that plays anywhere, with its recipe and its
metrics.

python -m stages.cart                      →  models/<game>/dream.cart
python stages/cart.py --out carts/my.cart  →  another place; --game for another game
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import Parser, add_force, game, new_file
from dreamcart.core.errors import run_stage
from dreamcart.core.paths import Paths
from dreamcart.core.reports import read_report
from dreamcart.core.tracked import spare
from dreamcart.params import load_params
from dreamcart.training.device import pick_device
from dreamcart.world.cart import load_cart, model_print, save_cart


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument("--game", type=game, help="which game (default: `game` in params.yaml)")
    words = "the file to write (default: models/<game>/dream.cart)"
    made.add_argument("--out", type=new_file(".cart"), metavar="FILE", help=words)
    add_force(made)
    return made


def main() -> None:
    args = parser().parse_args()
    paths = Paths(args.game or load_params().game)
    out = args.out or paths.own_cart
    spare(out, args.force)
    save_cart(out, paths.models, metrics_of(paths))
    world, _ = load_cart(out, pick_device())  # it opens before anybody is told of it
    size = f"{out.stat().st_size / 1e6:.1f} MB"
    print(
        f"{world.spec.title} is on {out} ({size}); play it with: python stages/play.py --cart {out}"
    )


def metrics_of(paths: Paths) -> dict[str, Any]:
    """The last evaluation, if it is of the model that is here; else nothing, and that is said."""
    rollout = paths.metrics / "rollout.json"
    report = read_report(rollout) if rollout.is_file() else {}
    if report.get("made", {}).get("model") == model_print(paths.models):
        return report
    print(
        "The trained model has not been evaluated, so its cart has no metrics; `dvc repro`"
        " evaluates it."
    )
    return {}


if __name__ == "__main__":
    run_stage(main)
