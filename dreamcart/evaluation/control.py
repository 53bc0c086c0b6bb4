"""Controllability: does a button do in the dream what it does in the game?

From saved emulator states, the game is run twice, with a button held and with none; the pixels in
which the two differ are what the button did. The dream is asked the same from the same frames. The
score is the intersection over union of the two sets of pixels, in the states in which the button
does something in the game, and each such button counts as much as any other.
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
    """Ask `count` saved states, none of them from a script that plays with menus.

    Returns:
        "by_button": the mean IoU of each button over the states in which it changes the real
        picture; "states": how many those are; "iou": the mean over these buttons; "cases": all
        states together; "false_effect": where a button does nothing in the game, the share of the
        cases in which the dream changes. None for a mean over nothing.
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
            if real.any():
                scores[name].append(float((real & dreamed).sum() / (real | dreamed).sum()))
            else:
                quiet.append(float(dreamed.any()))
        emulator.restore(saved)
    by_button = {name: float(np.mean(values)) for name, values in scores.items() if values}
    states = {name: len(scores[name]) for name in by_button}
    return {
        "iou": round(float(np.mean(list(by_button.values()))), 4) if by_button else None,
        "cases": sum(states.values()),
        "false_effect": round(float(np.mean(quiet)), 4) if quiet else None,
        "by_button": {name: round(score, 4) for name, score in by_button.items()},
        "states": states,
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
