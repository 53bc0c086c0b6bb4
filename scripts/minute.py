"""A minute of play in a dream: does it keep its looks and its pace, does it replay, how fast is it?

python scripts/minute.py [--cart FILE] [--game NAME] [--dreams 4] [--seconds 60]
    →  metrics/<game>/minute[_cart].json

A few dreams play on under random held buttons. Their last ten seconds are set beside the game's own
after the same buttons, which they need not equal: 1 is as the game. `distance`: mean L1 from the
game's median frame (a board that fell apart is far from it, one that faded close); `sharpness`:
gradient energy; `motion`: change a step. `replays`: share of equal frames when 1,000 steps are
played twice at temperature 0 with different seeds; `steps_per_second`: of play at batch 1, `p99_ms`
its slowest.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from tqdm import tqdm

from dreamcart.core.arguments import Parser, game, number, path, whole
from dreamcart.core.errors import run_stage
from dreamcart.core.files import write_json
from dreamcart.core.paths import Paths
from dreamcart.core.provenance import stamp
from dreamcart.core.tables import print_table
from dreamcart.data.scripts import make_policy
from dreamcart.evaluation.fidelity import gradient_energy
from dreamcart.evaluation.motion import change
from dreamcart.params import load_params
from dreamcart.play.library import Title, find
from dreamcart.play.loop import Script, run
from dreamcart.play.sources import Dream, Real
from dreamcart.training.device import make_repeatable, pick_device
from dreamcart.world.model import WorldModel

SEED = 3_500_000  # far from the seeds of recorded play
END = 10  # seconds that are judged
REPLAY, TIMED = 1000, 300  # steps


def held(world: WorldModel, steps: int, seed: int) -> list[set[str]]:
    """Random holds of buttons."""
    policy, rng = make_policy("held", world.spec), np.random.default_rng(seed)
    return [policy.act({}, rng) for _ in range(steps)]


def looks(frames: np.ndarray, before: np.ndarray, median: np.ndarray) -> np.ndarray:
    """[distance, sharpness, motion] of uint8 frames [B, H, W, C] and those of the step before,
    means over the batch.
    """
    distance = np.abs(frames.astype(np.int16) - median).mean() / 255
    return np.array([distance, gradient_energy(frames).mean(), change(frames, before).mean()])


def play_game(
    world: WorldModel, script: list[set[str]], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The game under these buttons: a frame a second [S, H, W, 3], and those of the last END
    seconds and one before.
    """
    real = Real(world.spec, world.first_start, seed, world.seen_as)
    real.reset()
    frames = [real.step(pressed) for pressed in script]
    last = round(END * world.spec.step_rate) + 1
    return np.array(frames[:: round(world.spec.step_rate)]), np.array(frames[-last:])


def dream_looks(world: WorldModel, scripts: list[list[set[str]]], median: np.ndarray) -> np.ndarray:
    """`looks` of the last END seconds of dreams, one a script."""
    first = np.repeat(world.starts[world.first_start][None, None], len(scripts), 0)
    state = world.start(first, np.zeros((len(scripts), 0, len(world.spec.buttons)), np.uint8))
    generator = torch.Generator(world.device).manual_seed(SEED)
    frames, seen = first[:, 0], []
    judged = len(scripts[0]) - round(END * world.spec.step_rate)
    for step in tqdm(range(len(scripts[0])), desc="a minute of play", unit="step"):
        action = np.array([world.spec.vector(script[step]) for script in scripts], np.uint8)
        before = frames
        frames, state = world.step(state, action, world.temperature, generator)
        if step >= judged:
            seen.append(looks(frames, before, median))
    return np.mean(seen, 0)


def replays(world: WorldModel) -> float:
    """Share of equal frames of two plays at temperature 0, with different seeds."""
    temperature = 0.0 if world.dynamics.random else None
    buttons, dreams = (
        held(world, REPLAY, SEED),
        [Dream(world, None, temperature, seed) for seed in (1, 2)],
    )
    for dream in dreams:
        dream.reset()
    same = [
        np.array_equal(*(dream.step(pressed) for dream in dreams))
        for pressed in tqdm(buttons, desc="replay", unit="step")
    ]
    return float(np.mean(same))


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument("--game", type=game, help="which game (default: `game` in params.yaml)")
    words = "a cart instead of the trained model"
    made.add_argument("--cart", type=path, metavar="FILE", help=words)
    words = "how many, side by side"
    made.add_argument("--dreams", type=whole(1, 1000), default=4, metavar="N", help=words)
    words = "of each dream"
    made.add_argument("--seconds", type=number(END, 3600), default=60, metavar="S", help=words)
    return made


def main() -> None:
    args = parser().parse_args()
    title = Title(args.cart.stem, args.cart) if args.cart else find(args.game or load_params().game)
    make_repeatable(0)
    world = title.load(pick_device())
    steps = max(round(args.seconds * world.spec.step_rate), round(END * world.spec.step_rate) + 1)
    scripts = [held(world, steps, SEED + number) for number in range(args.dreams)]
    games = [play_game(world, script, SEED + number) for number, script in enumerate(scripts)]
    channels = world.shape[-1]  # a grey model's frames come coloured, three times the same
    median = np.median(np.concatenate([often for often, _ in games]), 0)[..., :channels]
    own = np.mean(
        [looks(last[1:, ..., :channels], last[:-1, ..., :channels], median) for _, last in games], 0
    )
    ratios = dream_looks(world, scripts, median) / own
    report = {"dreams": args.dreams, "seconds": args.seconds}
    report |= {
        name: round(float(value), 4)
        for name, value in zip(("distance", "sharpness", "motion"), ratios, strict=True)
    }
    report["replays"] = round(replays(world), 6)
    for count in (30, TIMED):  # the first run warms up
        numbers = run(Dream(world, None), Script(held(world, count, SEED), count)).numbers()
    report |= {
        "steps_per_second": numbers["steps/s"],
        "p99_ms": numbers["p99 ms"],
        "real_time": world.spec.step_rate,
    }
    print_table(
        f"{world.spec.title}: {args.seconds:g} seconds of play",
        list(report),
        [list(report.values())],
    )
    report["made"] = stamp(title.fingerprint)
    write_json(Paths(world.spec.name).metrics / f"minute{'_cart' * bool(args.cart)}.json", report)


if __name__ == "__main__":
    run_stage(main)
