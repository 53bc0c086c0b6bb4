"""The play loop, headless, on one core: steps a second and their slowest percent, over the
emulator's own.

python benchmarks/play.py [--game NAME] [--cart FILE] [--steps N]
python benchmarks/play.py --families transformer flow --cores 2
    # families at their default size, untrained

Untrained, a family costs what it costs trained, but for the transformer, which takes a pass for
every draft that was wrong: untrained it copies, and with --restless its weights are so loud that
most of its drafts are wrong.
"""

import itertools
import os
import statistics
import sys
from dataclasses import replace
from pathlib import Path

# before torch starts its threads
os.environ["OMP_NUM_THREADS"] = "2" if "--cores" in sys.argv else "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch import nn

from dreamcart.core.arguments import Parser, game, path, whole
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.tables import print_table
from dreamcart.dynamics.base import make_dynamics
from dreamcart.dynamics.layout import Layout
from dreamcart.dynamics.train import dynamics_config
from dreamcart.families import FAMILIES
from dreamcart.games.action_lists import parse_actions
from dreamcart.games.catalog import load_game
from dreamcart.params import Params, load_params
from dreamcart.play.library import Title, find
from dreamcart.play.loop import Script, run
from dreamcart.play.sources import Dream, Real
from dreamcart.representation.base import Representation
from dreamcart.representation.registry import make_representation
from dreamcart.representation.train import representation_config
from dreamcart.training.device import pick_device
from dreamcart.world.model import WorldModel

BUTTONS = "LEFT*3 .*5 A .*4 RIGHT*6 DOWN*8 .*6"
# steps after which play starts again: a game that is over stands still, which costs less
ROUND = 300


def untrained(
    trained: WorldModel, kind: str, latents: str, params: Params, restless: bool
) -> WorldModel:
    """A world of a family at its default size, with random weights, on the frames and the layout of
    a trained one.
    """
    torch.manual_seed(0)
    vector = replace(params, latent_dim=0 if latents == "grid" else params.latent_dim or 32)
    own = replace(params.representation, kind="tiles" if latents == "tokens" else "ae")
    told = replace(
        vector,
        preprocess=replace(params.preprocess, tile=8 if latents == "tokens" else 0),
        representation=own,
        dynamics=replace(params.dynamics, kind=kind),
    )
    if latents == "tokens":
        representation, known = in_tiles(trained)
    else:
        representation = make_representation(representation_config(told, trained.shape))
    extra = {}
    if latents == "tokens":
        extra = {
            "vocabulary": representation.vocabulary,
            "cells": int(known.mask.sum()),
            "backdrops": len(known.backdrops),
        }
    model = make_dynamics(
        dynamics_config(told, representation.latent_shape, len(trained.spec.buttons), **extra)
    )
    if latents == "tokens":
        model.set_layout(known)
        if restless:
            nn.init.normal_(model.tokens.weight, std=1.0)  # and the first draft knows nothing of it
            for block in model.blocks:
                nn.init.normal_(block.attention.write.weight, std=0.1)
                nn.init.normal_(block.layers[2].weight, std=0.1)
    return WorldModel(
        trained.spec, representation, model, trained.starts, trained.seen_as, trained.device
    )


def in_tiles(trained: WorldModel) -> tuple[Representation, Layout]:
    """The tiles that a dream of cells knows, as a dictionary, and its layout in them."""
    screen, palette = trained.dynamics.screen, trained.representation
    side, tiles = screen.side, palette.decode(trained.dynamics.tiles)
    representation = make_representation(
        {"kind": "tiles", "shape": list(trained.shape), "tile": side, "vocabulary": len(tiles)}
    )
    representation.tiles.copy_(tiles.view(-1, side, side, trained.shape[2]))
    count = len(screen.backdrops)
    shown = palette.encode(torch.from_numpy(trained.starts[trained.first_start][None]))
    window = screen.window(screen.cut(shown)).repeat(count, 1, 1, 1)
    backdrops = palette.decode(screen.compose(window, torch.arange(count)))
    return representation, Layout(screen.cells, screen.mask, representation.encode(backdrops))


def play(source: Dream | Real, steps: list[set[str]], count: int) -> dict[str, float]:
    """Steps a second of a source, after a warm-up: over rounds of ROUND steps, the slowest percent
    that of their mean.
    """
    rounds = [
        run(source, Script(itertools.islice(itertools.cycle(steps), total), total)).numbers()
        for total in [min(50, count), *[ROUND] * max(1, count // ROUND)]
    ]
    return {
        name: round(statistics.fmean(numbers[name] for numbers in rounds[1:]), 3)
        for name in rounds[0]
    }


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument("--game", type=game, help="which game (default: `game` in params.yaml)")
    words = "this cart, instead of the model trained here"
    made.add_argument("--cart", type=path, metavar="FILE", help=words)
    words = "how many are timed"
    made.add_argument("--steps", type=whole(1, 10**7), default=2000, metavar="N", help=words)
    families = [kind for kind in FAMILIES if kind != "cells"]
    words = "untrained models of these families instead"
    made.add_argument("--families", nargs="+", choices=families, help=words)
    words = "an untrained transformer in which nothing stays as it is"
    made.add_argument("--restless", action="store_true", help=words)
    words = "processor cores to use"
    cores = whole(1, os.cpu_count() or 1)
    made.add_argument("--cores", type=cores, default=1, metavar="N", help=words)
    return made


def main() -> None:
    args = parser().parse_args()
    torch.set_num_threads(args.cores)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(range(args.cores)))
    title = Title(args.cart.stem, args.cart) if args.cart else find(args.game or load_params().game)
    dream = Dream(title.load(pick_device()), None)
    game = dream.spec.name
    steps = parse_actions(BUTTONS, dream.spec) if game.startswith("blockfall") else [set()]
    cores = "one core" if args.cores == 1 else f"{args.cores} cores"
    if args.families:
        if "transformer" in args.families and dream.world.dynamics.kind != "cells":
            raise UserError(
                "--families transformer needs a dream of cells, for its tiles and its layout;"
                f" {title.label} is none."
            )
        worlds = {
            f"{kind}, {latents}": untrained(
                dream.world, kind, latents, load_params(), args.restless
            )
            for kind in args.families
            for latents in FAMILIES[kind].latents
        }
        reports = {
            name: play(Dream(world, None), steps, args.steps) for name, world in worlds.items()
        }
        for name, world in worlds.items():
            if world.dynamics.random:
                reports[f"{name}, temperature 1"] = play(Dream(world, None, 1.0), steps, args.steps)
        rows = [[name, *numbers.values()] for name, numbers in reports.items()]
        print_table(
            f"Untrained, frames of {title.label}, {cores}, batch 1",
            ["", *next(iter(reports.values()))],
            rows,
        )
        return
    reports = {
        name: play(source, steps, args.steps)
        for name, source in (("dream", dream), ("emulator", Real(load_game(game), None, 0)))
    }
    rows = [[name, *numbers.values()] for name, numbers in reports.items()]
    print_table(f"{title.label}, {cores}, batch 1", ["", *reports["dream"]], rows)
    rates = [numbers["steps/s"] for numbers in reports.values()]
    print(
        f"dream / emulator: {rates[0] / rates[1]:.3f}; real time is {dream.spec.step_rate:.0f}"
        " steps/s"
    )


if __name__ == "__main__":
    run_stage(main)
