"""Chains: what follows what in a part of the screen, and that a dream shows nothing else there."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toys.regions import played
from toys.synthetic import BUTTONS
from toys.walk import in_doubt, make_model, plain_layout, some_state

from dreamcart.dynamics.base import load_dynamics, save_dynamics
from dreamcart.dynamics.tokens.beliefs import Beliefs
from dreamcart.dynamics.tokens.chains import LEAST, Chains, find_chains, follows_of
from dreamcart.dynamics.tokens.model import config_for
from dreamcart.dynamics.tokens.regions import ALWAYS


def test_a_counter_is_a_chain_of_which_the_end_is_open():
    """It counts to eight in thirty steps; what may come after the last number that is seen is not
    known.
    """
    tokens, index, layout = played(counts_to=30, every=4)
    chains = find_chains(tokens, index, layout)
    assert chains.contents.shape == (1, 8, 1)
    assert layout.cells.flatten()[chains.places[0]].tolist() == [5 * 10 + 8]
    order = chains.contents[0, :, 0].tolist()
    assert sorted(order) == list(range(1, 9))
    follows = {
        number: {order[then] for then in row.nonzero().flatten().tolist()}
        for number, row in zip(order, chains.follows[0], strict=True)
    }
    assert follows == {number: {number, number + 1} for number in range(1, 8)} | {
        8: set(range(1, 9))
    }
    shown = layout.window(torch.from_numpy(tokens.astype(np.int16)))
    assert [order[number] for number in chains.shown(shown)[:, 0].tolist()] == tokens[
        :, 5, 8
    ].tolist()


def test_few_episodes_are_not_enough_to_know():
    assert not len(find_chains(*played(episodes=LEAST - 1, counts_to=30, every=4)).places)


def test_what_one_episode_alone_shows_may_be_one_of_many():
    """After a 0 comes a 1, in one of ten episodes a 2: others may come.

    In one of a thousand it is rare, and may come again.
    """
    for episodes, known in ((10, False), (1000, True)):
        which = np.tile([0, 1], episodes)
        which[1] = 2
        follows = follows_of(
            which, np.repeat(np.arange(episodes), 2), np.tile([True, False], episodes), 4
        )
        assert follows[0].tolist() == ([True, True, True, False] if known else [True] * 4)
        assert follows[1:].all()  # never left


@pytest.fixture
def model():
    """In doubt of all cells; the first of the two rows of four counts 0 0, 1 1, 2 2 in its first
    two cells.
    """
    model = in_doubt(make_model(plain_layout(2, 4), 4))
    model.network.event[2].bias.data[0] = 20.0  # something always changes
    follows = torch.tensor(
        [[[1, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1]]], dtype=torch.bool
    )
    contents = torch.tensor([[[0, 0], [1, 1], [2, 2], [-1, -1]]], dtype=torch.int16)
    model.set_chains(Chains(torch.tensor([[0, 1]]), contents, follows))
    return model


@pytest.mark.parametrize(
    ("before", "decided", "becomes"),
    [
        ((0, 0), (1, 1), (1, 1)),
        ((0, 0), (0, 0), (0, 0)),
        ((0, 0), (2, 2), (1, 1)),  # a number left out: of those that may come the likelier
        ((0, 0), (1, 3), (1, 1)),  # half a number
        ((1, 1), (0, 0), (2, 2)),  # back: the network holds that something changes
        ((1, 1), (2, 0), (2, 2)),
        ((2, 2), (3, 3), (3, 3)),  # what follows is not known
        ((3, 0), (3, 3), (3, 3)),
    ],
)
def test_it_shows_what_follows(model, before, decided, becomes):
    def settled(cut: int) -> list[int]:
        window = torch.tensor([[[*decided, 3, 3], [3] * 4]], dtype=torch.int16)
        now = torch.tensor([[[*before, 3, 3], [3] * 4]], dtype=torch.int16)
        model.network.paint[2].bias.data = torch.eye(4)[1] * 5  # likes a 1
        result = model._settle(
            window,
            torch.tensor([cut]),
            Beliefs(now, now, torch.full((1, 2, 4), 2.0), torch.zeros(1, 2, 4, 8)),
        )
        assert result[0, :, 2:].eq(3).all()
        return result[0, 0, :2].tolist()

    assert settled(ALWAYS) == list(becomes)
    assert settled(1) == list(decided), "in another scene anything may come"


@torch.inference_mode()
def test_a_dream_keeps_to_it_and_its_file_knows(model, tmp_path):
    torch.manual_seed(1)
    state, action = some_state(model, 200)
    state.frames[:, :, 0, :2] = torch.randint(0, 2, (200, 1, 1), dtype=torch.int16)
    own = SimpleNamespace(channels=8, blocks=1, history_frames=4, memory=16)
    config = config_for(model.layout, 4, len(BUTTONS), own) | {
        "chains": list(model.chains_contents.shape)
    }
    save_dynamics(tmp_path / "dynamics.safetensors", model, config)
    again = load_dynamics(tmp_path / "dynamics.safetensors")
    for temperature in (0.0, 1.0):
        frames, _ = model.step(state, action, temperature, torch.Generator().manual_seed(0))
        same_scene = model.layout.backdrop_of(frames) == state.backdrop
        pairs = torch.cat([state.frames[:, -1, 0, :1], frames[:, 0, :2]], 1)[same_scene].tolist()
        assert {tuple(pair) for pair in pairs} <= {(0, 0, 0), (0, 1, 1), (1, 1, 1), (1, 2, 2)}
        assert torch.equal(
            frames, again.step(state, action, temperature, torch.Generator().manual_seed(0))[0]
        )
