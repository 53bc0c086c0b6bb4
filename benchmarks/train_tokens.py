"""A training step of the token dynamics, and a validation: of this checkout and of others, in
turns.

python benchmarks/train_tokens.py [--rounds N] [--threads N] [--wall] [CHECKOUT …]

Trains the default model on the data that is here (`make` leaves it), a process for each checkout of
the code, of which one at a time runs: what else the machine does slows all of them alike. Time is
that of the processor unless --wall; of steps the median, and a ratio to this checkout is the median
of the rounds' ratios. Nothing is written.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, os.environ.get("CODE", str(ROOT)))

import numpy as np

from dreamcart.core.arguments import Parser, existing, whole
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.tables import print_table
from dreamcart.data.processed import load_split
from dreamcart.dynamics.tokens.train import train_tokens
from dreamcart.params import load_params
from dreamcart.representation.registry import load_representation
from dreamcart.training import loop

STEPS = 10  # in a round; the last of them also validates
WARM_UP = 3  # rounds


class Turns:
    """Stands for the progress bar of `training.fit`: waits for a line before each round, and prints
    its times after it.
    """

    def __init__(self, steps: range, **_: object) -> None:
        self.steps = steps

    def __iter__(self) -> Iterator[int]:
        clock, times = time.perf_counter if "WALL" in os.environ else time.process_time, []
        for step in self.steps:
            if not times:
                sys.stdin.readline()
            began = clock()
            yield step
            times.append(1000 * (clock() - began))
            if len(times) == STEPS:
                print(statistics.median(times[:-1]), times[-1], flush=True)
                times.clear()

    def set_postfix(self, **_: object) -> None:
        pass


def work(rounds: int) -> None:
    """Train with the code of the environment's CODE, a round for each line that is read."""
    loop.tqdm = Turns
    params = load_params()
    own = replace(
        params.dynamics, steps=rounds * STEPS, validate_every=STEPS, checkpoint_every=rounds * STEPS
    )
    data = ROOT / "data" / params.game
    splits = [load_split(data / "processed", name) for name in ("train", "val")]
    tokens = {
        name: np.load(data / "latents" / f"{name}.npy", mmap_mode="r") for name in ("train", "val")
    }
    pictures = load_representation(
        ROOT / "models" / params.game / "representation.safetensors"
    ).pictures
    with tempfile.TemporaryDirectory() as scratch:
        train_tokens(
            replace(params, dynamics=own),
            *splits,
            tokens,
            pictures,
            Path(scratch) / "checkpoint.safetensors",
        )


def begin(code: Path, rounds: int, threads: int, wall: bool) -> subprocess.Popen:
    """A process that trains with a checkout's code."""
    if not (code / "dreamcart").is_dir():
        raise UserError(f"{code} is no checkout of Dreamcart.")
    extra = {"CODE": str(code.resolve()), "OMP_NUM_THREADS": str(threads)} | (
        {"WALL": "1"} if wall else {}
    )
    command = [sys.executable, __file__, "--work", "--rounds", str(rounds)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | extra
    )


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument("checkouts", nargs="*", type=existing, help="compared with this one")
    words = "in which each trains in turn"
    made.add_argument("--rounds", type=whole(1, 10_000), default=10, metavar="N", help=words)
    words = "of each process"
    made.add_argument("--threads", type=whole(1, 1024), default=1, metavar="N", help=words)
    made.add_argument("--wall", action="store_true", help="time by the clock")
    made.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    return made


def main() -> None:
    args = parser().parse_args()
    if args.work:
        work(args.rounds + WARM_UP)
    else:
        compare(args)


def compare(args: argparse.Namespace) -> None:
    """Print what each checkout's step costs."""
    codes = [ROOT, *args.checkouts]
    workers = [begin(code, args.rounds, args.threads, args.wall) for code in codes]
    times = np.zeros((args.rounds + WARM_UP, len(codes), 2))
    for number in range(len(times)):
        for which in range(len(codes))[:: 1 if number % 2 else -1]:
            print(file=workers[which].stdin, flush=True)
            times[number, which] = [
                float(part) for part in workers[which].stdout.readline().split()
            ]
    times = times[WARM_UP:]
    step, judged = np.median(times, 0).T
    ratio = np.median(times[:, :, 0] / times[:, :1, 0], 0)
    print_table(
        f"{'Wall' if args.wall else 'Processor'} time in ms, {args.threads}"
        f" thread{'s' * (args.threads > 1)}",
        ["code", "a step", "ratio to this", "a step and a validation"],
        [list(row) for row in zip([str(code) for code in codes], step, ratio, judged, strict=True)],
    )


if __name__ == "__main__":
    run_stage(main)
