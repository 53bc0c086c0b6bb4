"""The game's pictures as tiles: what stands in tiles.txt, sprites.txt and font.txt, and the stones,
which are drawn here.
"""
import random
from pathlib import Path

HERE = Path(__file__).resolve().parent
FAR, ROCK, GOLD, COLD = range(4)  # background palettes, see startup.s
PALETTES = {
    "item": GOLD, "lantern": GOLD, "lantern_lit": GOLD, "post": GOLD, "hearth": GOLD,
    "hearth_lit": GOLD, "hearth_foot": GOLD, "water_top": COLD, "water": COLD, "spikes": COLD,
    "crystal": COLD, "mushroom": COLD, "stalactite": ROCK, "ledge": ROCK,
}
# A cell's number tells what it does: these first numbers part the kinds.
AIR, ITEM, DEADLY, LEDGE, SOLID = 0, 48, 52, 56, 64



def read_pictures(path):
    """Name -> rows of colours 0 to 3, in the order of the file."""
    pictures = {}
    for block in path.read_text().split("\n\n"):
        lines = [x for x in block.splitlines() if x and not x.startswith("# ")]
        if lines:
            name, rows = lines[0], lines[1:]
            assert len(rows) in (8, 16) and all(len(r) == len(rows) for r in rows), name
            pictures[name] = [[".ox#".index(c) for c in row] for row in rows]
    return pictures


def read_font(path):
    """Letter -> seven rows of five truth values."""
    lines = [x.split() for x in path.read_text().splitlines() if not x.startswith("# ")]
    return {x[0]: [[c == "#" for c in row] for row in x[1:]] for x in lines}


def stones(size, count, seed):
    """A wall of stones that continues over its edges: (stone, distance to the seam) a pixel."""
    chance = random.Random(seed)
    middles = [(chance.random() * size, chance.random() * size) for _ in range(count)]

    def far(a, b):
        return min(abs(a - b), size - abs(a - b))

    wall = []
    for y in range(size):
        wall.append([])
        for x in range(size):
            near = sorted((((far(x, mx)) ** 2 + (1.3 * far(y, my)) ** 2) ** 0.5, i)
                          for i, (mx, my) in enumerate(middles))
            wall[-1].append((near[0][1], near[1][0] - near[0][0]))
    return wall


def far_wall():
    """64 x 64 pixels behind everything: dark stones, of which a low light shows the edges."""
    wall = stones(64, 15, 4)
    picture = []
    for y, row in enumerate(wall):
        picture.append([])
        for x, (stone, seam) in enumerate(row):
            lit = wall[(y + 3) % 64][(x + 2) % 64][0] != stone  # the edge below right
            if seam < 1.6:
                c = 0
            elif lit:
                c = 2 if stone % 4 == 0 else 1
            else:
                c = 1 if (x + 2 * y) % 5 == 0 and seam < 5 + stone % 4 else 0
            picture[-1].append(c)
    return picture


def rock_body():
    """32 x 32 pixels of rock."""
    return [[0 if seam < 1.2 else 1 if seam < 2.6 or (x * 3 + y * 5) % 11 == 0 else 2
             for x, (_, seam) in enumerate(row)] for y, row in enumerate(stones(32, 9, 11))]


MOSS = [3, 4, 3, 2, 3, 5, 4, 3, 2, 3, 4, 4, 3, 5, 3, 2]  # how deep it hangs, by column
RAGGED = [0, 1, 1, 2, 1, 0, 0, 1, 2, 2, 1, 0, 1, 1, 0, 0]


def rock(body, x0, y0, top, left, right, low):
    """A cell of rock, 16 x 16, of which these sides are open."""
    cell = [[body[(y0 + y) % 32][(x0 + x) % 32] for x in range(16)] for y in range(16)]
    for i in range(16):
        if left:
            cell[i][0] = 0 if RAGGED[i] else 1
            cell[i][1] = 1
        if right:
            cell[i][15] = 0 if RAGGED[i] else 1
            cell[i][14] = 1
        if low:
            for y in range(16 - RAGGED[i], 16):
                cell[y][i] = 0
            cell[15 - RAGGED[i]][i] = 1
    for i in range(16):
        if top:
            cell[0][i] = 3 if i % 4 != 1 else 0
            for y in range(1, MOSS[i]):
                cell[y][i] = 3
            cell[MOSS[i]][i] = 1
    return cell


