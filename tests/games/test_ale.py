"""Atari games: the same every time, the buttons do what they say, and the bots meet points and
losses.
"""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from toys.synthetic import assert_sentence

from dreamcart.core.errors import UserError
from dreamcart.data.collect import record
from dreamcart.data.images import decode_image
from dreamcart.data.reader import dataset_spec, read_episodes
from dreamcart.data.schema import INFO_NAME
from dreamcart.data.scripts import make_policy
from dreamcart.games.ale import JOYSTICK, AleEmulator, buttons_of
from dreamcart.games.catalog import load_game
from dreamcart.games.emulator import open_emulator
from dreamcart.games.spec import GameSpec
from dreamcart.params import CollectConfig

pytest.importorskip("ale_py")

GAMES = ("pong", "breakout")
SPECS = {name: load_game(name) for name in GAMES}
WHITE, RED = (236, 236, 236), (200, 72, 72)


@pytest.fixture(scope="module")
def machines():
    """One running emulator a game: {name: emulator}."""
    return {name: open_emulator(spec) for name, spec in SPECS.items()}


def hold(emulator, *pressed, steps=1):
    """Hold these buttons. Returns the variables after it."""
    for _ in range(steps):
        emulator.step(emulator.spec.vector(set(pressed)))
    return emulator.variables()


def play(emulator, steps, seed=0, policy="bot"):
    """Scripted play from the present state: yields frame, reward, end and variables of every
    step.
    """
    script, rng = make_policy(policy, emulator.spec), np.random.default_rng(seed)
    for _ in range(steps):
        frame, reward, ended, _ = emulator.step(
            emulator.spec.vector(script.act(emulator.variables(), rng))
        )
        yield frame, reward, ended, emulator.variables()


def history(emulator, steps, seed=0, policy="bot"):
    """The same as comparable values, pictures included."""
    return [
        (frame.tobytes(), reward, ended, after)
        for frame, reward, ended, after in play(emulator, steps, seed, policy)
    ]


@pytest.mark.parametrize("game", ["ALE/Assault-v5", "ALE/Seaquest-v5", "ALE/Kaboom-v5"])
def test_nothing_of_the_last_game_is_left(game):
    """Some games keep memory through ALE's own reset: an episode would depend on those that a
    process played before.
    """
    spec = load_game(game)
    used, fresh = open_emulator(spec), open_emulator(spec)
    history(used, 200, seed=1, policy="held")
    np.testing.assert_array_equal(used.reset("Start", 5), fresh.reset("Start", 5))
    assert history(used, 200, policy="held") == history(fresh, 200, policy="held")


@pytest.mark.parametrize("name", GAMES)
def test_the_same_seed_and_buttons_give_the_same_frames(machines, name):
    """Nothing is random: a machine long in use plays as a fresh one does."""
    used, fresh = machines[name], open_emulator(SPECS[name])
    hold(used, "FIRE", "LEFT", steps=50)
    np.testing.assert_array_equal(used.reset("Start", 5), fresh.reset("Start", 5))
    assert history(used, 300) == history(fresh, 300)
    assert used.versions() == fresh.versions()


@pytest.mark.parametrize("name", GAMES)
def test_seeds_tell_games_apart(machines, name):
    """Without a seed every recording would begin with the same ball."""
    emulator, paths = machines[name], set()
    for seed in range(4):
        emulator.reset("Start", seed)
        path = [hold(emulator, "FIRE") for _ in range(60)]
        paths.add(tuple((after["ball_x"], after["ball_y"]) for after in path))
    assert len(paths) == 4


@pytest.mark.parametrize("name", GAMES)
def test_a_saved_state_goes_on_as_before(machines, name):
    """Controllability asks the same machine twice, from the same moment, score and picture
    included.
    """
    emulator, other = machines[name], open_emulator(SPECS[name])
    emulator.reset("Start", 1)
    list(play(emulator, 300))
    saved, variables = emulator.save(), emulator.variables()
    expected = history(emulator, 200, seed=1)
    for machine in (emulator, other):
        machine.restore(saved)
        assert machine.variables() == variables
        assert machine.save() == saved
        assert history(machine, 200, seed=1) == expected


# Buttons


@pytest.mark.parametrize(
    ("name", "pressed", "variable", "sign"),
    [
        ("pong", {"RIGHT"}, "player_y", -1),
        ("pong", {"LEFT"}, "player_y", 1),
        ("pong", {"FIRE", "LEFT"}, "player_y", 1),
        ("pong", {"LEFT", "RIGHT"}, "player_y", 0),
        ("breakout", {"RIGHT"}, "player_x", 1),
        ("breakout", {"LEFT"}, "player_x", -1),
        ("breakout", {"LEFT", "RIGHT"}, "player_x", 0),
        ("breakout", {"FIRE"}, "ball_y", 1),
        ("breakout", set(), "ball_y", 0),
    ],
)
def test_a_button_does_its_thing(machines, name, pressed, variable, sign):
    """Pong's stick moves the paddle up and down, Breakout's to the sides, FIRE serves, and
    opposites cancel.
    """
    emulator = machines[name]
    emulator.reset("Start", 28)
    before = hold(emulator, steps=5)
    assert np.sign(hold(emulator, *pressed, steps=5)[variable] - before[variable]) == sign


