"""Measures of a dream's life: does it go on, do its futures part, and what does a Gaussian
believe?
"""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toys.block import SIZE, World, walk
from toys.synthetic import BUTTONS, GOLDEN, make_random_world, make_spec, make_split

from dreamcart.data.processed import Split
from dreamcart.dynamics.base import History
from dreamcart.evaluation.diversity import (
    HORIZONS,
    SAMPLES,
    STARTS,
    choose_moments,
    diversity,
    pairwise,
    rows_of,
)
from dreamcart.evaluation.motion import SPAN, Motion, change
from dreamcart.world.model import load_world

CPU = torch.device("cpu")


def test_change_is_a_mean_l1():
    """Of all pixels, on [0, 1], one value a frame; differences do not wrap round."""
    before = np.zeros((2, 4, 4, 3), np.uint8)
    frames = before.copy()
    frames[1, 0] = 255
    before[1, 1] = 51
    np.testing.assert_allclose(change(frames, before), [0, 1 / 4 + 0.2 / 4])


def roll(motion: Motion, test: Split, at: np.ndarray, show) -> dict:
    """The report after a rollout from the records `at` whose frames `show` gives for records and
    step.
    """
    motion.begin(at)
    before = None
    for step in range(1, max(motion.horizons) + 1):
        frames = show(at, step)
        motion.see(step, frames, before)
        before = frames
    return motion.report()


def test_a_perfect_dream_moves_as_the_game():
    """Real against itself: a ratio of one at every horizon, and the real rate computed here by
    hand.
    """
    test = walk([60, 60])
    at = np.array([3, 70])
    report = roll(
        Motion(test, [1, 10, 30, 400]),
        test,
        at,
        lambda at, step: test.frames[test.index["frame"][at + step]],
    )
    assert list(report) == ["10", "30"]
    steps = np.arange(30 - SPAN, 30)
    frames = [
        test.frames[test.index["frame"][at[:, None] + steps + k]].astype(float) for k in (0, 1)
    ]
    assert report["30"]["real"] == pytest.approx(
        np.abs(frames[1] - frames[0]).mean() / 255, abs=1e-6
    )
    assert report["30"]["real"] > 0
    assert report["30"]["ratio"] == report["10"]["ratio"] == 1


def test_a_still_dream_is_found_out():
    """Collapse is a ratio of nothing from the horizon on at which the dream stands still."""
    test = walk([60, 60])
    at = np.array([3, 70])
    report = roll(
        Motion(test, [10, 30]),
        test,
        at,
        lambda at, step: test.frames[test.index["frame"][at + min(step, 15)]],
    )
    assert report["10"]["ratio"] == 1
    assert report["30"] == {"real": report["30"]["real"], "dream": 0, "ratio": 0}


def test_a_game_that_stands_still_has_no_ratio():
    """Nothing to compare with is null in JSON, and no division by zero."""
    test = walk([40])
    test.index["frame"][:] = 2
    report = roll(
        Motion(test, [10]),
        test,
        np.array([3]),
        lambda at, step: np.full((1, SIZE, SIZE, 1), step, np.uint8),
    )
    assert report["10"]["ratio"] is None
    assert report["10"]["dream"] == pytest.approx(1 / 255, abs=1e-6)
    json.dumps(report, allow_nan=False)


def test_pairs_are_all_pairs():
    """Of three frames, one of which is white: two of the three pairs differ in everything."""
    frames = np.zeros((3, 2, 2, 1), np.uint8)
    frames[1] = 255
    assert pairwise(frames) == pytest.approx(2 / 3)


def test_states_are_repeated_row_by_row():
    """Ten samples of the first moment come before those of the second."""
    state = rows_of(
        History(torch.arange(2.0).view(2, 1, 1), torch.zeros(2, 3, 8)),
        torch.tensor([0, 0, 0, 1, 1, 1]),
    )
    assert state.latents.flatten().tolist() == [0, 0, 0, 1, 1, 1]
    assert state.actions.shape == (6, 3, 8)


