"""Frames so coarse that what twinkles makes no new one: how searches tell places apart."""

import numpy as np


def coarse(frame: np.ndarray, side: int = 8, levels: int = 16) -> np.ndarray:
    """Means of `side` x `side` pixels in `levels` steps of brightness.

    uint8 [H, W, 3] → uint8 [H / side, W / side]; what is left of a last row or column is cut off.
    """
    height, width = (length // side * side for length in frame.shape[:2])
    grey = frame[:height, :width].mean(2, dtype=np.float32)
    means = grey.reshape(height // side, side, width // side, side).mean((1, 3))
    return (means / (256 / levels)).astype(np.uint8)
