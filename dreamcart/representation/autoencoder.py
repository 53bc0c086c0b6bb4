"""The roadmap's convolutional autoencoder (phase 1.2), with what it takes not to sit on the median frame.

Stride-2 convolutions halve the picture, a linear layer makes the latent vector (or, for latent_dim 0, a 1 x 1
convolution makes a latent grid), and the decoder mirrors it. Plain L1 on mostly dark frames has a trap: the
median frame is a local optimum. Hence batch normalisation, the median frame as the decoder's starting point,
so that the network spends itself on what differs from it, and an MSE term beside L1, because L1 alone leaves
rare things (a digit that is mostly 0) at their median. The latent is normalised to unit scale by a last
batch normalisation without parameters, so that noise and dynamics need no scale of their own.
"""

import torch
import torch.nn.functional as F
from torch import nn

from dreamcart.representation.base import Representation


class Autoencoder(Representation):
    """Convolutional autoencoder trained with l1_weight * L1 + mse_weight * MSE.

    Args:
        shape: (H, W, C) of the frames; H and W multiples of 2 ** len(channels).
        latent_dim: numbers in the latent vector; 0 for a grid [grid_channels, H / 2^n, W / 2^n].
        channels: output channels of the n stride-2 convolutions.
        grid_channels: channels of a latent grid.
        l1_weight, mse_weight: weights of the two loss terms.
        noise_factor: standard deviation of the Gaussian noise added to latents in training.
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
    ) -> None:
        super().__init__()
        height, width, colors = shape
        shrink = 2 ** len(channels)
        inner = (channels[-1], height // shrink, width // shrink)
        self.shape = tuple(shape)
        self.noise_factor = noise_factor
        self.l1_weight, self.mse_weight = l1_weight, mse_weight
        encoder: list[nn.Module] = []
        for before, after in zip([colors, *channels], channels, strict=False):
            encoder += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.GELU()]
        decoder: list[nn.Module] = []
        for before, after in zip(channels[::-1], channels[-2::-1], strict=False):
            decoder += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.GELU()]
        last = nn.ConvTranspose2d(channels[0], colors, 4, 2, 1)
        nn.init.zeros_(last.weight)  # begin as the median frame
        nn.init.zeros_(last.bias)
        if latent_dim:
            self.latent_shape = (latent_dim,)
            size = inner[0] * inner[1] * inner[2]
            encoder += [nn.Flatten(), nn.Linear(size, latent_dim, bias=False), nn.BatchNorm1d(latent_dim, affine=False)]
            head = [nn.Linear(latent_dim, size), nn.Unflatten(1, inner), nn.BatchNorm2d(inner[0]), nn.GELU()]
        else:
            self.latent_shape = (grid_channels, inner[1], inner[2])
            encoder += [nn.Conv2d(inner[0], grid_channels, 1, bias=False), nn.BatchNorm2d(grid_channels, affine=False)]
            head = [nn.Conv2d(grid_channels, inner[0], 3, 1, 1, bias=False), nn.BatchNorm2d(inner[0]), nn.GELU()]
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.Sequential(*head, *decoder, last)
        self.register_buffer("median", torch.zeros(1, colors, height, width))

    def set_median(self, median: torch.Tensor) -> None:
        """uint8 [H, W, C], the per-pixel median of the training frames."""
        self.median.copy_(_to_planes(median[None]))

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        return self.encoder(_to_planes(frames) - self.median).float()

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        planes = (self.decode_planes(latents).float().clamp(0, 1) * 255).round()
        return planes.to(torch.uint8).permute(0, 2, 3, 1)

    def decode_planes(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents → float [B, C, H, W] on about [0, 1], not clamped."""
        if latents.ndim == 4:
            latents = latents.contiguous(memory_format=torch.channels_last)
        return self.median + self.decoder(latents)

    def loss(self, frames: torch.Tensor) -> torch.Tensor:
        latents = self.encode(frames)
        if self.training and self.noise_factor:
            latents = latents + self.noise_factor * torch.randn_like(latents)
        decoded, true = self.decode_planes(latents), _to_planes(frames)
        return self.l1_weight * F.l1_loss(decoded, true) + self.mse_weight * F.mse_loss(decoded, true)


def _to_planes(frames: torch.Tensor) -> torch.Tensor:
    """uint8 [B, H, W, C] → float32 [B, C, H, W] on [0, 1]; NHWC memory already is channels-last."""
    return frames.permute(0, 3, 1, 2).float() / 255
