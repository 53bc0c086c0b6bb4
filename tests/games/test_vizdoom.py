"""VizDoom behind the Emulator seam: deterministic by seed, buttons by name, and what Gymnasium's
environment shows.
"""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from toys.person import pressed, sit_down
from toys.synthetic import assert_sentence

from dreamcart.core.errors import UserError
from dreamcart.data.actions import bind
from dreamcart.data.collect import record
from dreamcart.data.images import decode_image
from dreamcart.data.reader import read_episodes
from dreamcart.data.scripts import make_policy
from dreamcart.games.catalog import PLATFORMS, load_game
from dreamcart.games.emulator import open_emulator
from dreamcart.params import CollectConfig
from dreamcart.record.verify import verify

vizdoom = pytest.importorskip(
    "vizdoom", reason="vizdoom is optional: pip install --no-deps -r requirements-vizdoom.txt"
)

ENV = "VizdoomBasic-v1"
SPEC = load_game(ENV)


@pytest.fixture(scope="module")
def emulator():
    machine = open_emulator(SPEC)
    yield machine
    machine.close()


def history(emulator, steps, seed=0):
    """Frame, reward, end and variables of scripted steps from the present state."""
    script, rng, met = make_policy("held", emulator.spec), np.random.default_rng(seed), []
    for _ in range(steps):
        frame, reward, ended, _ = emulator.step(
            emulator.spec.vector(script.act(emulator.variables(), rng))
        )
        met.append((frame.tobytes(), reward, ended, emulator.variables()))
    return met


def test_frames_are_the_screen(emulator):
    frame = emulator.reset("Start", 0)
    assert (frame.shape, frame.dtype) == ((120, 160, 3), np.uint8)
    assert len(np.unique(frame.reshape(-1, 3), axis=0)) > 30
    assert set(emulator.variables()) >= {"ammo2", "killcount", "score", "rounds"}


def test_the_same_seed_and_buttons_give_the_same_frames(emulator):
    """Over the ends of rounds as well; another seed puts the monster elsewhere."""
    emulator.reset("Start", 3)
    first = history(emulator, 400)
    emulator.reset("Start", 3)
    assert history(emulator, 400) == first
    assert first[-1][3]["rounds"] >= 1
    emulator.reset("Start", 4)
    assert history(emulator, 1) != first[:1]


def test_a_saved_state_goes_on_as_before(emulator):
    """Exactly, which the engine's own saves do not: the controllability score rests on it."""
    emulator.reset("Start", 1)
    history(emulator, 350)
    saved, variables = emulator.save(), emulator.variables()
    expected = history(emulator, 100, seed=1)
    emulator.restore(saved)
    assert (emulator.variables(), emulator.save()) == (variables, saved)
    assert history(emulator, 100, seed=1) == expected


def test_a_round_that_is_over_stands_still_or_begins_anew():
    """By `continuing`; time is up after 300 tics."""
    once = open_emulator(dataclasses.replace(SPEC, continuing=False))
    try:
        once.reset("Start", 0)
        ends = [once.step([0, 0, 0])[2] for _ in range(310)]
        assert ends.index(True) == 299
        assert all(ends[299:])
        assert once.variables()["rounds"] == 1
    finally:
        once.close()


@pytest.mark.parametrize("multi", [False, True])
def test_every_button_does_what_it_does_in_gymnasium(emulator, multi):
    """Discrete and MultiBinary actions, dictionary observations: same screen, same game variables,
    same rewards.
    """
    gymnasium = pytest.importorskip("gymnasium")
    from vizdoom import gymnasium_wrapper  # noqa: F401 (registers)

    config = {"screen_resolution": vizdoom.ScreenResolution.RES_160X120, "sound_enabled": False}
    env = gymnasium.make("VizdoomBasic-MultiBinary-v1" if multi else ENV, **config).unwrapped
    try:
        names = [button.name for button in env.game.get_available_buttons()]
        for button in [None, *names]:
            pressed = [int(name == button) for name in names]
            action = (
                np.array(pressed, np.int8)
                if multi
                else next(n for n, b in enumerate(env.button_map) if list(b) == pressed)
            )
            seen, _ = env.reset(seed=5)
            frame = emulator.reset("Start", env.game.get_seed())
            for _ in range(20):
                np.testing.assert_array_equal(seen["screen"], frame)
                assert list(seen["gamevariables"]) == [emulator.variables()["ammo2"]]
                seen, reward, ended, _, _ = env.step(action)
                frame, ours, over, _ = emulator.step(emulator.spec.vector({button} - {None}))
                assert (reward, ended) == (ours, over)
                if ended:
                    break
    finally:
        env.close()


