"""The committed ROM and start states are what their sources make."""

import json
import re
import shutil

import pytest
from emberling_console import GAME, GAME_DIR
from toys.own_rom import check_build, check_states, check_sum

ROM = GAME_DIR / GAME / "rom.nes"


def test_rom_format_and_sum():
    check_sum(ROM)


@pytest.mark.skipif(
    not (shutil.which("cc65") and shutil.which("make")), reason="needs cc65 and make"
)
def test_rom_builds_byte_for_byte(tmp_path):
    check_build(GAME_DIR, ROM, tmp_path)


def test_start_states_are_made_from_the_rom(tmp_path):
    pytest.importorskip("stable_retro")
    assert {"Title.state", "Level1.state", "Level6.state", "Goal1.state"} < check_states(
        GAME_DIR, ROM, tmp_path
    )


def test_variables_are_where_the_source_puts_them():
    """Block by block, data.json follows src/ram.s."""
    info = json.loads((ROM.parent / "data.json").read_text())["info"]
    address, told = None, {}
    for line in (GAME_DIR / "src" / "ram.s").read_text().splitlines():
        if block := re.match(r'\.segment "\w+" +; \$(\w{4})', line):
            address = int(block[1], 16)
        elif one := re.match(r" +(?:var _(\w+), |\.res )(\d+)", line):
            noted = re.search(r"; \$(\w{4})", line)
            assert noted is None or int(noted[1], 16) == address, line
            told[one[1]] = address, int(one[2])
            address += int(one[2])
    for name, entry in info.items():
        plain, _, number = name.rpartition("_")
        if number.isdigit():
            assert entry["address"] == told[plain][0] + int(number), name
            assert entry["type"] == "|u1"
        else:
            assert (entry["address"], int(entry["type"][-1])) == told[name], name
    assert sum(name.startswith("enemy_kind_") for name in info) == told["enemy_kind"][1] == 24
