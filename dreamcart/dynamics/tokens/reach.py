"""Cells that play may come to change, though no recording shows it: a brick that no ball has hit
yet.

A cell of the window that always showed the same picture was none of the network's, and stayed for
ever as it was: a third of what a dream of Breakout got wrong in a step was a single brick, hit in
the one episode and in no other (docs/lab). What it shows tells that it is like its neighbours:
tokens that change elsewhere.
"""

from dataclasses import replace

import cv2
import numpy as np
import torch

from dreamcart.dynamics.layout import CUT, Layout

CHUNK = 2048


def reach(layout: Layout, tokens: np.ndarray, rows: np.ndarray, transitions: np.ndarray) -> Layout:
    """The layout, with those cells of its window in the mask that touch one of it, and show nothing
    but tokens that play changes: things, not the bare ground (the commonest token) between them.

    Args: see `find_layout`.
    """
    own = layout.cells[layout.mask].numpy()
    before, after = rows[transitions], rows[transitions + 1]
    pairs = np.unique(np.stack([before, after], 1)[before != after], axis=0)
    cells, kinds = tokens[0].size, int(tokens.max()) + 1
    fleeting = np.zeros(kinds, bool)  # tokens that give way to others
    for first in range(0, len(pairs), CHUNK):
        one, other = (
            tokens[part].reshape(len(part), -1) for part in pairs[first : first + CHUNK].T
        )
        play = (one != other).sum(1) <= CUT * cells
        one, other = one[play][:, own], other[play][:, own]
        fleeting[one[one != other]] = True
    like = np.ones(cells, bool)  # cells that always show such
    seen = np.zeros(kinds, int)
    for first in range(0, len(tokens), CHUNK):
        shown = tokens[first : first + CHUNK].reshape(-1, cells)
        like &= fleeting[shown].all(0)
        seen += np.bincount(shown[:, own].ravel(), minlength=kinds)
    like &= tokens[0].ravel() != seen.argmax()
    changes = np.zeros(tokens[0].shape, np.uint8)
    changes.flat[own] = 1
    # and touches one that play changes
    like &= cv2.dilate(changes, np.ones((3, 3), np.uint8)).ravel() > 0
    mask = layout.mask | ((layout.cells >= 0) & torch.from_numpy(like)[layout.cells.clamp(min=0)])
    still = np.ones(cells, bool)
    still[layout.cells[mask].numpy()] = False
    _, different = np.unique(
        layout.backdrops.flatten(1).numpy()[:, still], axis=0, return_index=True
    )
    return replace(layout, mask=mask, backdrops=layout.backdrops[np.sort(different)])
