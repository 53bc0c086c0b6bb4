"""The player's rules, seen from outside: buttons in, RAM and frames out."""

import numpy as np
import pytest
from emberling_console import DARK, DYING, OVER, PLAY, PLAYING, REACHED, TITLE

GROUND = 192  # his line on the lowest ground


def jump(console, hold, *others):
    """Jump with A held for so many frames. Returns pixels risen and frames in the air."""
    lines = [console.frame("A", *others)["player_y"]]
    while not console.on_ground:
        lines.append(console.frame(*["A"] * (len(lines) < hold), *others)["player_y"])
    return GROUND - min(lines), len(lines)


def drop_on(console, state, x, y, **poked):
    """Put the player into the air somewhere, without enemies."""
    console.load(state, alone=True, player_x=x, player_y=y, on_ground=0, **poked)


# ---- running and jumping -----------------------------------------------------


def test_running_takes_speed_step_by_step(console):
    console.load("Level1", alone=True)
    speeds = [console.frame("RIGHT")["vel_x"] for _ in range(14)]
    assert speeds == [*range(32, 385, 32), 384, 384]
    x = console.player_x
    console.frame("RIGHT", times=32)
    assert console.player_x - x == 48  # three pixels in two frames
    assert console.facing == 0
    assert console.until(lambda v: v["vel_x"] == 0) == 12
    console.frame("LEFT", times=12)
    assert (console.vel_x, console.facing) == (-384, 1)
    console.frame("LEFT", "RIGHT", times=12)
    assert console.vel_x == 0


def test_b_dashes(console):
    console.load("Level1", alone=True)
    console.frame("RIGHT", "B", times=20)
    assert console.vel_x == 640
    x = console.player_x
    console.frame("RIGHT", "B", times=20)
    assert console.player_x - x == 50
    console.frame("RIGHT", times=8)
    assert console.vel_x == 384
    console.load("Level1", alone=True).frame("B", times=20)
    assert (console.vel_x, console.player_x) == (0, 24)


def test_a_held_longer_jumps_higher(console):
    heights = []
    for hold in (1, 4, 8, 12, 16, 24, 60):
        console.load("Level1", alone=True)
        heights.append(jump(console, hold))
    assert heights == sorted(heights)
    assert heights[0] == (23, 21)
    assert heights[-1] == heights[-2] == (55, 42)
    assert len(set(heights)) == 6


def test_one_press_is_one_jump_from_the_ground(console):
    console.load("Level1", alone=True)
    jump(console, 100)
    console.frame("A", times=5)  # held over the landing
    assert (console.player_y, console.on_ground) == (GROUND, 1)
    console.frame()
    console.frame("A", times=10)
    rising = console.vel_y
    console.frame()
    console.frame("A")  # a press in the air
    assert rising < console.vel_y < 0
    poses = {console.pose}
    while not console.frame("A")["on_ground"]:
        poses.add(console.pose)
    assert len(poses) == 2  # he looks another way when he falls


def test_a_jump_goes_farther_with_speed(console):
    reach = []
    for buttons in (["RIGHT"], ["RIGHT", "B"]):
        console.load("Bats1", alone=True)
        console.frame(*buttons, times=22)
        x = console.player_x
        jump(console, 99, *buttons)
        reach.append(console.player_x - x)
    assert reach == [63, 105]


def test_walls_stop_him_both_ways(console):
    console.load("Steps1", alone=True)
    wall = 1280 + 5 * 16
    console.until(lambda v: v["vel_x"] == 384, "RIGHT")
    console.until(lambda v: v["vel_x"] == 0, "RIGHT")
    assert console.player_x == wall - 13
    console.frame("RIGHT", "B", times=20)
    assert console.player_x == wall - 13
    right_side = 1280 + 11 * 16
    drop_on(console, "Steps1", right_side + 20, GROUND)
    console.frame("LEFT", times=60)
    assert (console.player_x, console.vel_x) == (right_side - 3, 0)


