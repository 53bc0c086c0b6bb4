"""Rollouts of a game with a reader, scored as an evaluation scores them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dreamcart.evaluation.readback import (
    Reader,
    judge,
    legality,
    match_events,
    state_scores,
    summarise,
)


def by_step(frames: np.ndarray, reader: Reader) -> dict[int, Any]:
    """The reads of frames, uint8 [T, H, W, C], by step from 1."""
    return {step: reader.read(frame) for step, frame in enumerate(frames, 1)}


def score_rollout(
    reader: Reader,
    context: np.ndarray,
    real: np.ndarray,
    dream: np.ndarray,
    horizons: list[int],
    variables: Sequence[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """States, events and legality of one rollout: uint8 frames [T, H, W, C], and the RAM variables
    of the real ones.
    """
    true, shown = by_step(real, reader), by_step(dream, reader)
    before = [reader.read(frame) for frame in context]
    judged, dreamed = (judge(reader, reads.values(), before) for reads in (true, shown))
    told = [dict(enumerate(variables, 1))] if variables else None
    return {
        "states": state_scores(reader, [true], [shown], horizons, told),
        "events": summarise([match_events(judged.events, dreamed.events)]),
        "legality": legality([dreamed]),
    }
