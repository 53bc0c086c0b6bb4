"""N-step rollouts on held-out episodes (phase 1.5): real context, then free-running on the recorded
buttons.

Beside the model stand two baselines and a ceiling, scored on the same frames: `persistence` (the
last context frame), `median` (the training frames' per-pixel median) and `reconstruction` (encode
and decode of the true frame). A model predicts only where it beats both baselines in changed_l1.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from dreamcart.core.errors import UserError
from dreamcart.data.processed import Split
from dreamcart.evaluation.draws import Draws
from dreamcart.evaluation.metrics import frame_metrics, make_lpips
from dreamcart.evaluation.motion import Motion
from dreamcart.evaluation.screens import Screens
from dreamcart.evaluation.single_step import start_at
from dreamcart.params import RolloutConfig
from dreamcart.world.model import WorldModel

SHOWN = 60  # steps of a rollout that are kept for pictures
BASELINES = ("persistence", "median")
SOURCES = ("model", *BASELINES, "reconstruction")


def choose_starts(test: Split, count: int, horizon: int, seed: int) -> np.ndarray:
    """Records to start rollouts from, spread evenly over the test episodes, random within them."""
    last = np.flatnonzero(np.diff(test.index["episode"], append=-1))
    rng = np.random.default_rng([seed, 7])
    usable = [np.arange(i - test.index["step"][i] + 1, i - horizon + 1) for i in last]
    usable = [records for records in usable if len(records)]
    if not usable:
        raise UserError(
            f"No test episode is longer than {horizon} steps, the largest of rollout_eval.horizons;"
            " lower it."
        )
    # deal one start a round to every episode, in random order, until there are enough
    order = [rng.permutation(usable[i]) for i in rng.permutation(len(usable))]
    dealt = [
        records[turn]
        for turn in range(max(map(len, order)))
        for records in order
        if turn < len(records)
    ]
    return np.sort(np.array(dealt[:count]))


@dataclass
class Rollouts:
    """What a batch of rollouts leaves for pictures: uint8 frames of the first few starts, of
    `count` in all.
    """

    real: np.ndarray  # [S, T, H, W, C]
    dream: np.ndarray
    count: int


def evaluate_rollouts(
    world: WorldModel,
    test: Split,
    median: np.ndarray,
    config: RolloutConfig,
    seed: int,
    screens: Screens | None = None,
    draws: Draws | None = None,
    motion: Motion | None = None,
    keep: int = 4,
) -> tuple[dict[str, dict[str, dict[str, float | None]]], Rollouts]:
    """Score `world` and the baselines at every horizon, playing as people do.

    In a game with random events the dream draws them. Then there is a second rollout in which it is
    told what happened, where it is in doubt and only there: `given` at the steps at which the game
    has drawn, where `draws` knows them; otherwise `told` at every step, which mends the dream's own
    doubts as well. `screens`, `draws` and `motion` look at the dreamed frames as they come.

    Returns {source: {horizon: {metric: mean over the starts}}} and the frames of the first `keep`
    of a spread of the starts. `changed_l1` averages over starts at which something changed, `skill`
    compares it (`add_skill`); `lpips` is there where AlexNet's weights are.

    Raises:
        UserError: no test episode is long enough, or the file of AlexNet's weights is damaged.
    """
    horizons = sorted(set(config.horizons))
    starts = choose_starts(test, config.starts, horizons[-1], seed)
    starts = np.random.default_rng([seed, 8]).permutation(starts)
    lpips = make_lpips()
    random = world.spec.random and world.dynamics.takes_truth
    helped = ("given" if draws else "told") if random else None
    sources = (*SOURCES, helped) if helped else SOURCES
    field = screens.reader.field if screens else None
    generator = torch.Generator(world.device).manual_seed(seed)
    values: dict[str, dict[int, dict[str, list[np.ndarray]]]] = {
        s: {h: {} for h in horizons} for s in sources
    }
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    total = -(-len(starts) // config.batch_size) * horizons[-1]
    with tqdm(total=total, desc="rollouts", unit="step") as bar:
        for first in range(0, len(starts), config.batch_size):
            at = starts[first : first + config.batch_size]
            last, dream = start_at(world, test, at)
            other = dream
            for watcher in (screens, draws, motion):
                if watcher:
                    watcher.begin(at)
            frames, predicted = [], None
            for k in range(1, horizons[-1] + 1):
                action, before = test.index["action"][at + k - 1], predicted
                predicted, dream = world.step(dream, action, world.temperature, generator)
                if screens:
                    screens.see(k, predicted, before)
                if motion:
                    motion.see(k, predicted, before)
                if first == 0 and k <= SHOWN:
                    frames.append(predicted[:keep])
                if k in horizons or random or draws:
                    true = test.frames[test.index["frame"][at + k]]
                if helped:
                    given, other = world.step(
                        other, action, truth=true, told=draws.draws[at + k] if draws else None
                    )
                if draws:
                    draws.see(k, predicted, true)
                if k in horizons:
                    shown = {
                        "model": predicted,
                        "persistence": last,
                        "median": np.broadcast_to(median, true.shape),
                        "reconstruction": world.reconstruct(true),
                    }
                    if helped:
                        shown[helped] = given
                    distances = lpips(shown, true) if lpips else {}
                    for source, picture in shown.items():
                        scores = frame_metrics(picture, true, last, field)
                        if lpips:
                            scores["lpips"] = distances[source]
                        for name, value in scores.items():
                            values[source][k].setdefault(name, []).append(value)
                bar.update()
            dream = other = None
            if first == 0:
                rows = test.index["frame"][
                    at[:keep, None] + np.arange(1, min(SHOWN, horizons[-1]) + 1)
                ]
                kept = [(test.frames[rows], np.stack(frames, 1))]
    table = {
        source: {
            str(h): {name: _mean(np.concatenate(v)) for name, v in scores.items()}
            for h, scores in by_horizon.items()
        }
        for source, by_horizon in values.items()
    }
    add_skill(table)
    return table, Rollouts(*kept[0], len(starts))


def add_skill(table: dict[str, dict[str, dict[str, float | None]]]) -> None:
    """Add `skill` to all scores: 1 - changed_l1 / that of the better baseline at this horizon.

    1 is perfect, 0 no better than the better one of copying the last frame and of showing the
    median frame, less is worse. None where nothing changed, or where a baseline makes no error.
    """
    for by_horizon in table.values():
        for horizon, scores in by_horizon.items():
            baselines = [table[name][horizon]["changed_l1"] for name in BASELINES]
            known = scores["changed_l1"] is not None and all(baselines)
            scores["skill"] = round(1 - scores["changed_l1"] / min(baselines), 6) if known else None


def _mean(values: np.ndarray) -> float | None:
    """Mean over the starts that have a value;

    None (null in JSON, which knows no NaN) where none has.
    """
    return round(float(np.nanmean(values)), 6) if not np.isnan(values).all() else None


def curve_rows(table: dict[str, dict[str, dict[str, float]]]) -> list[dict[str, Any]]:
    """The table as rows for a CSV: source, step and every metric."""
    return [
        {"source": s, "step": int(h), **scores}
        for s, by_horizon in table.items()
        for h, scores in by_horizon.items()
    ]
