"""The enemies' rules: each reacts to the player, chooses by the generator, and can be stomped."""

import numpy as np
import pytest
from emberling_console import BAT, BEETLE, DYING, PLAYING, SQUASHED, TOAD

GROUND = 192
FAR = 24 + 160  # out of the reach of beetles and toads


def track(console, n, frames, *held):
    """Follow an enemy: its (x, y), frame by frame."""
    places = []
    for _ in range(frames):
        v = console.frame(*held)
        places.append((int(v["enemy_x"][n]) + 256 * int(v["enemy_room"][n]), int(v["enemy_y"][n])))
    return places


def hold_still(console, n):
    """Poke an enemy's next choice far into the future."""
    console.poke(**{f"enemy_timer_{n:03d}": 255})


@pytest.mark.parametrize(("kind", "points"), [(BEETLE, 20), (BAT, 50), (TOAD, 30)])
def test_stomping_gives_points_and_a_bounce(console, kind, points):
    for held, bounce in ((), 0x340), (("A",), 0x500):
        console.load("Level1", alone=True, player_x=96, player_y=150, vel_y=0x200, on_ground=0)
        console.enemy(0, kind, 96, GROUND)
        hold_still(console, 0)
        console.until(lambda v: v["stomps"] or v["phase"] == DYING, *held, limit=40)
        assert (console.score, console.stomps) == (points, 1)
        assert console.enemy_kind[0] == SQUASHED
        assert console.vel_y == -bounce
        assert console.until(lambda v: v["enemy_kind"][0] == 0) == 20
        assert console.phase == PLAYING


@pytest.mark.parametrize("kind", [BEETLE, BAT, TOAD])
def test_touching_costs_a_life(console, kind):
    console.load("Level1", alone=True, player_x=96)
    console.enemy(0, kind, 120, GROUND)
    hold_still(console, 0)
    console.until(lambda v: v["phase"] == DYING, "RIGHT", limit=40)
    assert (console.lives, console.stomps) == (2, 0)
    assert abs(console.player_x - int(console.enemy_x[0])) < 12


def test_a_lost_life_brings_the_enemies_back(console):
    console.load("Level1")
    places = console.enemy_kind.copy(), console.enemy_x.copy()
    console.poke(enemy_kind_000=0, player_y=230)
    console.until(lambda v: v["phase"] == DYING)
    console.until(lambda v: v["phase"] == PLAYING)
    assert np.array_equal(console.enemy_kind, places[0])
    assert np.array_equal(console.enemy_x, places[1])


def test_a_beetle_runs_at_a_player_near_on_its_ground(console):
    for level, pace in ((1, 0.5), (2, 1.0)):
        console.load("Level1", alone=True, level=level, player_x=60)
        for x, way in ((60 + 70, -1), (60 - 50, 1)):
            console.enemy(0, BEETLE, x, GROUND)
            places = track(console, 0, 20)
            assert (places[-1][0] - places[0][0]) * way == pytest.approx(19 * pace, abs=1)


def test_a_beetle_far_away_walks_rests_and_turns_but_never_falls(console):
    console.load("Hops2", alone=True, seed=4, player_x=352, player_y=100)
    ways, edge = set(), 256 + 12 * 16
    console.enemy(0, BEETLE, edge + 16, GROUND, timer=5)
    for _ in range(600):
        console.poke(player_x=352, player_y=100, vel_y=0)  # he hangs in the air
        (place,) = track(console, 0, 1)
        assert place[1] == GROUND
        assert place[0] > edge - 14
        ways.add((int(console.enemy_dir[0]), int(console.enemy_state[0])))
    assert len(ways) >= 3


