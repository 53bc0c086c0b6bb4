"""Scenes: which backdrop may follow which."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toys.synthetic import BUTTONS
from toys.walk import in_doubt, make_model, record, some_state

from dreamcart.dynamics.base import load_dynamics, save_dynamics
from dreamcart.dynamics.layout import Layout, find_layout
from dreamcart.dynamics.tokens.model import config_for
from dreamcart.dynamics.tokens.scenes import LEAST, find_scenes

TITLE, PLAY, BONUS = range(3)


def played(episodes: int = 6, steps: int = 400, bonuses: int = 0):
    """A title, then play, in so many episodes a bonus after it; in all of them one cell that is not
    the scene's blinks.
    """
    recorded = []
    for number in range(episodes):
        scene = np.full(steps, PLAY)
        scene[: steps // 2] = TITLE
        scene[-20:] = BONUS if number < bonuses else PLAY
        frames = np.repeat(scene + 1, 12).reshape(steps, 3, 4).astype(np.int16)
        frames[:, 0, 0] = np.arange(steps) % 2
        recorded.append((list(frames), np.zeros((steps - 1, len(BUTTONS)), np.uint8)))
    split, tokens = record(recorded)
    return (
        tokens,
        split.index,
        split.transitions,
        find_layout(tokens, split.index["frame"], split.transitions),
    )


def test_from_the_title_to_play_and_never_back():
    *shown, layout = played()
    assert layout.backdrops[:, 2, 2].tolist() == [TITLE + 1, PLAY + 1]
    assert find_scenes(*shown, layout).tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize(("bonuses", "back"), [(1, True), (2, False)])
def test_a_change_seen_in_one_episode_alone_leaves_it_open(bonuses, back):
    """Where one was seen there may be others, that were not."""
    scenes = find_scenes(*played(bonuses=bonuses))
    assert scenes[PLAY].tolist() == [back, True, True]
    assert scenes[BONUS].all()  # seldom shown
    assert 20 * bonuses < LEAST


@torch.inference_mode()
def test_a_dream_changes_to_no_other_scene(tmp_path):
    layout = Layout(
        torch.arange(12).view(3, 4),
        torch.ones(3, 4, dtype=torch.bool),
        torch.zeros(2, 3, 4, dtype=torch.int16),
    )
    model = in_doubt(make_model(layout, 4))
    model.network.event[2].bias.data[0] = 20.0
    state, action = some_state(model)
    for favourite in (0, 1):
        model.network.event[2].bias.data[1:] = torch.eye(2)[favourite] * 9
        model.set_scenes(torch.tensor([[True, False], [True, True]]))
        assert (model.step(state, action)[1].backdrop == 0).all()
        model.set_scenes(torch.ones(2, 2, dtype=torch.bool))
        assert (model.step(state, action)[1].backdrop == favourite).all()
    model.set_scenes(torch.tensor([[True, False], [True, True]]))
    own = SimpleNamespace(channels=8, blocks=1, history_frames=4, memory=16)
    save_dynamics(
        tmp_path / "dynamics.safetensors",
        model,
        config_for(layout, 4, len(BUTTONS), own) | {"scenes": True},
    )
    assert torch.equal(load_dynamics(tmp_path / "dynamics.safetensors").scenes, model.scenes)
