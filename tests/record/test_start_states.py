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

    def save() -> str:
        saved.append(1)
        if len(saved) > 1:
            raise UserError("No room.")
        return "Saved1"

    window = RecorderWindow(make_spec(), FRAME, 10.0, save)
    try:
        for note in ("saved start state Saved1", "No room."):
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_F5))
            assert window.act({}, None) == set()
            assert window.note == note
        assert len(saved) == 2
        assert "f5" in "   ".join(window.help())
    finally:
        window.close()
