"""What a trained dream of tokens makes of recorded frames."""

import numpy as np
import torch

from dreamcart.data.processed import Split
from dreamcart.representation.encode import BATCH
from dreamcart.world_model import WorldModel


@torch.inference_mode()
def tokens_of(world: WorldModel, split: Split) -> np.ndarray:
    """The distinct frames of a split as tokens, int [U, H, W]."""
    chunks = (torch.from_numpy(split.frames[first : first + BATCH]) for first in range(0, len(split.frames), BATCH))
    return np.concatenate([world.representation.encode(chunk).numpy() for chunk in chunks])
