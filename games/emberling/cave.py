"""The levels from rooms.txt, and the player's motion in them as the ROM computes it.

The bot looks ahead with it; the tests hold it against the ROM.
"""

from pathlib import Path

COLUMNS, ROWS = 16, 13  # of a room, in cells of 16 x 16 pixels
FIRST_ROW = 2  # of the 15 rows of the screen: two are the status bar's
DEPTH = 16  # rows of air below the screen, for what falls
AIR, SPARK, DEADLY, GOAL, LEDGE, ROCK = range(6)
MEANINGS = {"o": SPARK, "~": DEADLY, "w": DEADLY, "^": DEADLY, "g": GOAL, "G": GOAL}
MEANINGS |= {"=": LEDGE, "#": ROCK}
# 256ths of a pixel a frame, as in src/main.c
WALK, DASH, PUSH, JUMP, BOUNCE = 0x180, 0x280, 0x20, 0x500, 0x340
GRAVITY_HELD, GRAVITY_CUT, GRAVITY, FASTEST_FALL = 0x38, 0x90, 0x58, 0x480
DEEP = 224  # the line at which a fall is the end


def read_rooms(path):
    """Read a rooms.txt: {room: 13 rows of 16 letters} and the levels as lists of rooms."""
    rooms, levels, rows = {}, [], []
    for line in Path(path).read_text().splitlines():
        words = line.split()
        if not words or line.startswith("# "):
            continue
        if words[0] == "level":
            levels.append(words[1:])
        elif words[0] == "room":
            rows = rooms[words[1]] = []
        else:
            rows.append(line)
    return rooms, levels


class Cave:
    """One level's cells: `cells[column][row]` says what a cell does, rows counted from the screen's
    top.
    """

    def __init__(self, rooms, level):
        self.cells = []
        for name in level:
            for x in range(COLUMNS):
                column = [MEANINGS.get(row[x], AIR) for row in rooms[name]]
                self.cells.append([AIR] * FIRST_ROW + column + [AIR] * DEPTH)
        self.width = 16 * len(self.cells)

    def at(self, x, y):
        """Tell what the cell at a pixel of the level does; beyond the ends it is rock."""
        return self.cells[x >> 4][y >> 4] if 0 <= x < self.width else ROCK


def load_caves():
    """Make the caves of all levels."""
    rooms, levels = read_rooms(Path(__file__).resolve().parent / "rooms.txt")
    return [Cave(rooms, level) for level in levels]


class Body:
    """The player: x, y in pixels, sub and ysub in 256ths, vx, vy in 256ths a frame."""

    __slots__ = ("ground", "sub", "vx", "vy", "x", "y", "ysub")

    def __init__(self, info):
        self.x, self.y = int(info["player_x"]), int(info["player_y"])
        self.sub, self.ysub = int(info["player_sub"]), int(info["player_ysub"])
        self.vx, self.vy = int(info["vel_x"]), int(info["vel_y"])
        self.ground = bool(info["on_ground"])

    def copy(self):
        """Make another of the same motion."""
        twin = object.__new__(Body)
        twin.x, twin.y, twin.sub, twin.ysub = self.x, self.y, self.sub, self.ysub
        twin.vx, twin.vy, twin.ground = self.vx, self.vy, self.ground
        return twin

    def step(self, cave, way, dash, jump, press):
        """Move by a frame: `way` -1, 0 or 1, `dash` with B, `jump` with A held, `press` as it goes
        down.

        Returns whether he lives: neither too deep nor in water or on spikes.
        """
        self._steer(way * (DASH if dash else WALK))
        if press and self.ground:
            self.vy = -JUMP
        self._move_aside(cave)
        self._move_up_down(cave, jump)
        if self.y >= DEEP:
            return False
        y = self.y + 13
        return cave.at(self.x + 8, y) != DEADLY or (y & 15) <= 4

    def _steer(self, wanted):
        if self.vx < wanted:
            self.vx = min(self.vx + PUSH, wanted)
        elif self.vx > wanted:
            self.vx = max(self.vx - PUSH, wanted)

    def _move_aside(self, cave):
        total = self.vx + self.sub
        self.sub, move = total & 255, total >> 8
        if not move:
            return
        self.x += move
        if self.x < 0:
            self.x = self.vx = self.sub = 0
        edge = self.x + (12 if move > 0 else 3)
        if cave.at(edge, self.y + 3) == ROCK or cave.at(edge, self.y + 14) == ROCK:
            self.x = (edge & ~15) - 13 if move > 0 else (edge | 15) - 2
            self.vx = self.sub = 0

    def _move_up_down(self, cave, jump):
        self.vy += (GRAVITY_HELD if jump else GRAVITY_CUT) if self.vy < 0 else GRAVITY
        self.vy = min(self.vy, FASTEST_FALL)
        before = self.y
        total = self.vy + self.ysub
        self.ysub = total & 255
        self.y += total >> 8
        self.ground = False
        rising = self.vy < 0
        line = self.y + (2 if rising else 16)
        met = max(cave.at(self.x + 4, line), cave.at(self.x + 11, line))
        if rising:
            if met < ROCK:
                return
            self.y = (line | 15) - 1
        else:
            top = line & ~15
            if met < LEDGE or (met == LEDGE and top < before + 16):
                return
            self.y = top - 16
            self.ground = True
        self.vy = self.ysub = 0