def test_fire_smashes_in_pong(machines):
    """FIRE at the paddle sends the ball back at twice the speed; what else would the button
    be for?
    """
    emulator = machines["pong"]

    def follow(*fire, steps=1):
        for _ in range(steps):
            now = emulator.variables()
            error = now["ball_y"] - now["player_y"] - 7
            hold(emulator, *fire, *(["LEFT"] if error > 4 else ["RIGHT"] if error < -4 else []))
        return emulator.variables()["ball_x"]

    emulator.reset("Start", 0)
    assert any(follow() in (180, 181) for _ in range(600)), "no ball came"
    saved, left = emulator.save(), []
    for fire in ([], ["FIRE"]):
        emulator.restore(saved)
        early = follow(*fire, steps=8)
        left.append(early - follow(*fire, steps=5))
    assert left == [10, 20]


def test_the_stick_has_all_of_its_18_positions():
    """Every set of pressed buttons is one of ALE's actions."""
    emulator = open_emulator(
        dataclasses.replace(SPECS["pong"], buttons=["FIRE", "UP", "RIGHT", "LEFT", "DOWN"])
    )
    sets = [
        set(chosen)
        for count in range(6)
        for chosen in itertools.combinations(emulator.spec.buttons, count)
    ]
    assert {emulator._stick(pressed).value for pressed in sets} == set(range(18))
    assert emulator._stick({"LEFT", "FIRE", "DOWN"}).name == "DOWNLEFTFIRE"
    assert emulator._stick({"UP", "DOWN", "LEFT", "RIGHT", "FIRE"}).name == "FIRE"


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("env", "wait"), [("ALE/Assault-v5", 0), ("ALE/MsPacman-v5", 150), ("ALE/DoubleDunk-v5", 0)]
)
def test_gymnasiums_actions_are_held_buttons_and_back(env, wait, full):
    """Each action of the minimal and of the full set: its number → buttons → the same action, and
    the same screen.
    """
    gymnasium = pytest.importorskip("gymnasium")
    import ale_py

    gymnasium.register_envs(ale_py)
    spec = dataclasses.replace(load_game(env), continuing=False)
    if full:
        spec = dataclasses.replace(spec, buttons=list(JOYSTICK))
    emulator = open_emulator(spec)
    options = {
        "frameskip": spec.frame_skip,
        "repeat_action_probability": 0.0,
        "full_action_space": full,
    }
    theirs = gymnasium.make(env, **options).unwrapped
    emulator.reset("Start", 0)
    hold(emulator, steps=wait)  # Ms. Pac-Man has a tune before anything moves
    start = emulator.save()
    screens = set()
    for number, meaning in enumerate(theirs.get_action_meanings()):
        held = buttons_of(meaning)
        vector = spec.vector(held)
        assert (
            theirs.get_action_meanings()[number]
            == emulator._stick({b for b, on in zip(spec.buttons, vector, strict=True) if on}).name
        )
        emulator.restore(start)
        theirs.reset()
        theirs.ale.restoreState(ale_py.ALEState(start[8 + emulator.screen.size :]))
        for _ in range(60):
            frame, reward, ended, _ = emulator.step(vector)
            seen, points, over, _, _ = theirs.step(number)
            assert (reward, ended) == (points, over)
        np.testing.assert_array_equal(frame, seen)
        screens.add(frame.tobytes())
    assert len(screens) > 3  # they do different things


# What a game tells


@pytest.mark.parametrize("name", GAMES)
def test_the_bot_meets_points_and_losses(machines, name):
    """A recording without points, or without lost balls, teaches nothing about them."""
    emulator, spec, met = machines[name], SPECS[name], set()
    for seed in range(10):
        emulator.reset("Start", seed)
        *_, (_, _, _, last) = play(emulator, 600, seed)
        met |= {event for event, variable in spec.events.items() if last[variable]}
        if met == set(spec.events):
            return
    pytest.fail(f"only {met}")


@pytest.mark.parametrize(("name", "colour", "down"), [("pong", WHITE, -13), ("breakout", RED, 10)])
def test_variables_say_where_the_ball_is_on_the_screen(machines, name, colour, down):
    """The addresses in game.yaml are right: that is where the ball's two columns of pixels are."""
    emulator, seen = machines[name], 0
    emulator.reset("Start", 0)
    for frame, _, _, now in play(emulator, 300):
        y, x = now["ball_y"] + down, now["ball_x"] - 49
        if now["ball_y"] and 110 < y < 180 and 22 < x < 136:  # between walls, bricks and paddles
            np.testing.assert_array_equal(
                (frame[y, x - 1 : x + 3] == colour).all(-1), [False, True, True, False]
            )
            seen += 1
    assert seen > 30


