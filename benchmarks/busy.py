"""What is left of the speed beside other work: each task alone, and beside processes that keep a
core busy.

python benchmarks/busy.py [--tasks play batch …] [--busy 1 2] [--rounds N] [--threads N]

Each measurement is a process of its own, as a stage is: alone, then beside the busy ones, round
after round, so that all see the same machine. The table holds medians. The trainings need the
processed frames and latents of `game` (run `make` first). OMP_WAIT_POLICY=ACTIVE shows what threads
that wait awake would cost (`dreamcart/__init__.py` lets them sleep).
"""

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from dreamcart.core.arguments import Parser, whole
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.files import read_array
from dreamcart.core.paths import ROOT, Paths
from dreamcart.core.tables import print_table
from dreamcart.params import load_params

CART = ROOT / "carts" / "blockfall.cart"
SECONDS = 6.0  # that a measurement lasts, after its warm-up
WARM_UP = 10  # steps before the clock starts


class Enough(Exception):  # noqa: N818
    """A training has run for long enough to know its speed."""


def dreams(batch: int) -> tuple[float, str]:
    """Step `batch` dreams of a cart by random buttons."""
    import torch

    from dreamcart.training.device import make_repeatable
    from dreamcart.world.cart import load_cart

    make_repeatable(0)
    world, _ = load_cart(CART, torch.device("cpu"))
    presses = np.random.default_rng(0).random((97, batch, len(world.spec.buttons))) < 0.1
    first = world.starts[world.first_start][None, None].repeat(batch, 0)
    state = world.start(first, np.zeros((batch, 0, presses.shape[2]), np.uint8))
    steps, begin = -WARM_UP, time.perf_counter()
    while steps < 0 or time.perf_counter() - begin < SECONDS:
        if steps == 0:
            begin = time.perf_counter()
        _, state = world.step(state, presses[steps % 97].astype(np.uint8))
        steps += 1
    return batch * steps / (time.perf_counter() - begin), "dream steps/s"


def training(run: Callable[..., object]) -> tuple[float, str]:
    """Run a trainer of the package until its speed is known."""
    from dreamcart.data.processed import load_split
    from dreamcart.training import loop

    spent: list[float] = []

    class Clock:
        """In place of the trainers' progress bar: it sees every step."""

        def __init__(self, steps: range, **_: object) -> None:
            self.steps = steps

        def __iter__(self) -> Iterator[int]:
            begin = 0.0
            for step in self.steps:
                if step == WARM_UP:
                    begin = time.perf_counter()
                if step > WARM_UP and time.perf_counter() - begin > SECONDS:
                    spent.append((step - WARM_UP) / (time.perf_counter() - begin))
                    raise Enough
                yield step

        def set_postfix(self, **_: object) -> None:
            pass

    loop.tqdm = Clock
    params = load_params()
    paths = Paths(params.game)
    if not (paths.latents / "train.npy").is_file():
        raise UserError(
            f"{paths.latents} is missing, so no training can be timed; run `make` first."
        )
    often = {"steps": 10**6, "validate_every": 10**6, "checkpoint_every": 10**6}
    splits = [load_split(paths.processed, name) for name in ("train", "val")]
    with tempfile.TemporaryDirectory() as scratch, suppress(Enough):
        run(params, often, splits, Path(scratch) / "checkpoint.safetensors")
    return spent[0], "training steps/s"


def cells(params, often, splits, checkpoint) -> None:
    import torch

    from dreamcart.dynamics.cells.train import train_cells
    from dreamcart.representation.palette import TILES

    paths = Paths(params.game)
    params = replace(params, dynamics=replace(params.dynamics, **often))
    tiles = torch.from_numpy(read_array(paths.latents / TILES).copy())
    both = {name: read_array(paths.latents / f"{name}.npy") for name in ("train", "val")}
    train_cells(params, *splits, both, tiles, checkpoint)


