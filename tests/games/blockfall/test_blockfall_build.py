"""The committed ROM and start states are what their sources make."""

import hashlib
import json
import shutil
import subprocess
import sys

import pytest
from blockfall_console import GAME, GAME_DIR

ROM = GAME_DIR / GAME / "rom.nes"


def test_rom_format_and_sum():
    rom = ROM.read_bytes()
    assert rom[:8] == b"NES\x1a\x02\x01\x01\x00"
    assert len(rom) == 16 + 0x8000 + 0x2000
    # stable-retro's sum for NES leaves the header out
    assert (ROM.parent / "rom.sha").read_text().split() == [hashlib.sha1(rom[16:]).hexdigest()]


@pytest.mark.skipif(
    not (shutil.which("cl65") and shutil.which("make")), reason="needs cc65 and make"
)
def test_rom_builds_byte_for_byte(tmp_path):
    subprocess.run(
        [
            "make",
            "-s",
            "-C",
            str(GAME_DIR),
            f"BUILD={tmp_path}",
            "PYTHON=" + sys.executable,
            f"{tmp_path}/rom.nes",
        ],
        check=True,
    )
    assert (tmp_path / "rom.nes").read_bytes() == ROM.read_bytes()


def test_start_states_are_made_from_the_rom(tmp_path):
    pytest.importorskip("stable_retro")
    subprocess.run([sys.executable, str(GAME_DIR / "make_states.py"), str(tmp_path)], check=True)
    made = {p.name: p.read_bytes() for p in tmp_path.glob("*.state")}
    kept = {p.name: p.read_bytes() for p in ROM.parent.glob("*.state")}
    assert made == kept
    assert {"Title.state", "PlayA.state", "PlayB.state"} < set(kept)


def test_variables_are_where_the_source_puts_them():
    info = json.loads((ROM.parent / "data.json").read_text())["info"]
    source = (GAME_DIR / "src" / "ram.s").read_text()
    for name, entry in info.items():
        if not name.startswith("board_"):
            line = next(x for x in source.splitlines() if f" _{name}," in x)
            assert "; ${:04X}".format(entry["address"]) in line, name
    assert [info[f"board_{i:03d}"]["address"] for i in range(200)] == list(range(0x400, 0x4C8))
