"""Running a trained representation over many frames."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from dreamcart.data.tiled import TiledFrames
from dreamcart.files import write_array
from dreamcart.hardware import autocast, pick_device
from dreamcart.representation.base import Representation
from dreamcart.representation.tiles import Tiles

BATCH = 128


def encode_frames(model: Representation, frames: np.ndarray | TiledFrames, path: Path, title: str) -> None:
    """Write the latent of every frame, uint8 [U, H, W, C], to a .npy file: float32 or int16 [U, *latent_shape]."""
    device = pick_device()
    model = model.to(device)
    latents = write_array(path, (len(frames), *model.latent_shape), {torch.float32: "<f4", torch.int16: "<i2"}[model.latent_dtype])
    same_tiles = isinstance(model, Tiles) and isinstance(frames, TiledFrames) and frames.tiles.shape[1] == model.tile
    if same_tiles:  # look up each tile once, not in every frame
        token = model.lookup(torch.from_numpy(np.array(frames.tiles)).to(device)).cpu().numpy().astype(np.int16)
    with torch.inference_mode(), autocast(device):
        for first in tqdm(range(0, len(frames), BATCH), desc=f"encode {title}", unit="batch"):
            if same_tiles:
                latents[first : first + BATCH] = token[frames.cells[first : first + BATCH]]
            else:
                batch = torch.from_numpy(np.array(frames[first : first + BATCH])).to(device)
                latents[first : first + BATCH] = model.encode(batch).cpu().numpy()
    latents.flush()


@torch.inference_mode()
def reconstruct(
    model: Representation, frames: np.ndarray | TiledFrames, rows: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (true, decoded) uint8 batches [B, H, W, C] over `frames`, or those of its rows."""
    device = next(iter(model.state_dict().values())).device
    rows = np.arange(len(frames)) if rows is None else rows
    for first in range(0, len(rows), BATCH):
        true = np.array(frames[rows[first : first + BATCH]])
        with autocast(device):
            decoded = model.decode(model.encode(torch.from_numpy(true).to(device)))
        yield true, decoded.cpu().numpy()
