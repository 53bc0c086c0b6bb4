"""Training throughput of every family of dynamics, each beside a plain reference of its kind.

python benchmarks/train_dynamics.py [--steps N] [--families mlp gru …]

A plain reference is the model as one writes it first: fp32, contiguous tensors, textbook layers.
Batches are fetched alike for both. What counts is frames a second times parameters: a family may be
larger than its reference, and then has more to do for each frame. Latents are random numbers of the
default sizes on the index table of `--game` (so that any processed dataset will do); the
transformer and the default family train on that game's own cells, and need its latents of the
default representation. A step is what training does for a batch in its teacher mode; clipping of
gradients and Muon's orthogonalisation, which some families have and the references have not, are
left out.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from torch import nn

from benchmarks._plain_dynamics import PlainCells, plain_model
from dreamcart.core.arguments import Parser, game, whole
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.files import read_array
from dreamcart.core.paths import Paths
from dreamcart.core.tables import print_table
from dreamcart.data.processed import Split, load_split
from dreamcart.dynamics.base import Dynamics, make_dynamics
from dreamcart.dynamics.cells.loss import bounded, frame_loss
from dreamcart.dynamics.cells.samples import Samples
from dreamcart.dynamics.cells.train import fresh
from dreamcart.dynamics.train import fresh_model
from dreamcart.dynamics.windows import Windows
from dreamcart.families import FAMILIES
from dreamcart.params import Params, load_params
from dreamcart.representation.palette import TILES
from dreamcart.training.device import autocast, make_repeatable, pick_device

WARM_UP = 2
GRID = (16, 10, 10)
SAMPLE = 2000  # distinct frames that stand for all


def timed(model: nn.Module, loss_of: Callable[[], torch.Tensor], steps: int) -> float:
    """Training steps a second."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=isinstance(model, Dynamics))
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            begin = time.perf_counter()
        optimizer.zero_grad()
        loss_of().backward()
        optimizer.step()
    return steps / (time.perf_counter() - begin)


def compare(
    kind: str, latents: str, params: Params, train: Split, cells: np.ndarray | None, steps: int
) -> list[object]:
    """A row of the table: frames a second, parameters in thousands, and the ratio of their
    products.
    """
    device, rng = pick_device(), np.random.default_rng(0)
    shape = {"vector": (params.latent_dim or 32,), "grid": GRID}.get(latents)
    numbers = (
        cells if shape is None else rng.normal(size=(len(train.frames), *shape)).astype(np.float32)
    )
    params = replace(
        params,
        latent_dim=0 if latents == "grid" else params.latent_dim or 32,
        representation=replace(
            params.representation, kind="tiles" if latents == "tokens" else "ae"
        ),
        preprocess=replace(params.preprocess, tile=8 if latents == "tokens" else 0),
        dynamics=replace(params.dynamics, kind=kind),
    )
    ours, _ = fresh_model(params, train, numbers, int(numbers.max()) + 1 if shape is None else 0)
    ours = ours.to(device, memory_format=torch.channels_last).train()
    plain = plain_model(kind, ours, params).to(device)
    windows = Windows(train, numbers, ours.history_frames, ours.history_actions)
    batch = params.dynamics.batch_size

    def our_loss() -> torch.Tensor:
        with autocast(device):
            return ours.loss(
                *windows.get(windows.draw(rng, batch, params.dynamics.changed_share)[0], device)
            ).mean()

    def plain_loss() -> torch.Tensor:
        return plain.loss(*windows.get(rng.choice(windows.all, batch), device))

    return row(f"{kind}, {latents}", plain, plain_loss, ours, our_loss, steps, batch)


def compare_default(
    params: Params, train: Split, cells: np.ndarray, tiles: torch.Tensor, steps: int
) -> list[object]:
    """The row of the default family, which has a training of its own."""
    device, rng, own = pick_device(), np.random.default_rng(0), params.dynamics
    config, buffers = fresh(params, train, cells, tiles)
    ours = make_dynamics(config)
    ours.load_state_dict(buffers, strict=False)
    samples = Samples(train, cells, tiles.flatten(1), ours)
    ours.to(device).train()
    plain = PlainCells(
        len(tiles),
        own.history_frames,
        len(train.spec.buttons) * own.history_actions,
        own.cells.channels,
    ).to(device)
    windows = Windows(train, cells, own.history_frames, own.history_actions)

    def our_loss() -> torch.Tensor:
        at, weight = samples.draw(rng, own.batch_size, own.changed_share)
        batch = samples.get(at).to(device)
        return bounded(frame_loss(ours, batch, weight.to(device))).mean()

    def plain_loss() -> torch.Tensor:
        return plain.loss(*windows.get(rng.choice(windows.all, own.batch_size), device))

    return row("cells, pixels", plain, plain_loss, ours, our_loss, steps, own.batch_size)


def row(
    name: str,
    plain: nn.Module,
    plain_loss: Callable[[], torch.Tensor],
    ours: Dynamics,
    our_loss: Callable[[], torch.Tensor],
    steps: int,
    batch: int,
) -> list[object]:
    """Frames a second and parameters in thousands of both, and their ratios."""
    rates = [
        timed(model, loss, steps) * batch for model, loss in ((plain, plain_loss), (ours, our_loss))
    ]
    weights = [sum(weight.numel() for weight in model.parameters()) for model in (plain, ours)]
    each = [
        x
        for rate, count in zip(rates, weights, strict=True)
        for x in (round(rate), round(count / 1000))
    ]
    return [name, *each, rates[1] / rates[0], rates[1] * weights[1] / (rates[0] * weights[0])]


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument("--game", type=game, help="which game (default: `game` in params.yaml)")
    words = "of each training"
    made.add_argument("--steps", type=whole(1, 10**6), default=20, metavar="N", help=words)
    known = list(FAMILIES)
    words = "which (default: all)"
    made.add_argument("--families", nargs="+", choices=known, default=known, help=words)
    return made


def main() -> None:
    args = parser().parse_args()
    params = load_params()
    paths = Paths(args.game or params.game)
    whole = load_split(paths.processed, "train")
    index = (
        whole.index[: np.flatnonzero(whole.index["frame"] >= SAMPLE)[0]]
        if len(whole.frames) > SAMPLE
        else whole.index
    )
    train = Split(whole.frames[np.arange(min(SAMPLE, len(whole.frames)))], index, whole.spec)
    cells = tiles = None
    if {"transformer", "cells"} & set(args.families):
        if not (paths.latents / TILES).is_file():
            raise UserError(
                "The transformer and cells need the game's latents: run `dvc repro encode_latents`,"
                " or leave them out (--families)."
            )
        shown = read_array(paths.latents / "train.npy")[: len(train.frames)]
        kept, number = np.unique(shown, return_inverse=True)
        cells = number.reshape(shown.shape).astype(np.int16)
        tiles = torch.from_numpy(read_array(paths.latents / TILES)[kept])
    make_repeatable(0)
    rows = []
    for kind in args.families:
        if kind == "cells":
            rows.append(compare_default(params, train, cells, tiles, args.steps))
        else:
            rows += [
                compare(kind, latents, params, train, cells, args.steps)
                for latents in FAMILIES[kind].latents
            ]
    print_table(
        f"Training the dynamics, batches of {params.dynamics.batch_size}, {pick_device()},"
        f" {torch.get_num_threads()} threads",
        [
            "family",
            "plain frames/s",
            "x1000 weights",
            "ours frames/s",
            "x1000 weights",
            "ratio a frame",
            "and a weight",
        ],
        rows,
    )


if __name__ == "__main__":
    run_stage(main)
