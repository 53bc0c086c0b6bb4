"""The committed ROM and start states are what their sources make."""

import json
import shutil

import pytest
from blockfall_console import GAME, GAME_DIR
from toys.own_rom import check_build, check_states, check_sum

ROM = GAME_DIR / GAME / "rom.nes"


def test_rom_format_and_sum():
    check_sum(ROM)


@pytest.mark.skipif(
    not (shutil.which("cl65") and shutil.which("make")), reason="needs cc65 and make"
)
def test_rom_builds_byte_for_byte(tmp_path):
    check_build(GAME_DIR, ROM, tmp_path)


def test_start_states_are_made_from_the_rom(tmp_path):
    pytest.importorskip("stable_retro")
    assert {"Title.state", "PlayA.state", "PlayB.state"} < check_states(GAME_DIR, ROM, tmp_path)


def test_variables_are_where_the_source_puts_them():
    info = json.loads((ROM.parent / "data.json").read_text())["info"]
    source = (GAME_DIR / "src" / "ram.s").read_text()
    for name, entry in info.items():
        if not name.startswith("board_"):
            line = next(x for x in source.splitlines() if f" _{name}," in x)
            assert "; ${:04X}".format(entry["address"]) in line, name
    assert [info[f"board_{i:03d}"]["address"] for i in range(200)] == list(range(0x400, 0x4C8))
