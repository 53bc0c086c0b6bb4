"""Training and judging a representation on processed frames."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage.metrics import structural_similarity

from dreamcart.data.processed import Split
from dreamcart.data.tiled import TiledFrames
from dreamcart.params import Params
from dreamcart.representation.base import Representation
from dreamcart.representation.encode import BATCH, reconstruct
from dreamcart.representation.palette import Palette, collect_colours
from dreamcart.representation.perceptual import Perceptual
from dreamcart.representation.registry import make_representation
from dreamcart.representation.tiles import MOST_TILES, Tiles
from dreamcart.training.device import autocast, keep_memory, make_repeatable, pick_device
from dreamcart.training.loop import Plan, fit, step_rng

TITLES = {"ae": "autoencoder", "vae": "variational autoencoder", "vq": "VQ codebook", "fsq": "FSQ"}
SSIM_SAMPLE = 500
JUDGE_SAMPLE = 2000


def representation_config(params: Params, shape: tuple[int, int, int]) -> dict[str, Any]:
    """The self-describing config of the representation that `params` asks for."""
    own = params.representation
    if own.kind == "palette":
        return {"kind": "palette", "shape": list(shape)}
    if own.kind == "tiles":
        return {"kind": "tiles", "shape": list(shape), "tile": params.preprocess.tile}
    latent = {"latent_dim": params.latent_dim} if own.kind in ("ae", "vae") else {}
    return {
        "kind": own.kind,
        "shape": list(shape),
        "channels": own.channels,
        **latent,
        **own.own,
        "l1_weight": own.l1_weight,
        "mse_weight": own.mse_weight,
        "perceptual_weight": own.perceptual_weight,
    }


def train_representation(
    params: Params,
    train: Split,
    val: Split,
    median: np.ndarray,
    checkpoint: Path,
    perceptual: Perceptual | None = None,
) -> tuple[Representation, dict[str, Any], list[dict[str, float]]]:
    """Train on the distinct training frames, keep the weights with the least validation L1.

    `perceptual` is the network of the perceptual term, where it has a weight. Returns the model (on
    the CPU, eval mode), its config and the loss curve (empty where nothing is trained).
    """
    own = params.representation
    keep_memory()
    make_repeatable(params.seed)
    config = representation_config(params, train.frames.shape[1:])
    if own.kind == "palette":
        return *collect_palette(config, train), []
    if own.kind == "tiles":
        return *collect_tiles(config, train), []
    device = pick_device()
    model = make_representation(config)
    model.set_median(torch.from_numpy(median))
    model.perceptual = perceptual
    model = model.to(device, memory_format=torch.channels_last)
    plan = Plan(
        own.steps,
        own.learning_rate,
        own.weight_decay,
        own.validate_every,
        own.checkpoint_every,
        params.seed,
    )

    def loss_at(step: int) -> torch.Tensor:
        rows = step_rng(params.seed, step).integers(0, len(train.frames), own.batch_size)
        batch = torch.from_numpy(train.frames[np.sort(rows)]).to(device)
        with autocast(device):
            return model.loss(batch)

    def validate() -> float:
        total = 0.0
        for frames, decoded in reconstruct(model, val.frames):
            total += np.abs(frames.astype(np.float32) - decoded).sum(dtype=np.float64)
        return float(total / val.frames.size / 255)

    title = TITLES[own.kind] + ("" if own.tokens else f", latent {params.latent_dim or 'grid'}")
    curve = fit(model, plan, loss_at, validate, checkpoint, title)
    model.perceptual = None
    return model.cpu(), config, curve


def collect_palette(config: dict[str, Any], train: Split) -> tuple[Palette, dict[str, Any]]:
    """The palette of the colours that the training frames show."""
    colours = collect_colours(train.frames)
    config = config | {"colours": len(colours)}
    model = make_representation(config)
    model.colours.copy_(colours)
    return model.eval(), config


def collect_tiles(config: dict[str, Any], train: Split) -> tuple[Tiles, dict[str, Any]]:
    """The dictionary of the tiles that the training frames show, or of the MOST_TILES that are in
    most of their cells.
    """
    cells = train.frames.cells
    count = np.zeros(len(train.frames.tiles), np.int64)
    for first in range(0, len(cells), BATCH):
        count += np.bincount(cells[first : first + BATCH].ravel(), minlength=len(count))
    most = np.argsort(-count, kind="stable")[:MOST_TILES]
    kept = np.sort(most[count[most] > 0])
    config = config | {"vocabulary": len(kept)}
    model = make_representation(config)
    model.tiles.copy_(torch.from_numpy(train.frames.tiles[kept]))
    return model.eval(), config


def judge_representation(model: Representation, val: Split, median: np.ndarray) -> dict[str, float]:
    """Reconstruction errors over (at most JUDGE_SAMPLE of) the distinct validation frames, beside
    the median frame's.

    `l1` is over all pixels; `l1_changed` over those that differ from the median frame, where blur
    cannot hide behind a still background. All on [0, 1]. `exact` is the share of frames equal in
    every pixel; `ssim` is over at most SSIM_SAMPLE frames.
    """
    sums = dict.fromkeys(("l1", "median_l1", "l1_changed", "median_l1_changed"), 0.0)
    exact = 0
    changed_pixels, ssims = 0, []
    rows = np.unique(
        np.linspace(0, len(val.frames) - 1, min(JUDGE_SAMPLE, len(val.frames))).astype(int)
    )
    every = max(1, len(rows) // SSIM_SAMPLE)
    seen = 0
    for true, decoded in reconstruct(model, val.frames, rows):
        error = np.abs(true.astype(np.float32) - decoded) / 255
        median_error = np.abs(true.astype(np.float32) - median) / 255
        changed = median_error > 0
        sums["l1"] += error.sum(dtype=np.float64)
        sums["median_l1"] += median_error.sum(dtype=np.float64)
        sums["l1_changed"] += error[changed].sum(dtype=np.float64)
        sums["median_l1_changed"] += median_error[changed].sum(dtype=np.float64)
        changed_pixels += int(changed.sum())
        exact += int((error.max((1, 2, 3)) == 0).sum())
        sample = range(-seen % every, len(true), every)
        ssims += [
            structural_similarity(true[i], decoded[i], channel_axis=2, data_range=255)
            for i in sample
        ]
        seen += len(true)
    report = {
        name: total / (changed_pixels if name.endswith("changed") else seen * true[0].size)
        for name, total in sums.items()
    }
    return {
        name: round(float(value), 6)
        for name, value in {
            **report,
            "exact": _exact_share(model, val, exact / seen),
            "ssim": np.mean(ssims),
        }.items()
    }


def _exact_share(model: Representation, val: Split, sampled: float) -> float:
    """The share of the distinct frames that come back exact: of all of them where tile numbers
    tell, else as sampled.
    """
    if isinstance(model, Tiles | Palette) and isinstance(val.frames, TiledFrames):
        tiles = torch.from_numpy(np.array(val.frames.tiles))
        shown = (
            model.tiles[model.lookup(tiles)]
            if isinstance(model, Tiles)
            else model.decode(model.encode(tiles))
        )
        known = (shown == tiles).flatten(1).all(1).numpy()
        return float(np.mean([known[cells].all() for cells in val.frames.cells]))
    return sampled
