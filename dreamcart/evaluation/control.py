"""Controllability: does a button do in the dream what it does in the game?

From saved emulator states, the game is run twice, with a button held and with none; the pixels in
which the two differ are what the button did. The dream is asked the same from the same frames. The
score is the intersection over union of the two sets of pixels.
"""

from typing import Any

import numpy as np
from tqdm import tqdm

from dreamcart.data.preprocess import process_frame
from dreamcart.data.scripts import make_policy
from dreamcart.games.emulator import Emulator
from dreamcart.games.spec import GameSpec
from dreamcart.params import PreprocessConfig
from dreamcart.world.model import WorldModel

HOLD = 3  # steps a button is held
# levels of 255 by which a pixel must differ: above a decoder's shimmer, below a piece's edge
THRESHOLD = 24
APART = (15, 60)  # steps between two saved states
SEEDS = 2_000_000


def controllability(
    emulator: Emulator,
    spec: GameSpec,
    world: WorldModel,
    config: PreprocessConfig,
    count: int,
    seed: int,
) -> dict[str, Any]:
    """Mean IoU a button over `count` saved states, and over all buttons.

    A case counts where the button changes the real picture or the dreamed one: what a button does
    that it should not do counts as what it fails to do. `false_effect` is the share of the cases
    without a real change in which the dream changes.
    """
    rng = np.random.default_rng([seed, SEEDS])
    scripts = [script for script in spec.scripts if script.policy != "menu"]
    scores: dict[str, list[float]] = {name: [] for name in spec.buttons}
    quiet: list[float] = []
    nothing = spec.vector(set())
    depth = max(world.dynamics.history_frames, world.dynamics.history_actions)
    frames, actions, left, policy, variables = [], [], 0, None, {}
    for number in tqdm(range(count), desc="controllability", unit="state"):
        if left == 0:  # a new episode every few states
            script = scripts[number * len(scripts) // count]  # spread over all of them
            policy = make_policy(script.policy, spec)
            frames = [process_frame(emulator.reset(script.state, SEEDS + seed + number), config)]
            actions, left = [], 5 if count >= 5 * len(scripts) else 2
        left -= 1
        for _ in range(int(rng.integers(*APART))):
            variables = emulator.variables()
            actions.append(spec.vector(policy.act(variables, rng)))
            frames.append(process_frame(emulator.step(actions[-1])[0], config))
        saved = emulator.save()
        dream = world.start(
            np.stack(frames[-depth:])[None], np.array(actions[-depth + 1 :], np.uint8)[None]
        )
        real_idle, dream_idle = _real(emulator, config, nothing), _dream(world, dream, nothing)
        for name in spec.buttons:
            emulator.restore(saved)
            pressed = spec.vector({name})
            real = _differs(_real(emulator, config, pressed), real_idle)
            dreamed = _differs(_dream(world, dream, pressed), dream_idle)
            if (real | dreamed).any():
                scores[name].append(float((real & dreamed).sum() / (real | dreamed).sum()))
            if not real.any():
                quiet.append(float(dreamed.any()))
        emulator.restore(saved)
    every = [score for values in scores.values() for score in values]
    return {
        "iou": round(float(np.mean(every)), 4) if every else None,
        "cases": len(every),
        "false_effect": round(float(np.mean(quiet)), 4) if quiet else None,
        "by_button": {
            name: round(float(np.mean(values)), 4) for name, values in scores.items() if values
        },
    }


def _real(emulator: Emulator, config: PreprocessConfig, action: list[int]) -> np.ndarray:
    for _ in range(HOLD):
        frame = emulator.step(action)[0]
    return process_frame(frame, config)


def _dream(world: WorldModel, state: Any, action: list[int]) -> np.ndarray:
    for _ in range(HOLD):
        frames, state = world.step(state, np.array([action], np.uint8))
    return frames[0]


def _differs(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (np.abs(one.astype(int) - other) > THRESHOLD).any(axis=2)
