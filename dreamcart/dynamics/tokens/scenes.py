"""Which backdrop may follow which: from the title to play, and never back.

What a scene was seen to change to is told by the recordings; where one such change was seen in one
episode alone there may be others, and nothing is taken for impossible (as for `chains.py`).
"""

import numpy as np
import torch

from dreamcart.dynamics.layout import Layout
from dreamcart.dynamics.tokens.contents import scenes_of

LEAST = 1000  # steps in which a scene is shown, below which nothing is known of it


def find_scenes(
    tokens: np.ndarray, index: np.ndarray, transitions: np.ndarray, layout: Layout
) -> torch.Tensor:
    """Which of K backdrops may follow which in a training split: bool [K, K].

    Args:
        tokens: int [U, H, W], every distinct frame once; index: the split's records, with the row
            of `tokens` that each shows;
        transitions: int [T], records with a successor.
    """
    scene, number = scenes_of(tokens, layout)[index["frame"]], len(layout.backdrops)
    now, then = scene[transitions], scene[transitions + 1]
    shown = np.bincount(now, minlength=number)
    changes = np.unique(
        np.stack([now, then, index["episode"][transitions]], 1)[now != then], axis=0
    )
    episodes = np.zeros((number, number), np.int64)
    np.add.at(episodes, (changes[:, 0], changes[:, 1]), 1)
    open_rows = (shown < LEAST) | (episodes == 1).any(1)
    return torch.from_numpy((episodes > 0) | np.eye(number, dtype=bool) | open_rows[:, None])
