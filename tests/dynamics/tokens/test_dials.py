"""Dials: what an Atari paddle remembers of the buttons, known without a picture; and where the bat
is by it.
"""

import dataclasses

import numpy as np
import pytest
import torch
from toys.synthetic import BUTTONS, make_spec
from toys.walk import make_model, plain_layout, some_state

from dreamcart.dynamics.tokens.dials import MIDDLE, Dial, positions_of, turned
from dreamcart.games.catalog import load_game
from dreamcart.games.emulator import open_emulator

BATS = {"pong": "player_y", "breakout": "player_x"}  # RAM variables


def test_paddle_games_have_one_and_others_none():
    ((back, on, step),) = load_game("pong").paddles
    buttons = load_game("pong").buttons
    assert (buttons[back], buttons[on]) == ("RIGHT", "LEFT")
    assert 16 < 1 / step < 17  # steps of two frames from end to end
    slow = dataclasses.replace(load_game("breakout"), frame_skip=4)
    assert slow.paddles[0][2] == pytest.approx(2 * step)
    assert len(load_game("ALE/Kaboom-v5").paddles) == 1
    assert (
        make_spec().paddles
        == load_game("blockfall").paddles
        == load_game("ms_pacman").paddles
        == []
    )


def test_it_turns_by_steps_up_to_its_ends():
    dials = [Dial(0, 1, 0.4), Dial(1, 2, 0.25)]
    at = torch.full((1, 2), MIDDLE)
    ways = []
    for buttons in ([0, 1, 0], [0, 1, 0], [1, 0, 0], [1, 0, 1], [1, 1, 0], [0, 0, 0]):
        at = turned(at, torch.tensor([buttons]).float(), dials)
        ways.append(at[0].tolist())
    np.testing.assert_allclose(
        ways, [[0.9, 0.25], [1, 0], [0.6, 0], [0.2, 0.25], [0.2, 0], [0.2, 0]], atol=1e-6
    )


def test_records_have_the_positions_that_a_dream_would_have():
    """Of every record before its own action, from the middle at each episode's begin, to the
    bit.
    """
    rng = np.random.default_rng(0)
    actions = rng.integers(0, 2, (300, len(BUTTONS))).astype(np.uint8)
    starts = np.repeat([0, 120, 121], [120, 1, 179])
    dials = [Dial(0, 1, 0.0603), Dial(2, 1, 0.31)]
    found = positions_of(actions, starts, dials)
    assert found.dtype == np.float32
    at = torch.full((1, 2), MIDDLE)
    for record in range(300):
        before = torch.from_numpy(actions[record - 1 : record]).float()
        at = torch.full((1, 2), MIDDLE) if record == starts[record] else turned(at, before, dials)
        assert at[0].tolist() == found[record].tolist()
    assert positions_of(actions, starts, []).shape == (300, 0)


@torch.inference_mode()
def test_a_network_hears_its_dials():
    """At first they say nothing; what they have learned to say reaches both the memory and the
    cells.
    """
    model = make_model(plain_layout(3, 4), 4, dials=[Dial(0, 1, 0.1)])
    state, action = some_state(model)
    turned_away = dataclasses.replace(state, dials=1 - state.dials / 2)
    same = [
        torch.equal(*both)
        for both in zip(
            model.network(state, action), model.network(turned_away, action), strict=True
        )
    ]
    assert all(same)
    torch.nn.init.normal_(model.network.dialled.rows)
    gate, other = (model.network(one, action)[2] for one in (state, turned_away))
    assert not torch.equal(gate, other)
    torch.nn.init.zeros_(model.network.dialled.rows)
    torch.nn.init.normal_(model.network.dialled.tell.weight)
    event, other = (model.network(one, action)[0] for one in (state, turned_away))
    assert not torch.equal(event, other)


@pytest.mark.parametrize("name", BATS)
def test_the_bat_is_where_the_dial_points(name):
    """In the real game: wherever the bat has come to rest, to two pixels, though the buttons alone
    were looked at.
    """
    pytest.importorskip("ale_py")
    spec = load_game(name)
    emulator, dials = open_emulator(spec), [Dial(*paddle) for paddle in spec.paddles]
    emulator.reset("Start", 0)
    rng = np.random.default_rng(0)
    at, points = torch.full((1, 1), MIDDLE), []
    for _ in range(60):
        way = [name for name in ("LEFT", "RIGHT") if rng.random() < 0.5][:1]
        for pressed, steps in ((way, int(rng.integers(1, 14))), ([], 8)):
            for _ in range(steps):
                vector = spec.vector(set(pressed))
                emulator.step(vector)
                at = turned(at, torch.tensor([vector]).float(), dials)
        points.append((float(at), emulator.variables()[BATS[name]]))
    dial, bat = np.array(points).T
    inside = (bat > bat.min()) & (bat < bat.max())  # beyond the screen's edge the bat stays
    assert inside.sum() > 20
    slope, first = np.polyfit(dial[inside], bat[inside], 1)
    assert np.abs(first + slope * dial[inside] - bat[inside]).max() <= 2