def test_a_ceiling_ends_a_jump(console):
    low = 512 + 8 * 16, 32 + 8 * 16  # under the tunnel's rock
    console.load("Tunnel3", alone=True, player_x=low[0])
    console.frame("A", times=4)
    lines = []
    while console.vel_y < 0:
        lines.append(console.frame("A")["player_y"])
    assert min(lines) == low[1] - 2
    assert console.vel_y == 0


def test_a_ledge_holds_from_above_only(console):
    x, top = 8 * 16, 32 + 8 * 16
    console.load("Level1", alone=True, player_x=x)
    lines = [console.frame("A")["player_y"] for _ in range(24)]
    assert min(lines) < top - 16  # through it, upwards
    console.until(lambda v: v["on_ground"])
    assert console.player_y == top - 16
    console.frame(times=60)
    assert console.player_y == top - 16
    console.until(lambda v: not v["on_ground"], "LEFT")
    console.until(lambda v: v["on_ground"], "LEFT")
    assert console.player_y == GROUND


def test_falling_has_a_top_speed(console):
    drop_on(console, "Level1", 24, 60)
    speeds = []
    while not console.on_ground:
        speeds.append(console.frame()["vel_y"])
    assert max(speeds) == 0x480
    assert np.diff(speeds)[:5].tolist() == [0x58] * 5


# ---- what he touches ------------------------------------------------------------


def test_a_spark_is_ten_points_once(console):
    drop_on(console, "Level1", 7 * 16, 6 * 16 + 32)
    assert (console.score, console.sparks) == (0, 0)
    console.frame()
    assert (console.score, console.sparks, console.taken[0]) == (10, 1, 128)
    console.frame(times=200)
    assert (console.score, console.sparks) == (10, 1)


def test_taken_sparks_stay_taken_after_a_lost_life_but_not_in_a_new_level(console):
    drop_on(console, "Gap1", 256 + 6 * 16, 32 + 7 * 16)
    console.until(lambda v: v["phase"] == DYING)
    assert console.score == 70
    taken = console.taken.copy()
    assert taken.any()
    console.until(lambda v: v["phase"] == PLAYING)
    assert np.array_equal(console.taken, taken)
    console.poke(player_x=1792 + 11 * 16, camera_x=1792)
    console.until(lambda v: v["level"] == 2, "RIGHT")
    assert not console.taken.any()


@pytest.mark.parametrize(("lives", "after"), [(3, 4), (9, 9)])
def test_a_thousand_points_are_a_life(console, lives, after):
    drop_on(console, "Level1", 7 * 16, 6 * 16 + 32, score=990, lives=lives)
    console.frame()
    assert (console.score, console.lives, console.next_life) == (1000, after, 2000)


def test_the_score_stops_before_it_overflows(console):
    drop_on(console, "Level1", 7 * 16, 6 * 16 + 32, score=64995, next_life=65000)
    console.frame()
    assert console.score == 64995


@pytest.mark.parametrize(
    ("state", "x", "deep"),
    [("Gap1", 256 + 6 * 16, 224), ("Pools1", 768 + 5 * 16, 196), ("Spikes1", 1536 + 7 * 16, 180)],
    ids=["pit", "water", "spikes"],
)
def test_pits_water_and_spikes_cost_a_life(console, state, x, deep):
    drop_on(console, state, x, 170)
    lives, deaths = console.lives, console.deaths
    console.until(lambda v: v["phase"] == DYING, limit=60)
    assert console.player_y >= deep
    assert (console.lives, console.deaths) == (lives - 1, deaths + 1)
    assert console.until(lambda v: v["phase"] == DARK, "RIGHT", "A") == 56
    assert console.message == 3
    assert console.until(lambda v: v["phase"] == PLAYING) == 32
    assert (console.player_x, console.player_y) == (console.lantern * 256 + 24, GROUND)
    assert console.message == 0


