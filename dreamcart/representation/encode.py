"""Running a trained representation over many frames."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from dreamcart.core.files import write_array, writing
from dreamcart.data.tiled import TiledFrames
from dreamcart.representation.base import Representation
from dreamcart.representation.palette import Palette, encode_cells
from dreamcart.representation.tiles import Tiles
from dreamcart.training.device import autocast, pick_device

BATCH = 128


def encode_splits(
    model: Representation, splits: dict[str, np.ndarray | TiledFrames], folder: Path
) -> None:
    """Write the latents of a dataset's distinct frames, by split; see `encode_frames`, and for a
    palette `palette.encode_cells`.
    """
    if isinstance(model, Palette):
        encode_cells(model, splits, folder)
        return
    for name, frames in splits.items():
        encode_frames(model, frames, folder / f"{name}.npy", name)


def encode_frames(
    model: Representation, frames: np.ndarray | TiledFrames, path: Path, title: str
) -> None:
    """Write the latent of every frame, uint8 [U, H, W, C], to a .npy file.

    It holds float32 or int16 [U, *latent_shape]. Raises OSError, with `path`, where it cannot be
    written; what was there stays then.
    """
    dtype = {torch.float32: "<f4", torch.int16: "<i2"}[model.latent_dtype]
    with writing(path) as temporary:
        latents = write_array(temporary, (len(frames), *model.latent_shape), dtype)
        for first, batch in encoded(model, frames, title):
            latents[first : first + BATCH] = batch
        latents.flush()


def encoded(
    model: Representation, frames: np.ndarray | TiledFrames, title: str
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the latents of the frames in batches, each with the number of its first frame."""
    device = pick_device()
    model = model.to(device)
    same_tiles = (
        isinstance(model, Tiles)
        and isinstance(frames, TiledFrames)
        and frames.tiles.shape[1] == model.tile
    )
    if same_tiles:  # look up each tile once, not in every frame
        token = (
            model.lookup(torch.from_numpy(np.array(frames.tiles)).to(device))
            .cpu()
            .numpy()
            .astype(np.int16)
        )
    for first in tqdm(range(0, len(frames), BATCH), desc=f"encode {title}", unit="batch"):
        if same_tiles:
            latents = token[frames.cells[first : first + BATCH]]
        else:
            with torch.inference_mode(), autocast(device):
                latents = (
                    model.encode(
                        torch.from_numpy(np.array(frames[first : first + BATCH])).to(device)
                    )
                    .cpu()
                    .numpy()
                )
        yield first, latents


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
