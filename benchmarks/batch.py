"""Many dreams at once against many emulators: model steps a second, on the same cores in the same
run.

python benchmarks/batch.py [--game NAME] [--cart FILE] [--batch 64] [--steps 100] [--workers 2]

Both play the same scripted buttons. The dream's frames are decoded to pixels, as the emulator's
are.
"""

import multiprocessing
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from dreamcart.core.arguments import Parser, game, path, whole
from dreamcart.core.errors import run_stage
from dreamcart.core.tables import print_table
from dreamcart.data.scripts import make_policy
from dreamcart.games.catalog import load_game
from dreamcart.games.emulator import open_emulator
from dreamcart.games.spec import GameSpec
from dreamcart.params import load_params
from dreamcart.play.library import Title, find
from dreamcart.training.device import make_repeatable, pick_device


def buttons(spec: GameSpec, steps: int, seed: int) -> list[list[int]]:
    """What one player presses."""
    policy, rng = make_policy("held", spec), np.random.default_rng(seed)
    return [spec.vector(policy.act({}, rng)) for _ in range(steps)]


def emulate(task: tuple[GameSpec, int, int]) -> tuple[int, float]:
    """Step one emulator; returns its steps and seconds, without its start."""
    spec, steps, seed = task
    emulator = open_emulator(spec)
    emulator.reset((spec.start_states or [spec.scripts[0].state])[0], seed)
    presses = buttons(spec, steps, seed)
    begin = time.perf_counter()
    for action in presses:
        if any(emulator.step(action)[2:]) and not spec.continuing:
            emulator.reset((spec.start_states or [spec.scripts[0].state])[0], seed)
    return steps, time.perf_counter() - begin


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument("--game", type=game, help="which game (default: `game` in params.yaml)")
    words = "this cart, instead of the model trained here"
    made.add_argument("--cart", type=path, metavar="FILE", help=words)
    words = "dreams at once"
    made.add_argument("--batch", type=whole(1, 10_000), default=64, metavar="N", help=words)
    words = "of each dream"
    made.add_argument("--steps", type=whole(1, 10**6), default=100, metavar="N", help=words)
    words = "emulator processes"
    made.add_argument("--workers", type=whole(1, 256), default=2, metavar="N", help=words)
    return made


def main() -> None:
    args = parser().parse_args()
    title = Title(args.cart.stem, args.cart) if args.cart else find(args.game or load_params().game)
    make_repeatable(0)
    world = title.load(pick_device())
    spec = load_game(world.spec.name)
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        tasks = [
            (spec, args.batch * args.steps // args.workers, seed) for seed in range(args.workers)
        ]
        told = pool.map(emulate, tasks, chunksize=1)
    real = sum(steps for steps, _ in told) / max(seconds for _, seconds in told)
    presses = np.array([buttons(spec, args.steps, seed) for seed in range(args.batch)], np.uint8)
    first = world.starts[world.first_start][None, None].repeat(args.batch, 0)
    state = world.start(first, np.zeros((args.batch, 0, presses.shape[2]), np.uint8))
    for step in range(args.steps + 10):
        if step == 10:  # ten steps warm up
            begin = time.perf_counter()
        _, state = world.step(state, presses[:, step % args.steps])
    dream = args.batch * args.steps / (time.perf_counter() - begin)
    rows = [
        [f"dream, batch {args.batch}", round(dream)],
        [f"emulator, {args.workers} processes", round(real)],
    ]
    print_table(title.label, ["", "model steps/s"], rows)
    print(f"dream / emulator: {dream / real:.3f}")


if __name__ == "__main__":
    run_stage(main)
