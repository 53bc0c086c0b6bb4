"""Plain references for `train_dynamics.py`, one a family: the model as one writes it first, in
fp32, with contiguous tensors and textbook layers.
"""

import itertools

import torch
from torch import nn
from torch.nn import functional as F

from dreamcart.dynamics.base import Dynamics
from dreamcart.params import Params


class PlainVector(nn.Module):
    """The roadmap's layers from the past to the next latent: LayerNorm, two hidden ones, GELU; with
    `draws`, to its mean and log-variance.
    """

    def __init__(self, size: int, past: int, hidden: int, draws: bool) -> None:
        super().__init__()
        self.draws = draws
        self.net = nn.Sequential(
            nn.LayerNorm(past),
            nn.Linear(past, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, size * (1 + draws)),
        )

    def loss(
        self, past: torch.Tensor, buttons: torch.Tensor, following: torch.Tensor
    ) -> torch.Tensor:
        out = self.net(torch.cat([past.flatten(1), buttons.flatten(1)], 1))
        if not self.draws:
            return F.mse_loss(past[:, -1] + out, following)
        mean, log_variance = out.chunk(2, 1)
        drawn = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        return F.mse_loss(past[:, -1] + drawn, following) + 1e-4 * divergence


class PlainGru(nn.Module):
    """A cell called once a step."""

    def __init__(self, size: int, buttons: int, units: int) -> None:
        super().__init__()
        self.cell, self.out = nn.GRUCell(size + buttons, units), nn.Linear(units, size)

    def loss(
        self, past: torch.Tensor, buttons: torch.Tensor, following: torch.Tensor
    ) -> torch.Tensor:
        hidden = past.new_zeros(len(past), self.cell.hidden_size)
        targets = torch.cat([past[:, 1:], following[:, None]], 1)
        total = 0.0
        for step in range(past.shape[1]):
            hidden = self.cell(torch.cat([past[:, step], buttons[:, step]], 1), hidden)
            total = total + F.mse_loss(past[:, step] + self.out(hidden), targets[:, step])
        return total / past.shape[1]


class PlainGrid(nn.Module):
    """Four 3x3 convolutions from past frames, and planes of the buttons, to the next; with `noisy`,
    from a noisy one too.
    """

    def __init__(self, depth: int, past: int, channels: int, noisy: bool) -> None:
        super().__init__()
        self.noisy = noisy
        sizes = [past + depth * noisy + noisy, channels, channels, channels, depth]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Conv2d(before, after, 3, 1, 1), nn.BatchNorm2d(after), nn.ReLU()]
        self.net = nn.Sequential(*layers[:-2])

    def loss(
        self, past: torch.Tensor, buttons: torch.Tensor, following: torch.Tensor
    ) -> torch.Tensor:
        batch, _, _, height, width = past.shape
        planes = [
            past.flatten(1, 2),
            buttons.flatten(1)[:, :, None, None].expand(-1, -1, height, width),
        ]
        change = following - past[:, -1]
        if self.noisy:
            time_ = torch.rand(batch, 1, 1, 1, device=past.device)
            planes += [
                (1 - time_) * torch.randn_like(change) + time_ * change,
                time_.expand(-1, -1, height, width),
            ]
        return F.mse_loss(self.net(torch.cat(planes, 1)), change)


class PlainFlow(PlainVector):
    """The same linear layers, from a noisy change and its time as well."""

    def loss(
        self, past: torch.Tensor, buttons: torch.Tensor, following: torch.Tensor
    ) -> torch.Tensor:
        change = following - past[:, -1]
        time_ = torch.rand(len(past), 1, device=past.device)
        noisy = (1 - time_) * torch.randn_like(change) + time_ * change
        return F.mse_loss(
            self.net(torch.cat([past.flatten(1), buttons.flatten(1), noisy, time_], 1)), change
        )


class PlainTransformer(nn.Module):
    """nn.TransformerEncoder with a causal mask over the current frame's cells, the buttons and the
    next frame's cells.
    """

    def __init__(
        self,
        cells: torch.Tensor,
        vocabulary: int,
        buttons: int,
        hidden: int,
        blocks: int,
        heads: int,
    ) -> None:
        super().__init__()
        self.cells, count = cells, len(cells)
        self.token, self.button = nn.Embedding(vocabulary, hidden), nn.Linear(buttons, hidden)
        self.place = nn.Parameter(torch.randn(1, 2 * count + 1, hidden) * 0.02)
        layer = nn.TransformerEncoderLayer(
            hidden, heads, 4 * hidden, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, blocks, enable_nested_tensor=False)
        self.out = nn.Linear(hidden, vocabulary)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(2 * count + 1))

    def loss(
        self, past: torch.Tensor, buttons: torch.Tensor, following: torch.Tensor
    ) -> torch.Tensor:
        now, after = (frame.flatten(1)[:, self.cells].long() for frame in (past[:, -1], following))
        pressed = self.button(buttons.flatten(1))[:, None]
        x = torch.cat([self.token(now), pressed, self.token(after)], 1) + self.place
        x = self.layers(x, mask=self.mask, is_causal=True)[:, now.shape[1] : -1]
        return F.cross_entropy(self.out(x).flatten(0, 1), after.flatten())


class PlainCells(nn.Module):
    """Embedded tiles of the past frames, and planes of the buttons, through four 3x3 convolutions
    to every cell's next tile.
    """

    def __init__(self, vocabulary: int, frames: int, told: int, channels: int) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, channels)
        layers: list[nn.Module] = []
        for before in (channels * frames + told, channels, channels):
            layers += [nn.Conv2d(before, channels, 3, 1, 1), nn.BatchNorm2d(channels), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Conv2d(channels, vocabulary, 3, 1, 1))

    def loss(
        self, past: torch.Tensor, buttons: torch.Tensor, following: torch.Tensor
    ) -> torch.Tensor:
        planes = self.token(past.long()).permute(0, 1, 4, 2, 3).flatten(1, 2)
        pressed = buttons.flatten(1)[:, :, None, None].expand(-1, -1, *planes.shape[2:])
        return F.cross_entropy(self.net(torch.cat([planes, pressed], 1)), following.long())


def plain_model(kind: str, ours: Dynamics, params: Params) -> nn.Module:
    """The reference of a family, of its sizes."""
    own, shape = getattr(params.dynamics, kind), ours.latent_shape
    told = ours.buttons * ours.history_actions
    if kind == "transformer":
        vocabulary = ours.tokens.out_features
        return PlainTransformer(ours.cells, vocabulary, told, own.hidden, own.blocks, own.heads)
    if kind == "gru":
        return PlainGru(shape[0], ours.buttons, own.units)
    if len(shape) == 3:
        return PlainGrid(
            shape[0], shape[0] * ours.history_frames + told, own.channels, noisy=kind == "flow"
        )
    past = shape[0] * ours.history_frames + told
    if kind == "flow":
        return PlainFlow(shape[0], past + shape[0] + 1, own.hidden, draws=False)
    return PlainVector(shape[0], past, own.hidden, draws=kind == "gaussian")
