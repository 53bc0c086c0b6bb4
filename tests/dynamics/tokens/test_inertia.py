"""Inertia: what a screen shows next if all that moves goes on, worked out in pixels, told as
tokens.
"""

import numpy as np
import pytest
import torch
from toys.flight import COLUMNS, HEIGHT, ROWS, SIDE, WIDTH, Tiled, flight, picture
from toys.walk import assert_same_state, make_model, plain_layout, some_state, start_at

from dreamcart.dynamics.tokens.inertia import UNKNOWN, colours, come_true, has_inertia
from dreamcart.dynamics.tokens.samples import Samples
from dreamcart.dynamics.tokens.state import delay


@pytest.mark.parametrize("way", [(1, 0), (-1, 2), (3, 5), (0, -1), (-4, -4), (2, -7)])
def test_a_ball_flies_on(way):
    """By pixels, in every direction, whether or not it still covers a part of where it was."""
    places = [(10 + step * way[0], 15 + step * way[1]) for step in (-1, 0, 1)]
    shown = [picture((1, y, x, 3, 2)) for y, x in places]
    tiled = Tiled(*shown)
    found = tiled.onward(*shown[:2])
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, tiled(shown[2]))


def test_it_leaves_behind_what_was_there_before_it_came():
    ground = np.tile(np.arange(WIDTH, dtype=np.uint8) // 8 % 3, (HEIGHT, 1))
    shown = [picture((7, 9, 4 * step, 2, 2), ground=ground) for step in (1, 2, 3)]
    tiled = Tiled(*shown)
    np.testing.assert_array_equal(tiled.onward(*shown[:2]), tiled(shown[2]))


def test_each_thing_goes_its_own_way():
    """Two of one look: each is believed to have come from the nearer place.

    One that turns up and one that stays go nowhere.
    """
    shown = [
        picture(
            (1, 4, 4 + step, 2, 2),
            (1, 14, 24 - 2 * step, 2, 2),
            (2, 20, 4, 3, 4),
            *[(3, 1, 28, 2, 2)] * (step > 0),
        )
        for step in range(3)
    ]
    tiled = Tiled(*shown)
    np.testing.assert_array_equal(tiled.onward(*shown[:2]), tiled(shown[2]))


def test_what_leaves_the_screen_is_cut_off():
    shown = [picture((1, y, 8, 4, 2)) for y in (6, 2, -2)]
    tiled = Tiled(*shown)
    np.testing.assert_array_equal(tiled.onward(*shown[:2]), tiled(shown[2]))
    gone = [picture((1, 8, 2 + 12 * step, 2, 2)) for step in range(4)]
    tiled = Tiled(*gone[:3], picture())
    np.testing.assert_array_equal(tiled.onward(gone[1], gone[2]), tiled(picture()))


def test_what_no_tile_shows_is_unknown():
    shown = [picture((1, 8, 5 + 3 * step, 2, 2)) for step in range(3)]
    tiled = Tiled(*shown[:2])
    wanted = np.where(tiled(shown[1]) == tiled(shown[0])[0, 0], tiled(shown[0])[0, 0], UNKNOWN)
    wanted[2, 3] = UNKNOWN  # the ball is three pixels further on, in two cells
    np.testing.assert_array_equal(tiled.onward(*shown[:2]), wanted)


def test_a_still_screen_scenery_and_a_cut_go_nowhere():
    still = picture((1, 8, 8, 2, 2))
    # an eighth of the screen and more is scenery
    wide = [picture((1, 8, step, 12, 12)) for step in (0, 1)]
    scenes = [picture(ground=np.full((HEIGHT, WIDTH), colour, np.uint8)) for colour in (4, 5)]
    tiled = Tiled(still, *wide, *scenes)
    for before, now in ((still, still), wide, scenes):
        np.testing.assert_array_equal(tiled.onward(before, now), tiled(now))


def test_colours_are_numbered():
    tiles = torch.tensor([[[[9, 0, 0], [9, 9, 9]]], [[[9, 9, 9], [0, 0, 1]]]], dtype=torch.uint8)
    found = colours(tiles)
    assert found.dtype == np.uint8
    assert found.tolist() == [[[1, 2]], [[2, 0]]]
    assert colours(torch.zeros(7, 3)) is None  # codes of a codebook
    many = torch.arange(256, dtype=torch.uint8).view(16, 4, 4, 1)
    assert colours(many) is None
    assert colours(many[:15]).max() == 239


@pytest.mark.parametrize("random", [False, True])
def test_a_game_is_asked_whether_it_has_inertia(random):
    split, tokens, tiled = flight(3, 60, random)
    seen = tokens, split.index["frame"], split.transitions
    assert has_inertia(tiled.tiles, *seen) is not random
    assert not has_inertia(None, *seen)
    right, share = come_true(tiled.tiles, *seen)
    assert (right > 0.6 and share > 0.6) if not random else right < 0.3


def test_training_sees_the_inertia_that_playing_has():
    """From the record, after a real context, and after a step of the dream."""
    split, tokens, tiled = flight(2, 40)
    model = make_model(plain_layout(ROWS, COLUMNS), len(tiled.tiles), side=SIDE)
    model.tiles.copy_(torch.from_numpy(tiled.tiles))
    samples = Samples(split, tokens, model)
    at = split.transitions
    seen, action, *_ = samples.get(at)
    assert seen.onward.shape == (len(at), ROWS, COLUMNS)
    assert (seen.onward != seen.frames[:, -1]).flatten(1).any(1).float().mean() > 0.8
    assert_same_state(start_at(split, tokens, model, at), seen)
    latent, following = model.step(seen, action)
    # it shows what was decided, not what inertia would have next
    assert torch.equal(latent, following.frames[:, -1])
    for row in range(len(at)):
        wanted = tiled.inertia.onward(seen.frames[row, -1].numpy(), latent[row].numpy())
        np.testing.assert_array_equal(following.onward[row], wanted)


def test_who_waits_goes_nowhere():
    model = make_model(plain_layout(2, 3), 4, side=2)
    state, _ = some_state(model, 2)
    moving = type(state)(**{**vars(state), "onward": 3 - state.frames[:, -1]})
    late = delay(moving, torch.tensor([0, 2]))
    assert torch.equal(late.onward[0], moving.onward[0])
    assert torch.equal(late.onward[1], state.frames[1, -1])


@torch.inference_mode()
def test_a_network_hears_of_it_and_may_trust_it():
    """At first it says nothing; then cells are told, and the token by inertia is raised among the
    new ones.
    """
    model = make_model(plain_layout(3, 4), 4, side=2)
    network = model.network
    state, action = some_state(model)
    moving = type(state)(**{**vars(state), "onward": (state.frames[:, -1] + 1) % 4})
    for one, other in zip(network(state, action), network(moving, action), strict=True):
        assert torch.equal(one, other)
    torch.nn.init.normal_(network.carry.show.weight)
    assert not torch.equal(network(state, action)[2], network(moving, action)[2])
    features, onward = torch.zeros(3, 8), torch.tensor([2, 0, UNKNOWN], dtype=torch.int16)
    before = network.tokens(features, onward)
    torch.nn.init.constant_(network.carry.trust.bias, 5.0)
    rise = network.tokens(features, onward) - before
    torch.testing.assert_close(rise, torch.tensor([[0, 0, 5.0, 0], [5.0, 0, 0, 0], [0, 0, 0, 0]]))
