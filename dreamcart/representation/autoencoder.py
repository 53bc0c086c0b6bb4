"""The roadmap's convolutional autoencoder (phase 1.2): a vector, or with latent_dim 0 a grid, of
real numbers.

The latent is normalised to unit scale by a last batch normalisation without parameters, so that
noise and dynamics need no scale of their own.
"""

import torch
from torch import nn

from dreamcart.representation.convolutional import (
    Convolutional,
    Layers,
    from_grid,
    from_vector,
    to_frames,
)


class Autoencoder(Convolutional):
    """Latents are float32 [B, latent_dim], or for latent_dim 0 [B, grid_channels, H / 2^n, W /
    2^n].
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        latent_dim: int,
        channels: list[int],
        grid_channels: int,
        noise_factor: float,
        l1_weight: float,
        mse_weight: float,
        perceptual_weight: float = 0.0,
    ) -> None:
        """
        Args:
            latent_dim: numbers in the latent vector; 0 for a grid of `grid_channels`.
            noise_factor: standard deviation of the Gaussian noise added to latents in training.
            shape, channels, l1_weight, mse_weight, perceptual_weight: see `Convolutional`.
        """

        def ends(inner: tuple[int, int, int]) -> tuple[Layers, Layers]:
            if latent_dim:
                size = inner[0] * inner[1] * inner[2]
                tail = [
                    nn.Flatten(),
                    nn.Linear(size, latent_dim, bias=False),
                    nn.BatchNorm1d(latent_dim, affine=False),
                ]
                return tail, from_vector(latent_dim, inner)
            tail = [
                nn.Conv2d(inner[0], grid_channels, 1, bias=False),
                nn.BatchNorm2d(grid_channels, affine=False),
            ]
            return tail, from_grid(grid_channels, inner)

        super().__init__(shape, channels, ends, l1_weight, mse_weight, perceptual_weight)
        shrink = 2 ** len(channels)
        self.latent_shape = (
            (latent_dim,) if latent_dim else (grid_channels, shape[0] // shrink, shape[1] // shrink)
        )
        self.noise_factor = noise_factor

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        return self.look(frames)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return to_frames(self.draw(latents))

    def loss(self, frames: torch.Tensor) -> torch.Tensor:
        latents = self.encode(frames)
        if self.training and self.noise_factor:
            latents = latents + self.noise_factor * torch.randn_like(latents)
        return self.reconstruction_loss(latents, frames)
