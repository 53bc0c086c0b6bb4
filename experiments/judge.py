"""Judge a cart by the test episodes that are here now: its own numbers are of those of its day.

python experiments/judge.py carts/blockfall.cart [--starts N] [--write] [--filmstrip FILE]

Prints the tables of `rollout_eval` for it, to set beside metrics/<game>/rollout.json. With --write the cart keeps them as its
metrics, which `rollout_eval` prints beside a run that was judged by the same test episodes.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.cart import load_cart, write_cart
from dreamcart.config import load_params
from dreamcart.errors import UserError, run_stage
from dreamcart.evaluation.judge import judge
from dreamcart.evaluation.pictures import filmstrip_picture
from dreamcart.evaluation.report import print_report
from dreamcart.hardware import make_repeatable, pick_device
from dreamcart.tensors import load_tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cart", type=Path)
    parser.add_argument("--starts", type=int, help="rollouts, in place of rollout_eval.starts: more tell a share more closely")
    parser.add_argument("--write", action="store_true", help="put the result into the cart")
    parser.add_argument("--filmstrip", type=Path, metavar="FILE", help="draw one rollout: real, dreamed and difference")
    args = parser.parse_args()
    params = load_params()
    if args.starts is not None and args.starts < 1:
        raise UserError(f"--starts is {args.starts}; allowed: 1 or more.")
    if args.starts and args.write:
        raise UserError("--write keeps what is comparable with a run's own table; leave --starts out.")
    config = replace(params.rollout_eval, starts=args.starts) if args.starts else params.rollout_eval
    make_repeatable(params.seed)
    world, meta = load_cart(args.cart, pick_device())
    tensors = load_tensors(args.cart)[0]
    report, shown = judge(world, params, tensors["median"].numpy(), config)
    print_report(f"{args.cart} against {world.spec.title}", report)
    if args.filmstrip:
        near = [h for h in sorted(set(config.horizons)) if h <= shown.real.shape[1]]
        at = [h - 1 for h in near]
        filmstrip_picture(shown.real[0, at], shown.dream[0, at], near, args.filmstrip)
    if args.write:
        write_cart(args.cart, tensors, meta | {"metrics": report})


if __name__ == "__main__":
    run_stage(main)
