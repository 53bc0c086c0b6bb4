"""How different are futures of one moment? Ten dreams from the same frames with the same buttons,
each with its own chance.

Where the game draws they should part, and where it does not they should stay together.
"""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from dreamcart.data.processed import Split
from dreamcart.evaluation.motion import change
from dreamcart.evaluation.single_step import start_at
from dreamcart.world.model import WorldModel

SAMPLES = 10
STARTS = 16
AT_ONCE = 4  # moments dreamed on together: ten times as many frames of the game's own size are held
VISIBLE = 0.1  # of the range: a pixel that differs by more is seen to differ
HORIZONS = (1, 10, 20)


def choose_moments(test: Split, draws: np.ndarray | None, seed: int) -> np.ndarray:
    """Records to dream on from, int [at most STARTS]; those with a random draw of the game ahead
    where `draws` tells of any.

    draws: bool [N], the records at which the game has drawn.
    """
    last = np.flatnonzero(np.diff(test.index["episode"], append=-1))
    end = np.repeat(last, np.diff(last, prepend=-1))
    usable = np.flatnonzero(np.arange(len(end)) + HORIZONS[-1] <= end)
    if draws is not None:
        total = np.r_[0, np.cumsum(draws)]
        ahead = total[usable + HORIZONS[-1] + 1] - total[usable + 1] > 0
        usable = usable[ahead] if ahead.any() else usable
    chosen = (
        np.random.default_rng([seed, 9]).choice(usable, min(STARTS, len(usable)), replace=False)
        if len(usable)
        else usable
    )
    return np.sort(chosen)


def rows_of(state: Any, rows: torch.Tensor) -> Any:
    """Some rows of the batch of a dream's state, int64 [N]."""
    if is_dataclass(state):
        return type(state)(*(rows_of(getattr(state, field.name), rows) for field in fields(state)))
    return state[rows.to(state.device)]


def diversity(
    world: WorldModel, test: Split, seed: int, draws: np.ndarray | None = None
) -> dict[str, Any]:
    """The spread of SAMPLES rollouts from each moment, at temperature 1 (0 for a model that draws
    nothing).

    `pairwise_l1`: for each step the mean L1 on [0, 1] between two frames of the same moment;
    `parted`: the share of moments of which two futures differ visibly at the last step, in a pixel
    by more than VISIBLE: a sampler that is a little unsteady everywhere has not parted; and what
    the model says of its beliefs there (`Dynamics.diagnose`).
    """
    at = choose_moments(test, draws, seed)
    if not len(at):
        return {}
    temperature = 1.0 if world.dynamics.random else 0.0
    generator = torch.Generator(world.device).manual_seed(seed)
    moments = start_at(world, test, at)[1]
    pressed = torch.from_numpy(test.index["action"][at]).to(world.device)
    steps = tqdm(total=HORIZONS[-1] * len(at), desc="diversity", unit="step", delay=2)
    report: dict[str, Any] = {
        "temperature": temperature,
        "samples": SAMPLES,
        "moments": len(at),
        "game_draws": test.spec.random,
    }
    report |= {
        name: round(value, 6) for name, value in world.dynamics.diagnose(moments, pressed).items()
    }
    spread: dict[int, list[float]] = {step: [] for step in HORIZONS}
    parted = []
    for few in torch.arange(len(at)).split(AT_ONCE):
        some, state = at[few.numpy()], rows_of(moments, few.repeat_interleave(SAMPLES))
        for step in range(1, HORIZONS[-1] + 1):
            action = test.index["action"][some + step - 1].repeat(SAMPLES, 0)
            frames, state = world.step(state, action, temperature, generator)
            if step in HORIZONS:
                spread[step] += [pairwise(futures) for futures in np.split(frames, len(some))]
            steps.update(len(some))
        parted += [
            bool((np.ptp(futures, 0) > VISIBLE * 255).any())
            for futures in np.split(frames, len(some))
        ]
    steps.close()
    report["pairwise_l1"] = {
        str(step): round(float(np.mean(values)), 6) for step, values in spread.items()
    }
    report["parted"] = round(float(np.mean(parted)), 6)
    return report


def pairwise(frames: np.ndarray) -> float:
    """Mean L1 on [0, 1] over all pairs of different frames, uint8 [N, H, W, C]."""
    one, other = np.triu_indices(len(frames), 1)
    return float(
        np.mean(
            [
                change(frames[i : i + 1], frames[j : j + 1])[0]
                for i, j in zip(one, other, strict=True)
            ]
        )
    )
