"""What the families of learned tokens share: a grid of whole numbers, each standing for a vector
that the decoder takes.
"""

import torch

from dreamcart.representation.convolutional import Convolutional, Ends, to_frames


class Codes(Convolutional):
    """Latents are tokens, int16 [B, H / 2^n, W / 2^n], of the kind that `Tiles` gives.

    Subclasses give `nearest` and `vectors`. Quantising is done in float32: half precision would
    choose other codes in play than in training.

    Attributes:
        vocabulary: number of codes.
    """

    latent_dtype = torch.int16

    def __init__(
        self,
        shape: tuple[int, int, int],
        channels: list[int],
        ends: Ends,
        vocabulary: int,
        l1_weight: float,
        mse_weight: float,
        perceptual_weight: float = 0.0,
    ) -> None:
        super().__init__(shape, channels, ends, l1_weight, mse_weight, perceptual_weight)
        shrink = 2 ** len(channels)
        self.latent_shape = (shape[0] // shrink, shape[1] // shrink)
        self.vocabulary = vocabulary

    @property
    def pictures(self) -> torch.Tensor:
        """float32 [vocabulary, D]: the codes' vectors; codes that mean alike are near each
        other.
        """
        return self.vectors(torch.arange(self.vocabulary, device=self.median.device))

    def nearest(self, cells: torch.Tensor) -> torch.Tensor:
        """float32 [N, D], what the encoder makes of N cells → the numbers of their codes, int64
        [N].
        """
        raise NotImplementedError

    def vectors(self, tokens: torch.Tensor) -> torch.Tensor:
        """int64 [...] → the codes' vectors, float32 [..., D]."""
        raise NotImplementedError

    def cells(self, frames: torch.Tensor) -> torch.Tensor:
        """uint8 [B, H, W, C] → what the encoder makes of each cell, float32 [B, h, w, D]."""
        return self.look(frames).permute(0, 2, 3, 1)

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        """uint8 [B, H, W, C] → int16 [B, h, w]."""
        cells = self.cells(frames)
        with torch.autocast(frames.device.type, enabled=False):
            return self.nearest(cells.flatten(0, 2)).view(cells.shape[:3]).to(torch.int16)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """int [B, h, w] → uint8 [B, H, W, C]."""
        return to_frames(self.draw(self.vectors(latents.long()).permute(0, 3, 1, 2)))
