"""Plays of a screen with regions that show few pictures."""

import numpy as np

from dreamcart.dynamics.layout import find_layout
from toys.synthetic import BUTTONS
from toys.walk import record

BOXES = np.array([[[1, 0], [1, 1]], [[0, 2], [2, 2]], [[3, 3], [0, 0]]])


def played(episodes: int = 6, counts_to: int = 10, every: int = 1):
    """A busy board, a box that shows one of BOXES, and a counter that goes on by one every so many
    steps, to begin again.
    """
    rng = np.random.default_rng(0)
    shown = []
    for _ in range(episodes):
        frames = []
        for step in range(30):
            frame = np.zeros((8, 10), np.int16)
            frame[1:7, 1:4] = rng.integers(0, 4, (6, 3))
            frame[1:3, 5:7] = BOXES[rng.integers(len(BOXES))]
            frame[5, 8] = 1 + step // every % counts_to
            frames.append(frame)
        shown.append((frames, np.zeros((29, len(BUTTONS)), np.uint8)))
    split, tokens = record(shown)
    layout = find_layout(tokens, split.index["frame"], split.transitions)
    return tokens, split.index, layout