def test_a_bat_hangs_until_a_player_is_near_then_swoops_and_flies_home(console):
    console.load("Level1", alone=True, player_x=24)
    console.enemy(0, BAT, 200, 64)
    assert set(track(console, 0, 100)) == {(200, 64)}
    console.poke(player_x=180)
    console.until(lambda v: v["enemy_state"][0] == 1, limit=200)
    places = track(console, 0, 30)
    assert places[-1][1] > 75  # down, towards him
    assert places[-1][0] < places[0][0]
    console.poke(player_x=24, enemy_timer_000=1)
    console.frame()
    assert console.enemy_state[0] == 2
    console.until(lambda v: v["enemy_state"][0] == 0, limit=200)
    assert console.enemy_y[0] == 64


def test_a_toad_hops_at_a_player_near(console):
    for x, way in ((140, -1), (40, 1)):
        console.load("Level1", alone=True, player_x=96)
        console.enemy(0, TOAD, x, GROUND, timer=3)
        places = track(console, 0, 20)
        assert places[0] == places[1] == (x, GROUND)
        assert (places[-1][0] - x) * way > 12
        assert min(y for _, y in places) < GROUND - 15


def test_a_toad_lands_waits_and_is_stopped_by_walls(console):
    console.load("Steps1", alone=True, seed=2, player_x=1280 + 100, player_y=100)
    console.enemy(0, TOAD, 1280 + 12 * 16, GROUND, timer=1, dir=1)
    seen = []
    for _ in range(300):
        console.poke(player_x=1280 + 100, player_y=60, vel_y=0)
        (place,) = track(console, 0, 1)
        seen.append((*place, int(console.enemy_state[0])))
    assert min(x for x, _, _ in seen) >= 1280 + 10 * 16 - 1
    assert {state for _, _, state in seen} == {0, 1}
    assert all(y == GROUND for _, y, state in seen if state == 0)


def test_a_toad_can_hop_into_a_pit(console):
    console.load("Gap1", alone=True, player_x=256 + 20)
    console.enemy(0, TOAD, 256 + 6 * 16, 180, state=1, speed=0)
    console.until(lambda v: v["enemy_kind"][0] == 0, limit=60)
    assert console.score == 60


# ---- chance ----------------------------------------------------------------------


def xorshift(rng):
    rng ^= rng << 7 & 0xFFFF
    rng ^= rng >> 9
    return rng ^ rng << 8 & 0xFFFF


def test_the_generator_moves_every_frame_and_buttons_stir_it(console):
    console.load("Level1", alone=True, rng=4711)
    wanted, pad = 4711, 0
    bits = {"A": 0x80, "B": 0x40, "START": 0x10, "LEFT": 2, "RIGHT": 1}
    for held in ([], ["A"], ["A"], ["A", "RIGHT"], [], ["B", "LEFT"], ["LEFT"], []):
        console.frame(*held)
        wanted, now = xorshift(wanted), sum(bits[name] for name in held)
        wanted ^= now if now != pad else 0
        pad = now
        assert console.rng == wanted
    console.load("Level1", rng=0)
    console.frame()
    assert console.rng == xorshift(1)


def test_chance_follows_seed_and_buttons(console):
    def end(seed, first):
        console.load("Bats1", seed=seed)
        console.frame(*first)
        for _ in range(4):
            console.frame("RIGHT", times=14)
            console.frame("LEFT", times=14)
        foes = console.enemy_x.tobytes() + console.enemy_y.tobytes()
        return foes, console.rng, console.screen.tobytes()

    runs = [end(1, []), end(1, []), end(2, []), end(1, ["A"]), end(1, ["B"])]
    assert runs[0] == runs[1]
    assert len({rng for _, rng, _ in runs}) == 4
    assert len({foes for foes, *_ in runs}) >= 3


@pytest.mark.parametrize("state", ["Level4", "Title"])
def test_replay_is_byte_identical(console, state):
    def run():
        console.load(state, seed=7)
        rng, seen = np.random.default_rng(1), []
        for number in range(60):
            held = [n for n in ("A", "B", "LEFT", "RIGHT") if rng.random() < 0.4]
            console.frame(*held, *["START"] * (number == 3), times=5)
            seen.append(console.screen.tobytes() + console.sprites().tobytes())
        return seen, console.emulator.save()

    assert run() == run()
