"""Tell an older cart what the recordings that are here show (regions, chains, moves, what is live
and what comes next, what comes from nowhere or follows a dial, start states), its weights as they
are.

python scripts/renew.py carts/blockfall.cart [--out FILE] [--movers STEPS] [--force]

With --movers it is also taught the things that move as one, if the game has such, for so many
steps: minutes, in place of training all of it again. Its metrics stay those of its day: `python
scripts/judge.py FILE` judges it anew.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from dreamcart.core.arguments import Parser, add_force, new_file, path, whole
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.files import fingerprint
from dreamcart.core.paths import Paths
from dreamcart.core.tensors import load_tensors
from dreamcart.core.tracked import spare
from dreamcart.data.processed import load_split, start_frames
from dreamcart.dynamics.tokens.model import TokenDynamics
from dreamcart.dynamics.tokens.movers.train import told_anew
from dreamcart.dynamics.tokens.samples import Samples
from dreamcart.dynamics.tokens.train import keep_to, move
from dreamcart.lab.tokens import tokens_of
from dreamcart.params import load_params
from dreamcart.training.device import pick_device
from dreamcart.training.loop import Plan
from dreamcart.world.cart import load_cart, write_cart

CHECK_EVERY = 500  # steps between two checkpoints of the movers


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument("cart", type=path, help="a dream of tokens")
    words = "the file to write (default: the cart itself)"
    made.add_argument("--out", type=new_file(".cart"), metavar="FILE", help=words)
    words = "teach it movers; some 6000 steps do"
    made.add_argument("--movers", type=whole(0, 10**6), default=0, metavar="STEPS", help=words)
    add_force(made)
    return made


def main() -> None:
    args = parser().parse_args()
    out = args.out or args.cart
    spare(out, args.force)
    params = load_params()
    world, meta = load_cart(args.cart, pick_device())
    if world.spec.name != params.game or not isinstance(world.dynamics, TokenDynamics):
        raise UserError(
            f"{args.cart} is of {world.spec.name}; what is renewed is a dream of tokens of"
            f" {params.game} (params.yaml)."
        )
    paths = Paths(params.game)
    splits = {name: load_split(paths.processed, name) for name in ("train", "val")}
    train = splits["train"]
    tokens = {name: tokens_of(world, split) for name, split in splits.items()}
    model = world.dynamics.cpu()
    told = keep_to(model, tokens["train"], train)
    if args.movers:
        samples = {name: Samples(split, tokens[name], model) for name, split in splits.items()}
        plan = Plan(
            args.movers,
            0.0,
            params.dynamics.weight_decay,
            max(1, args.movers // 5),
            CHECK_EVERY,
            params.seed,
        )
        told |= move(
            model,
            samples,
            tokens,
            plan,
            paths.checkpoint("movers", fingerprint(args.cart, args.movers, params.seed)),
        )
    elif model.mover is not None:
        kinds = told_anew(
            model.kinds,
            Samples(train, tokens["train"], model),
            tokens["train"],
            model.tiles.numpy(),
        )
        model.set_movers(kinds, model.mover)
        told |= {"movers": meta["dynamics"]["movers"] | {"shape": model.kinds.shape}}
    tensors, _ = load_tensors(args.cart)
    tensors = {
        name: tensor
        for name, tensor in tensors.items()
        if not name.startswith(("dynamics.", "start."))
    }
    tensors |= {f"dynamics.{name}": tensor for name, tensor in world.dynamics.state_dict().items()}
    starts = start_frames(paths.processed, splits)
    tensors |= {
        f"start.{name}": torch.from_numpy(np.ascontiguousarray(frame))
        for name, frame in starts.items()
    }
    meta["dynamics"] |= told
    meta |= {"starts": list(starts), "game": train.spec.to_dict()}
    write_cart(out, tensors, meta)
    kinds = (
        f"{told['regions'][0]} regions, {told['moves'][0]} moves and {len(model.kinds.colours)}"
        " kinds of movers"
    )
    print(f"{out} knows {kinds}.")


if __name__ == "__main__":
    run_stage(main)
