"""The trust model of docs/security.md: code, ROMs and scripts come from this checkout, whatever a
cart or dataset says.
"""

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from toys.synthetic import assert_sentence, make_rows, make_spec, make_world_of_cells, write_raw

from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.core.tensors import load_tensors
from dreamcart.data.schema import INFO_NAME, read_info
from dreamcart.games.catalog import integration_of, load_game
from dreamcart.games.emulator import open_emulator
from dreamcart.games.spec import GameSpec
from dreamcart.params import PreprocessConfig
from dreamcart.world.cart import load_cart, save_cart, write_cart
from dreamcart.world.model import save_world

pytest.importorskip("stable_retro")
LEAD_AWAY = [
    "../data/hub/evil__x",
    "/somewhere/victim",
    "a/../../b",
    "..",
    "a\\..\\b",
    "~/x",
    "a\0b",
]
LEAD_AWAY += ["x" * 300, "", 3, None, ["a"]]


@pytest.fixture
def evil(tmp_path):
    """A folder that a stranger could have sent: an integration whose script says that it ran, and a
    reader that does.
    """
    folder = tmp_path / "evil"
    shutil.copytree(integration_of("blockfall") / "Blockfall-Nes-v0", folder / "Blockfall-Nes-v0")
    ran = tmp_path / "ran"
    (folder / "Blockfall-Nes-v0" / "script.lua").write_text(
        f'io.open("{ran}", "w"):close()\nfunction done() return false end\n'
    )
    scenario = {"done": {"script": "lua:done"}, "scripts": ["script.lua"]}
    (folder / "Blockfall-Nes-v0" / "scenario.json").write_text(json.dumps(scenario))
    for name in ("reader.py", "bot.py"):
        (folder / name).write_text(f'open("{ran}", "w").close()\n')
    return folder


@pytest.mark.parametrize("name", LEAD_AWAY)
def test_a_name_that_leads_elsewhere_is_no_games(name):
    """The name of a game goes into paths: a dataset or cart that has such a one is refused where it
    is read.
    """
    with pytest.raises(UserError) as caught:
        GameSpec.from_dict(make_spec().to_dict() | {"name": name}, "dataset_info.json")
    assert_sentence(caught.value)
    assert "dataset_info.json" in str(caught.value)


@pytest.mark.parametrize("name", [name for name in LEAD_AWAY if name != "a\0b"])
def test_a_cart_with_such_a_name_is_refused(tmp_path, name):
    make_world_of_cells(tmp_path / "model")
    save_cart(tmp_path / "a.cart", tmp_path / "model", {})
    tensors, meta = load_tensors(tmp_path / "a.cart")
    meta.pop("fingerprint")
    meta["game"]["name"] = name
    write_cart(tmp_path / "a.cart", tensors, meta)
    with pytest.raises(UserError, match=r"a\.cart") as caught:
        load_cart(tmp_path / "a.cart", torch.device("cpu"))
    assert_sentence(caught.value)


def test_where_a_dataset_says_its_integration_is_nobody_looks(evil, tmp_path):
    """The game that is played is this checkout's; the stranger's script never runs, and the frames
    are the game's.
    """
    told = load_game("blockfall").to_dict() | {"integration": str(evil)}
    emulator = open_emulator(GameSpec.from_dict(told))
    emulator.reset("PlayA", 0)
    emulator.step([0] * 8)
    emulator.close()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": "evil"}, "no game 'evil'"),
        ({"env": "Evil-Nes-v0"}, "of another game"),
        ({"backend": "ale", "env": "ALE/Pong-v5"}, "of another game"),
        ({"name": "breakout"}, "of another game"),
    ],
)
def test_another_game_under_a_known_name_is_not_opened(change, named):
    with pytest.raises(UserError, match=named) as caught:
        open_emulator(dataclasses.replace(load_game("blockfall"), **change))
    assert_sentence(caught.value)


@pytest.mark.parametrize(
    "env", ["../../evil/Blockfall-Nes-v0", "/tmp/x", "a b", "x" * 3 + "/../y", ""]
)
def test_an_environment_that_is_a_path_is_refused(env):
    """stable-retro makes a path of it."""
    with pytest.raises(UserError, match="env is") as caught:
        GameSpec.from_dict(make_spec().to_dict() | {"env": env})
    assert_sentence(caught.value)


@pytest.mark.parametrize("state", ["../PlayA", "/tmp/x", "", "Play A"])
def test_a_start_state_that_is_a_path_is_refused(state):
    """Recordings name the start state of each episode, and stable-retro opens a file of that
    name.
    """
    emulator = open_emulator(load_game("blockfall"))
    with pytest.raises(UserError, match="start state") as caught:
        emulator.reset(state, 0)
    emulator.close()
    assert_sentence(caught.value)


def test_verify_runs_no_script_of_a_dataset_and_deletes_nothing_of_the_users(evil, tmp_path):
    """The two of the field report in one: an integration of its own, and a name that is a path."""
    victim = tmp_path / "victim"
    (victim / "verify" / "raw").mkdir(parents=True)
    (victim / "verify" / "raw" / "diary.txt").write_text("mine")
    raw = write_raw(tmp_path / "raw", [make_rows(0, 4)])
    for change in ({"integration": str(evil), "name": "evil"}, {"name": str(victim)}):
        info = json.loads((raw / INFO_NAME).read_text())
        info["game"] |= change
        (raw / INFO_NAME).write_text(json.dumps(info))
        command = [sys.executable, "stages/record.py", "verify", str(raw)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 2, done.stdout + done.stderr
        assert done.stderr.startswith("error: "), done.stderr
        assert "Traceback" not in done.stderr
    assert (victim / "verify" / "raw" / "diary.txt").read_text() == "mine"
    assert not (tmp_path / "ran").exists()


def test_an_older_dataset_still_opens(tmp_path):
    """Those of the first formats hold `integration`: it is left aside, not refused."""
    raw = write_raw(tmp_path / "raw", [make_rows(0, 4)])
    info = json.loads((raw / INFO_NAME).read_text())
    info["game"]["integration"] = "games/blockfall"
    (raw / INFO_NAME).write_text(json.dumps(info))
    assert "integration" not in read_info(raw)["game"]


def test_two_start_states_with_one_picture_are_saved(tmp_path):
    """safetensors refuses tensors that share memory: training ended without a model, at each try
    again.
    """
    frame = np.zeros((8, 8, 3), np.uint8)
    seen_as = PreprocessConfig(height=0, width=0, color="rgb", resize="nearest", val_share=0.2)
    save_world(
        tmp_path / "world.safetensors", make_spec(), {"One": frame, "Other": frame}, frame, seen_as
    )
    tensors, meta = load_tensors(tmp_path / "world.safetensors")
    assert meta["starts"] == ["One", "Other"]
    assert torch.equal(tensors["start.One"], tensors["start.Other"])


def test_a_new_game_in_an_experiments_own_checkout_is_hinted_at(monkeypatch):
    """`dvc exp run --temp` checks out what git knows."""
    monkeypatch.setattr("dreamcart.games.catalog.IN_EXPERIMENT", True)
    with pytest.raises(UserError, match="git add games/NAME") as caught:
        load_game("my_new_game")
    assert_sentence(caught.value)
