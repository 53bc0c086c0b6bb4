"""`record.py new --seed-address`: episodes begin with a seed of their own, and come back by it."""

import contextlib
import importlib
import io

import pytest
from toys import nes_roms
from toys.commands import run_command
from toys.synthetic import assert_sentence

from dreamcart.core import paths
from dreamcart.core.errors import UserError
from dreamcart.core.files import read_json
from dreamcart.core.paths import ROOT
from dreamcart.data.collect import Episode, play_episode
from dreamcart.data.coverage import Coverage
from dreamcart.data.schema import RowEncoder
from dreamcart.games.catalog import load_game
from dreamcart.games.emulator import open_emulator
from dreamcart.games.spec import Script
from dreamcart.record import new
from dreamcart.record.replay import replay
from dreamcart.record.seed_address import SeedAddress

pytest.importorskip("stable_retro")
SPRITE = 0x0203  # the walker's column, in the console's copy of its sprites


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A checkout with no games but a ROM in it, and a function that runs `new` on that."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "film.nes").write_bytes(nes_roms.rom("film"))
    stage = importlib.import_module("stages.record")

    def call(*words: str) -> str:
        line = ["new", str(tmp_path / "film.nes"), "--seconds", "9", *words]
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            new.run(stage.parser("new").parse_args(line))
        return printed.getvalue()

    call.path, call.main = tmp_path, stage.main
    return call


def test_a_seed_stands_in_the_games_files_and_episodes_come_back(place):
    """Here the "seed" is the column of the walker, which anybody sees."""
    told = place("--seed-address", hex(SPRITE), "--seed-bytes", "1")
    assert "changed nothing" not in told
    spec = load_game("film")
    folder = place.path / "games" / "film" / spec.env
    assert spec.seed_variable == "seed"
    assert read_json(folder / "data.json") == {"info": {"seed": {"address": SPRITE, "type": "|u1"}}}
    emulator, first, encoder = open_emulator(spec), set(), RowEncoder(spec.images)
    try:
        for number in (254, 255, 256):
            episode = Episode(number, number, Script("held", "Play"), 30)
            rows = map(encoder.encode, play_episode(emulator, spec, episode, Coverage(spec)))
            rows = list(rows)
            first.add(rows[1]["observations"]["bytes"])
            assert replay(emulator, len(spec.buttons), rows, number, place.path).problem == ""
    finally:
        emulator.close()
    assert len(first) == 3


def test_a_place_that_decides_nothing_is_told(place):
    """The game never reads it. It may be right all the same, so that the game is made."""
    told = place("--seed-address", "1900")
    assert "Another seed (2 bytes at 0x076c) changed nothing in 15 seconds of play" in told
    assert load_game("film").seed_variable == "seed"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--seed-address", "0x5000"],
            "0x5000 is not in this game's RAM, which is 0x0000 to 0x07ff",
        ),
        (["--seed-address", "4294967295"], "is not in this game's RAM"),
        (["--seed-address", "here"], "no address"),
        (["--seed-address", "-1"], "no address"),
        (["--seed-address", "4294967296"], "no address"),
        (["--seed-address", "790", "--seed-bytes", "3"], "1 to 2"),
        (["--seed-bytes", "1"], "name its --seed-address too"),
    ],
)
def test_a_wrong_address_is_one_sentence(place, monkeypatch, words, said):
    line = ["record.py", "new", str(place.path / "film.nes"), "--seconds", "9", *words]
    code, told = run_command(place.main, line, monkeypatch)
    errors = [line for line in told.splitlines() if "error: " in line]
    assert (code, len(errors)) == (2, 1)
    assert said in errors[0]
    assert not (place.path / "games").exists()


@pytest.mark.parametrize(
    ("system", "length", "kind"),
    [("Nes", 1, "|u1"), ("Nes", 2, "<u2"), ("Genesis", 2, ">u2"), ("Snes", 2, "<u2")],
)
def test_bytes_stand_in_the_consoles_order(system, length, kind):
    assert SeedAddress(7, length).variable(system) == {"address": 7, "type": kind}


def test_one_byte_is_never_0(tmp_path, monkeypatch):
    """Many generators stop at it; a seed of two bytes takes the values it took before."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    rom = new.read_rom(ROOT / "games/blockfall/Blockfall-Nes-v0/rom.nes")
    found = new.Found(["A"], [], 60.0, (224, 240), [0, 0, 0, 0], [], [])
    for name, length, most in (("one", 1, 255), ("two", 2, 65535)):
        env = f"{name.title()}-Nes-v0"
        new._write_integration(tmp_path / "games" / name / env, rom, None, SeedAddress(790, length))
        text = new._game_yaml(env, name, rom, found, SeedAddress(790, length))
        (tmp_path / "games" / name / "game.yaml").write_text(text)
        emulator = open_emulator(load_game(name))
        try:
            for seed in (0, most - 1, most, 10**6):
                emulator.reset("PowerOn", seed)
                emulator.env.data.update_ram()
                assert emulator.variables()["seed"] == 1 + seed % most
        finally:
            emulator.close()
            del emulator


def test_a_wrong_address_in_data_json_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    rom = new.read_rom(ROOT / "games/blockfall/Blockfall-Nes-v0/rom.nes")
    found = new.Found(["A"], [], 60.0, (224, 240), [0, 0, 0, 0], [], [])
    wrong, folder = SeedAddress(20480, 1), tmp_path / "games" / "x"
    new._write_integration(folder / "X-Nes-v0", rom, None, wrong)
    (folder / "game.yaml").write_text(new._game_yaml("X-Nes-v0", "X", rom, found, wrong))
    with pytest.raises(UserError, match="not in the memory of X-Nes-v0") as caught:
        open_emulator(load_game("x"))
    assert_sentence(caught.value)
