"""Training throughput of the learned representations, each over a plain reference of the same size
run beside it.

python benchmarks/train.py [--steps N] [--latent-dim N] [--families ae vae vq fsq] [--shape H W C]

The reference is the same family as one writes it first, with the same channels: fp32, contiguous
tensors; the VAE's mean and log-variance from two layers, the codebook as a parameter with one-hot
lookups, levels by a search. Both train on batches of the same size and with the same optimizer,
from the same processed array, so that the ratio is the model's; "with reading" is the reference
that also reads every frame from its encoded image when it is needed, one at a time. "Ratio per
parameter" compares frames/s times learned numbers, the codebook among them. On a CPU, seconds are
those of processor time, all threads together, which other work on the machine hardly lengthens.
--shape takes random frames of that size instead of the game's.
"""

import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from dreamcart.core.arguments import Parser, whole
from dreamcart.core.errors import run_stage
from dreamcart.core.paths import Paths
from dreamcart.core.tables import print_table
from dreamcart.data.images import decode_image
from dreamcart.data.preprocess import process_frame
from dreamcart.data.processed import load_split
from dreamcart.data.reader import read_episodes
from dreamcart.params import Params, load_params
from dreamcart.representation.registry import make_representation
from dreamcart.representation.train import representation_config
from dreamcart.training.device import autocast, pick_device

FAMILIES = ("ae", "vae", "vq", "fsq")
WARM_UP = 3
RANDOM = 256  # frames of --shape


