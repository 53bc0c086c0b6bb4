"""A ball that flies over a board of tiles."""

import numpy as np

from dreamcart.dynamics.tokens.inertia import Inertia
from toys.synthetic import BUTTONS
from toys.walk import record

SIDE, ROWS, COLUMNS = 4, 6, 8
HEIGHT, WIDTH = ROWS * SIDE, COLUMNS * SIDE


def picture(
    *things: tuple[int, int, int, int, int], ground: np.ndarray | None = None
) -> np.ndarray:
    """uint8 [H, W]: things (colour, y, x, height, width) before a ground."""
    screen = np.zeros((HEIGHT, WIDTH), np.uint8) if ground is None else ground.copy()
    for colour, y, x, height, width in things:
        screen[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)] = colour
    return screen


class Tiled:
    """A dictionary of all tiles that some pictures show."""

    def __init__(self, *pictures: np.ndarray) -> None:
        cut = np.concatenate([self._cut(one) for one in pictures])
        self.tiles = np.unique(cut.reshape(len(cut), -1), axis=0).reshape(-1, SIDE, SIDE)
        self.numbers = {tile.tobytes(): number for number, tile in enumerate(self.tiles)}
        self.inertia = Inertia(self.tiles)

    def __call__(self, one: np.ndarray) -> np.ndarray:
        """int [ROWS, COLUMNS]."""
        return np.array([self.numbers[tile.tobytes()] for tile in self._cut(one)]).reshape(
            ROWS, COLUMNS
        )

    def onward(self, before: np.ndarray, now: np.ndarray) -> np.ndarray:
        return self.inertia.onward(self(before), self(now))

    @staticmethod
    def _cut(one: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(
            one.reshape(ROWS, SIDE, COLUMNS, SIDE).transpose(0, 2, 1, 3).reshape(-1, SIDE, SIDE)
        )


def flight(episodes: int, length: int, random: bool = False):
    """A ball between two walls, and its tiles; random: it goes anywhere instead."""
    rng = np.random.default_rng(0)
    played = []
    for _ in range(episodes):
        at, way, shown = rng.integers(4, 16, 2), rng.choice([-3, -2, -1, 1, 2, 3], 2), []
        for _ in range(length):
            shown.append(picture((1, *at, 2, 2)))
            at = at + (rng.integers(-3, 4, 2) if random else way)
            way = np.where((at < 0) | (at > (HEIGHT - 2, WIDTH - 2)), -way, way)
            at = at.clip(0, (HEIGHT - 2, WIDTH - 2))
        played.append(shown)
    tiled = Tiled(*(one for shown in played for one in shown))
    actions = np.zeros((length - 1, len(BUTTONS)), np.uint8)
    split, tokens = record(
        [([tiled(one).astype(np.int16) for one in shown], actions) for shown in played]
    )
    return split, tokens, tiled
