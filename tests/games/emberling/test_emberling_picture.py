"""Every frame is the picture of the RAM one frame before: no seam while it scrolls, no half of a
change, no sprite that flickers, and the status bar stands still.
"""

import numpy as np
import pytest
from emberling_console import DARK, PLAY

from dreamcart.data.scripts import make_policy


def wander(frames, seed, span=150):
    """Press random buttons that go right for a while, then left."""
    rng, held, left = np.random.default_rng(seed), set(), 0
    for i in range(frames):
        if left == 0:
            right = (0.65, 0.1) if i // span % 2 == 0 else (0.1, 0.7)
            chances = (*right, 0.4, 0.5, 0.01)
            names = zip(("RIGHT", "LEFT", "A", "B", "START"), chances, strict=True)
            held = {name for name, chance in names if rng.random() < chance}
            left = int(rng.integers(2, 20))
        left -= 1
        yield held


@pytest.mark.parametrize(
    "state", ["Level1", "Level4", "Tunnel3", "Steps1", "LastLife", "Goal5", "Title"]
)
def test_every_frame_is_whole(console, artist, state):
    console.load(state, seed=5)
    for number, held in enumerate(wander(320, seed=3)):
        if state == "Title":  # a game begins, which wandering seldom does
            held = {"START"} if number == 40 else held - {"START"}
        before, sprites = console.info, console.sprites()
        console.frame(*held)
        assert np.array_equal(console.screen, artist.draw(before, sprites)), (number, before)
    assert console.lag == 0


def test_a_bot_sees_whole_frames_to_the_goal_and_beyond(console, artist):
    """From the last room into the next level: a goal, a dark screen, another map."""
    console.load("Goal1", seed=1, alone=True)
    scenes = set()
    for _ in range(260):
        before, sprites = console.info, console.sprites()
        console.frame("RIGHT")
        assert np.array_equal(console.screen, artist.draw(before, sprites)), before
        scenes.add((before["level"], before["phase"]))
    assert {(1, 0), (1, 3), (2, 1), (2, 0)} <= scenes


def test_scrolls_both_ways_by_pixels(console):
    console.load("Bats1", seed=2, alone=True)
    places = []
    for button in ["RIGHT"] * 90 + ["LEFT"] * 160:
        console.frame(button)
        places.append(console.camera_x)
    steps = np.diff(places)
    assert set(steps) == {-2, -1, 0, 1, 2}
    assert places[0] + 80 < places[89]
    assert places[-1] < places[0] - 40
    assert (console.scene, console.phase) == (PLAY, 0)


def test_the_camera_keeps_the_player_in_the_middle_and_ends_with_the_level(console):
    console.load("Level1", alone=True)
    seen = []
    for held in ["RIGHT"] * 150 + ["LEFT"] * 200:
        console.frame(held)
        seen.append((console.player_x - console.camera_x, console.camera_x))
    assert all(104 <= place <= 136 for place, camera in seen if camera)
    assert console.camera_x == console.player_x == 0  # the left end is a wall
    console.load("Goal1", alone=True)
    console.until(lambda v: v["phase"] == 3, "RIGHT")
    assert console.camera_x == 2048 - 256


def test_the_status_bar_stands_still_while_the_level_scrolls(console):
    console.load("Bats1", alone=True, **{f"taken_{n:03d}": 255 for n in range(16)})
    console.frame(times=3)
    bar, field = console.screen[:24].copy(), console.screen[24:].copy()
    moved = 0
    for button in ["RIGHT"] * 90 + ["LEFT"] * 160:
        console.frame(button)
        assert np.array_equal(console.screen[:24], bar)
        moved += not np.array_equal(console.screen[24:], field)
    assert moved > 150


def test_never_more_than_eight_sprites_a_line(console):
    """The console draws no more; play as scripts do it, over all levels' places."""
    for state, policy in (("Level6", "bot"), ("LastLife", "lean"), ("Tunnel3", "bot")):
        console.load(state, seed=3)
        player, rng = make_policy(policy, console.spec), np.random.default_rng(4)
        for _ in range(250):
            console.frame(*player.act(console.info, rng), times=2)
            if console.phase == DARK:
                continue
            lines = console.sprites()[:, 0].astype(int)
            lines = lines[lines < 239]
            assert np.bincount((lines[:, None] + np.arange(8)).ravel()).max() <= 8
