"""The delta model's twin for latent grids: convolutions for the linear layers, so that position is
kept.

Two things that a plain stack of convolutions lacks are added, because games need them: the buttons
reach every layer directly (FiLM, Perez et al. 2018), and a summary of the whole grid reaches every
cell, through FiLM and through a linear layer that draws on all of them (a piece in the NEXT box
appears at the other end of the board).
"""

import torch
import torch.nn.functional as F
from torch import nn

from dreamcart.dynamics.base import Dynamics

GLOBAL_CHANNELS = 8  # channels of the grid's summary, before it is flattened
GLOBAL_SIZE = 64


class ConvDynamics(Dynamics):
    """Normalise → 3x3 conv → two residual blocks → 3x3 conv; predicts the change of the latent
    grid.

    Args:
        latent_shape: (C, h, w).
        buttons: entries of a multi-hot action.
        channels: C of the hidden layers.
        dead_zone: cells that would change by less than this in every channel stay as they are (not
            while training). Most cells of most frames do not change; without this their tiny
            changes add up, and a dream left alone for 20 seconds dissolves into noise.
        history_frames, history_actions: F and A.
    """

    def __init__(
        self,
        latent_shape: list[int],
        buttons: int,
        channels: int,
        dead_zone: float,
        history_frames: int,
        history_actions: int,
    ) -> None:
        super().__init__(latent_shape, buttons, history_frames, history_actions)
        depth, height, width = latent_shape
        self.dead_zone = dead_zone
        self.position = nn.Parameter(torch.zeros(1, channels, height, width))
        self.first = nn.Conv2d(depth * history_frames, channels, 3, 1, 1)
        self.summary = nn.Conv2d(depth * history_frames, GLOBAL_CHANNELS, 1)
        self.context = nn.Sequential(
            nn.Linear(
                GLOBAL_CHANNELS * height * width + buttons * history_actions, GLOBAL_SIZE * 2
            ),
            nn.GELU(),
            nn.Linear(GLOBAL_SIZE * 2, GLOBAL_SIZE),
            nn.GELU(),
        )
        self.blocks = nn.ModuleList(
            _Block(channels, GLOBAL_SIZE + buttons * history_actions) for _ in range(2)
        )
        self.draw = nn.Linear(GLOBAL_SIZE, depth * height * width)
        self.last = nn.Conv2d(channels, depth, 3, 1, 1)
        for layer in (self.draw, self.last):  # begin as "nothing changes", which is mostly true
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, latents: torch.Tensor, actions: torch.Tensor, temperature: float = 0.0, generator=None
    ) -> torch.Tensor:
        change = self.change(self.look(planes_of(latents)), actions.flatten(1))
        return latents[:, -1] + (change if self.training else still(change, self.dead_zone))

    def look(self, planes: torch.Tensor, first: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        """The two convolutions that read the F * C input planes, of `planes` [B, …, h, w] alone,
        which are those from number `first` on. What they give for several parts adds up to the
        whole, so that a part that stays is read once.
        """
        some = slice(first, first + planes.shape[1])
        wide, narrow = (
            F.conv2d(
                planes, layer.weight[:, some], None if first else layer.bias, padding=layer.padding
            )
            for layer in (self.first, self.summary)
        )
        return wide, narrow

    def change(
        self, looked: tuple[torch.Tensor, torch.Tensor], inputs: torch.Tensor
    ) -> torch.Tensor:
        """The rest of the network: what `look` gave, and inputs [B, buttons * A] → [B, C, h, w]."""
        wide, narrow = looked
        context = self.context(torch.cat([narrow.flatten(1), inputs], 1))
        condition = torch.cat([context, inputs], 1)
        hidden = wide + self.position
        for block in self.blocks:
            hidden = block(hidden, condition)
        return self.last(F.gelu(hidden)) + self.draw(context).unflatten(1, self.latent_shape)


def planes_of(latents: torch.Tensor) -> torch.Tensor:
    """[B, F, C, h, w] → [B, F * C, h, w], channels-last; past frames as differences to the newest:
    zero where still.
    """
    newest = latents[:, -1:]
    return (
        torch.cat([latents[:, :-1] - newest, newest], 1)
        .flatten(1, 2)
        .contiguous(memory_format=torch.channels_last)
    )


def still(change: torch.Tensor, dead_zone: float) -> torch.Tensor:
    """A change [B, C, h, w] without the cells that would change by less than `dead_zone` in every
    channel.
    """
    return change * (change.abs().amax(1, keepdim=True) > dead_zone)


class _Block(nn.Module):
    """Residual 3x3 convolution whose input is scaled and shifted by the condition."""

    def __init__(self, hidden: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, hidden)
        self.film = nn.Linear(condition, 2 * hidden)
        self.conv = nn.Conv2d(hidden, hidden, 3, 1, 1)

    def forward(self, hidden: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        scale, shift = self.film(condition)[:, :, None, None].chunk(2, 1)
        return hidden + self.conv(F.gelu(self.norm(hidden) * (1 + scale) + shift))