def test_lanterns_are_where_a_life_begins_anew(console):
    console.load("Level1", alone=True, player_x=250)
    assert console.lantern == 0
    dark = console.until(lambda v: v["lantern"] == 1, "RIGHT")
    assert 0 < dark < 40
    assert console.player_x + 8 in (256 + 24, 256 + 25)
    console.frame("RIGHT", times=8)
    console.poke(player_y=230)
    console.until(lambda v: v["phase"] == PLAYING)
    assert console.player_x == 256 + 24
    console.poke(player_x=100)  # going back puts none out
    console.frame(times=3)
    assert console.lantern == 1


def test_the_hearth_ends_the_level(console):
    console.load("Goal1", alone=True, lantern=7)
    score = console.score
    console.until(lambda v: v["phase"] == REACHED, "RIGHT")
    assert (console.score, console.goals, console.message) == (score + 100, 1, 4)
    x = console.player_x
    assert console.until(lambda v: v["phase"] == DARK, "RIGHT", "A") == 72
    assert console.player_x == 24
    assert x > 1792 + 11 * 16
    assert (console.level, console.layout, console.lantern) == (2, 1, 0)
    console.until(lambda v: v["phase"] == PLAYING)
    assert console.score == score + 100


def test_levels_come_round_and_grow_harder(console):
    rooms, foes = [], []
    for level in range(1, 7):
        console.load("Title").frame("START")
        console.poke(level=level, restart=1)
        console.until(lambda v: v["phase"] == PLAYING)
        rooms.append(console.layout)
        foes.append(int((console.enemy_kind > 0).sum()))
    assert rooms == [0, 1, 2, 0, 1, 2]
    assert all(later > earlier for earlier, later in zip(foes[:3], foes[3:], strict=True))
    console.load("Goal1", level=99)
    console.until(lambda v: v["phase"] == REACHED, "RIGHT", "A")
    console.until(lambda v: v["phase"] == PLAYING)
    assert console.level == 99


# ---- scenes ------------------------------------------------------------------


def test_start_begins_from_the_title(console):
    console.load("Title")
    console.frame("A", "B", "LEFT", times=30)
    assert console.scene == TITLE
    console.frame("START")
    assert (console.scene, console.phase, console.lives, console.level) == (PLAY, DARK, 3, 1)
    assert console.until(lambda v: v["phase"] == PLAYING) == 32
    assert (console.player_x, console.player_y, console.score) == (24, GROUND, 0)


def test_pause_freezes_and_restores(console):
    console.load("Level4", seed=9)
    console.frame("RIGHT", times=40)
    console.frame(times=20)
    console.frame("START", times=2)
    assert (console.paused, console.message) == (1, 1)
    picture, before = console.screen, dict(console.info)
    console.frame("LEFT", "A", "B", times=50)
    assert np.array_equal(console.screen[24:], picture[24:])
    console.frame(times=2)
    for name, value in before.items():
        if name not in ("pad", "shown_message", "shown_paused"):
            assert np.array_equal(console.info[name], value), name
    console.frame("START")
    assert (console.paused, console.message) == (0, 0)
    console.frame("START", times=30)  # held: one press
    assert console.paused == 0
    assert console.rng != before["rng"]


def test_game_over_and_again(console):
    console.load("LastLife")
    assert console.lives == 1
    console.poke(player_y=230)
    console.frame()
    assert (console.lives, console.phase) == (0, DYING)
    console.until(lambda v: v["game_over"])
    assert (console.scene, console.message) == (OVER, 2)
    score = console.score
    console.frame("A", "B", "RIGHT", times=40)
    assert (console.scene, console.score) == (OVER, score)
    console.frame("START")
    assert (console.scene, console.game_over, console.lives) == (PLAY, 0, 3)
    assert (console.level, console.score, console.lantern, console.sparks) == (1, 0, 0, 0)
    assert not console.taken.any()


def test_start_states(console):
    wanted = (("Level1", 1, 0), ("Pools1", 1, 3), ("Hops2", 2, 1), ("Goal5", 5, 7))
    for state, level, room in wanted:
        console.load(state)
        assert (console.level, console.lantern) == (level, room)
        assert (console.player_x, console.phase, console.lag) == (room * 256 + 24, PLAYING, 0)
