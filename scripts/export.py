"""Write a dream as a folder of ONNX files, for a browser or any ONNX Runtime.

python scripts/export.py carts/NAME.cart --out FOLDER     a cart
python scripts/export.py --game NAME --out FOLDER         the model that is trained here

The folder holds begin.onnx, step.onnx, dream.json and starts.bin; what they take and give stands in
dreamcart/world/export.py. Afterwards ONNX Runtime, where it is installed, plays some steps beside
torch, and every frame must be the same.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from dreamcart.core.arguments import Parser, existing_file, game, new_folder
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.paths import Paths
from dreamcart.core.tables import print_table
from dreamcart.params import load_params
from dreamcart.world.cart import load_cart
from dreamcart.world.export import export_dream
from dreamcart.world.export_check import differing_frames
from dreamcart.world.model import load_world

STEPS = 100


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument("cart", type=existing_file(".cart"), nargs="?", help="a cart")
    made.add_argument("--game", type=game, help="a game of which a model is trained here")
    made.add_argument("--out", type=new_folder, required=True, metavar="FOLDER", help="where to")
    return made


def main() -> None:
    args = parser().parse_args()
    if args.cart and args.game:
        raise UserError("Name a cart or --game, not both.")
    device = torch.device("cpu")
    if args.cart:
        world, _ = load_cart(args.cart, device)
    else:
        world = load_world(Paths(args.game or load_params().game).models, device)
    export_dream(world, args.out)
    rows = [[path.name, round(path.stat().st_size / 1e6, 2)] for path in sorted(args.out.iterdir())]
    print_table(f"{world.spec.title} in {args.out}", ["file", "MB"], rows)
    try:
        wrong = {t: differing_frames(world, args.out, STEPS, t) for t in (0.0, 1.0)}
    except ImportError:
        print("ONNX Runtime is not installed, so nothing was compared; `pip install onnxruntime`.")
        return
    if any(wrong.values()):
        raise UserError(
            f"Of {STEPS} frames {wrong[0.0]} differ between torch and ONNX Runtime at temperature"
            f" 0, and {wrong[1.0]} at 1: do not use this folder, and report it."
        )
    print(f"ONNX Runtime dreams the same {STEPS} frames as torch, at temperature 0 and at 1.")


if __name__ == "__main__":
    run_stage(main)
