"""F5 in the window of `record.py play`: a start state by hand, which game.yaml has at once."""

import shutil

import numpy as np
import pygame
import pytest
import yaml
from toys.synthetic import assert_sentence, make_spec

from dreamcart.core import paths
from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.games.catalog import load_game
from dreamcart.games.emulator import open_emulator
from dreamcart.record.recorder_window import RecorderWindow
from dreamcart.record.start_states import _with_state, save_start_state

pytest.importorskip("stable_retro")
FRAME = np.zeros((16, 16, 3), np.uint8)


def test_a_state_that_is_saved_is_begun_from(tmp_path, monkeypatch):
    """The next one has another name; comments stay."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    folder = tmp_path / "games" / "blockfall"
    shutil.copytree(ROOT / "games/blockfall", folder)
    before = (folder / "game.yaml").read_text()
    spec = load_game("blockfall")
    emulator = open_emulator(spec)
    try:
        emulator.reset("PlayA", 0)
        for _ in range(40):
            emulator.step(spec.vector({"LEFT"}))
        state = emulator.save()
        assert save_start_state(spec, emulator) == "Saved1"
        emulator.reset("PlayA", 0)
        assert emulator.save() != state
        assert save_start_state(load_game("blockfall"), emulator) == "Saved2"
        emulator.reset("Saved1", 0)
        begun = emulator.frame
        emulator.restore(state)
        emulator.env.em.step()  # as a reset does, to have a picture
        assert (begun == emulator.env.get_screen()).all()
    finally:
        emulator.close()
    assert load_game("blockfall").start_states == ["PlayA", "Title", "Saved1", "Saved2"]
    after = (folder / "game.yaml").read_text()
    assert after == before.replace("[PlayA, Title]", "[PlayA, Title, Saved1, Saved2]")


def test_a_name_can_be_given(tmp_path, monkeypatch):
    """Also one that YAML would read as a number; never one that is there."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    shutil.copytree(ROOT / "games/blockfall", tmp_path / "games" / "blockfall")
    spec = load_game("blockfall")
    emulator = open_emulator(spec)
    try:
        for name in ("Boss-2", "12", "on"):
            assert save_start_state(load_game("blockfall"), emulator, name) == name
        for name, said in (
            ("Boss-2", "There is a start state Boss-2"),
            ("HighA", "There is a start state HighA"),
            ("PowerOn", "There is"),
            ("../x", "cannot name a start state"),
            ("a" * 41, "cannot name"),
        ):
            with pytest.raises(UserError, match=said) as caught:
                save_start_state(load_game("blockfall"), emulator, name)
            assert_sentence(caught.value)
        emulator.reset("12", 0)
    finally:
        emulator.close()
    states = ["PlayA", "Title", "Boss-2", "12", "on"]
    assert load_game("blockfall").start_states == states
    assert not list((tmp_path / "games").rglob("x.state"))


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("start_states: []  # none\n", ["Saved1"]),
        ("title: X", ["A", "Saved1"]),
        ("a: 1\nstart_states: [B]\n", ["B", "Saved1"]),
        ("start_states:\n  - B\n", None),
        ("start_states: [A,\n  B]\n", None),
        ("{start_states: [A]}", None),
    ],
)
def test_a_game_yaml_is_added_to_or_left_alone(tmp_path, text, states):
    (tmp_path / "game.yaml").write_text(text)
    if states is None:
        with pytest.raises(UserError, match="write start_states on one line") as caught:
            _with_state(tmp_path / "game.yaml", ["A"], "Saved1")
        assert_sentence(caught.value)
    else:
        new = _with_state(tmp_path / "game.yaml", ["A"], "Saved1")
        assert yaml.safe_load(new) == yaml.safe_load(text) | {"start_states": states}