class Coin(World):
    """A dream in which the block goes its way, or, where `fair`, one that nobody can foresee."""

    def __init__(self, fair: bool) -> None:
        super().__init__(perfect=True)
        self.fair = fair
        self.dynamics = SimpleNamespace(
            history_frames=2,
            history_actions=3,
            random=True,
            diagnose=lambda state, action: {"kl": 2.0},
        )

    def begin(self, latents, actions, real=None):
        return torch.from_numpy(super().begin(latents, actions, real))

    def step(self, state, action, temperature=0.0, generator=None):
        assert temperature == 1
        frames, moved = super().step(state.numpy(), action, temperature, generator)
        if self.fair:
            moved = torch.randint(0, SIZE - 4, (len(moved),), generator=generator).numpy()
        return frames, torch.from_numpy(moved)


def test_diversity_is_none_where_nothing_is_drawn():
    """Ten dreams of a game without chance are one dream."""
    report = diversity(Coin(fair=False), walk([60, 60]), 0)
    assert set(report["pairwise_l1"].values()) == {0.0}
    assert (report["parted"], report["moments"], report["samples"], report["kl"]) == (
        0,
        STARTS,
        SAMPLES,
        2.0,
    )


def test_diversity_shows_where_futures_part():
    """From the second step on the block is anywhere; the same seed gives the same report."""
    reports = [diversity(Coin(fair=True), walk([60, 60]), seed) for seed in (0, 0)]
    assert reports[0] == reports[1]
    assert reports[0]["pairwise_l1"]["1"] == 0
    assert reports[0]["pairwise_l1"][str(HORIZONS[-1])] > 0
    assert reports[0]["parted"] == 1
    json.dumps(reports[0], allow_nan=False)


def test_a_flicker_has_not_parted():
    """What differs by less than anybody sees counts in the spread, and not as another future."""

    class Unsteady(Coin):
        def step(self, state, action, temperature=0.0, generator=None):
            frames, moved = super().step(state, action, temperature, generator)
            return (
                frames // 2 + np.arange(len(frames), dtype=np.uint8)[:, None, None, None] % 20,
                moved,
            )

    report = diversity(Unsteady(fair=False), walk([60, 60]), 0)
    assert report["pairwise_l1"]["20"] > 0
    assert report["parted"] == 0


def test_moments_lie_before_the_games_draws():
    """Where the game tells when it draws, that is where dreams of it should part; all end within
    their episode.
    """
    test = make_split([60, 60, 5])
    draws = np.zeros(125, bool)
    draws[50] = True
    moments = choose_moments(test, draws, 0)
    assert len(moments) == 10  # all that there are, of at most STARTS
    assert ((moments < 50) & (moments + HORIZONS[-1] >= 50)).all()
    everywhere = choose_moments(test, None, 0)
    assert (
        test.index["episode"][everywhere] == test.index["episode"][everywhere + HORIZONS[-1]]
    ).all()
    assert len(choose_moments(make_split([5]), None, 0)) == 0
    assert diversity(Coin(fair=True), walk([5]), 0) == {}


@pytest.mark.parametrize("kind", ["cells", "transformer", "gaussian", "flow", "mlp"])
def test_real_models_are_measured(tmp_path, kind):
    """Every kind of state can be dreamed on from tenfold; a model of one future has no spread, a
    Gaussian a bounded KL.
    """
    folder = GOLDEN / "world_v1" if kind == "mlp" else make_random_world(tmp_path, kind)
    world = load_world(folder, CPU)
    test = make_split([30, 30], world.shape)
    test = Split(test.frames, test.index, make_spec())
    report = diversity(world, test, 0)
    assert world.spec.buttons == BUTTONS
    assert report["temperature"] == (0 if kind == "mlp" else 1)
    assert (report["parted"] > 0) == (kind != "mlp")
    assert ("kl" in report) == (kind == "gaussian")
    if kind == "gaussian":
        assert 0 < report["kl"] < 4 * 6  # four numbers, whose log-variance is bounded
