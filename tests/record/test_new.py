"""`record.py new`: one ROM file becomes a game; what is none, damaged or dead is one sentence."""

import contextlib
import gzip
import importlib
import io
import random
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from toys import nes_roms, rom_work
from toys.commands import run_command
from toys.synthetic import assert_sentence

from dreamcart.core import paths
from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.games.catalog import load_game
from dreamcart.games.emulator import open_emulator
from dreamcart.games.retro import LEFT_OUT
from dreamcart.record import new
from dreamcart.record.apart import CrashError, HangError, run_apart
from dreamcart.record.machine import _whole_tiles
from dreamcart.record.rom_files import CONSOLES, LARGEST, Rom, read_rom
from dreamcart.record.way_picture import draw_way

stable_retro = pytest.importorskip("stable_retro")
OURS = ROOT / "games/blockfall/Blockfall-Nes-v0/rom.nes"
BLOCKFALL = OURS.read_bytes()
KNOWN = (OURS.parent / "rom.sha").read_text().strip()
JUNK = BLOCKFALL[:7] + b"DiskDude!" + BLOCKFALL[16:]
PADDED = BLOCKFALL + b"\xff" * 24576


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A checkout with no games, and a function that runs `new` on a file there."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    main = importlib.import_module("stages.record").main

    def call(file: str, content: bytes | None = None, *words: str) -> tuple[int, str]:
        if content is not None:
            (tmp_path / file).write_bytes(content)
        line = ["record.py", "new", str(tmp_path / file), *words]
        return run_command(main, line, monkeypatch)

    call.path = tmp_path
    return call


def left(place: Path) -> list[str]:
    """What a command left behind, hidden or not."""
    return [str(path) for top in ("games", "plots") for path in (place / top).rglob("*")]


# Reading


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (BLOCKFALL, 0),
        (JUNK, 1),
        (BLOCKFALL[:7] + b"\xff" * 9 + BLOCKFALL[16:], 1),
        (PADDED, 1),
        (JUNK + b"\0" * 8192, 2),
    ],
)
def test_a_copy_with_junk_or_padding_is_the_same_game(tmp_path, content, notes):
    """The hash of an NES ROM leaves its header out, and what is behind it is no part of it."""
    (tmp_path / "x.NES").write_bytes(content)
    rom = read_rom(tmp_path / "x.NES")
    assert (rom.content, rom.sha1, len(rom.notes)) == (BLOCKFALL, KNOWN, notes)


def test_what_a_newer_header_says_is_kept(tmp_path):
    """NES 2.0 has its own use for bytes 7 to 15."""
    content = BLOCKFALL[:7] + b"\x08" + bytes(4) + b"\0\0\0\x01" + BLOCKFALL[16:]
    (tmp_path / "x.nes").write_bytes(content)
    assert read_rom(tmp_path / "x.nes") == Rom(read_rom(OURS).console, content)


def test_other_consoles_are_hashed_whole(tmp_path):
    """As stable-retro does: its own game is known by it, under each ending of the console."""
    folder = Path(stable_retro.data.path()) / "stable" / "Airstriker-Genesis-v0"
    (tmp_path / "x.gen").write_bytes((folder / "rom.md").read_bytes())
    rom = read_rom(tmp_path / "x.gen")
    assert rom.sha1 in (folder / "rom.sha").read_text().split()
    assert (rom.console.system, rom.console.ending) == ("Genesis", ".md")


def test_the_only_rom_of_a_zip_is_read(tmp_path):
    """A README.md ends as a Mega Drive's ROM does, and a Mac leaves files of its own."""
    files = {"a/my.nes": BLOCKFALL, "README.md": b"# words", "__MACOSX/a/._my.nes": b"x"}
    (tmp_path / "x.zip").write_bytes(zipped(files))
    assert read_rom(tmp_path / "x.zip").content == BLOCKFALL


def locked(content: bytes) -> bytes:
    """A zip that says that its files have a password."""
    return content.replace(b"PK\x01\x02\x14\x03\x14\0\0", b"PK\x01\x02\x14\x03\x14\0\1").replace(
        b"PK\x03\x04\x14\0\0", b"PK\x03\x04\x14\0\1"
    )


def lying(content: bytes) -> bytes:
    """A zip that says that its file unpacks to 100 bytes."""
    at = content.index(b"PK\x01\x02") + 24
    return content[:at] + struct.pack("<I", 100) + content[at + 4 :]


