"""How decoded frames look beside the real ones: are they as sharp, are the colours right, and do
they stay in their places?

Frames are uint8 [B, H, W, C]. `Fidelity` sums over batches, so that memory holds one of them.
"""

from typing import Any

import cv2
import numpy as np

COLOURED = 0.2  # a pixel's chroma, of 1, from which on it has a hue to speak of
# degrees: what a coloured pixel that came out grey is off by, the mean error of a random hue
LOST = 90.0
# two pixels around a coloured one: as far as its colour is looked for outside of it
BESIDE = np.ones((5, 5), np.uint8)


class Fidelity:
    """Collects sharpness and hue error over batches of true and decoded frames."""

    def __init__(self, median: np.ndarray) -> None:
        """median: uint8 [H, W, C], the per-pixel median of the training frames: a still background
        hides what is blurred.
        """
        self.median = median
        self.energy = np.zeros((2, 2))  # of all pixels and of the changed ones; true and decoded
        # likewise; sums of the errors, and pixels
        self.hue, self.bleeding = np.zeros((2, 2)), np.zeros((2, 2))

    def see(self, true: np.ndarray, decoded: np.ndarray) -> None:
        """One batch."""
        changed = (true != self.median).any(3)
        for side, frames in enumerate((true, decoded)):
            energy = gradient_energy(frames)
            self.energy[:, side] += energy.sum(), energy[changed].sum()
        if true.shape[3] == 3:
            error = hue_error(true, decoded)
            for row, which in enumerate((np.ones_like(changed), changed)):
                for total, part in (
                    (self.hue, error[which]),
                    (self.bleeding, bleeding(true, decoded, which)),
                ):
                    total[row] += np.nansum(part), np.isfinite(part).sum()

    def report(self) -> dict[str, float]:
        """What was seen.

        Returns:
            sharpness: gradient energy of the decoded frames over the true ones': 1 as sharp, less
                is blurred, more is noisy; sharpness_changed: the same over the pixels that differ
                from the median frame.
            hue_error, hue_error_changed: mean of `hue_error`, degrees, likewise;
            bleeding, bleeding_changed: mean of `bleeding`, beside all coloured pixels and beside
                those that differ from the median frame. These four are absent for grey frames, and
                where no pixel is coloured.
        """
        names = (
            ("sharpness", self.energy[:, ::-1]),
            ("hue_error", self.hue),
            ("bleeding", self.bleeding),
        )
        return {
            name + part: float(above / below)
            for name, rows in names
            for part, (above, below) in zip(("", "_changed"), rows, strict=True)
            if below
        }


def gradient_energy(frames: np.ndarray) -> np.ndarray:
    """Squared differences to the pixels on the right and below, summed over colours, values on [0,
    1]: float32 [B, H, W].
    """
    values = frames.astype(np.float32) / 255
    energy = np.zeros(values.shape[:3], np.float32)
    energy[:, :, :-1] += np.square(np.diff(values, axis=2)).sum(3)
    energy[:, :-1] += np.square(np.diff(values, axis=1)).sum(3)
    return energy


def hue_error(true: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Degrees between the hues of RGB frames, 0 to 180, float32 [B, H, W]; NaN where the true pixel
    has no colour.

    Hue is the angle in the plane across the grey axis, chroma its length (Hanbury & Serra 2003). A
    coloured pixel that came out with less than a quarter of COLOURED has lost its hue, and counts
    as LOST.
    """
    angles, lengths = zip(*(_chroma(frames) for frames in (true, decoded)), strict=True)
    off = np.abs(angles[0] - angles[1])
    off = np.degrees(np.minimum(off, 2 * np.pi - off))
    off = np.where(lengths[1] < COLOURED / 4, LOST, off)
    return np.where(lengths[0] < COLOURED, np.nan, off).astype(np.float32)


def bleeding(true: np.ndarray, decoded: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Chroma that pixels without colour gained beside coloured ones, 0 to 1 (a pure colour),
    float32 [B, H, W].

    which: bool [B, H, W], the coloured pixels whose neighbourhood is looked at; NaN everywhere
    else.
    """
    own, found = (_chroma(frames)[1] for frames in (true, decoded))
    coloured = own >= COLOURED
    near = np.array([cv2.dilate(mask.astype(np.uint8), BESIDE) for mask in coloured & which], bool)
    return np.where(near & ~coloured, np.maximum(found - own, 0), np.nan).astype(np.float32)


def _chroma(frames: np.ndarray) -> tuple[Any, Any]:
    """Angle in radians and length, of 1 for a pure colour, of each pixel."""
    red, green, blue = np.moveaxis(frames.astype(np.float32) / 255, 3, 0)
    across, up = red - (green + blue) / 2, (green - blue) * np.float32(np.sqrt(3) / 2)
    return np.arctan2(up, across), np.hypot(across, up)
