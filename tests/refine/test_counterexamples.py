"""What goes wrong first is found where it is, counted rightly, and with seeds of its own."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from toys.synthetic import BUTTONS, assert_sentence, make_params, make_spec, make_split

from dreamcart.core.errors import UserError
from dreamcart.data.collect import TEST_SEEDS, plan_episodes
from dreamcart.evaluation.control import SEEDS as CONTROL_SEEDS
from dreamcart.refine import counterexamples
from dreamcart.refine.counterexamples import (
    EACH,
    NOTHING_NEW,
    Found,
    compare,
    in_regions,
    places,
    plan_ordinary,
    plan_streams,
    summary,
)
from dreamcart.refine.picture import differences_picture, note_picture
from stages.refine import unable, why_not

LENGTHS = [71, 5, 31, 41]  # records of the streams: 70, 4, 30 and 40 steps


@pytest.fixture
def streams():
    return make_split(LENGTHS, (24, 20, 3), seed=2)


class Replaying:
    """A world that dreams what was recorded, but for pixels at some records; a state is a record.

    What it cannot show (`blind`, a pixel) its representation loses.
    """

    def __init__(self, streams, wrong, spec=None, blind=None):
        self.streams, self.wrong, self.blind = streams, wrong, blind
        self.spec = spec or make_spec()
        self.shape, self.told = streams.frames.shape[1:], []
        self.dynamics = SimpleNamespace(takes_truth=True)

    def step(self, state, action, truth=None):
        self.told.append(truth is not None)
        frames = self.reconstruct(self.streams.frames[self.streams.index["frame"][state + 1]])
        np.testing.assert_array_equal(action, self.streams.index["action"][state])
        for row, record in enumerate((state + 1).tolist()):
            for y, x in self.wrong.get(record, []):
                frames[row, y, x] ^= 1
        last = np.searchsorted(np.cumsum(LENGTHS), state + 1, side="right")
        return frames, np.minimum(state + 1, np.cumsum(LENGTHS)[last] - 2)

    def reconstruct(self, frames):
        frames = frames.copy()
        if self.blind:
            frames[:, self.blind[0], self.blind[1]] = 0
        return frames


@pytest.fixture(autouse=True)
def start_anywhere(monkeypatch):
    monkeypatch.setattr(counterexamples, "start_at", lambda world, streams, at: (None, at))


def test_the_first_difference_of_each_stretch_is_found(streams, monkeypatch):
    """Not the second one; at the record where it is, in the squares where it is; whatever the
    batches."""
    wrong = {3: [(0, 0), (9, 17)], 5: [(0, 8)], 60: [(23, 19)], 75: [(0, 0)], 106: [(8, 0)]}
    for batch in (2, 32):
        monkeypatch.setattr(counterexamples, "BATCH", batch)
        found = compare(Replaying(streams, wrong), streams, "x")
        assert found.at.tolist() == [0, 30, 60, 71, 76, 107, 137]
        assert found.steps.tolist() == [30, 30, 10, 4, 30, 30, 10]
        assert found.first.tolist() == [3, 30, 0, 4, 30, 0, 0]
        assert found.regions.shape == (7, 3, 3)
        assert np.argwhere(found.regions).tolist() == [
            [0, 0, 0],
            [0, 1, 2],
            [1, 2, 2],
            [3, 0, 0],
            [4, 1, 0],
        ]


def test_what_the_representation_cannot_show_is_no_mistake(streams):
    """It is of the dream that something is said here."""
    world = Replaying(streams, {40: [(4, 4)]}, blind=(7, 7))
    assert compare(world, streams, "x").first.tolist() == [0, 10, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("random", [False, True])
def test_chance_is_told_where_a_game_has_any(streams, random):
    spec = make_spec(seed_variable="rng") if random else make_spec()
    world = Replaying(streams, {}, spec)
    compare(world, streams, "x")
    assert set(world.told) == {random}


def test_squares_at_the_edge_count():
    wrong = np.zeros((1, 20, 9), bool)
    wrong[0, 19, 8] = True
    assert np.argwhere(in_regions(wrong)[0]).tolist() == [[2, 1]]


def test_seeds_are_those_of_no_other_play():
    """Neither of training, nor of the test, nor of controllability, nor of another round."""
    params, spec = make_params(refine__streams=500, collect__frames=10**6), make_spec()
    for seed in (0, 1, 12345):
        play, test = plan_episodes(spec, params.collect, seed)
        other = {episode.seed for episode in play + test}
        other |= {CONTROL_SEEDS + seed + number for number in range(10_000)}
        own = set()
        for number in range(10):
            streams = plan_streams(spec, params.refine, seed, number)
            ordinary = plan_ordinary(spec, 240_000, 1500, seed, number)
            seeds = {episode.seed for episode in streams + ordinary}
            assert len(seeds) == len(streams) + len(ordinary)
            assert not seeds & (own | other)
            own |= seeds
        assert min(own) > TEST_SEEDS + seed * 10_000 + 10_000


def test_ordinary_play_is_as_many_steps():
    """What counterexamples are compared with: the same number of steps, in ordinary episodes."""
    for steps in (1, 29, 30, 31, 95):
        plan = plan_ordinary(make_spec(), steps, 30, 0, 1)
        assert sum(episode.steps for episode in plan) == steps
        assert all(episode.steps == 30 for episode in plan[:-1])


def many(streams) -> Found:
    """A difference in every step that can begin a stretch of one."""
    at = streams.transitions
    return Found(at, np.ones_like(at), np.ones_like(at), np.ones((len(at), 1, 1), bool))


def test_branches_are_spread_over_streams_and_bounded(streams):
    """And drawn by the seed."""
    found = many(streams)
    chosen = places(found, streams, 5)
    assert sum(map(len, chosen)) == EACH * len(LENGTHS)
    assert [len(steps) for steps in chosen] == [4, 4, 4, 4]
    assert chosen == places(found, streams, 5) != places(found, streams, 6)
    for steps, length in zip(chosen, LENGTHS, strict=True):
        assert all(0 < step < length for step in steps)
        assert steps == sorted(set(steps))
    none = replace(found, first=np.zeros_like(found.first))
    assert places(none, streams, 5) == [[], [], [], []]


def test_the_numbers_of_a_report():
    """By hand: shares of stretches, and of steps after a button went down."""
    streams = make_split([41, 31], (16, 16, 1))
    streams.index["action"] = 0
    streams.index["action"][5:20, 0] = 1  # down at record 5, held after it
    streams.index["action"][[2, 34], 1] = 1
    regions = np.zeros((3, 2, 2), bool)
    regions[0, 0, 1] = regions[1, 0, 1] = regions[1, 1, 1] = True
    found = Found(np.array([0, 30, 41]), np.array([30, 10, 30]), np.array([6, 5, 0]), regions)
    told = summary(found, streams)
    assert (told["stretches"], told["differences"]) == (3, 2)
    assert told["exact"] == {"010": round(1 / 3, 4), "030": 0.5}
    assert told["regions"] == {"0,1": 2, "1,1": 1}
    by_button = told["by_button"]
    assert set(by_button) == {*BUTTONS, NOTHING_NEW}
    assert by_button[BUTTONS[0]] == {"steps": 1, "differences": 1, "share": 1.0}
    assert by_button[BUTTONS[1]] == {"steps": 2, "differences": 1, "share": 0.5}
    assert by_button[BUTTONS[2]] == {"steps": 0, "differences": 0, "share": None}
    assert by_button[NOTHING_NEW] == {"steps": 6 + 5 + 30 - 3, "differences": 0, "share": 0.0}


def test_the_pictures_are_drawn(tmp_path, streams):
    """With differences and without any, in colour and gray; the same bytes again."""
    told = summary(compare(Replaying(streams, {3: [(0, 0)]}), streams, "x"), streams)
    none = summary(compare(Replaying(streams, {}), streams, "x"), streams)
    for number, frame in enumerate((streams.frames[0], streams.frames[0][:, :, :1])):
        for again in range(2):
            path = tmp_path / f"{number}{again}.png"
            differences_picture(frame, {"before": told, "after": none}, "Toy", path)
            assert path.read_bytes() == (tmp_path / f"{number}0.png").read_bytes()
    differences_picture(streams.frames[0], {"before": none, "after": none}, "Toy", path)
    note_picture("There is nothing.", tmp_path / "note.png")
    assert (tmp_path / "note.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "refine.rounds is 0"),
        ({"refine__rounds": 1}, "kind 'conv' cannot be trained on"),
        (
            {
                "refine__rounds": 1,
                "latent_dim": 8,
                "representation__kind": "palette",
                "collect__source": "somewhere",
            },
            "without an emulator",
        ),
    ],
)
def test_what_cannot_be_refined_is_one_sentence(changes, said):
    why = why_not(make_params(**changes))
    assert said in why
    assert_sentence(UserError(why))


def test_what_can_be_refined_needs_no_sentence():
    cells = {"latent_dim": 8, "representation__kind": "palette"}
    assert why_not(make_params(refine__rounds=1, **cells)) is None
    assert_sentence(UserError(unable(make_spec())))


def test_branches_reach_what_they_are_to_show():
    with pytest.raises(UserError, match=r"refine\.before") as caught:
        make_params(refine__before=30, refine__branch_steps=30)
    assert_sentence(caught.value)
