"""Lossless pixels: a frame is a picture of palette indices.

Nothing is learned: the palette is the colours of the training frames, which on a console are at
most 256. Of a game with more (a rendered one) the palette is 256 of them, by median cut, and each
pixel becomes the nearest; what that costs is measured as of any other representation. Latents are
stored as numbers of distinct cells (`encode_cells`), as the frames themselves are.
"""

import contextlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from dreamcart.core.files import read_array, save_array
from dreamcart.data.tiled import TiledFrames, TiledWriter, write_tiles
from dreamcart.representation.base import Representation

MOST_COLOURS = 256
CELL = 8  # side of a cell in pixels, where frames are stored whole
TILES = "tiles.npy"
CHUNK = 64  # frames at once: a bound on memory
SAMPLE = 256  # frames from which 256 colours are chosen where there are more


class Palette(Representation):
    """Latents are palette indices, uint8 [B, H, W]."""

    latent_dtype = torch.uint8

    def __init__(self, shape: list[int], colours: int) -> None:
        """shape: (H, W, C) of the frames; colours: number of them."""
        super().__init__()
        self.shape, self.latent_shape = tuple(shape), tuple(shape[:2])
        self.register_buffer("colours", torch.zeros(colours, shape[2], dtype=torch.uint8))

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        """Return palette indices, uint8 [B, H, W], of frames, uint8 [B, H, W, C]; an unknown colour
        becomes the nearest known one.
        """
        known = numbers(self.colours)  # ascending: the palette is sorted by them
        wanted = numbers(frames)
        index = torch.searchsorted(known, wanted).clamp(max=len(known) - 1)
        foreign = known[index] != wanted
        if foreign.any():
            different, back = frames[foreign].unique(dim=0, return_inverse=True)
            near = torch.cat(
                [
                    torch.cdist(part.float(), self.colours.float(), p=1).argmin(1)
                    for part in different.split(4096)
                ]
            )
            index[foreign] = near[back]
        return index.to(torch.uint8)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return frames, uint8 [B, H, W, C], of palette indices, int [B, H, W]."""
        return self.colours[latents.int()]


def numbers(colours: torch.Tensor) -> torch.Tensor:
    """Return a number for each colour, int64 [...]: its bytes, the first the highest."""
    told = torch.zeros(colours.shape[:-1], dtype=torch.int64, device=colours.device)
    for channel in range(colours.shape[-1]):
        told = told * 256 + colours[..., channel]
    return told


def collect_colours(frames: np.ndarray | TiledFrames) -> torch.Tensor:
    """Return the palette of training frames, uint8 [P, C], in ascending order of `numbers`.

    Of more than MOST_COLOURS, as many by median cut over SAMPLE of the frames.
    """
    shown = frames.tiles if isinstance(frames, TiledFrames) else frames
    found = torch.zeros(0, dtype=torch.int64)
    for first in range(0, len(shown), CHUNK):
        part = numbers(torch.from_numpy(np.array(shown[first : first + CHUNK])))
        found = torch.cat([found, part.unique()]).unique()
    channels = shown.shape[-1]
    shift = 8 * torch.arange(channels - 1, -1, -1)
    if len(found) <= MOST_COLOURS:
        return (found[:, None] >> shift & 255).to(torch.uint8)
    some = np.array(frames[np.linspace(0, len(frames) - 1, min(SAMPLE, len(frames))).astype(int)])
    flat = Image.fromarray(some.reshape(-1, some.shape[2], channels).squeeze())
    cut = flat.quantize(MOST_COLOURS, Image.Quantize.MEDIANCUT).getpalette()
    return torch.tensor(cut, dtype=torch.uint8).view(-1, 3)[:, :channels].unique(dim=0)


@torch.inference_mode()
def encode_cells(model: Palette, splits: dict[str, np.ndarray | TiledFrames], folder: Path) -> None:
    """Write the latents of the splits of a dataset as cells.

    `folder`/<split>.npy is int [U, H / t, W / t], for each distinct frame the numbers of its cells;
    `folder`/tiles.npy, shared by them, uint8 [K, t, t], what these show. Raises OSError, with the
    file's path, where it cannot be written.
    """
    one = next(iter(splits.values()))
    if isinstance(one, TiledFrames):  # then the cells are known already
        tiles = torch.from_numpy(np.array(one.tiles))
        save_array(folder / TILES, torch.cat([model.encode(p) for p in tiles.split(CHUNK)]).numpy())
        for name, frames in splits.items():
            save_array(folder / f"{name}.npy", np.asarray(frames.cells))
        return
    shape = (*model.latent_shape, 1)
    writers = {name: TiledWriter(folder / f"{name}.npy", shape, CELL) for name in splits}
    with contextlib.ExitStack() as stack:
        for name, frames in splits.items():
            writer = stack.enter_context(writers[name])
            for first in tqdm(range(0, len(frames), CHUNK), desc=f"encode {name}", unit="batch"):
                batch = torch.from_numpy(np.array(frames[first : first + CHUNK]))
                for latent in model.encode(batch).numpy():
                    writer.append(latent[:, :, None])
    write_tiles(folder / TILES, *writers.values())
    save_array(folder / TILES, read_array(folder / TILES)[:, :, :, 0].copy())
