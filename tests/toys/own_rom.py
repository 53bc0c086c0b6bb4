"""What holds for each NES game of our own: its source makes its ROM and its start states."""

import hashlib
import subprocess
import sys
from pathlib import Path


def check_sum(rom_file: Path) -> None:
    """Check the ROM's header (NROM, 32 + 8 KB), its size, and rom.sha beside it."""
    rom = rom_file.read_bytes()
    assert rom[:6] == b"NES\x1a\x02\x01"
    assert len(rom) == 16 + 0x8000 + 0x2000
    # stable-retro's sum for NES leaves the header out
    told = (rom_file.parent / "rom.sha").read_text().split()
    assert told == [hashlib.sha1(rom[16:]).hexdigest()]


def check_build(game: Path, rom_file: Path, scratch: Path) -> None:
    """Build the ROM of the folder `game` in `scratch` and compare it, byte for byte."""
    command = ["make", "-s", "-C", str(game), f"BUILD={scratch}", f"PYTHON={sys.executable}"]
    subprocess.run([*command, f"{scratch}/rom.nes"], check=True, timeout=120)
    assert (scratch / "rom.nes").read_bytes() == rom_file.read_bytes()


def check_states(game: Path, rom_file: Path, scratch: Path) -> set[str]:
    """Make the start states anew in `scratch` and compare them; return their file names."""
    subprocess.run([sys.executable, str(game / "make_states.py"), str(scratch)], check=True)
    made = {p.name: p.read_bytes() for p in scratch.glob("*.state")}
    assert made == {p.name: p.read_bytes() for p in rom_file.parent.glob("*.state")}
    return set(made)
