"""Phase 1.3's test: one step ahead from real frames, against the real next frame and against no
change.
"""

from typing import Any

import numpy as np
import torch

from dreamcart.data.processed import Split, history
from dreamcart.world.model import WorldModel

SAMPLE = 100
# Past frames that a prediction here begins from, at most: every one is replayed, which with the
# 1,024 of the rollouts took minutes for 400 steps. What a dream counts lies seldom farther back.
CONTEXT = 256
FRAMES = 64  # encoded at once: a bound on memory, for at native size they are ten megabytes


def single_step_report(world: WorldModel, val: Split, seed: int) -> dict[str, dict[str, Any]]:
    """Mean L1 on [0, 1] of single-step predictions, for four kinds of validation transitions.

    `random`: 100 at random; `changed`: 100 in which the picture changes; `no_input`: 100 recorded
    without any button, gravity included; `no_input_changed`: those of them that change. Each beside
    persistence (the current frame as prediction).
    """
    rng = np.random.default_rng(seed)
    index, everything = val.index, val.transitions
    changes = index["frame"][everything] != index["frame"][everything + 1]
    idle = index["action"][everything].sum(1) == 0
    groups = {"random": everything, "changed": everything[changes], "no_input": everything[idle]}
    groups["no_input_changed"] = everything[idle & changes]
    report = {}
    for name, group in groups.items():
        if len(group):
            chosen = np.sort(rng.choice(group, min(SAMPLE, len(group)), replace=False))
            report[name] = {"count": len(chosen), **_errors(world, val, chosen)}
    return report


def start_at(
    world: WorldModel, split: Split, at: np.ndarray, context: int | None = None
) -> tuple[np.ndarray, Any]:
    """The real frames of the records `at`, uint8 [B, H, W, C], and the dream's state after them.

    `context` bounds the past frames that it sees, by default as many as its dynamics take.
    """
    dynamics = world.dynamics
    depths = [
        min(depth, context or depth)
        for depth in (dynamics.history_frames, dynamics.history_actions)
    ]
    rows, buttons = history(split.index, split.episode_start, at, *depths)
    # most frames are in a context for many steps
    distinct, place = np.unique(rows, return_inverse=True)
    latents = torch.cat(
        [
            world.encode(split.frames[some])
            for some in np.split(distinct, range(FRAMES, len(distinct), FRAMES))
        ]
    )
    context = latents[torch.from_numpy(place.reshape(rows.shape)).to(latents.device)]
    state = world.begin(
        context, buttons[:, :-1], np.minimum(split.index["step"][at] + 1, rows.shape[1])
    )
    return split.frames[rows[:, -1]], state


def _errors(world: WorldModel, val: Split, at: np.ndarray) -> dict[str, float]:
    current, state = start_at(world, val, at, CONTEXT)
    predicted, _ = world.step(state, val.index["action"][at])
    true = val.frames[val.index["frame"][at + 1]]
    errors = {"model_l1": _l1(true, predicted), "persistence_l1": _l1(true, current)}
    return {name: round(float(error), 6) for name, error in errors.items()}


def _l1(true: np.ndarray, shown: np.ndarray) -> float:
    """Mean absolute difference on [0, 1]; frame by frame, for at native size a hundred would take
    150 MB as numbers.
    """
    return float(
        np.mean(
            [
                np.abs(one.astype(np.float32) - other).mean() / 255
                for one, other in zip(true, shown, strict=True)
            ]
        )
    )
