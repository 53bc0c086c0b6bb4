"""What the learned families share: the convolutional encoder and decoder, the median frame, and the
terms of the loss.

Stride-2 convolutions halve the picture, the family's own layers make the latent of it, and the
decoder mirrors them (roadmap, phase 1.2). Plain L1 on mostly dark frames has a trap: the median
frame is a local optimum. Hence batch normalisation, the median frame as the decoder's starting
point, so that the network spends itself on what differs from it, and an MSE term beside L1, because
L1 alone leaves rare things (a digit that is mostly 0) at their median.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from dreamcart.core.errors import UserError
from dreamcart.representation.base import Representation

Layers = list[nn.Module]
# From (channels, h, w) after the convolutions to the last layers of the encoder and the first ones
# of the decoder.
Ends = Callable[[tuple[int, int, int]], tuple[Layers, Layers]]


class Convolutional(Representation):
    """Base of the learned families.

    Attributes:
        perceptual: distance of two batches of planes, float [B, C, H, W] on about [0, 1] → scalar;
            set by whoever trains with a perceptual_weight. No part of the model: it is not saved
            with it.
    """

    perceptual: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None

    def __init__(
        self,
        shape: tuple[int, int, int],
        channels: list[int],
        ends: Ends,
        l1_weight: float,
        mse_weight: float,
        perceptual_weight: float = 0.0,
    ) -> None:
        """
        Args:
            shape: (H, W, C) of the frames.
            channels: output channels of the n stride-2 convolutions.
            ends: makes the layers on either side of the latent.
            l1_weight, mse_weight, perceptual_weight: weights of the terms of `reconstruction_loss`.

        Raises:
            UserError: H or W is no multiple of 2 ** n.
        """
        super().__init__()
        height, width, colors = shape
        shrink = 2 ** len(channels)
        if height % shrink or width % shrink:
            raise UserError(
                f"Frames of {height} x {width} do not fit {len(channels)} convolutions in"
                " representation.channels; set preprocess.height and preprocess.width to multiples"
                f" of {shrink}, or take fewer convolutions."
            )
        self.shape = tuple(shape)
        self.l1_weight, self.mse_weight, self.perceptual_weight = (
            l1_weight,
            mse_weight,
            perceptual_weight,
        )
        encoder: Layers = []
        for before, after in zip([colors, *channels], channels, strict=False):
            encoder += [
                nn.Conv2d(before, after, 4, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.GELU(),
            ]
        decoder: Layers = []
        for before, after in zip(channels[::-1], channels[-2::-1], strict=False):
            decoder += [
                nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.GELU(),
            ]
        last = nn.ConvTranspose2d(channels[0], colors, 4, 2, 1)
        nn.init.zeros_(last.weight)  # begin as the median frame
        nn.init.zeros_(last.bias)
        tail, head = ends((channels[-1], height // shrink, width // shrink))
        self.encoder = nn.Sequential(*encoder, *tail)
        self.decoder = nn.Sequential(*head, *decoder, last)
        self.register_buffer("median", torch.zeros(1, colors, height, width))

    def set_median(self, median: torch.Tensor) -> None:
        """uint8 [H, W, C], the per-pixel median of the training frames."""
        self.median.copy_(to_planes(median[None]))

    def look(self, frames: torch.Tensor) -> torch.Tensor:
        """uint8 [B, H, W, C] → what the encoder makes of them, float32 [B, ...]."""
        return self.encoder(to_planes(frames) - self.median).float()

    def draw(self, hidden: torch.Tensor) -> torch.Tensor:
        """What the decoder takes, float [B, ...] → float [B, C, H, W] on about [0, 1], not
        clamped.
        """
        if hidden.ndim == 4:
            hidden = hidden.contiguous(memory_format=torch.channels_last)
        return self.median + self.decoder(hidden)

    def reconstruction_loss(self, hidden: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """l1_weight * L1 + mse_weight * MSE (means over values on [0, 1]) + perceptual_weight *
        perceptual distance.
        """
        decoded, true = self.draw(hidden), to_planes(frames)
        loss = self.l1_weight * F.l1_loss(decoded, true) + self.mse_weight * F.mse_loss(
            decoded, true
        )
        if self.perceptual_weight and self.perceptual:
            loss = loss + self.perceptual_weight * self.perceptual(decoded, true)
        return loss


def to_planes(frames: torch.Tensor) -> torch.Tensor:
    """uint8 [B, H, W, C] → float32 [B, C, H, W] on [0, 1]; NHWC memory already is channels-last."""
    return frames.permute(0, 3, 1, 2).float() / 255


def to_frames(planes: torch.Tensor) -> torch.Tensor:
    """float [B, C, H, W] → uint8 [B, H, W, C], clamped to [0, 1] and rounded."""
    return (planes.float().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)


def from_vector(size: int, inner: tuple[int, int, int]) -> Layers:
    """The decoder's first layers where it begins with a vector of `size` numbers."""
    total = inner[0] * inner[1] * inner[2]
    return [nn.Linear(size, total), nn.Unflatten(1, inner), nn.BatchNorm2d(inner[0]), nn.GELU()]


def from_grid(size: int, inner: tuple[int, int, int]) -> Layers:
    """The decoder's first layers where it begins with a grid of `size` channels."""
    return [nn.Conv2d(size, inner[0], 3, 1, 1, bias=False), nn.BatchNorm2d(inner[0]), nn.GELU()]
