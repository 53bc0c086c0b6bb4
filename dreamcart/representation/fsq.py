"""Finite scalar quantisation: each cell becomes a few numbers, each rounded to one of a few levels.

Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple" (2023). There is no codebook to
learn and none to collapse: the codes are all combinations of levels, so `levels` [8, 5, 5, 5] makes
1,000 of them. The cells are normalised before they are squashed, which spreads them over the levels
from the first step on.
"""

import math

import torch
from torch import nn

from dreamcart.representation.codes import Codes
from dreamcart.representation.convolutional import Layers, from_grid

MARGIN = 1e-3  # by which the squashing stays inside the outer levels' edges


class FiniteScalarQuantised(Codes):
    """A token is the number of a combination of levels, the first number the fastest; vectors are
    on [-1, 1].
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        channels: list[int],
        levels: list[int],
        l1_weight: float,
        mse_weight: float,
        perceptual_weight: float = 0.0,
    ) -> None:
        """
        Args:
            levels: number of levels of each number of a cell, 2 or more.
            shape, channels, l1_weight, mse_weight, perceptual_weight: see `Convolutional`.
        """

        def ends(inner: tuple[int, int, int]) -> tuple[Layers, Layers]:
            tail = [
                nn.Conv2d(inner[0], len(levels), 1, bias=False),
                nn.BatchNorm2d(len(levels), affine=False),
            ]
            return tail, from_grid(len(levels), inner)

        super().__init__(
            shape, channels, ends, math.prod(levels), l1_weight, mse_weight, perceptual_weight
        )
        steps = torch.tensor(levels)
        self.register_buffer("levels", steps, persistent=False)
        self.register_buffer(
            "basis",
            torch.cat([torch.ones(1, dtype=steps.dtype), steps[:-1]]).cumprod(0),
            persistent=False,
        )

    def squash(self, cells: torch.Tensor) -> torch.Tensor:
        """float32 [N, D] → the same, on intervals that round to `levels` whole numbers, from
        -(levels // 2) on.
        """
        half = (self.levels - 1) * (1 + MARGIN) / 2
        # an even number of levels has none in the middle
        offset = torch.where(self.levels % 2 == 0, 0.5, 0.0)
        return half * torch.tanh(cells + torch.atanh(offset / half)) - offset

    def nearest(self, cells: torch.Tensor) -> torch.Tensor:
        digits = self.squash(cells).round().long() + self.levels // 2
        return (digits * self.basis).sum(-1)

    def vectors(self, tokens: torch.Tensor) -> torch.Tensor:
        digits = tokens[..., None] // self.basis % self.levels
        return (digits - self.levels // 2).float() / (self.levels // 2)

    def loss(self, frames: torch.Tensor) -> torch.Tensor:
        cells = self.cells(frames)
        with torch.autocast(frames.device.type, enabled=False):
            grid = self.squash(cells)
            rounded = grid + (grid.round() - grid).detach()  # gradients pass straight through
            hidden = (rounded / (self.levels // 2)).permute(0, 3, 1, 2)
        return self.reconstruction_loss(hidden, frames)
