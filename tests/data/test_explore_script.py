"""The script `explore`: what it records is one play without jumps, which its seed makes again."""

import numpy as np
import pytest
from toys.corridor import Corridor
from toys.synthetic import make_spec

from dreamcart.data.collect import Episode, play_episode, record
from dreamcart.data.coverage import Coverage
from dreamcart.data.explore_script import MEMORY, STILL, WAY, Place, _way
from dreamcart.data.scripts import FROM_POWER_ON, WITHOUT_BOT, built_in, make_policy
from dreamcart.games.catalog import load_game
from dreamcart.games.coarse import coarse
from dreamcart.games.spec import Script
from dreamcart.params import CollectConfig
from dreamcart.record.verify import verify

SPEC = make_spec()
STEPS = 400
START = SPEC.buttons.index("START")


def played(policy: str, seed: int, title: int = 0) -> list[dict]:
    """The rows of one episode in the corridor."""
    episode = Episode(0, seed, Script(policy, "Begin"), STEPS)
    return list(play_episode(Corridor(title), SPEC, episode, Coverage(SPEC)))


def farthest(policy: str) -> float:
    """How far episodes come, on average."""
    return np.mean([max(row["infos"]["x"] for row in played(policy, s)) for s in range(6)])


def test_it_comes_farther_than_random_holds():
    assert farthest("explore") > 1.5 * farthest("play")


def test_an_episode_is_one_walk_from_its_start_state():
    """No jumps: each frame follows from the one before and the buttons."""
    rows, corridor = played("explore", 3), Corridor()
    frame = corridor.reset("Begin", 3)
    for row in rows[:-1]:
        np.testing.assert_array_equal(row["observations"], frame)
        frame = corridor.step(row["actions"])[0]
    np.testing.assert_array_equal(rows[-1]["observations"], frame)
    assert len(rows) > 50


def test_the_seed_alone_decides():
    def actions(seed: int) -> list:
        return [row["actions"] for row in played("explore", seed)]

    assert actions(1) == actions(1) != actions(2)


def test_the_way_ends_at_what_was_found_and_leaves_time_to_go_on():
    explorer = make_policy("explore", SPEC)
    corridor, rng = Corridor(), np.random.default_rng(0)
    explorer.search(corridor, "Begin", 0, STEPS, rng)
    assert 0 < len(explorer.way) <= WAY * STEPS
    corridor.reset("Begin", 0)
    for held in explorer.way:
        assert not corridor.step(SPEC.vector(set(held)))[2]
    assert corridor.x > 10
    way = list(explorer.way)
    assert [explorer.act({}, rng) for _ in way] == [set(held) for held in way]
    assert explorer.act({}, rng) is not None
    assert not explorer.way


def test_a_title_that_takes_long_does_not_hold_it_up():
    """Walks from a place that found nothing get longer."""
    assert max(row["infos"]["x"] for row in played("explore", 0, title=130)) > 20


def test_a_screen_that_stands_still_is_got_out_of():
    """A pause, or an end that waits for START: after two seconds it presses that too."""

    class Paused(Corridor):
        def step(self, action):
            return self.frame, 0.0, False, False

    episode = Episode(0, 0, Script("explore", "Begin"), STEPS)
    rows = list(play_episode(Paused(), SPEC, episode, Coverage(SPEC)))
    pressed = [step for step, row in enumerate(rows[:-1]) if row["actions"][START]]
    assert STILL < pressed[0] < 2 * STILL


def test_without_a_search_it_walks():
    """As where the evaluation only wants buttons to be pressed."""
    policy, rng = make_policy("explore", SPEC), np.random.default_rng(0)
    held = set().union(*(policy.act({}, rng) for _ in range(300)))
    assert held == {"A", "B", "UP", "DOWN", "LEFT", "RIGHT"}


def test_large_states_do_not_fill_the_memory():
    class Large(Corridor):
        saved = 0

        def save(self) -> bytes:
            Large.saved += 1
            return super().save().ljust(MEMORY // 4)

    explorer = make_policy("explore", SPEC)
    explorer.search(Large(), "Begin", 0, STEPS, np.random.default_rng(0))
    assert Large.saved > 4
    assert explorer.way


def test_a_way_is_put_together_from_its_parts():
    first = Place(b"")
    second = Place(b"", first, (frozenset("A"), frozenset()))
    third = Place(b"", second, (frozenset("B"),))
    assert _way(third) == [frozenset("A"), frozenset(), frozenset("B")]
    assert _way(first) == []


def test_a_coarse_frame_keeps_what_is_large():
    frame = np.zeros((19, 24, 3), np.uint8)
    frame[:8, 8:16] = 255
    assert coarse(frame).tolist() == [[0, 15, 0], [0, 0, 0]]
    assert coarse(frame, 8, 4).max() == 3


@pytest.mark.parametrize("policies", [WITHOUT_BOT, FROM_POWER_ON])
def test_the_built_in_scripts_share_an_episode_out_over_all_states(policies):
    scripts = built_in(["One", "Two"], policies)
    assert sum(script.share for script in scripts) == pytest.approx(1)
    assert {(s.policy, s.state) for s in scripts} == {
        (policy, state) for policy, _ in policies for state in ("One", "Two")
    }
    assert not {"bot", "person"} & {script.policy for script in scripts}


@pytest.mark.parametrize(
    ("game", "state", "library"),
    [("blockfall_b", "PlayB", "stable_retro"), ("breakout", "Start", "ale_py")],
)
def test_what_it_recorded_is_verified_whoever_recorded_it(tmp_path, game, state, library):
    """The same bytes with one worker and with two; every frame is made again."""
    pytest.importorskip(library)
    scripts = [{"policy": p, "state": state, "share": 1.0} for p in ("explore", "held")]
    from_dict, values = type(SPEC).from_dict, load_game(game).to_dict()
    spec, files = from_dict(values | {"scripts": scripts}), []
    for workers in (1, 2):
        config = CollectConfig("emulator", "", 240, 60, 1, 60, workers)
        folder = tmp_path / str(workers)
        record(spec, config, 0, folder / "play", folder / "test")
        names = sorted(path.relative_to(folder) for path in folder.rglob("*.parquet"))
        files.append([(name, (folder / name).read_bytes()) for name in names])
    assert files[0] == files[1]
    verdicts = verify(tmp_path / "2" / "play", 2, tmp_path / "pictures")
    assert [verdict.problem for verdict in verdicts] == [""] * 4
