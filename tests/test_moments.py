"""When in a step a game reads its dial: found in recordings, and told from how a bat comes after it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_finder import kinds

from dreamcart.dynamics.tokens.dials import Dial, positions_of
from dreamcart.dynamics.tokens.movers.moments import (
    DOUBT,
    believe,
    believed_along,
    foretold,
    moments_of,
    places_of,
    readings,
    told_by,
    with_pulls,
)

DIALS = [Dial(0, 1, 0.06)]
FRAMES, EPISODES, LENGTH = 2, 40, 200


def played(own_moment: bool):
    """A bat that goes half of the way to where its dial points, read before the step or in its middle, by the episode: places,
    readings, starts, and the moment of each episode."""
    rng = np.random.default_rng(0)
    start = np.repeat(np.arange(EPISODES) * LENGTH, LENGTH)
    held = np.repeat(rng.integers(-1, 2, len(start) // 5), 5)
    actions = np.stack([held < 0, held > 0], 1).astype(np.uint8)
    at = torch.from_numpy(positions_of(actions, start, DIALS))
    read = readings(at, torch.from_numpy(actions).float(), DIALS, FRAMES + 1).numpy()
    moment = rng.integers(0, 2, EPISODES) * own_moment
    places = np.full((len(start), 1, 2), 7, np.float32)
    for record in range(len(start)):
        if record == start[record]:
            places[record, 0, 0] = 98
        else:
            aim = np.clip(190 * read[record - 1, moment[start[record] // LENGTH], 0] + 3, 24, 189)
            places[record, 0, 0] = np.floor((places[record - 1, 0, 0] + aim) / 2)
    return places, read, start, moment


def bat(slope: float = 150.0, offset: float = 20.0):
    """A bat that is known to follow its dial, more or less."""
    return replace(kinds((1, 2, 8)), dials=torch.tensor([[[[slope, offset], [0.0, 7.0]]]]))


def test_how_a_bat_comes_after_its_dial_is_found():
    places, read, start, moment = played(own_moment=True)
    table = with_pulls(bat(), places, read, start)
    assert table.pulls.shape == (1, 1, 2, FRAMES + 1)
    assert table.pulls[0, 0, 0, :2].tolist() == pytest.approx([0.5, 0.5], abs=0.02)
    assert not table.pulls[0, 0, 1].any()  # it goes up and down only
    assert table.dials[0, 0, 0].tolist() == pytest.approx([190, 2.5], abs=3)
    assert table.ends[0].tolist() == [[24, 188], [7, 7]]
    along = believed_along(table.numpy(), places, read, start)
    assert not along[start == np.arange(len(start))].any()  # nothing is known at first
    last = along.reshape(EPISODES, LENGTH, -1)[:, -1]
    assert (last.argmax(1) == moment).all()
    assert (np.sort(last, 1)[:, -2] < -5).all()
    assert along.min() >= -DOUBT


def test_where_all_episodes_are_alike_nothing_is_told():
    places, read, start, _ = played(own_moment=False)
    assert not with_pulls(bat(), places, read, start).pulls.any()
    assert not with_pulls(bat(slope=3.0), *played(own_moment=True)[:3]).pulls.any()  # it follows no dial
    unseen = np.full_like(places, np.nan)
    table = with_pulls(bat(), unseen, read, start)
    assert not table.pulls.any()
    assert not believed_along(table.numpy(), unseen, read, start).any()


def test_dials_turn_within_a_step():
    assert moments_of(2, DIALS) == 3
    assert moments_of(2, []) == 0
    at = readings(torch.tensor([[0.5], [0.97]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), DIALS, 3)
    torch.testing.assert_close(at[:, :, 0], torch.tensor([[0.5, 0.47, 0.44], [0.97, 1.0, 1.0]]))
    assert readings(torch.zeros(4, 0), torch.zeros(4, 2), [], 0).shape == (4, 0, 0)


def test_a_step_tells_by_how_far_off_each_moment_is():
    table = replace(bat(100.0, 0.0), pulls=torch.tensor([[[[0.5, 0.5], [0, 0]]]]), ends=torch.tensor([[[0.0, 80], [7, 7]]])).numpy()
    read = np.array([[[0.4], [0.6]], [[0.9], [0.2]]], np.float32)
    before, after = (np.array([[[y, 7]] for y in places], np.float32) for places in ((40, 40), (50, np.nan)))
    np.testing.assert_allclose(foretold(table, before, read)[:, 0, 0, 0], [[40, 50], [60, 30]])
    told = told_by(table, before, after, read)
    np.testing.assert_allclose(told, [[-4, 0], [0, 0]])  # ten pixels off are off for another reason too
    np.testing.assert_allclose(believe(np.array([[0, -1.5], [0, -1]]), told), [[-2.5, 0], [0, -1]])
    assert believe(np.zeros((3, 0)), np.zeros((3, 0))).shape == (3, 0)
    found = np.array([[[0, 5, 7], [1, 2, 3], [-1, -1, -1]], [[1, 4, 4], [1, 6, 6], [-1, -1, -1]]])
    np.testing.assert_array_equal(places_of(found, 2), [[[5, 7], [2, 3]], [[np.nan] * 2] * 2])
