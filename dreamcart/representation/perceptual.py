"""The perceptual term: how far apart two pictures are in a frozen network's features.

It is that of Johnson et al. 2016. Features are taken at three depths, scaled to unit length in
every place and compared by squared distance, as in Zhang et al. 2018, so that the same weight does
for any network. The network is VGG16 as ImageNet trained it, which `make` brings. Only where its
weights are not here it is a light one, trained on the game's own frames: to tell the RAM variables
that were recorded with them, or where there are none, which buttons lie between two frames.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from dreamcart.core.files import fingerprint
from dreamcart.core.pretrained import load_features
from dreamcart.core.tensors import load_tensors, save_tensors
from dreamcart.data.processed import Split
from dreamcart.data.variables import ask, load_variables
from dreamcart.representation.convolutional import to_planes
from dreamcart.training.device import autocast, make_repeatable, pick_device
from dreamcart.training.loop import Plan, fit, step_rng

VGG_CUTS = (4, 9, 16)  # after relu1_2, relu2_2 and relu3_3
# What VGG16 looks at in a step on a CPU: eight frames of 80 x 80, a second. A whole batch takes ten
# of them at this size and a minute at 224 x 240.
VGG_PIXELS = 51_200
# of the pictures that VGG16 was trained on
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CHANNELS = (16, 32, 64, 32)  # of the light network; the last serves the training only
SAMPLE, HELD_OUT = 6000, 250  # training frames that the light network sees, and is judged on
STEPS, BATCH = 400, 32
KEY_EVERY = 100  # of these frames, one in so many goes into the cache's fingerprint

# frames, one or two uint8 [B, H, W, C], and what to tell: float [B, Q]
Batch = tuple[list[torch.Tensor], torch.Tensor]


class Perceptual:
    """Distance of two batches of planes, float [B, C, H, W] on about [0, 1]: a scalar, 0 (equal) to
    4.

    Attributes:
        name: which network it is: "vgg16", "own_variables" or "own_buttons".
    """

    def __init__(
        self,
        name: str,
        stages: list[nn.Module],
        normalise: bool,
        device: torch.device,
        most: int | None = None,
    ) -> None:
        """Take a network apart.

        Args:
            stages: the network up to each depth; normalise: the planes must be as VGG16 knows
                pictures.
            most: pixels to look at; of a batch that has more, frames drawn from it at random stand
                for all (at least one).
        """
        self.name, self.most = name, most
        self.stages = [
            stage.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
            for stage in stages
        ]
        self.mean, self.deviation = (
            (torch.tensor(x, device=device).view(1, 3, 1, 1) for x in (MEAN, DEVIATION))
            if normalise
            else (None, None)
        )

    def features(self, planes: torch.Tensor) -> list[torch.Tensor]:
        """Unit vectors in every place, [B, K, h, w] a depth."""
        if self.mean is not None:
            planes = (planes.expand(-1, 3, -1, -1) - self.mean) / self.deviation
        found = []
        for stage in self.stages:
            planes = stage(planes)
            found.append(F.normalize(planes.float(), dim=1, eps=1e-3))
        return found

    def __call__(self, decoded: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        count = len(true) if self.most is None else max(1, self.most // true[0, 0].numel())
        if count < len(true):
            some = torch.randperm(len(true))[:count].to(true.device)
            decoded, true = decoded[some], true[some]
        with torch.no_grad():
            wanted = self.features(true)
        pairs = zip(self.features(decoded), wanted, strict=True)
        return sum((found - like).square().sum(1).mean() for found, like in pairs) / len(wanted)


class LightNetwork(nn.Module):
    """Four stride-2 convolutions, and a linear layer that tells Q things of one frame or two."""

    def __init__(self, shape: tuple[int, int, int], frames: int, outputs: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.GELU()
            )
            for before, after in zip((shape[2], *CHANNELS), CHANNELS, strict=False)
        )
        sides = [-(-side // 2 ** len(CHANNELS)) for side in shape[:2]]
        self.tell = nn.Linear(frames * CHANNELS[-1] * sides[0] * sides[1], outputs)

    def forward(self, frames: list[torch.Tensor]) -> torch.Tensor:
        """One or two uint8 [B, H, W, C] → logits [B, Q]."""
        found = []
        for planes in map(to_planes, frames):
            for stage in self.stages:
                planes = stage(planes)
            found.append(planes.flatten(1))
        return self.tell(torch.cat(found, 1))


def make_perceptual(
    seed: int, train: Split, raw: Path, cache: Path, checkpoint: Callable[[str, str], Path]
) -> Perceptual:
    """Make the network: VGG16 where its weights are here, else a light one trained on the game.

    Args:
        raw: the raw dataset that `train` was made from, for its RAM variables.
        cache: safetensors file of the light network; it is used again for the same data and seed.
        checkpoint: from a name and a key to the file that a killed training goes on from.

    Raises:
        UserError: VGG16's file is damaged, or the raw dataset is missing or damaged.
    """
    device, vgg16 = pick_device(), load_features("vgg16")
    if vgg16 is not None:
        return Perceptual(
            "vgg16", _cut(vgg16), True, device, VGG_PIXELS if device.type == "cpu" else None
        )
    make_repeatable(seed)
    rows = np.unique(
        np.linspace(0, len(train.frames) - 1, min(SAMPLE, len(train.frames))).astype(int)
    )
    data = hashlib.sha256(
        np.ascontiguousarray(train.index).tobytes() + train.frames[rows[::KEY_EVERY]].tobytes()
    ).hexdigest()
    key = fingerprint(seed, CHANNELS, STEPS, BATCH, rows.tolist(), data)
    name, frames, outputs, batch_at = _task(train, raw, rows)
    network = LightNetwork(train.frames.shape[1:], frames, outputs).to(
        device, memory_format=torch.channels_last
    )
    known = load_tensors(cache) if cache.is_file() else ({}, {})
    if known[1].get("key") == [key, name]:
        network.stages.load_state_dict(known[0])
    else:
        _train(network, batch_at, len(rows), seed, checkpoint("perceptual", key))
        save_tensors(cache, network.stages.state_dict(), {"key": [key, name]})
    return Perceptual(f"own_{name}", list(network.stages[:3]), False, device)


def _cut(vgg16: nn.Sequential) -> list[nn.Module]:
    """VGG16's layers up to each of VGG_CUTS."""
    # in place would spoil features
    layers = [nn.ReLU() if isinstance(layer, nn.ReLU) else layer for layer in vgg16]
    return [
        nn.Sequential(*layers[first:last])
        for first, last in zip((0, *VGG_CUTS), VGG_CUTS, strict=False)
    ]


