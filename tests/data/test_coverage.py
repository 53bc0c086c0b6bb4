"""The coverage report: counted once, and the same in whatever order it is put together."""

import importlib
import itertools
import json

import numpy as np
import pytest
from toys.commands import run_command
from toys.corridor import HEIGHT, WIDTH, Corridor
from toys.synthetic import make_spec

from dreamcart.data.collect import Episode, play_episode
from dreamcart.data.coverage import Coverage
from dreamcart.data.images import frame_key
from dreamcart.data.scripts import WITHOUT_BOT
from dreamcart.games.catalog import load_game
from dreamcart.games.spec import Script

SPEC = make_spec()


def covered(*frames: np.ndarray) -> Coverage:
    coverage = Coverage(SPEC)
    for frame in frames:
        coverage.see(frame, frame_key(frame))
        coverage.steps += 1
    return coverage


def lit(*places: tuple[int, int]) -> np.ndarray:
    """uint8 [4, 5, 3]: black but for some pixels, in one channel each."""
    frame = np.zeros((4, 5, 3), np.uint8)
    for y, x in places:
        frame[y, x, (y + x) % 3] = 9
    return frame


def test_a_pixel_counts_that_is_not_the_same_in_all_frames():
    assert covered(lit((0, 0)), lit((0, 0))).changed_share == 0
    assert covered(lit(), lit((0, 0)), lit((0, 0), (3, 4))).changed_share == 2 / 20
    assert covered().changed_share == 0


def test_parts_come_out_the_same_in_any_order():
    """Also a pixel that is constant in each part, but not the same in all of them."""
    parts = [covered(lit()), covered(lit((1, 1))), covered(lit((1, 1)), lit((2, 2)))]
    told = []
    for order in itertools.permutations(range(3)):
        whole = Coverage(SPEC)
        for number in order:
            whole.merge(parts[number])
        told.append(whole.summary())
    assert all(one == told[0] for one in told)
    assert (told[0]["changed_share"], told[0]["distinct_frames"]) == (0.1, 3)
    assert covered(lit()).changed_share == 0, "merging must not change what is merged"
    assert [part.changed_share for part in parts] == [0, 0, 2 / 20]


def test_frames_of_another_size_are_counted_apart():
    """Some consoles change their resolution in play."""
    wide = np.zeros((4, 10, 3), np.uint8)
    other = wide.copy()
    other[0, 0] = 1
    assert covered(lit(), lit((0, 0)), wide, other).changed_share == pytest.approx(2 / 60)


def test_an_episode_that_the_game_ends_is_counted():
    coverage = Coverage(SPEC)

    class Falls(Corridor):
        def act(self, variables, rng):
            return {"RIGHT"} if variables["x"] < 40 else {self.last}

    for number, last in enumerate(("START", "LEFT", "RIGHT")):
        player = Falls()
        player.last = last
        episode = Episode(number, number, Script("held", "Begin"), 50)
        rows = list(play_episode(player, SPEC, episode, coverage, player))
        assert rows[-2]["terminations"] == (last == "START")
    told = coverage.summary()
    assert (told["episodes"], told["ended"]) == (3, 1)
    assert told["changed_share"] == round(50 / WIDTH, 4)
    assert coverage.changed[HEIGHT, WIDTH, 3][1].any(2).sum() == HEIGHT * 50


def test_both_kinds_of_scripts_are_set_side_by_side(tmp_path, monkeypatch):
    """By the command, with the numbers of each kept; the second has no bot."""
    pytest.importorskip("stable_retro")
    command = importlib.import_module("scripts.coverage")
    spec = load_game("blockfall")
    own, without = command.sides(spec).values()
    assert {script.policy for script in own} >= {"bot", "held"}
    assert {(s.policy, s.state) for s in without} == {(p, "PlayA") for p, _ in WITHOUT_BOT}
    file = tmp_path / "told.json"
    line = ["coverage.py", "blockfall", "--frames", "120", "--steps", "40", "--workers", "1"]
    code, told = run_command(command.main, [*line, "--json", str(file)], monkeypatch)
    assert code == 0, told
    kept = json.loads(file.read_text())
    assert (kept["game"], kept["frames"], kept["made"]["date"][:2]) == ("blockfall", 120, "20")
    assert list(kept["coverage"]) == ["own scripts", "without a bot"]
    for side in kept["coverage"].values():
        assert (side["frames"], side["episodes"]) == (120, 3)
        assert side["distinct_frames"] > 1
        assert 0 < side["changed_share"] < 1
