"""Turns tiles.txt and pieces.json into what the assembler and compiler read.

usage: assets.py OUT_DIR   writes tiles.chr title.nam play.nam layout.inc pieces.h
"""
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WELL, WHITE, WALL, GOLD = range(4)  # palettes, see startup.s

# Top left tile of everything the game rewrites. The emulator crops one tile
# at every edge, so columns 1-30 and rows 1-28 are seen. The well starts at
# even coordinates because a palette covers 2 x 2 tiles.
BOARD, SCORE, LINES, LEVEL = (4, 6), (20, 4), (18, 10), (25, 10)
NEXT, TYPE, TEXT = (18, 17), (26, 18), (18, 24)
CURSOR_A, CURSOR_B = (7, 18), (7, 20)

TOPS = "abf b abg abg bfg afg afg ab abfg abfg".split()
LOWS = "cde one de cd c cd cde seven cde cd".split()

LETTERS = {  # the title's large letters, built from the pieces' tiles
    "B": "###. #..# ###. #..# ###.",
    "L": "#... #... #... #... ####",
    "O": ".##. #..# #..# #..# .##.",
    "C": ".### #... #... #... .###",
    "K": "#..# #.#. ##.. #.#. #..#",
    "F": "#### #... ###. #... #...",
    "A": ".##. #..# #### #..# #..#",
}


def read_tiles(path):
    """Names in file order, and 16 bytes a tile (two bit planes)."""
    names, data = [], b""
    blocks = path.read_text().split("\n\n")
    for block in blocks:
        lines = [x for x in block.splitlines() if x and not x.startswith("# ")]
        if not lines:
            continue
        name, rows = lines[0], lines[1:]
        assert len(rows) == 8 and all(len(r) == 8 for r in rows), name
        names.append(name)
        for plane in (1, 2):
            for row in rows:
                bits = ["1" if ".ox#".index(c) & plane else "0" for c in row]
                data += bytes([int("".join(bits), 2)])
    assert len(names) <= 256
    return {n: i for i, n in enumerate(names)}, data