def _task(
    train: Split, raw: Path, rows: np.ndarray
) -> tuple[str, int, int, Callable[[np.ndarray], Batch]]:
    """What the light network learns: its name, frames it sees, answers it gives, and the batch of
    some places of `rows`.
    """
    table = load_variables(raw, train, rows)
    questions = ask(table)
    if questions:
        answers = [
            (q.answers(table)[:, None] == np.arange(len(q.values))).astype(np.float32)
            for q in questions
        ]
        target = torch.from_numpy(np.concatenate(answers, 1))
        return (
            "variables",
            1,
            target.shape[1],
            lambda at: ([torch.from_numpy(train.frames[rows[at]])], target[at]),
        )
    frame, pool = train.index["frame"], train.transitions
    moving = pool[frame[pool] != frame[pool + 1]]
    pool = moving if len(moving) else pool

    def between(at: np.ndarray) -> Batch:
        records = pool[at * len(pool) // len(rows)]
        pair = [torch.from_numpy(train.frames[frame[records + late]]) for late in (0, 1)]
        return pair, torch.from_numpy(train.index["action"][records]).float()

    return "buttons", 2, len(train.spec.buttons), between


def _train(
    network: LightNetwork,
    batch_at: Callable[[np.ndarray], Batch],
    count: int,
    seed: int,
    checkpoint: Path,
) -> None:
    """Train on `count` places but every few, which are held out; a killed run goes on from
    `checkpoint`.
    """
    device = next(network.parameters()).device
    held_out = np.unique(np.linspace(0, count - 1, min(HELD_OUT, -(-count // 5))).astype(int))
    practised = np.setdiff1d(np.arange(count), held_out)

    def loss_of(at: np.ndarray) -> torch.Tensor:
        frames, target = batch_at(at)
        with autocast(device):
            told = network([frame.to(device) for frame in frames])
        return F.binary_cross_entropy_with_logits(told.float(), target.to(device))

    def validate() -> float:
        return float(
            np.mean(
                [
                    loss_of(some).item()
                    for some in np.array_split(held_out, -(-len(held_out) // BATCH))
                ]
            )
        )

    plan = Plan(STEPS, 0.002, 0.01, STEPS // 4, STEPS // 4, seed)
    practice = practised if len(practised) else held_out

    def loss_at(step: int) -> torch.Tensor:
        return loss_of(step_rng(seed, step).choice(practice, BATCH))

    fit(network, plan, loss_at, validate, checkpoint, "perceptual network")
    checkpoint.unlink(missing_ok=True)
