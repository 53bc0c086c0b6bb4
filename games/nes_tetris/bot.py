"""A scripted player: goes through the menus, then lays each piece where the stack is low, by RAM
variables.
"""

import numpy as np

PLAYING, CURTAIN = 4, 10  # game_state; play_state once the stack has reached the top
EMPTY = 0xEF  # an empty cell of the board
PATIENCE = 40  # steps after which a piece that does not reach its column is dropped where it is


class Bot:
    """Taps, with a step between two presses: the game hears a button only when it goes down."""

    def __init__(self):
        self.pieces = None  # the count of the piece that the plan is for
        self.turns = self.column = self.since = 0
        self.tapped = False

    def act(self, info, rng):
        """Names of the buttons to hold for the next two frames."""
        if info["game_state"] != PLAYING or info["play_state"] == CURTAIN:
            self.pieces = None
            return {"START"} if rng.random() < 0.05 else set()
        if info["pieces"] != self.pieces:
            self.pieces, self.since, self.tapped = info["pieces"], 0, False
            self.turns = int(rng.integers(4))
            filled = np.reshape(info["board"], (20, 10)) != EMPTY
            heights = np.where(filled.any(0), 20 - filled.argmax(0), 0)
            self.column = int(np.argmin(heights + rng.random(10)))
        self.since += 1
        self.tapped = not self.tapped
        if self.since > PATIENCE or (not self.turns and info["piece_x"] == self.column):
            return {"DOWN"}
        if not self.tapped:
            return set()
        if self.turns:
            self.turns -= 1
            return {"A"}
        return {"RIGHT" if info["piece_x"] < self.column else "LEFT"}


def make_bot():
    """A bot for one episode."""
    return Bot()