class Screen:
    def __init__(self, tile):
        self.tile = tile
        self.cells = [[tile["brick_a"]] * 32 for _ in range(30)]
        self.colours = [[WALL] * 16 for _ in range(15)]

    def put(self, x, y, name):
        self.cells[y][x] = self.tile[name]

    def text(self, x, y, words):
        for i, c in enumerate(words):
            self.put(x + i, y, "empty" if c == " " else "'" + c)

    def box(self, x0, y0, x1, y1):
        """A frame, corners included, with nothing inside."""
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                side = "left" if x == x0 else "right" if x == x1 else ""
                end = "top" if y == y0 else "low" if y == y1 else ""
                if side and end:
                    name = "frame_" + end[0].replace("l", "b") + side[0]
                elif side or end:
                    name = "frame_" + side + end
                else:
                    name = "empty"
                self.put(x, y, name)

    def colour(self, palette, x0, y0, x1, y1):
        for y in range(y0 // 2, y1 // 2 + 1):
            for x in range(x0 // 2, x1 // 2 + 1):
                self.colours[y][x] = palette

    def number(self, x, y, count):
        for i in range(count):
            self.put(x + i, y, "top_" + TOPS[0])
            self.put(x + i, y + 1, "low_" + LOWS[0])

    def bytes(self):
        attributes = bytearray(64)
        for y, row in enumerate(self.colours):
            for x, palette in enumerate(row):
                shift = (y & 1) * 4 + (x & 1) * 2
                attributes[(y >> 1) * 8 + (x >> 1)] |= palette << shift
        return bytes(sum(self.cells, [])) + bytes(attributes)


def title_screen(tile):
    s = Screen(tile)
    s.box(2, 2, 29, 27)
    s.colour(WHITE, 2, 2, 29, 27)
    s.colour(WELL, 4, 4, 27, 15)
    pieces = iter("Z T O I S L J T I".split())
    for word, x0, y0 in (("BLOCK", 4, 4), ("FALL", 6, 10)):
        for i, letter in enumerate(word):
            piece = next(pieces)
            for dy, row in enumerate(LETTERS[letter].split()):
                for dx, c in enumerate(row):
                    if c == "#":
                        s.put(x0 + 5 * i + dx, y0 + dy, piece)
    s.text(10, 18, "A  SAME ORDER")
    s.text(10, 20, "B  RANDOM")
    s.text(11, 24, "PRESS START")
    s.colour(GOLD, 10, 24, 23, 24)
    return s.bytes()


def play_screen(tile):
    s = Screen(tile)
    for x in range(1, 31, 2):
        s.put(x, 28, "stud")
    s.box(3, 2, 14, 4)
    s.colour(GOLD, 2, 2, 15, 3)
    s.text(4, 3, "BLOCK FALL")  # as wide as the well
    s.box(3, 5, 14, 26)
    s.colour(WELL, 4, 6, 13, 25)
    boxes = ((16, 2, 29, 6), (16, 8, 22, 12), (23, 8, 29, 12),
             (16, 14, 23, 20), (24, 14, 29, 20), (16, 22, 29, 26))
    for x0, y0, x1, y1 in boxes:
        s.box(x0, y0, x1, y1)
        s.colour(WHITE, x0, y0, x1, y1)
    for x, y, label in ((20, 3, "SCORE"), (17, 9, "LINES"), (24, 9, "LEVEL"),
                        (18, 15, "NEXT"), (25, 15, "TYPE")):
        s.text(x, y, label)
        s.colour(GOLD, 16, y, 29, y)
    s.colour(WELL, 18, 16, 21, 19)
    s.number(*SCORE, 5)
    s.number(*LINES, 3)
    s.number(*LEVEL, 2)
    return s.bytes()


def layout(tile):
    def address(screen, at):
        return "$%04X" % ((0x2000, 0x2400)[screen] + at[1] * 32 + at[0])
    lines = ["AT_%s = %s" % (n, address(1, at)) for n, at in (
        ("BOARD", BOARD), ("SCORE", SCORE), ("LINES", LINES), ("LEVEL", LEVEL),
        ("NEXT", NEXT), ("TYPE", TYPE), ("TEXT", TEXT))]
    lines += ["AT_%s = %s" % (n, address(0, at)) for n, at in (
        ("CURSOR_A", CURSOR_A), ("CURSOR_B", CURSOR_B))]
    lines += ["TILE_%s = %d" % (n, tile[k]) for n, k in (
        ("A", "'A"), ("B", "'B"), ("CURSOR", "CURSOR"))]
    return "\n".join(lines) + "\n"


def pieces_header(pieces, tile):
    names, cells = pieces["names"], pieces["cells"]

    def table(name, values, kind="unsigned char"):
        return "static const %s %s[%d] = { %s };\n" % (
            kind, name, len(values), ", ".join(map(str, values)))

    def text(words):
        return [tile["empty" if c == " " else "'" + c] for c in words]

    axis = [[], []]
    for turns in cells:
        for r in range(4):  # unused rotations repeat the first: never read
            for cell in turns[r] if r < len(turns) else turns[0]:
                for k in (0, 1):
                    axis[k].append(cell[k])
    order = [names.index(n) for n in pieces["mode_a_order"]]
    after = [order[(order.index(i) + 1) % 7] for i in range(7)]
    out = "/* Made by assets.py. Index: type * 16 + rotation * 4 + cell. */\n"
    out += table("piece_dx", axis[0]) + table("piece_dy", axis[1])
    out += table("rotations", [len(t) for t in cells])
    out += table("after", after)
    out += table("digit_top", [tile["top_" + h] for h in TOPS])
    out += table("digit_low", [tile["low_" + h] for h in LOWS])
    out += table("text_paused", text("  PAUSED  "))
    out += table("text_over", text("GAME  OVER"))
    for name, value in (
            ("SPAWN_X", pieces["spawn"][0]), ("SPAWN_Y", pieces["spawn"][1]),
            ("FIRST_A", order[0]), ("TILE_EMPTY", tile["empty"]),
            ("TILE_CLEAR", tile["CLEAR"]), ("TILE_BAR", tile["BAR"])):
        out += "#define %s %d\n" % (name, value)
    return out


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    tile, chars = read_tiles(HERE / "tiles.txt")
    pieces = json.loads((HERE.parent / "pieces.json").read_text())
    (out / "tiles.chr").write_bytes(chars)
    (out / "title.nam").write_bytes(title_screen(tile))
    (out / "play.nam").write_bytes(play_screen(tile))
    (out / "layout.inc").write_text(layout(tile))
    (out / "pieces.h").write_text(pieces_header(pieces, tile))


if __name__ == "__main__":
    main()