def test_a_recording_replays(tmp_path, emulator):
    """Two workers, each with an engine of its own; what they wrote is what this one shows."""
    config = CollectConfig(
        source="emulator",
        revision="",
        frames=80,
        episode_steps=40,
        test_episodes=1,
        test_steps=40,
        workers=2,
    )
    report = record(SPEC, config, 0, tmp_path / "play", tmp_path / "test")
    assert (report["play"]["frames"], report["test"]["frames"]) == (80, 40)
    for rows in read_episodes(tmp_path / "play"):
        frame = emulator.reset("Start", rows[0]["seed"])
        for row in rows:
            np.testing.assert_array_equal(decode_image(row["observations"]["bytes"]), frame)
            if row["actions"] is not None:
                frame = emulator.step(row["actions"])[0]


def test_what_is_for_sale_is_said_to_be_missing():
    """Doom's own data does not come with VizDoom; Freedoom's does."""
    known = PLATFORMS["vizdoom"].environments()
    assert known["VizdoomFreedoom1E1M1-S1-v0"]
    assert not known["VizdoomDoomE1M1-S1-v0"]
    with pytest.raises(UserError, match=r"doom\.wad") as caught:
        open_emulator(load_game("VizdoomDoomE1M1-S1-v0"))
    assert_sentence(caught.value)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"buttons": ["ATTACK", "FLY"]}, "'FLY'"), ({"env": "VizdoomBasik-v1"}, "Basik")],
)
def test_a_wrong_game_is_refused_in_one_sentence(changes, named):
    with pytest.raises(UserError, match=named) as caught:
        open_emulator(dataclasses.replace(SPEC, **changes))
    assert_sentence(caught.value)


def test_an_unknown_start_state_is_refused(emulator):
    with pytest.raises(UserError, match="'Level1'") as caught:
        emulator.reset("Level1", 0)
    assert_sentence(caught.value)


def test_numbers_are_those_of_vizdooms_own_environment():
    """What `action` 0, 1, 2, … holds down there, by name, is what an import makes of it."""
    import gymnasium
    import vizdoom.gymnasium_wrapper  # noqa: F401 (registers)

    env = gymnasium.make(ENV).unwrapped
    held = bind(SPEC, {1}, env.action_space.n - 1)
    for number in range(env.action_space.n):
        assert held.to_buttons(number, SPEC) == [int(value) for value in env.button_map[number]]
    assert len(held.numbers) == env.action_space.n
    env.close()


def test_a_person_plays_in_the_recorders_window(tmp_path, monkeypatch, emulator):
    """By the keys that a scenario has of itself, over the end of a round; what was recorded
    verifies.
    """
    looks = [
        set(),
        {"space"},
        *[{"left"}] * 20,
        *[{"left ctrl"}] * 20,
        *[{"right", "left ctrl"}] * 20,
        *[set()] * 260,
        {"escape"},
    ]
    sit_down(
        monkeypatch,
        tmp_path / "r",
        *looks,
        set(),
        {"escape"},
        spec=SPEC,
        speed=100.0,
        emulator=emulator,
    )
    (steps,) = pressed(tmp_path / "r", SPEC)
    assert [len(list(same)) for _, same in itertools.groupby(steps)] == [20, 20, 20, 260]
    assert (steps[0], steps[20], steps[40]) == ({"MOVE_LEFT"}, {"ATTACK"}, {"MOVE_RIGHT", "ATTACK"})
    (verdict,) = verify(tmp_path / "r", 1, tmp_path / "pictures")
    assert (verdict.steps, verdict.problem) == (320, "")
    (episode,) = read_episodes(tmp_path / "r")
    assert json.loads(episode[-1]["infos"])["rounds"] >= 1
