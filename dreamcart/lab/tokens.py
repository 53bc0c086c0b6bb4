"""What a trained dream of tokens makes of recorded frames."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dreamcart.data.processed import Split
from dreamcart.representation.encode import encode_frames
from dreamcart.world.model import WorldModel


def tokens_of(world: WorldModel, split: Split) -> np.ndarray:
    """The distinct frames of a split as tokens, int16 [U, H, W]."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tokens.npy"
        encode_frames(world.representation, split.frames, path, "tokens")
        return np.load(path)
