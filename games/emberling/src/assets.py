"""Turns the texts of pictures and rooms into what the assembler and compiler read.

usage: assets.py OUT_DIR   writes tiles.chr screens.nam rooms.bin tables.inc layout.inc and
                           numbers.h rooms.h texts.h
"""
import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def load_sibling(path):
    """A module from its file: the folders of games are no packages."""
    spec = importlib.util.spec_from_file_location("emberling_" + path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cave = load_sibling(HERE.parent / "cave.py")
pictures = load_sibling(HERE / "pictures.py")
GOLD, COLD = pictures.GOLD, pictures.COLD
Art = pictures.Art

ROOM_COLUMNS, ROOM_ROWS = cave.COLUMNS, cave.ROWS
ROOMS_A_LEVEL, ENEMIES_A_ROOM = 8, 3
KINDS = "bkt"  # enemies; a capital is left out of the first levels
LATE = 0x80
CELLS = {"o": "item", "i": "lantern", "I": "post", "g": "hearth", "G": "hearth_foot",
         "~": "water_top", "w": "water", "^": "spikes", "c": "crystal", "m": "mushroom",
         "v": "stalactite", "=": "ledge"}

# Where the status bar shows what; the emulator crops one tile at every edge.
SCORE, TEXT, LEVEL, LIVES = (2, 2), (8, 2), (20, 2), (28, 2)
TEXTS = {"NONE": "", "PAUSED": "  PAUSED", "OVER": "GAME  OVER", "READY": "GET READY",
         "DONE": "WELL  DONE"}


def read_rooms(path):
    """(room -> its rows of cells, levels as lists of rooms), each room as it should be."""
    rooms, levels = cave.read_rooms(path)
    for name, rows in rooms.items():
        assert [len(r) for r in rows] == [ROOM_COLUMNS] * ROOM_ROWS, name
        for x in (0, ROOM_COLUMNS - 1):
            column = "".join(row[x] for row in rows)
            assert column[0] == "#" and column[-2:] == "##" and "#" not in column[1:-2], name
        assert all(sum(row[x] == "o" for row in rows) < 2 for x in range(ROOM_COLUMNS)), name
    assert all(len(level) == ROOMS_A_LEVEL for level in levels)
    return rooms, levels


def room_cells(art, rows):
    """Cell numbers of a room, 16 a column: the status bar's two and one below are air."""
    def solid(x, y):
        x, y = min(max(x, 0), ROOM_COLUMNS - 1), min(max(y, 0), ROOM_ROWS - 1)
        return rows[y][x] == "#"

    numbers = []
    for x in range(ROOM_COLUMNS):
        for row in range(16):
            y = row - 2
            c = rows[y][x] if 0 <= y < ROOM_ROWS else "."
            if c == "#":
                sides = (not solid(x, y - 1), not solid(x - 1, y), not solid(x + 1, y),
                         not solid(x, y + 1))
                numbers.append(art.rock_cell(x, y, *sides))
            elif c in CELLS:
                numbers.append(art.named[CELLS[c]])
            else:
                numbers.append(art.air[x % 4, y % 4])
    return numbers


def room_enemies(rows):
    """(place, kind) of each: place = 16 x column + row as the game counts it."""
    found = []
    for x in range(ROOM_COLUMNS):
        for y, row in enumerate(rows):
            c = row[x]
            if c.lower() in KINDS:
                found.append((16 * x + y + 2, KINDS.index(c.lower()) + 1 + LATE * c.isupper()))
    assert len(found) <= ENEMIES_A_ROOM
    return found + [(0, 0)] * (ENEMIES_A_ROOM - len(found))


class Screen:
    """A nametable."""

    def __init__(self, art):
        self.art = art
        self.cells = [[art.tile[""]] * 32 for _ in range(30)]
        self.colours = [[COLD] * 16 for _ in range(15)]
        self.cells[3] = [art.tile["border"]] * 32
        self.colours[1] = [GOLD] * 16

    def text(self, x, y, words):
        for i, c in enumerate(words):
            self.cells[y][x + i] = self.art.tile[c.strip()]

    def put(self, x, y, number):
        """A cell, in cells of 16 x 16."""
        tiles, self.colours[y][x] = self.art.cells[number]
        for i, tile in enumerate(tiles):
            self.cells[2 * y + i // 2][2 * x + i % 2] = tile

    def logo(self, x, y, words):
        """Large letters, squares of half a tile."""
        width, height = 6 * len(words), 8
        lit = [[False] * width for _ in range(height)]
        for i, c in enumerate(words):
            for dy, row in enumerate(self.art.font[c]):
                for dx, on in enumerate(row):
                    lit[dy][6 * i + dx] = on
        for ty in range(height // 2):
            for tx in range(width // 2):
                bits = sum(lit[2 * ty + q // 2][2 * tx + q % 2] << q for q in range(4))
                self.cells[y + ty][x + tx] = self.art.blocks[bits]
                self.colours[(y + ty) // 2][(x + tx) // 2] = GOLD

    def bytes(self):
        attributes = bytearray(64)
        for y, row in enumerate(self.colours):
            for x, palette in enumerate(row):
                shift = (y & 1) * 4 + (x & 1) * 2
                attributes[(y >> 1) * 8 + (x >> 1)] |= palette << shift
        return bytes(sum(self.cells, [])) + bytes(attributes)


def status_screen(art):
    s = Screen(art)
    s.text(2, 1, "SCORE")
    s.text(19, 1, "LEVEL")
    s.text(25, 1, "LIVES")
    s.cells[2][26] = art.tile["flame"]
    s.colours[:2] = [[GOLD] * 16, [GOLD] * 16]
    return s.bytes()


def title_screen(art, rooms):
    s = Screen(art)
    cells = room_cells(art, rooms["start"])
    for x in range(16):
        for y in (2, 3, 10, 11, 12, 13, 14):
            s.put(x, y, cells[16 * x + y])
    s.logo(3, 10, "EMBERLING")
    s.text(11, 17, "PRESS START")
    return s.bytes()


def table(name, values, kind="unsigned char"):
    return "static const %s %s[%d] = { %s };\n" % (
        kind, name, len(values), ", ".join(map(str, values)))


def numbers_header(art, levels):
    """How the game counts, and the numbers of cells and sprites."""
    values = {"LEVELS": len(levels), "ROOMS": ROOMS_A_LEVEL, "A_ROOM": ENEMIES_A_ROOM,
              "ENEMIES": ENEMIES_A_ROOM * ROOMS_A_LEVEL, "LATE": LATE,
              "CELL_ITEM": pictures.ITEM, "CELL_DEADLY": pictures.DEADLY,
              "CELL_LEDGE": pictures.LEDGE, "CELL_SOLID": pictures.SOLID,
              "CELL_GOAL": art.named["hearth_foot"], "CELL_HEARTH": art.named["hearth"]}
    values |= {"SPR_" + name.upper(): number for name, number in art.sprite.items()}
    return "/* Made by assets.py. */\n" + "".join("#define %s %d\n" % x for x in values.items())


def rooms_header(rooms, levels):
    """Which rooms make the levels, and which enemies stand in them."""
    names = list(rooms)
    out = "/* Made by assets.py. */\n"
    out += table("level_rooms", [names.index(r) for level in levels for r in level])
    spawns = [room_enemies(rows) for rows in rooms.values()]
    out += table("spawn_place", [place for room in spawns for place, _ in room])
    return out + table("spawn_kind", [kind for room in spawns for _, kind in room])


def texts_header(art):
    """What the status bar says, as tiles."""
    out = "/* Made by assets.py. */\n" + table("digit", [art.tile[str(i)] for i in range(10)])
    for name, words in TEXTS.items():
        out += table("text_" + name.lower(), [art.tile[c.strip()] for c in words.ljust(10)])
    return out


def layout(art):
    def address(at):
        return "$%04X" % (0x2000 + at[1] * 32 + at[0])
    values = {"AT_" + n: address(at) for n, at in (
        ("SCORE", SCORE), ("TEXT", TEXT), ("LEVEL", LEVEL), ("LIVES", LIVES))}
    values |= {"CELL_ITEM": pictures.ITEM, "CELL_DEADLY": pictures.DEADLY,
               "CELL_LANTERN": art.named["lantern"], "CELL_HEARTH": art.named["hearth"],
               "SPR_SPLIT": art.sprite["split"]}
    assert art.named["lantern_lit"] == values["CELL_LANTERN"] + 1
    assert art.named["hearth_lit"] == values["CELL_HEARTH"] + 1
    return "".join("%s = %s\n" % item for item in values.items())


def cell_tables(art):
    """The tiles and palettes of the cells, and the air that is left where a spark was taken."""
    cells = [cell or ([0] * 4, 0) for cell in art.cells]
    out = ""
    for i, name in enumerate(("cell_tl", "cell_tr", "cell_bl", "cell_br")):
        out += "%s: .byte %s\n" % (name, ", ".join(str(tiles[i]) for tiles, _ in cells))
    out += "cell_palette: .byte %s\n" % ", ".join(str(palette) for _, palette in cells)
    # by row and column, each modulo 4, where a room's first row is the game's third
    air = [art.air[x, (y + 2) % 4] for x in range(4) for y in range(4)]
    return out + "air_cell: .byte %s\n" % ", ".join(map(str, air))


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    rooms, levels = read_rooms(HERE.parent / "rooms.txt")
    art = Art()
    numbers = b"".join(bytes(room_cells(art, rows)) for rows in rooms.values())
    screens = status_screen(art) + title_screen(art, rooms)
    chars = art.back.data.ljust(0x1000, b"\0") + art.front.data.ljust(0x1000, b"\0")
    (out / "tiles.chr").write_bytes(chars)
    (out / "screens.nam").write_bytes(screens)
    (out / "rooms.bin").write_bytes(numbers)
    (out / "layout.inc").write_text(layout(art))
    (out / "tables.inc").write_text(cell_tables(art))
    (out / "numbers.h").write_text(numbers_header(art, levels))
    (out / "rooms.h").write_text(rooms_header(rooms, levels))
    (out / "texts.h").write_text(texts_header(art))
    if "-v" in sys.argv:
        print(len(art.back.data) // 16, "tiles,", len(art.front.data) // 16, "of sprites,",
              sum(c is not None for c in art.cells), "cells")


if __name__ == "__main__":
    main()
