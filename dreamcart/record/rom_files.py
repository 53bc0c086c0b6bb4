"""Reads one ROM file, or a zip with one in it: its console, its content put right, its hash.

The hash is the one by which stable-retro knows a game: the SHA-1 of the whole file. For an NES it
is that of the file without its first 16 bytes: they are the iNES header, which is no part of the
cartridge and differs from copy to copy.
"""

import hashlib
import lzma
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from dreamcart.core.errors import UserError, shown

LARGEST = 32 * 2**20  # bytes of a ROM: stable-retro hashes no more
LARGEST_ZIP = 64 * 2**20  # bytes: its list of contents is read into memory
INES = b"NES\x1a"
HEADER = 16  # bytes of iNES
PRG, CHR, TRAINER = 16384, 8192, 512  # bytes that its numbers count in


@dataclass(frozen=True)
class Console:
    """A console as stable-retro calls it, and the ending under which it looks for its ROMs.

    `least`: no ROM of it has fewer bytes.
    """

    system: str
    title: str
    ending: str
    least: int


MEGA_DRIVE = Console("Genesis", "Mega Drive", ".md", 0x200)
CONSOLES = {
    ".nes": Console("Nes", "NES", ".nes", HEADER + PRG // 2),
    ".md": MEGA_DRIVE,
    ".gen": MEGA_DRIVE,
    ".gb": Console("GameBoy", "Game Boy", ".gb", 0x150),
    ".gbc": Console("GbColor", "Game Boy Color", ".gbc", 0x150),
    ".gba": Console("GbAdvance", "Game Boy Advance", ".gba", 0xC0),
    ".sfc": Console("Snes", "SNES", ".sfc", 0x8000),
    ".sms": Console("Sms", "Master System", ".sms", 0x400),
    ".gg": Console("GameGear", "Game Gear", ".gg", 0x400),
    ".pce": Console("PCEngine", "PC Engine", ".pce", 0x400),
    ".a26": Console("Atari2600", "Atari 2600", ".a26", 0x400),
}


@dataclass(frozen=True)
class Rom:
    """A ROM in memory; `notes` say what was put right, a sentence each."""

    console: Console
    content: bytes
    notes: tuple[str, ...] = ()

    @property
    def sha1(self) -> str:
        """Hash it as stable-retro does: an NES without the iNES header."""
        header = HEADER if self.console.system == "Nes" else 0
        return hashlib.sha1(self.content[header:]).hexdigest()


def read_rom(path: Path) -> Rom:
    """Read a ROM, or the only one in a zip. Nothing of either is ever run.

    Raises:
        UserError: no file, none of a known console, none or several in the zip, too large, damaged.
        OSError: the system does not let us read it.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is no file"
        raise UserError(f"{shown(str(path))} {what}; name a ROM file, or a zip with one in it.")
    if path.suffix.lower() == ".zip":
        name, content = _out_of_zip(path)
    else:
        name, content = path.name, _bounded(path)
    console = CONSOLES.get(Path(name).suffix.lower())
    if console is None:
        known = ", ".join(CONSOLES)
        raise UserError(
            f"{shown(name)} does not end as a ROM of a known console does ({known}); rename it if"
            " you know its console."
        )
    _check(name, console, content)
    if console.system == "Nes":
        return Rom(console, *_put_right(name, content))
    return Rom(console, content)


def _bounded(path: Path) -> bytes:
    with open(path, "rb") as handle:
        content = handle.read(LARGEST + 1)
    _check_size(path.name, len(content))
    return content


def _check_size(name: str, size: int) -> None:
    if size > LARGEST:
        raise UserError(
            f"{shown(name)} has more than {LARGEST >> 20} MiB, which no ROM of these consoles has;"
            " name another file."
        )


def _out_of_zip(path: Path) -> tuple[str, bytes]:
    """(name, content) of the only ROM in a zip."""
    name = shown(path.name)
    if path.stat().st_size > LARGEST_ZIP:
        raise UserError(
            f"{name} has more than {LARGEST_ZIP >> 20} MiB; unpack it and name the ROM in it."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            roms = [entry for entry in archive.infolist() if _is_rom(archive, entry)]
            if len(roms) != 1:
                inside = ", ".join(shown(entry.filename) for entry in roms[:3])
                has = f"{len(roms)} ROMs in it ({inside})" if roms else "no ROM in it"
                raise UserError(f"{name} has {has}; unpack it and name the one you mean.")
            _check_size(roms[0].filename, roms[0].file_size)
            with archive.open(roms[0]) as stream:  # it may be longer than it says
                content = stream.read(LARGEST + 1)
            _check_size(roms[0].filename, len(content))
            return roms[0].filename, content
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError) as why:
        if isinstance(why, OSError) and why.filename:
            raise
        raise UserError(
            f"{name} cannot be unpacked ({shown(str(why))}); get a whole copy, or unpack it and"
            " name the ROM in it."
        ) from None
    except (RuntimeError, NotImplementedError):
        raise UserError(
            f"{name} is locked, or packed in a way unknown here; unpack it and name the ROM in it."
        ) from None


def _is_rom(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    """Whether it ends as a ROM does; README.md ends as a Mega Drive's, so those are looked into."""
    place = Path(entry.filename)
    hidden = place.name.startswith("._") or "__MACOSX" in place.parts
    console = CONSOLES.get(place.suffix.lower())
    if entry.is_dir() or hidden or console is None:
        return False
    if console is not MEGA_DRIVE:
        return True
    with archive.open(entry) as stream:
        return _is_mega_drive(stream.read(console.least))


def _is_mega_drive(content: bytes) -> bool:
    return b"SEGA" in content[0x100:0x110]


def _check(name: str, console: Console, content: bytes) -> None:
    """Raise UserError where a file cannot be a whole ROM of its console."""
    if console.system == "Nes" and not content.startswith(INES):
        raise UserError(
            f"{shown(name)} does not begin with the letters NES, as every .nes file does: it is"
            " damaged or of another console; get a whole copy."
        )
    if console is MEGA_DRIVE and not _is_mega_drive(content):
        raise UserError(
            f"{shown(name)} does not say SEGA at byte 256, as every Mega Drive ROM does: it is"
            " damaged, packed or no ROM; get a plain copy."
        )
    wanted = console.least
    if console.system in ("GameBoy", "GbColor") and len(content) >= wanted and content[0x148] <= 8:
        wanted = 32768 << content[0x148]
    if len(content) < wanted:
        _truncated(name, wanted, len(content))


def _truncated(name: str, wanted: int, size: int) -> None:
    raise UserError(
        f"{shown(name)} has {size} bytes and should have {wanted} at least: it is truncated; get a"
        " whole copy."
    )


def _put_right(name: str, content: bytes) -> tuple[bytes, tuple[str, ...]]:
    """(content, notes) of an NES ROM without junk in its header and without padding behind it.

    Old tools signed their copies in bytes 7 to 15, where others now read which cartridge it is;
    others copied the last bank into a larger chip, the rest of it 0 or 255.
    """
    notes = []
    header = bytearray(content[:HEADER])
    size = _size(header, modern=True)
    modern = header[7] & 0x0C == 0x08 and size <= len(content)
    if not modern:
        if header[7] & 0x0C or any(header[12:HEADER]):
            header[7:] = bytes(HEADER - 7)
            notes.append("Junk in bytes 7 to 15 of its header was set to 0")
        size = _size(header, modern=False)
    if header[4] == 0 and not modern:
        raise UserError(
            f"{shown(name)} says in its header that it has no program; get a whole copy."
        )
    if len(content) < size:
        _truncated(name, size, len(content))
    padding = content[size:]
    if padding and len(set(padding)) == 1:
        content = content[:size]
        notes.append(f"{len(padding)} bytes of padding behind it were cut off")
    return bytes(header) + content[HEADER:], tuple(notes)


def _size(header: bytes | bytearray, modern: bool) -> int:
    """Bytes that an iNES header says its file has; `modern`: it is an NES 2.0 header."""
    high = header[9] if modern else 0
    sizes = (header[4], high & 15, PRG), (header[5], high >> 4, CHR)
    trainer = TRAINER if header[6] & 4 else 0
    return HEADER + trainer + sum(_part(*part) for part in sizes)


def _part(low: int, high: int, unit: int) -> int:
    """Bytes of a part; a high nibble of 15 means 2^E × (2 M + 1)."""
    return 2 ** (low >> 2) * (2 * (low & 3) + 1) if high == 15 else (low | high << 8) * unit
