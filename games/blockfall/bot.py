"""A scripted player: reads the game's RAM variables, presses its buttons.

Serves to show a neural network competent play and to test the ROM. It looks
one piece ahead only, which is enough to clear lines for as long as gravity
leaves it time.
"""

import json
from pathlib import Path

import numpy as np

WIDTH, HEIGHT = 10, 20


def drop(board, cells, x, y):
    """The row at which a piece at (x, y) comes to rest, or None."""

    def fits(y):
        return all(0 <= x + dx < WIDTH and 0 <= y + dy < HEIGHT and not board[y + dy, x + dx] for dx, dy in cells)

    if not fits(y):
        return None
    while fits(y + 1):
        y += 1
    return y


def rate(board):
    """Higher is better: full rows, few holes, low and even columns."""
    full = board.all(axis=1)
    board = np.vstack([np.zeros((full.sum(), WIDTH), bool), board[~full]])
    filled = np.logical_or.accumulate(board, axis=0)
    heights = filled.sum(axis=0)
    holes = (filled & ~board).sum()
    bumps = np.abs(np.diff(heights)).sum()
    return 0.76 * full.sum() - 0.51 * heights.sum() - 0.9 * holes - 0.18 * bumps


class Bot:
    """pieces: pieces.json, whole or only its "cells"."""

    def __init__(self, pieces):
        self.cells = pieces["cells"] if isinstance(pieces, dict) else pieces
        self.reset()

    def reset(self):
        self.piece = None  # count of the piece that the plan is for
        self.plan = None  # (rotation, x)
        self.held = set()  # what the last step held

    def choose(self, board, info, rng):
        """The best (rotation, x) that can be reached at the present height."""
        kind, best = info["piece_type"], None
        for rot, cells in enumerate(self.cells[kind]):
            for x in range(-2, WIDTH):
                y = drop(board, cells, x, info["piece_y"])
                if y is None:
                    continue
                after = board.copy()
                for dx, dy in cells:
                    after[y + dy, x + dx] = True
                score = rate(after) + 1e-6 * rng.random()  # breaks ties
                if best is None or score > best[0]:
                    best = (score, rot, x)
        return best[1:] if best else (info["piece_rot"], info["piece_x"])

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
        if info["pieces"] != self.piece:
            board = np.asarray(info["board"]).reshape(HEIGHT, WIDTH) != 0
            self.plan = self.choose(board, info, rng)
            self.piece = info["pieces"]
        rot, x = self.plan
        turns = len(self.cells[info["piece_type"]])
        ahead = (rot - info["piece_rot"]) % turns
        buttons = set()
        if ahead:
            buttons.add("A" if ahead * 2 <= turns else "B")
        if info["piece_x"] != x:
            buttons.add("LEFT" if info["piece_x"] > x else "RIGHT")
        return buttons or {"DOWN"}


def make_bot():
    """The bot with this game's own pieces."""
    return Bot(json.loads((Path(__file__).parent / "pieces.json").read_text()))
