"""A minute of play of the model trained here: does it keep its looks and its pace, does it replay, how fast is it?

python experiments/minute.py [--game NAME] [--dreams 4] [--seconds 60]   →  metrics/<game>/minute.json

A few dreams play on under random held buttons. Their last ten seconds are set beside the game's own validation frames,
which they need not equal: 1 is as the game. `distance`: mean L1 from the median frame (a board that fell apart is far from
it, one that faded close); `sharpness`: gradient energy; `motion`: change a step. `replays`: share of equal frames when 1,000
steps are played twice at temperature 0 with different seeds; `steps_per_second`: of play at batch 1, `p99_ms` its slowest.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from tqdm import tqdm

from dreamcart.config import load_params
from dreamcart.data.processed import Split, load_split
from dreamcart.data.scripts import make_policy
from dreamcart.errors import run_stage
from dreamcart.evaluation.fidelity import gradient_energy
from dreamcart.evaluation.motion import change
from dreamcart.files import read_array, write_json
from dreamcart.hardware import make_repeatable, pick_device
from dreamcart.paths import Paths
from dreamcart.play.loop import Script, run
from dreamcart.play.sources import Dream
from dreamcart.tables import print_table
from dreamcart.world_model import WorldModel, load_world

SEED = 3_500_000  # far from the seeds of recorded play
END = 10  # seconds that are judged
SAMPLE = 500  # validation frames and transitions that stand for all
REPLAY, TIMED = 1000, 300  # steps


def held(world: WorldModel, steps: int, seed: int) -> list[set[str]]:
    """Random holds of buttons."""
    policy, rng = make_policy("held", world.spec), np.random.default_rng(seed)
    return [policy.act({}, rng) for _ in range(steps)]


def looks(frames: np.ndarray, before: np.ndarray, median: np.ndarray) -> np.ndarray:
    """[distance, sharpness, motion] of uint8 frames [B, H, W, C] and those of the step before, means over the batch."""
    distance = np.abs(frames.astype(np.int16) - median).mean() / 255
    return np.array([distance, gradient_energy(frames).mean(), change(frames, before).mean()])


def game_looks(val: Split, median: np.ndarray) -> np.ndarray:
    """`looks` of the game: a mean over transitions spread over the validation split, so that still ones count."""
    at = val.transitions[np.unique(np.linspace(0, len(val.transitions) - 1, SAMPLE).astype(int))]
    return np.mean([looks(*(val.frames[val.index["frame"][i + k]][None] for k in (1, 0)), median) for i in at], 0)


def dream_looks(world: WorldModel, median: np.ndarray, dreams: int, steps: int) -> np.ndarray:
    """`looks` of the last END seconds of dreams of `steps` steps."""
    start = next(name for name in [*world.spec.start_states, *world.starts] if name in world.starts)
    first = np.repeat(world.starts[start][None, None], dreams, 0)
    state = world.start(first, np.zeros((dreams, 0, len(world.spec.buttons)), np.uint8))
    scripts = [held(world, steps, SEED + number) for number in range(dreams)]
    generator = torch.Generator(world.device).manual_seed(SEED)
    frames, seen = first[:, 0], []
    judged = steps - round(END * world.spec.step_rate)
    for step in tqdm(range(steps), desc="a minute of play", unit="step"):
        action = np.array([world.spec.vector(script[step]) for script in scripts], np.uint8)
        before = frames
        frames, state = world.step(state, action, world.temperature, generator)
        if step >= judged:
            seen.append(looks(frames, before, median))
    return np.mean(seen, 0)


def replays(world: WorldModel) -> float:
    """Share of equal frames of two plays at temperature 0, with different seeds."""
    temperature = 0.0 if world.dynamics.random else None
    buttons, dreams = held(world, REPLAY, SEED), [Dream(world, None, temperature, seed) for seed in (1, 2)]
    for dream in dreams:
        dream.reset()
    same = [np.array_equal(*(dream.step(pressed) for dream in dreams)) for pressed in tqdm(buttons, desc="replay", unit="step")]
    return float(np.mean(same))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game")
    parser.add_argument("--dreams", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    paths = Paths(args.game or load_params().game)
    make_repeatable(0)
    world = load_world(paths.models, pick_device())
    median = read_array(paths.processed / "median.npy")
    steps = max(round(args.seconds * world.spec.step_rate), round(END * world.spec.step_rate))
    ratios = dream_looks(world, median, args.dreams, steps) / game_looks(load_split(paths.processed, "val"), median)
    report = {"dreams": args.dreams, "seconds": args.seconds}
    report |= {name: round(float(value), 4) for name, value in zip(("distance", "sharpness", "motion"), ratios, strict=True)}
    report["replays"] = round(replays(world), 6)
    for count in (30, TIMED):  # the first run warms up
        numbers = run(Dream(world, None), Script(held(world, count, SEED), count)).numbers()
    report |= {"steps_per_second": numbers["steps/s"], "p99_ms": numbers["p99 ms"], "real_time": world.spec.step_rate}
    print_table(f"{world.spec.title}: {args.seconds:g} seconds of play", list(report), [list(report.values())])
    write_json(paths.metrics / "minute.json", report)


if __name__ == "__main__":
    run_stage(main)