class Plain(nn.Module):
    """A family as one writes it first."""

    def __init__(
        self, kind: str, shape: tuple[int, int, int], params: Params, latent_dim: int
    ) -> None:
        super().__init__()
        own = params.representation
        self.kind, self.beta, self.commitment = kind, own.vae.beta, own.vq.commitment_weight
        channels = own.channels
        down = zip([shape[2], *channels], channels, strict=False)
        up = zip(channels[::-1], [*channels[-2::-1], shape[2]], strict=True)
        layers = [[nn.Conv2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.ReLU()] for a, b in down]
        back = [[nn.ConvTranspose2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.ReLU()] for a, b in up]
        self.encoder = nn.Sequential(*itertools.chain(*layers))
        self.decoder = nn.Sequential(*list(itertools.chain(*back))[:-2], nn.Sigmoid())
        inner = (channels[-1], *(side // 2 ** len(channels) for side in shape[:2]))
        size = int(np.prod(inner))
        wide = {
            "ae": own.ae.grid_channels,
            "vae": own.vae.grid_channels,
            "vq": own.vq.code_size,
            "fsq": len(own.fsq.levels),
        }[kind]
        vector = latent_dim if kind in ("ae", "vae") else 0

        def narrow() -> nn.Module:
            return (
                nn.Sequential(nn.Flatten(), nn.Linear(size, vector))
                if vector
                else nn.Conv2d(inner[0], wide, 1)
            )

        self.tail, self.spread = narrow(), narrow() if kind == "vae" else None
        widen = (
            [nn.Linear(vector, size), nn.Unflatten(1, inner)]
            if vector
            else [nn.Conv2d(wide, inner[0], 3, 1, 1)]
        )
        self.head = nn.Sequential(*widen, nn.BatchNorm2d(inner[0]), nn.ReLU())
        if kind == "vq":
            self.codebook = nn.Parameter(torch.randn(own.vq.codes, wide))
        if kind == "fsq":
            self.levels = [torch.linspace(-1, 1, n) for n in own.fsq.levels]

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """float [B, C, H, W] → the loss."""
        seen = self.encoder(planes)
        z, extra = self.tail(seen), 0.0
        if self.kind == "vae":
            mean, log_variance = z, self.spread(seen)
            z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
            extra = self.beta * 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        elif self.kind == "vq":
            cells = z.permute(0, 2, 3, 1)
            nearest = torch.cdist(cells.reshape(-1, cells.shape[3]), self.codebook).argmin(1)
            chosen = (F.one_hot(nearest, len(self.codebook)).float() @ self.codebook).view_as(cells)
            extra = F.mse_loss(chosen, cells.detach()) + self.commitment * F.mse_loss(
                cells, chosen.detach()
            )
            z = (cells + (chosen - cells).detach()).permute(0, 3, 1, 2)
        elif self.kind == "fsq":
            z = torch.tanh(z)
            rounded = [
                steps.to(z.device)[(part[..., None] - steps.to(z.device)).abs().argmin(-1)]
                for part, steps in zip(z.unbind(1), self.levels, strict=True)
            ]
            z = z + (torch.stack(rounded, 1) - z).detach()
        decoded = self.decoder(self.head(z))
        return F.l1_loss(decoded, planes) + 10 * F.mse_loss(decoded, planes) + extra


def timed(model: nn.Module, loss_of: Callable[[], torch.Tensor], steps: int, title: str) -> float:
    """Training steps a second."""
    clock = time.process_time if pick_device().type == "cpu" else time.perf_counter
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    for step in tqdm(range(WARM_UP + steps), desc=title, unit="step", leave=False):
        if step == WARM_UP:
            begin = clock()
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step()
        loss.item()
    return steps / (clock() - begin)


def parser() -> Parser:
    made = Parser(description=__doc__)
    words = "of each training"
    made.add_argument("--steps", type=whole(1, 10**6), default=30, metavar="N", help=words)
    words = "0: a grid"
    made.add_argument("--latent-dim", type=whole(0, 4096), default=32, metavar="N", help=words)
    words = "which (default: all)"
    made.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES, help=words)
    sides = whole(1, 1024)
    words = "random frames, no recordings needed"
    made.add_argument("--shape", nargs=3, type=sides, metavar=("H", "W", "C"), help=words)
    return made


def main() -> None:
    args = parser().parse_args()
    params, device = load_params(), pick_device()
    paths, batch = Paths(params.game), params.representation.batch_size
    rng = np.random.default_rng(0)
    frames = (
        rng.integers(0, 256, (RANDOM, *args.shape), np.uint8)
        if args.shape
        else load_split(paths.processed, "train").frames
    )
    images = []
    if not args.shape:
        images = [
            row["observations"]["bytes"]
            for e in itertools.islice(read_episodes(paths.raw), 3)
            for row in e
        ]

    def draw() -> torch.Tensor:
        return torch.from_numpy(frames[np.sort(rng.integers(0, len(frames), batch))])

    def planes() -> torch.Tensor:
        return draw().permute(0, 3, 1, 2).contiguous().float().to(device) / 255

    def read_planes() -> torch.Tensor:
        read = [
            process_frame(decode_image(images[i]), params.preprocess)
            for i in rng.integers(0, len(images), batch)
        ]
        return (
            torch.stack([torch.from_numpy(f).permute(2, 0, 1).contiguous() for f in read])
            .float()
            .to(device)
            / 255
        )

    rows = []
    for kind in args.families:
        asked = params.representation.__class__(**params.representation.__dict__ | {"kind": kind})
        own = params.__class__(
            **params.__dict__ | {"representation": asked, "latent_dim": args.latent_dim}
        )
        torch.manual_seed(0)
        plain = Plain(kind, frames.shape[1:], own, args.latent_dim).to(device)
        ours = make_representation(representation_config(own, frames.shape[1:])).to(
            device, memory_format=torch.channels_last
        )

        def our_loss(ours: nn.Module = ours) -> torch.Tensor:
            with autocast(device):
                return ours.loss(draw().to(device))

        rate = {
            "plain": (
                timed(plain, lambda plain=plain: plain(planes()), args.steps, f"{kind}, plain")
                * batch
            )
        }
        rate["ours"] = timed(ours, our_loss, args.steps, f"{kind}, ours") * batch
        if images:
            rate["reading"] = (
                timed(
                    plain, lambda plain=plain: plain(read_planes()), args.steps, f"{kind}, reading"
                )
                * batch
            )
        size = [sum(weight.numel() for weight in model.parameters()) for model in (plain, ours)]
        size[1] += ours.codebook.numel() if kind == "vq" else 0
        ratio = rate["ours"] / rate["plain"]
        reading = [round(rate["reading"])] if images else []
        rows.append(
            [
                kind,
                *size,
                round(rate["plain"]),
                *reading,
                round(rate["ours"]),
                ratio,
                ratio * size[1] / size[0],
            ]
        )
    header = [
        "family",
        "plain parameters",
        "ours",
        "plain frames/s",
        *(["with reading"] if images else []),
        "ours frames/s",
    ]
    shape = " x ".join(map(str, frames.shape[1:]))
    print_table(
        f"Training on {shape}, latent {args.latent_dim or 'grid'}, batches of {batch}, {device}",
        [*header, "ratio", "ratio per parameter"],
        rows,
    )


if __name__ == "__main__":
    run_stage(main)