class Tiles:
    """Tiles of one pattern table, each kept once."""

    def __init__(self):
        self.numbers, self.data = {}, b""

    def add(self, rows):
        """The number of an 8 x 8 picture."""
        key = tuple(map(tuple, rows))
        if key not in self.numbers:
            self.append(rows)
        return self.numbers[key]

    def append(self, rows):
        """As `add`, under a new number even if it is there already."""
        number = len(self.data) // 16
        assert number < 256, "too many tiles"
        self.numbers.setdefault(tuple(map(tuple, rows)), number)
        for plane in (1, 2):
            for row in rows:
                self.data += bytes([int("".join("1" if c & plane else "0" for c in row), 2)])
        return number

    def quarters(self, rows, new=False):
        """Numbers of the four tiles of a 16 x 16 picture: above left, right, below left, right."""
        put = self.append if new else self.add
        return [put([row[x:x + 8] for row in rows[y:y + 8]]) for y in (0, 8) for x in (0, 8)]


class Art:
    """All pictures: `tile` and `sprite` name tiles, `cells` the 16 x 16 cells of the rooms."""

    def __init__(self):
        self.back, self.front = Tiles(), Tiles()
        pictures = read_pictures(HERE / "tiles.txt")
        self.font = read_font(HERE / "font.txt")
        self.tile = {"": self.back.add([[0] * 8] * 8)}
        for letter, rows in self.font.items():
            self.tile[letter] = self.back.add(self.letter(rows))
        for name in ("border", "flame"):
            self.tile[name] = self.back.add(pictures.pop(name))
        self.blocks = [self.back.add(self.block(bits)) for bits in range(16)]
        self.cells = [None] * 256  # (four tiles, palette)
        wall = far_wall()
        self.air = {}
        for y in range(4):
            for x in range(4):
                picture = [row[16 * x:16 * x + 16] for row in wall[16 * y:16 * y + 16]]
                self.air[x, y] = self.cell(AIR, picture, FAR)
        self.named = {}
        for name, picture in pictures.items():
            first = {"item": ITEM, "water_top": DEADLY, "water": DEADLY, "spikes": DEADLY,
                     "ledge": LEDGE}.get(name, AIR)
            self.named[name] = self.cell(first, picture, PALETTES[name])
        self.body, self.rocks = rock_body(), {}
        self.sprite = {}
        for name, picture in read_pictures(HERE / "sprites.txt").items():
            if len(picture) == 16:
                self.sprite[name] = self.front.quarters(picture, new=True)[0]
            else:
                self.sprite[name] = self.front.append(picture)

    @staticmethod
    def letter(rows):
        """8 x 8, with a shadow on the right."""
        picture = [[0] * 8 for _ in range(8)]
        for shift, colour in ((1, 1), (0, 3)):
            for y, row in enumerate(rows):
                for x, on in enumerate(row):
                    if on:
                        picture[y][x + 1 + shift] = colour
        return picture

    @staticmethod
    def block(bits):
        """A tile of the title's large letters: four squares, each there or not."""
        picture = [[0] * 8 for _ in range(8)]
        for quarter in range(4):
            if bits >> quarter & 1:
                for y in range(4):
                    for x in range(4):
                        colour = 3 if y == 0 or x == 0 else 1 if y == 3 or x == 3 else 2
                        picture[y + 4 * (quarter // 2)][x + 4 * (quarter % 2)] = colour
        return picture

    def cell(self, first, picture, palette):
        """The number of a new cell, the first free one from `first` on."""
        number = self.cells.index(None, first)
        limits = [n for n in (ITEM, DEADLY, LEDGE, SOLID, 256) if n > first]
        assert number < limits[0], "too many cells of a kind"
        self.cells[number] = (self.back.quarters(picture), palette)
        return number

    def rock_cell(self, x, y, *sides):
        key = (x % 2, y % 2, *sides)
        if key not in self.rocks:
            self.rocks[key] = self.cell(SOLID, rock(self.body, 16 * x, 16 * y, *sides), ROCK)
        return self.rocks[key]