ONE = zipped({"a.nes": BLOCKFALL})
BOMB = zipped({"a.nes": bytes(LARGEST + 1)})
GAME_BOY = bytes(0x148) + b"\x05" + bytes(65536)
BAD = [
    ("x.nes", b"", "truncated|does not begin"),
    ("x.nes", bytes(40976), "does not begin with the letters NES"),
    ("x.nes", BLOCKFALL[:30000], "x.nes' has 30000 bytes and should have 40976"),
    ("x.nes", BLOCKFALL[:4] + bytes(12) + BLOCKFALL[16:], "no program"),
    ("x.gb", GAME_BOY, "should have 1048576 at least: it is truncated"),
    ("x.sfc", bytes(100), "truncated"),
    ("README.md", b"# words" * 1000, "does not say SEGA"),
    ("x.bin", BLOCKFALL, "no|known console"),
    ("x.txt", b"words", "does not end as a ROM of a known console"),
    ("x.zip", zipped({"a.txt": b"x"}), "no ROM in it"),
    ("x.zip", zipped({"a.nes": BLOCKFALL, "b.gb": b"x"}), "2 ROMs in it .'a.nes', 'b.gb'"),
    ("x.zip", ONE[:-30], "cannot be unpacked"),
    ("x.zip", b"PK" * 50, "cannot be unpacked"),
    ("x.zip", locked(ONE), "locked"),
    ("x.zip", lying(ONE), "cannot be unpacked"),
    ("x.zip", BOMB, "more than 32 MiB"),
]


@pytest.mark.parametrize(("file", "content", "said"), BAD, ids=range(len(BAD)))
def test_what_is_no_whole_rom_is_one_sentence(place, file, content, said):
    (place.path / file).write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        read_rom(place.path / file)
    assert_sentence(caught.value)
    code, told = place(file)
    assert (code, told.count("\n"), left(place.path)) == (2, 1, [])


def test_gigabytes_are_not_unpacked(place):
    """The list of contents says how large a file is; one that lies is read no further."""
    content = bytearray(BOMB)
    for sign, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = content.index(sign) + offset
        content[at : at + 4] = struct.pack("<I", 2**32 - 2)
    (place.path / "x.zip").write_bytes(content)
    begin = time.monotonic()
    with pytest.raises(UserError, match="more than 32 MiB"):
        read_rom(place.path / "x.zip")
    assert time.monotonic() - begin < 2


# Names


@pytest.mark.parametrize(
    ("file", "name", "title", "env"),
    [
        ("My Game II (USA) [!].nes", "my_game_ii", "My Game II", "MyGameIi"),
        ("Élan_vital-1.0.NES", "elan_vital_1_0", "Elan vital-1.0", "ElanVital10"),
        ("x" * 200 + ".nes", "x" * 40, "x" * 100, "X" + "x" * 39),
    ],
)
def test_a_name_is_made_of_the_files(file, name, title, env):
    made = new._name_of(Path(file)), new._title_of(Path(file)), new._camel(new._name_of(Path(file)))
    assert made == (name, title, env)


@pytest.mark.parametrize(
    ("file", "words", "said"),
    [
        ("x.nes", ["--name", "../x"], "cannot name a game"),
        ("x.nes", ["--name", "a b"], "cannot name a game"),
        ("x.nes", ["--name", "a/b"], "without a slash"),
        ("x.nes", ["--name", "taken"], "There is a game 'taken'"),
        ("taken.nes", [], "There is a game 'taken' in games/; choose another with --name"),
        ("(!).nes", [], "No name can be made of"),
        ("x.nes", ["--seconds", "0"], "--seconds"),
        ("x.nes", ["--start", "-1"], "--start"),
    ],
)
def test_a_name_that_cannot_be_is_one_sentence(place, file, words, said):
    (place.path / "games/taken").mkdir(parents=True)
    code, told = place(file, BLOCKFALL, *words)
    assert (code, told.count("\n")) == (2, 1)
    assert said in told
    assert left(place.path) == [str(place.path / "games/taken")]


def test_a_missing_core_is_one_sentence(place, monkeypatch, tmp_path):
    monkeypatch.setattr(stable_retro, "core_path", lambda: str(tmp_path))
    code, told = place("x.nes", BLOCKFALL)
    assert (code, told.count("\n"), left(place.path)) == (2, 1, [])
    assert "no emulator for the NES here" in told


# Searching


TITLES = ["both", "waits", "long", "cycles", "menu", "film"]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("roms")
    for title in TITLES:
        content = nes_roms.rom(title)
        rom = Rom(read_rom(OURS).console, content)
        new._write_integration(folder / f"{title}-Nes-v0", rom, None)
    envs = [f"{title}-Nes-v0" for title in TITLES]
    return run_apart(rom_work.search_all, (folder, envs), lambda _: None)


@pytest.mark.parametrize("title", TITLES)
def test_a_state_in_which_the_arrows_walk_is_found(found, title):
    """Behind a title that wants A and B together, five seconds, a long press, or a choice."""
    acts, worth = found[f"{title}-Nes-v0"]
    assert {"UP", "DOWN", "LEFT", "RIGHT"} <= acts
    assert worth > 0.5


