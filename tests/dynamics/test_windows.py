"""How the dynamics' training samples are drawn."""

import numpy as np
import pytest
import torch
from toys.synthetic import BUTTONS, make_split

from dreamcart.data.processed import Split
from dreamcart.dynamics.base import make_dynamics
from dreamcart.dynamics.train import self_feeding
from dreamcart.dynamics.windows import Windows, rarity

CPU = torch.device("cpu")


def windows(rare_power: float = 0.0) -> Windows:
    """Forty random observations of 16 x 16 with latents of four numbers."""
    split = make_split([20, 20])
    latents = np.random.default_rng(3).normal(size=(len(split.frames), 4)).astype(np.float32)
    return Windows(split, latents, 3, 3, rare_power)


def test_rare_changes_are_drawn_more_often():
    """A change in a block that hardly ever changes must not wait for its natural frequency."""
    index = make_split([101]).index
    index["action"] = 0
    frames = np.zeros((3, 16, 16, 1), np.uint8)
    frames[1, 2, 2] = 255  # the common change, block (0, 0)
    frames[2, 12, 12] = 255  # the rare one, block (1, 1)
    index["frame"] = np.arange(101) % 2
    index["frame"][50] = 2
    split = Split(frames, index, make_split([2]).spec)
    score = rarity(split, split.transitions)
    assert score[49] == score[50] == 50  # two of a hundred change that block
    assert score[10] < 1.05
    even, favoured = (
        Windows(split, np.zeros((3, 4), np.float32), 3, 3, power) for power in (0.0, 0.5)
    )
    draws = [
        np.isin(w.draw(np.random.default_rng(0), 4000, 1.0)[0], (49, 50)).mean()
        for w in (even, favoured)
    ]
    assert draws[0] < 0.04
    assert draws[1] > 0.1


def test_a_button_going_down_is_rare_too():
    """A tap that turns a piece changes common blocks, and must be practised all the same."""
    index = make_split([101]).index
    index["action"] = 0
    index["action"][30:33, 2] = 1
    index["frame"] = np.arange(101) % 2
    split = Split(
        np.arange(2, dtype=np.uint8).reshape(2, 1, 1, 1).repeat(16, 1).repeat(16, 2),
        index,
        make_split([2]).spec,
    )
    score = rarity(split, split.transitions)
    assert score[30] == 100
    assert score[31] == score[29] == 1


def test_weights_undo_the_share_of_changing_transitions():
    """Half of a batch changes, but counts as much as it does in the data."""
    w = windows()
    at, weight = w.draw(np.random.default_rng(0), 64, 0.5)
    changing = np.isin(at, w.changed)
    assert changing.sum() == 32
    np.testing.assert_allclose(weight[changing].sum() / 64, len(w.changed) / len(w.all), rtol=1e-5)
    np.testing.assert_allclose(weight.mean(), 1, rtol=1e-5)


def test_self_fed_windows_end_with_the_models_own_predictions():
    """The last k latents are predictions from predictions; what lies before is real."""
    w = windows()
    model = make_dynamics(
        {
            "kind": "mlp",
            "latent_shape": [4],
            "buttons": len(BUTTONS),
            "hidden": 8,
            "history_frames": 3,
            "history_actions": 3,
        }
    ).eval()
    at = np.array([10, 15])
    real, _, _ = w.get(at, CPU)
    fed = w.self_fed(model, at, 2, CPU)
    torch.testing.assert_close(fed[:, 0], real[:, 0])
    past, buttons, _ = w.get(at - 2, CPU)
    state = model.start(past, buttons[:, :-1])
    first, state = model.step(state, torch.from_numpy(w.split.index["action"][at - 2]))
    second, _ = model.step(state, torch.from_numpy(w.split.index["action"][at - 1]))
    torch.testing.assert_close(fed[:, 1:], torch.stack([first, second], 1))
    assert not torch.allclose(fed[:, 1:], real[:, 1:])


def test_still_cells_stay_still():
    """What changes by less than the dead zone keeps its latent bit for bit, or long dreams
    dissolve.
    """
    config = {
        "kind": "conv",
        "latent_shape": [4, 2, 2],
        "buttons": 8,
        "channels": 8,
        "dead_zone": 0.5,
    }
    model = make_dynamics(config | {"history_frames": 2, "history_actions": 2})
    torch.nn.init.zeros_(model.last.weight)
    model.draw.bias.data = torch.zeros(16)
    # channel 0 of cell 0; channel 1 of cell 1
    model.draw.bias.data[[0, 5]] = torch.tensor([0.4, 0.6])
    latents, actions = torch.randn(1, 2, 4, 2, 2), torch.zeros(1, 2, 8)
    change = [
        (model.train(mode)(latents, actions) - latents[:, -1]).flatten() for mode in (True, False)
    ]
    assert change[0].count_nonzero() == 2
    assert change[1].count_nonzero() == 1
    assert change[1][5] > 0.5


def test_self_feeding_grows_from_nothing():
    """First the model learns from real frames alone."""
    assert [self_feeding(p) for p in (0.0, 0.39, 0.8, 1.0)] == [0, 0, 1, 1]
    assert self_feeding(0.6) == pytest.approx(0.5)