@pytest.mark.parametrize("name", ["breakout", "airstriker"])
def test_a_game_without_an_integration_of_its_own_says_so(name):
    """stable-retro's own games, and Atari's, have no folder here to keep a state in."""
    with pytest.raises(UserError, match="no integration in games/") as caught:
        save_start_state(load_game(name), None)
    assert_sentence(caught.value)


def test_f5_is_the_windows_and_says_what_it_did():
    saved = []

    def save(name: str) -> str:
        saved.append(name)
        if len(saved) > 1:
            raise UserError("No room.")
        return "Saved1"

    window = RecorderWindow(make_spec(), FRAME, 10.0, save)
    try:
        for note in ("saved start state Saved1", "No room."):
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_F5))
            assert window.act({}, None) == set()
            assert window.note == note
        assert saved == ["", ""]
        assert "f5" in "   ".join(window.help())
    finally:
        window.close()


def typed(*keys: tuple[int, str]) -> None:
    for key, letter in keys:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=letter))


def shift_f5() -> None:
    mod = pygame.KMOD_LSHIFT
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_F5, mod=mod, unicode=""))


@pytest.fixture
def window():
    """A recorder's window whose states are kept in its `kept`."""
    kept = []

    def save(name: str) -> str:
        kept.append(name)
        if name == "Taken":
            raise UserError("There is a start state Taken; choose another name.")
        return name

    made = RecorderWindow(make_spec(keys={"START": "return", "A": "x"}), FRAME, 10.0, save)
    made.kept = kept
    yield made
    made.close()


def answer(window: RecorderWindow, monkeypatch, *keys: tuple[int, str]) -> set[str] | None:
    """What is pressed in the step in which Shift+F5 goes down and these keys answer."""
    shift_f5()
    present, shown = window._present, []

    def presented(status: str) -> None:
        shown.append(status)
        if len(shown) == 2:  # the prompt
            typed(*keys)
        assert len(shown) < 9, "the prompt does not end"
        present(status)

    monkeypatch.setattr(window, "_present", presented)
    pressed = window.act({}, None)
    window.shown = shown
    return pressed


BOSS = [(pygame.K_b, "B"), (pygame.K_o, "o"), (pygame.K_MINUS, "-"), (pygame.K_2, "2")]


def test_shift_f5_asks_for_a_name(window, monkeypatch):
    """Letters, digits, - and _ count; a step is played after it, without what was typed."""
    keys = [(pygame.K_MINUS, "-"), (pygame.K_SPACE, " "), (pygame.K_RETURN, "\r"), *BOSS]
    keys += [(pygame.K_x, "x"), (pygame.K_SLASH, "/"), (pygame.K_PERIOD, "."), (0, "ä")]
    keys += [(pygame.K_BACKSPACE, "\b"), (pygame.K_LSHIFT, ""), (pygame.K_RETURN, "\r")]
    speed = window.speed
    assert answer(window, monkeypatch, *keys) == set()
    assert window.kept == ["Bo-2"]
    assert window.note == "saved start state Bo-2"
    assert "ENTER: save" in window.shown[1]
    assert window.speed == speed


@pytest.mark.parametrize("keys", [[(pygame.K_ESCAPE, "")], [*BOSS, (pygame.K_ESCAPE, "")]])
def test_escape_cancels_the_name_and_the_recording_goes_on(window, monkeypatch, keys):
    assert answer(window, monkeypatch, *keys) == set()
    assert (window.kept, window.note) == ([], "")


def test_a_name_that_is_taken_is_told_and_the_recording_goes_on(window, monkeypatch):
    letters = [(ord(letter.lower()), letter) for letter in "Taken"]
    assert answer(window, monkeypatch, *letters, (pygame.K_RETURN, "\r")) == set()
    assert window.note == "There is a start state Taken; choose another name."


def test_a_window_that_is_closed_while_it_asks_is_left(window, monkeypatch):
    monkeypatch.setattr(window.pads, "notice", lambda event: None)
    shift_f5()
    window.leaving = False
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert window.act({}, None) is None
    assert window.kept == []