@pytest.mark.parametrize("name", GAMES)
def test_the_score_is_the_sum_of_rewards(machines, name):
    """`score` and `lives` are ALE's own; in Pong it is the difference of both players' points."""
    emulator, total = machines[name], 0.0
    emulator.reset("Start", 3)
    lives = emulator.variables()["lives"]
    for _, reward, _, after in play(emulator, 500):
        total += reward
        assert after["score"] == total
        assert after["lives"] + after["lives_lost"] == lives == {"pong": 0, "breakout": 5}[name]
        if name == "pong":
            assert total == after["player_points"] - after["enemy_points"]


def test_an_episode_ends_with_its_game():
    """With the last ball Breakout is over: it stands still, or begins anew where the spec says
    `continuing`.
    """
    emulator = open_emulator(SPECS["breakout"])
    endless = open_emulator(dataclasses.replace(SPECS["breakout"], continuing=True))
    for machine in (emulator, endless):
        machine.reset("Start", 0)
    ends = [end for _, _, end, _ in play(emulator, 1000, policy="held")]
    assert ends == sorted(ends)
    assert ends[-1]
    saved, last = emulator.save(), emulator.step([1, 0, 0])[0]
    emulator.reset("Start", 0)
    emulator.restore(saved)
    np.testing.assert_array_equal(emulator.step([0, 1, 0])[0], last)
    lives = [after["lives"] for _, _, end, after in play(endless, 1000, policy="held") if not end]
    assert len(lives) == 1000
    assert 5 in lives[lives.index(0) :]


def test_frames_are_the_whole_screen_less_the_crop(machines):
    """210 x 160 in the console's own colours, and `crop` as for any other game."""
    whole = machines["pong"].reset("Start", 0)
    assert (whole.shape, whole.dtype) == ((210, 160, 3), np.uint8)
    assert len(np.unique(whole.reshape(-1, 3), axis=0)) == 5
    cropped = open_emulator(dataclasses.replace(SPECS["pong"], crop=[34, 16, 8, 0])).reset(
        "Start", 0
    )
    np.testing.assert_array_equal(cropped, whole[34:194, 8:])


# Recording


def test_a_recording_replays_in_the_emulator(machines, tmp_path):
    """What stands in the shards is what the machine does: pictures, rewards and variables, by seed
    and buttons.
    """
    spec, emulator = SPECS["breakout"], machines["breakout"]
    config = CollectConfig(
        source="emulator",
        revision="",
        frames=90,
        episode_steps=30,
        test_episodes=1,
        test_steps=30,
        workers=1,
    )
    report = record(spec, config, 7, tmp_path / "play", tmp_path / "test")
    assert (report["play"]["frames"], report["test"]["frames"]) == (90, 30)
    assert dataset_spec(tmp_path / "play") == spec
    info = json.loads((tmp_path / "play" / INFO_NAME).read_text())
    assert {key: info[key] for key in emulator.versions()} == emulator.versions()
    for folder in ("play", "test"):
        for rows in read_episodes(tmp_path / folder):
            frame, reward = emulator.reset("Start", rows[0]["seed"]), 0.0
            for row, following in itertools.zip_longest(rows, rows[1:]):
                np.testing.assert_array_equal(decode_image(row["observations"]["bytes"]), frame)
                assert emulator.variables().items() <= json.loads(row["infos"]).items()
                if following:
                    frame, reward, _, _ = emulator.step(row["actions"])
                    assert row["rewards"] == reward


# What is refused


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"env": "ALE/Pogn-v5"}, "ALE/Pong-v5"),
        ({"env": "PongNoFrameskip-v4"}, "'PongNoFrameskip-v4'"),
        ({"buttons": ["FIRE", "A"]}, "'A'"),
        ({"ram": {"score": 13}}, "'score'"),
    ],
)
def test_a_wrong_game_is_refused_in_one_sentence(changes, named):
    """Mistakes in game.yaml are named before anything is recorded."""
    with pytest.raises(UserError, match=named) as caught:
        AleEmulator(dataclasses.replace(SPECS["pong"], **changes))
    assert_sentence(caught.value)
    assert "games/pong/game.yaml" in str(caught.value)


@pytest.mark.parametrize("content", [None, b"another game"])
def test_a_missing_or_foreign_rom_is_refused(tmp_path, monkeypatch, content):
    """ale-py looks into ALE_ROMS_DIR first; what lies there may not be the game."""
    monkeypatch.setenv("ALE_ROMS_DIR", str(tmp_path))
    if content:
        (tmp_path / "pong.bin").write_bytes(content)
    with pytest.raises(UserError, match="missing or damaged") as caught:
        open_emulator(SPECS["pong"])
    assert_sentence(caught.value)


def test_an_unknown_start_state_is_refused(machines):
    """Atari games have no saved states to begin from."""
    with pytest.raises(UserError, match="'Level1'") as caught:
        machines["pong"].reset("Level1", 0)
    assert_sentence(caught.value)


def test_an_address_outside_the_ram_is_refused():
    """The Atari has 128 bytes."""
    with pytest.raises(UserError, match="0 to 127") as caught:
        GameSpec.from_dict(SPECS["pong"].to_dict() | {"ram": {"ball_x": 0x80}})
    assert_sentence(caught.value)
