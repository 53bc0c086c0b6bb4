"""Training throughput of the autoencoder, over a plain reference run beside it.

python benchmarks/train.py [--steps N] [--latent-dim N]

The reference is the roadmap's model as one writes it first: fp32, contiguous tensors, every frame read from
its encoded image when it is needed, decoded and resized one at a time. Ours reads the processed, deduplicated
array. Both train on batches of the same size.
"""

import argparse
import itertools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from torch import nn

from dreamcart.config import load_params
from dreamcart.data.preprocess import process_frame
from dreamcart.data.processed import load_split
from dreamcart.data.reader import read_episodes
from dreamcart.data.schema import decode_image
from dreamcart.hardware import autocast, pick_device
from dreamcart.paths import Paths
from dreamcart.representation.base import make_representation
from dreamcart.representation.train import representation_config
from dreamcart.tables import print_table

WARM_UP = 3


def plain_model(shape: tuple[int, int, int], latent_dim: int) -> nn.Module:
    """The roadmap's autoencoder: three convolutions, a vector, three transposed convolutions."""
    height, width, colors = shape
    inner = 128 * (height // 8) * (width // 8)
    return nn.Sequential(
        nn.Conv2d(colors, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(),
        nn.Conv2d(64, 128, 4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(inner, latent_dim),
        nn.Linear(latent_dim, inner), nn.Unflatten(1, (128, height // 8, width // 8)), nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(32, colors, 4, 2, 1), nn.Sigmoid(),
    )  # fmt: skip


def timed(model: nn.Module, loss_of, steps: int) -> float:
    """Training steps a second."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            begin = time.perf_counter()
        optimizer.zero_grad()
        loss_of().backward()
        optimizer.step()
    return steps / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--latent-dim", type=int, default=32)
    args = parser.parse_args()
    params, device = load_params(), pick_device()
    paths, batch = Paths(params.game), params.representation.batch_size
    train = load_split(paths.processed, "train")
    images = [row["observations"]["bytes"] for e in itertools.islice(read_episodes(paths.raw), 3) for row in e]
    rng = np.random.default_rng(0)

    plain = plain_model(train.frames.shape[1:], args.latent_dim).to(device)

    def plain_loss() -> torch.Tensor:
        frames = [process_frame(decode_image(images[i]), params.preprocess) for i in rng.integers(0, len(images), batch)]
        planes = torch.stack([torch.from_numpy(f).permute(2, 0, 1).contiguous() for f in frames]).float().to(device) / 255
        return nn.functional.l1_loss(plain(planes), planes)

    config = representation_config(params, train.frames.shape[1:]) | {"latent_dim": args.latent_dim}
    ours = make_representation(config).to(device, memory_format=torch.channels_last)

    def our_loss() -> torch.Tensor:
        rows = np.sort(rng.integers(0, len(train.frames), batch))
        with autocast(device):
            return ours.loss(torch.from_numpy(train.frames[rows]).to(device))

    rates = [timed(plain, plain_loss, args.steps) * batch, timed(ours, our_loss, args.steps) * batch]
    print_table(
        f"Autoencoder, latent {args.latent_dim or 'grid'}, batches of {batch}, {device}",
        ["plain frames/s", "ours frames/s", "ratio"],
        [[round(rates[0]), round(rates[1]), rates[1] / rates[0]]],
    )


if __name__ == "__main__":
    main()