def test_one_command_makes_a_game_that_plays(place):
    """Out of a zip, with a header of junk and padding behind: what it writes is opened, and two
    buttons at least change the screen within two steps.
    """
    content = zipped({"rom.nes": JUNK + b"\xff" * 8192, "README.md": b"words"})
    code, told = place("My Game (World).zip", content, "--seconds", "9", "--start", "1")
    assert code == 0, told
    spec = load_game("my_game")
    assert (spec.title, spec.env, spec.frame_skip) == ("My Game", "MyGame-Nes-v0", 2)
    assert spec.buttons == ["B", "SELECT", "START", "UP", "DOWN", "LEFT", "RIGHT", "A"]
    folder = place.path / "games/my_game"
    assert (folder / "MyGame-Nes-v0/rom.nes").read_bytes() == BLOCKFALL
    assert (folder / "MyGame-Nes-v0/rom.sha").read_text() == f"{KNOWN}\n"
    assert (folder / ".gitignore").read_text() == "MyGame-Nes-v0/rom.nes\n"
    assert gzip.decompress((folder / "MyGame-Nes-v0/Play.state").read_bytes())
    assert (place.path / "plots/my_game/new.png").stat().st_size > 1000
    assert not [path for path in left(place.path) if path.endswith((".tmp", ".part"))]
    emulator = open_emulator(spec)
    try:
        emulator.reset("Play", 0)
        begin, seen = emulator.save(), {}
        for button in ["", *spec.buttons]:
            emulator.restore(begin)
            action = spec.vector({button} - {""})
            seen[button] = np.stack([emulator.step(action)[0] for _ in range(2)])
        acting = {name for name in seen if (seen[name] != seen[""]).any()}
    finally:
        emulator.close()
    assert len(acting - {"START", "SELECT"}) >= 2


def test_a_game_whose_buttons_do_nothing_is_said_so(place):
    """It begins at power-on; what is to be done by hand stands there."""
    file = place.path / "deaf.nes"
    file.write_bytes(nes_roms.rom("deaf"))
    args = (
        importlib.import_module("stages.record")
        .parser("new")
        .parse_args(["new", str(file), "--seconds", "2"])
    )
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        new.run(args)
    assert load_game("deaf").start_states == ["PowerOn"]
    told = printed.getvalue()
    for words in ("No state was found", "record.py play deaf", "another --seed"):
        assert words in told


@pytest.mark.parametrize(
    ("title", "said"),
    [("still", "never changes its picture"), ("dark", "shows nothing but one colour")],
)
def test_a_dead_rom_is_one_sentence(place, title, said):
    code, told = place("x.nes", nes_roms.rom(title), "--seconds", "2")
    assert (code, said in told, left(place.path)) == (2, True, [])


def test_a_rom_that_crashes_its_core_is_one_sentence(place):
    """Noise makes this one read where nothing is."""
    code, told = place("x.sfc", random.Random(1).randbytes(131072), "--seconds", "2")
    assert (code, left(place.path)) == (2, [])
    assert "get another copy" in told


def test_a_crash_and_a_hang_are_told_apart(place, monkeypatch):
    with pytest.raises(CrashError, match="SIGSEGV"):
        run_apart(rom_work.dies, (), lambda _: None)
    with pytest.raises(HangError):
        run_apart(rom_work.sleeps, (), lambda _: None, patience_s=0.3)
    for name, said in (("dies", "crashes its emulator (SIGSEGV)"), ("sleeps", "hang")):
        monkeypatch.setattr(new, "explore", getattr(rom_work, name))
        monkeypatch.setattr(new, "run_apart", lambda *args: run_apart(*args, patience_s=0.3))
        code, told = place("x.nes", BLOCKFALL)
        assert (code, said in told, left(place.path)) == (2, True, [])


# What is written


@pytest.mark.parametrize(
    ("border", "side", "cut"),
    [(0, 0, 0), (7, 0, 0), (8, 0, 8), (20, 0, 16), (200, 0, 24), (5, 224, 0), (10, 210, 10)],
)
def test_crops_keep_to_whole_tiles(border, side, cut):
    """An eighth of a side at most; at the far end what is left are whole tiles."""
    lines = [True] * border + [False] * ((side or 224) - border)
    assert _whole_tiles(lines, side) == cut


def test_the_buttons_of_every_console_fit_a_game():
    """Keys for all of them; none of those that are of no use in play."""
    for console in set(CONSOLES.values()):
        pad = stable_retro.get_system_info(console.system)["buttons"]
        buttons = [name for name in pad if name and name not in LEFT_OUT]
        text = new._game_yaml("X-v0", "1: 'odd' \"title\"", Rom(console, b""), fake(buttons))
        values = yaml.safe_load(text)
        assert values["title"] == "1: 'odd' \"title\""
        assert set(values["keys"]) == set(buttons)
        assert max(map(len, text.splitlines())) <= 120


def fake(buttons: list[str]) -> new.Found:
    return new.Found(buttons, [], 60.0, (8, 8), [0, 8, 0, 0], [], [])


def test_a_long_way_is_drawn_in_two_rows():
    frame = np.zeros((10, 12, 3), np.uint8)
    sheet = draw_way([("move", frame)] * 40, [("A", frame)])
    assert sheet.shape == (4 + 3 * 28, 4 + 8 * 16, 3)
