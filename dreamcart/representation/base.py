"""The Representation seam: frames to latents and back.

One file a family, one line in `make_representation`.
"""

import torch
from torch import nn


class Representation(nn.Module):
    """Base of all families.

    Frames are uint8 [B, H, W, C]; latents are float32 [B, *latent_shape], each number of about unit
    scale, or int16 tokens [B, h, w] below `vocabulary`, of which `pictures` [vocabulary, ...] tells
    what they stand for: those that mean alike have alike ones.
    """

    latent_dtype = torch.float32

    shape: tuple[int, int, int]  # (H, W, C)
    latent_shape: tuple[int, ...]
    vocabulary: int | None = None

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        """uint8 [B, H, W, C] → latents [B, *latent_shape]."""
        raise NotImplementedError

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents [B, *latent_shape] → uint8 [B, H, W, C]."""
        raise NotImplementedError

    def loss(self, frames: torch.Tensor) -> torch.Tensor:
        """uint8 [B, H, W, C] → the scalar to minimise."""
        raise NotImplementedError
