"""Running a trained representation over many frames."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from dreamcart.files import write_array
from dreamcart.hardware import autocast, pick_device
from dreamcart.representation.base import Representation

BATCH = 128


def encode_frames(model: Representation, frames: np.ndarray, path: Path, title: str) -> None:
    """Write the latent of every frame, uint8 [U, H, W, C], as float32 [U, *latent_shape] to a .npy file."""
    device = pick_device()
    model = model.to(device)
    latents = write_array(path, (len(frames), *model.latent_shape), "<f4")
    with torch.inference_mode(), autocast(device):
        for first in tqdm(range(0, len(frames), BATCH), desc=f"encode {title}", unit="batch"):
            batch = torch.from_numpy(np.array(frames[first : first + BATCH])).to(device)
            latents[first : first + BATCH] = model.encode(batch).cpu().numpy()
    latents.flush()


@torch.inference_mode()
def reconstruct(model: Representation, frames: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (true, decoded) uint8 batches [B, H, W, C] over `frames`."""
    device = next(model.parameters()).device
    for first in range(0, len(frames), BATCH):
        true = np.array(frames[first : first + BATCH])
        with autocast(device):
            decoded = model.decode(model.encode(torch.from_numpy(true).to(device)))
        yield true, decoded.cpu().numpy()