def mlp(params, often, splits, checkpoint) -> None:
    from dreamcart.dynamics.train import train_dynamics

    representation = replace(params.representation, kind="ae")
    params = replace(params, representation=representation, latent_dim=32)
    params = replace(params, dynamics=replace(params.dynamics, kind="mlp", **often))
    rng = np.random.default_rng(0)
    both = {
        name: rng.normal(size=(len(split.frames), 32)).astype(np.float32)
        for name, split in zip(("train", "val"), splits, strict=True)
    }
    train_dynamics(params, *splits, both, None, checkpoint)


def autoencoder(params, often, splits, checkpoint) -> None:
    from dreamcart.representation.train import train_representation

    own = replace(params.representation, kind="ae", **often)
    params = replace(params, representation=own, preprocess=replace(params.preprocess, tile=0))
    median = np.load(Paths(params.game).processed / "median.npy")
    train_representation(params, *splits, median, checkpoint)


def collecting() -> tuple[float, str]:
    """Record episodes of the game."""
    from dreamcart.data.collect import record
    from dreamcart.games.catalog import load_game

    params = load_params()
    config = replace(params.collect, frames=6000, test_episodes=1, test_steps=2, episode_steps=500)
    with tempfile.TemporaryDirectory() as scratch:
        begin = time.perf_counter()
        record(load_game(params.game), config, 0, Path(scratch) / "raw", Path(scratch) / "test")
        return 6000 / (time.perf_counter() - begin), "frames/s"


TASKS: dict[str, Callable[[], tuple[float, str]]] = {
    "play": lambda: dreams(1),
    "batch": lambda: dreams(64),
    "collect": collecting,
    "train_ae": lambda: training(autoencoder),
    "train_mlp": lambda: training(mlp),
    "train_cells": lambda: training(cells),
}


def spin() -> None:
    """Keep a core busy."""
    while True:
        pass


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Run `count` busy processes."""
    others = [
        multiprocessing.get_context("spawn").Process(target=spin, daemon=True) for _ in range(count)
    ]
    for other in others:
        other.start()
    time.sleep(1.0 if others else 0.0)  # until they have started
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.join()


def measured(task: str, threads: int) -> tuple[float, str]:
    """Measure a task in a process of its own.

    Raises UserError with what that said where it fails.
    """
    words = [sys.executable, __file__, "--tasks", task, "--here"]
    chosen = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    done = subprocess.run(words, env=os.environ | chosen, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise UserError(done.stderr.strip().splitlines()[-1].removeprefix("error: "))
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument(
        "--tasks", nargs="+", choices=list(TASKS), default=list(TASKS), help="which (default: all)"
    )
    words = "busy processes beside it (default: 1)"
    made.add_argument("--busy", type=whole(1, 64), nargs="+", default=[1], metavar="N", help=words)
    made.add_argument(
        "--rounds",
        type=whole(1, 100),
        default=3,
        metavar="N",
        help="measurements of each (default: 3)",
    )
    words = "torch's threads (default: 0, as many as cores)"
    made.add_argument("--threads", type=whole(0, 256), default=0, metavar="N", help=words)
    made.add_argument(
        "--here",
        action="store_true",
        help="measure one task in this process, and print its speed as JSON",
    )
    return made


def main() -> None:
    args = parser().parse_args()
    if args.here:
        print(json.dumps(TASKS[args.tasks[0]]()))
        return
    rows = []
    for task in args.tasks:
        found: dict[int, list[float]] = {count: [] for count in (0, *args.busy)}
        unit = ""
        for _ in range(args.rounds):
            for count, speeds in found.items():
                with busy(count):
                    speed, unit = measured(task, args.threads)
                speeds.append(speed)
        alone, *beside = (statistics.median(speeds) for speeds in found.values())
        rows.append(
            [
                task,
                unit,
                round(alone, 1),
                *(f"{speed:.1f} ({speed / alone:.2f})" for speed in beside),
            ]
        )
        print(*rows[-1], flush=True)
    header = ["", "unit", "alone", *(f"beside {count} busy" for count in args.busy)]
    print_table("Speed, and its share of that alone", header, rows)


if __name__ == "__main__":
    run_stage(main)
