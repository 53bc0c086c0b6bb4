"""How long ago each cell of a screen changed, and what it showed before."""

import numpy as np
import pytest
import torch

from dreamcart.dynamics.ages import ages


def test_ages_are_what_a_slow_count_says():
    """How long ago each cell changed, which frame was there before, which steps changed: counted
    here frame by frame.
    """
    rng = np.random.default_rng(0)
    frames = np.zeros((40, 7, 3, 4), np.int16)
    for row in range(1, len(frames)):  # the first stands still for ever
        for step in range(1, 7):
            frames[row, step] = frames[row, step - 1]
            if rng.random() < 0.5:
                frames[row, step][rng.random((3, 4)) < 0.3] = rng.integers(4)
    age, before, changed = ages(torch.from_numpy(frames))
    for row, past in enumerate(frames):
        differs = [(past[step] != past[step - 1]).any() for step in range(1, 7)]
        assert changed[row].tolist() == differs
        previous = next((frame for frame in past[::-1] if (frame != past[-1]).any()), past[0])
        np.testing.assert_array_equal(before[row], previous)
        for y in range(3):
            for x in range(4):
                steps = [
                    6 - step for step in range(1, 7) if past[step, y, x] != past[step - 1, y, x]
                ]
                assert age[row, y, x] == min(steps, default=6)


@pytest.mark.parametrize("depth", [255, 256])
def test_the_longest_history_that_params_allow(depth):
    """dynamics.history_frames may be 256: the age of a cell must not wrap round there."""
    frames = torch.zeros(1, depth + 1, 1, 1, dtype=torch.int16)
    frames[:, -1] = 1
    age, before, changed = ages(frames)
    assert (age.item(), before.item(), changed.sum().item()) == (0, 0, 1)
