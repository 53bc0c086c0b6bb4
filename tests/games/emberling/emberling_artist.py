"""The picture that RAM calls for, drawn from the sources of the ROM's own pictures."""

import numpy as np
from emberling_console import DARK, GAME_DIR, REACHED, TITLE, load_module

CROP = slice(8, 232), slice(8, 248)  # what the emulator shows of 240 x 256 pixels
BAR = 32  # lines of the status bar
BEHIND, MIRRORED = 0x20, 0x40  # of a sprite's attributes
STATES = ("Level1", "Pools1", "Bats1", "Spikes1", "Title", "Level4", "Goal1")


class Artist:
    """Draws the screen from variables and sprites.

    Colours are numbers first: 4 x palette + colour for the background, 16 more for sprites, 0 for
    black. What the emulator makes of them is taken from some frames, one pixel a colour.
    """

    def __init__(self, console):
        self.assets = a = load_module(GAME_DIR / "src" / "assets.py")
        self.rooms, self.levels = a.read_rooms(GAME_DIR / "rooms.txt")
        self.art = art = a.Art()
        numbers = {name: a.room_cells(art, rows) for name, rows in self.rooms.items()}
        self.maps = [
            np.concatenate([np.array(numbers[name]).reshape(16, 16) for name in level])
            for level in self.levels
        ]
        self.back, self.front = self.pixels(art.back), self.pixels(art.front)
        cells = [cell or ((0,) * 4, 0) for cell in art.cells]
        quarters = self.back[np.array([tiles for tiles, _ in cells])]
        whole = quarters.reshape(256, 2, 2, 8, 8).transpose(0, 1, 3, 2, 4).reshape(256, 16, 16)
        palettes = np.array([palette for _, palette in cells])[:, None, None]
        self.cells = np.where(whole, whole + 4 * palettes, 0)
        self.status = self.screen(a.status_screen(art))
        self.title = self.screen(a.title_screen(art, self.rooms))
        self.rgb = np.zeros((32, 3), np.uint8)
        for state in STATES:
            console.load(state)
            for _ in range(20):
                wanted = self.indexed(console.info, console.sprites())
                console.frame()
                for colour in np.unique(wanted):
                    y, x = np.argwhere(wanted == colour)[0]
                    self.rgb[colour] = console.screen[y, x]

    @staticmethod
    def pixels(tiles):
        """Unpack a pattern table to colours 0 to 3, uint8 [N, 8, 8]."""
        planes = np.unpackbits(np.frombuffer(tiles.data, np.uint8)).reshape(-1, 2, 8, 8)
        return planes[:, 0] + 2 * planes[:, 1]

    def screen(self, nametable):
        """Draw a nametable, 240 x 256 colours."""
        data = np.frombuffer(nametable, np.uint8)
        picture = self.back[data[:960].reshape(30, 32)].transpose(0, 2, 1, 3).reshape(240, 256)
        palettes = np.zeros((240, 256), np.uint8)
        for y in range(15):
            for x in range(16):
                byte = data[960 + (y // 2) * 8 + x // 2]
                palette = byte >> ((y & 1) * 4 + (x & 1) * 2) & 3
                palettes[16 * y : 16 * y + 16, 16 * x : 16 * x + 16] = palette
        return np.where(picture, picture + 4 * palettes, 0)

    def level(self, info):
        """Draw the level at the camera, 240 x 256 colours."""
        named, first = self.art.named, info["camera_x"] // 16
        numbers = self.maps[info["layout"]][first : first + 17].copy()
        taken = np.unpackbits(info["taken"], bitorder="little")[first : first + 17]
        for x, column in enumerate(numbers):
            for y in range(16):
                if column[y] == named["item"] and taken[x]:
                    column[y] = self.art.air[(first + x) % 4, (y - 2) % 4]
                lit = column[y] == named["lantern"] and (first + x) // 16 <= info["lantern"]
                lit |= column[y] == named["hearth"] and info["phase"] == REACHED
                column[y] += lit
        picture = self.cells[numbers].transpose(1, 2, 0, 3).reshape(256, -1)
        return picture[:240, info["camera_x"] % 16 :][:, :256]

    def bar(self, info):
        """Draw the status bar, 32 x 256 colours."""
        a, bar = self.assets, self.status[:BAR].copy()
        words = [a.TEXTS[name] for name in ("NONE", "PAUSED", "OVER", "READY", "DONE")]
        told = (
            (a.SCORE, f"{info['score']:05d}"),
            (a.LEVEL, f"{info['level']:02d}"),
            (a.LIVES, str(info["lives"])),
            (a.TEXT, words[info["message"]].ljust(10)),
        )
        for (x, y), text in told:
            for i, c in enumerate(text):
                tile = self.back[self.art.tile[c.strip()]]
                place = slice(8 * y, 8 * y + 8), slice(8 * (x + i), 8 * (x + i) + 8)
                bar[place] = np.where(tile, tile + 4 * a.GOLD, 0)
        return bar

    def indexed(self, info, sprites):
        """Draw the frame after the one that left these variables and sprites, 224 x 240 colours."""
        if info["scene"] == TITLE:
            picture = self.title.copy()
        else:
            picture = self.level(info)
            picture[:BAR] = self.bar(info)
            if info["phase"] == DARK:
                picture[BAR:] = 0
                return picture[CROP]
        for y, number, attributes, x in sprites[::-1].astype(int):
            if y >= 239 or attributes & BEHIND:
                continue
            tile = self.front[number]
            if attributes & MIRRORED:
                tile = tile[:, ::-1]
            place = slice(y + 1, y + 9), slice(x, x + 8)
            under = picture[place]
            tile = tile[: under.shape[0], : under.shape[1]]
            picture[place] = np.where(tile, tile + 16 + 4 * (attributes & 3), under)
        return picture[CROP]

    def draw(self, info, sprites):
        """Draw the same in the emulator's colours, uint8 [224, 240, 3]."""
        return self.rgb[self.indexed(info, sprites)]
