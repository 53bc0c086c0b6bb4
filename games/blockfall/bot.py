"""A scripted player: reads the game's RAM variables, presses its buttons.

Serves to show a neural network competent play and to test the ROM. It looks
one piece ahead only, which is enough to clear lines for as long as gravity
leaves it time. Some pieces it first turns and moves about for no purpose: a network
learns turns only where, and from how, it has seen them made.
"""

import json
from pathlib import Path

import numpy as np

WIDTH, HEIGHT = 10, 20
PLAYFUL = 0.3  # share of the pieces that make detours
DETOURS = 1, 8  # how many
PATIENCE = 16  # steps after which it gives up a detour that it cannot complete


def as_bits(board):
    """The board as one integer, a bit a cell: a piece is tried in one operation."""
    return int.from_bytes(np.packbits(board, bitorder="little").tobytes(), "little")


def drop(bits, cells, x, y):
    """The row at which a piece at (x, y) comes to rest on a board `as_bits`, or None."""
    if not all(0 <= x + dx < WIDTH and 0 <= y + dy < HEIGHT for dx, dy in cells):
        return None
    piece = sum(1 << (y + dy) * WIDTH + x + dx for dx, dy in cells)
    if bits & piece:
        return None
    for _ in range(HEIGHT - 1 - y - max(dy for _, dy in cells)):
        piece <<= WIDTH
        if bits & piece:
            break
        y += 1
    return y


def rate(boards):
    """Higher is better, for each of some boards: full rows, few holes, low and even columns."""
    full = boards.all(axis=2)
    # full rows vanish: empty ones come in at the top
    order = np.argsort(~full, axis=1, kind="stable")
    boards = np.take_along_axis(boards & ~full[..., None], order[..., None], axis=1)
    filled = np.logical_or.accumulate(boards, axis=1)
    heights = filled.sum(axis=1)
    holes = (filled & ~boards).sum(axis=(1, 2))
    bumps = np.abs(np.diff(heights)).sum(axis=1)
    return 0.76 * full.sum(axis=1) - 0.51 * heights.sum(axis=1) - 0.9 * holes - 0.18 * bumps


class Bot:
    """pieces: pieces.json, whole or only its "cells"."""

    def __init__(self, pieces):
        self.cells = pieces["cells"] if isinstance(pieces, dict) else pieces
        self.reset()

    def reset(self):
        self.piece = None  # count of the piece that the plan is for
        self.plan = None  # (rotation, x)
        self.detours = 0  # plans still to be made for no purpose
        self.since = 0  # steps since the plan was made
        self.held = set()  # what the last step held
        self.way = "A"  # the way in which it turns

    def choose(self, board, info, rng):
        """The best (rotation, x) that can be reached at the present height."""
        bits, places, boards = as_bits(board), [], []
        for rot, cells in enumerate(self.cells[info["piece_type"]]):
            for x in range(-2, WIDTH):
                y = drop(bits, cells, x, info["piece_y"])
                if y is None:
                    continue
                places.append((rot, x))
                boards.append(board.copy())
                for dx, dy in cells:
                    boards[-1][y + dy, x + dx] = True
        if not places:
            return info["piece_rot"], info["piece_x"]
        # chance breaks ties
        return places[np.argmax(rate(np.stack(boards)) + 1e-6 * rng.random(len(places)))]

    def act(self, info, rng):
        """Names of the buttons to hold for the next two frames."""
        held = self.decide(info, rng)
        # A press is an edge: what must be pressed again is released first.
        held -= self.held & {"A", "B", "LEFT", "RIGHT", "START"}
        self.held = set(held)
        return held

    def decide(self, info, rng):
        if info["scene"] != 1 or info["paused"]:
            return {"START"}
        if info["clearing"]:
            return set()
        turns = len(self.cells[info["piece_type"]])
        fresh = info["pieces"] != self.piece
        if fresh:
            self.piece = info["pieces"]
            self.detours = int(rng.integers(*DETOURS)) if rng.random() < PLAYFUL else 0
        self.since += 1
        arrived = (info["piece_rot"], info["piece_x"]) == self.plan or self.since > PATIENCE
        if fresh or (self.detours and arrived):
            self.since = 0
            self.way = rng.choice(["A", "B"])
            self.detours -= 0 if fresh else 1
            if self.detours:
                self.plan = int(rng.integers(turns)), int(rng.integers(-2, WIDTH))
            else:
                board = np.asarray(info["board"]).reshape(HEIGHT, WIDTH) != 0
                self.plan = self.choose(board, info, rng)
        rot, x = self.plan
        ahead = (rot - info["piece_rot"]) % turns
        buttons = set()
        if ahead:
            if not self.detours and ahead * 2 != turns:  # else either way will do
                self.way = "A" if ahead * 2 < turns else "B"
            buttons.add(self.way)
        if info["piece_x"] != x:
            buttons.add("LEFT" if info["piece_x"] > x else "RIGHT")
        return buttons or (set() if self.detours else {"DOWN"})


def make_bot():
    """The bot with this game's own pieces."""
    return Bot(json.loads((Path(__file__).parent / "pieces.json").read_text()))
