"""Judge a cart by the test episodes that are here now: its own numbers are of those of its day.

python scripts/judge.py carts/blockfall.cart [--starts N] [--longest N] [--json FILE]
    [--filmstrip FILE] [--write] [--force]

Prints the tables of `rollout_eval` for it, to set beside metrics/<game>/rollout.json, and how legal
the game's own screens are that follow the same starts: a start state may show what no play leads
to. The game and the size of its frames are the cart's own; where the game's test episodes are not
here they are recorded first. --json keeps the scores, and what made them. With --write the cart
keeps the tables as its metrics, which `rollout_eval` prints beside a run that was judged by the
same test episodes.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import Parser, add_force, new_file, path, whole
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.files import write_json
from dreamcart.core.provenance import stamp
from dreamcart.core.tables import print_table
from dreamcart.core.tensors import load_tensors
from dreamcart.core.tracked import spare
from dreamcart.data.unsplit import load_unsplit
from dreamcart.evaluation.episodes import episodes_for
from dreamcart.evaluation.judge import judge
from dreamcart.evaluation.pictures import filmstrip_picture
from dreamcart.evaluation.readback import load_reader
from dreamcart.evaluation.report import headline, print_report
from dreamcart.evaluation.rollout import choose_starts
from dreamcart.evaluation.screens import STEPS, Screens, load_infos
from dreamcart.params import Params, load_params
from dreamcart.training.device import make_repeatable, pick_device
from dreamcart.world.cart import load_cart, write_cart
from dreamcart.world.model import WorldModel


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument("cart", type=path, help="the file")
    made.add_argument(
        "--starts",
        type=whole(1, 10**6),
        metavar="N",
        help="rollouts, in place of rollout_eval.starts: more tell a share more closely",
    )
    words = "leave out the horizons of rollout_eval beyond it"
    made.add_argument("--longest", type=whole(1, 10**6), metavar="STEPS", help=words)
    words = "keep the scores in a file"
    made.add_argument("--json", type=new_file(".json"), metavar="FILE", help=words)
    made.add_argument("--write", action="store_true", help="put the result into the cart")
    words = "draw one rollout: real, dreamed and difference"
    made.add_argument("--filmstrip", type=new_file(".png"), metavar="FILE", help=words)
    add_force(made)
    return made


def main() -> None:
    args = parser().parse_args()
    if (args.starts or args.longest) and args.write:
        raise UserError(
            "--write keeps what is comparable with a run's own table; leave --starts and --longest"
            " out."
        )
    for written in filter(None, (args.filmstrip, args.json, args.write and args.cart)):
        spare(written, args.force)
    params = load_params()
    make_repeatable(params.seed)
    world, meta = load_cart(args.cart, pick_device())
    params = as_the_cart_says(params, world, args.starts, args.longest)
    tensors, meta_of_file = load_tensors(args.cart)
    raw = episodes_for(world, params)
    report, shown = judge(world, params, tensors["median"].numpy(), raw)
    print_report(f"{args.cart} against {world.spec.title}", report)
    print_game(params, raw)
    made = stamp(str(meta_of_file["fingerprint"]))
    if args.filmstrip:
        near = [h for h in sorted(set(params.rollout_eval.horizons)) if h <= shown.real.shape[1]]
        at = [h - 1 for h in near]
        filmstrip_picture(shown.real[0, at], shown.dream[0, at], near, args.filmstrip, made)
    if args.json:
        write_json(args.json, {**headline(report), "of": report["of"], "made": made})
    if args.write:
        write_cart(args.cart, tensors, meta | {"metrics": report | {"made": stamp()}})


def as_the_cart_says(
    params: Params, world: WorldModel, starts: int | None, longest: int | None
) -> Params:
    """Return `params` with the cart's game and frames, and what is told of the rollouts.

    Raises UserError where no horizon is left.
    """
    own = params.rollout_eval
    kept = [horizon for horizon in own.horizons if horizon <= (longest or horizon)]
    if not kept:
        raise UserError(
            f"--longest {longest} leaves no horizon; the shortest of rollout_eval.horizons is"
            f" {min(own.horizons)}."
        )
    rollouts = replace(own, starts=starts or own.starts, horizons=kept)
    return replace(params, game=world.spec.name, preprocess=world.seen_as, rollout_eval=rollouts)


def print_game(params: Params, raw: Path) -> None:
    """Print how legal the game itself is after the same starts, judged as the dream is."""
    with tempfile.TemporaryDirectory() as scratch:
        test = load_unsplit(raw, params.preprocess, Path(scratch))
        reader = load_reader(test.spec)
        if reader is None or tuple(reader.shape) != test.frames.shape[1:]:
            return
        config, before = params.rollout_eval, None
        farthest = max(config.horizons)
        starts = choose_starts(test, config.starts, farthest, params.seed)
        game = Screens(reader, test, load_infos(raw), [])
        game.begin(starts)
        for step in range(1, min(STEPS, farthest) + 1):
            frames = test.frames[test.index["frame"][starts + step]]
            game.see(step, frames, before)
            before = frames
        legal = game.report()["legality"]
    print_table(
        "Legality of the game itself",
        ["illegal screens", "steps", "reasons"],
        [[legal[k] for k in ("illegal", "steps", "reasons")]],
    )


if __name__ == "__main__":
    run_stage(main)
