"""VQ-VAE: each cell of the encoder's grid becomes the nearest of K learned vectors.

van den Oord et al., "Neural Discrete Representation Learning" (2017), with the codebook as running
averages of what is assigned to it (its appendix A.1) and a commitment term that keeps the encoder
near it. Two things against a codebook of which most stays unused: the cells are normalised before
they are looked up (Łańcucki et al. 2020), and a code that is hardly ever chosen is moved onto a
cell of the batch that no code is near to, drawn in proportion to its squared error as k-means++
draws (Arthur & Vassilvitskii 2007). The codebook begins on cells of the first batch, drawn
likewise.
"""

import torch
import torch.nn.functional as F
from torch import nn

from dreamcart.representation.codes import Codes
from dreamcart.representation.convolutional import Layers, from_grid

DECAY = 0.99  # of the running averages, a training step
DEAD = 0.2  # cells a batch: a code with fewer on average is dead
CHUNK = 4096  # cells whose distances are looked at together: they stay in the processor's cache


class VectorQuantised(Codes):
    """K = `codes` vectors of `code_size` numbers; the running averages are buffers, so a checkpoint
    holds them.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        channels: list[int],
        codes: int,
        code_size: int,
        commitment_weight: float,
        l1_weight: float,
        mse_weight: float,
        perceptual_weight: float = 0.0,
    ) -> None:
        """
        Args:
            commitment_weight: of the mean squared distance between the cells and their codes.
            shape, channels, l1_weight, mse_weight, perceptual_weight: see `Convolutional`.
        """

        def ends(inner: tuple[int, int, int]) -> tuple[Layers, Layers]:
            tail = [
                nn.Conv2d(inner[0], code_size, 1, bias=False),
                nn.BatchNorm2d(code_size, affine=False),
            ]
            return tail, from_grid(code_size, inner)

        super().__init__(shape, channels, ends, codes, l1_weight, mse_weight, perceptual_weight)
        self.commitment_weight = commitment_weight
        self.register_buffer("codebook", torch.zeros(codes, code_size))
        self.register_buffer("count", torch.zeros(codes))  # cells a batch, running average
        self.register_buffer("total", torch.zeros(codes, code_size))  # their sum, likewise

    def nearest(self, cells: torch.Tensor) -> torch.Tensor:
        half = 0.5 * self.codebook.square().sum(1)
        return torch.cat(
            [
                torch.addmm(half, chunk, self.codebook.T, alpha=-1).argmin(1)
                for chunk in cells.split(CHUNK)
            ]
        )

    def vectors(self, tokens: torch.Tensor) -> torch.Tensor:
        return F.embedding(tokens, self.codebook)

    def loss(self, frames: torch.Tensor) -> torch.Tensor:
        grid = self.cells(frames)
        with torch.autocast(frames.device.type, enabled=False):
            cells = grid.flatten(0, 2)
            if self.training and not self.count.any():
                self._place(
                    torch.arange(self.vocabulary, device=cells.device),
                    cells.detach(),
                    cells.detach(),
                )
            tokens = self.nearest(cells.detach())
            chosen = self.vectors(tokens)
            commitment = F.mse_loss(cells, chosen)
            hidden = cells + (chosen - cells).detach()  # gradients pass straight through
            if self.training:
                self._learn(cells.detach(), tokens, chosen)
        hidden = hidden.view_as(grid).permute(0, 3, 1, 2)
        return self.reconstruction_loss(hidden, frames) + self.commitment_weight * commitment

    @torch.no_grad()
    def _learn(self, cells: torch.Tensor, tokens: torch.Tensor, chosen: torch.Tensor) -> None:
        """Move the codes towards the cells that chose them, float32 [N, D], int64 [N]; revive those
        that none chooses.
        """
        self.count.lerp_(torch.bincount(tokens, minlength=self.vocabulary).float(), 1 - DECAY)
        self.total.lerp_(torch.zeros_like(self.total).index_add_(0, tokens, cells), 1 - DECAY)
        dead = (self.count < DEAD).nonzero().squeeze(1)
        if len(dead):
            self._place(dead, cells, cells - chosen)
        self.codebook.copy_(self.total / self.count.clamp(min=1e-6)[:, None])

    @torch.no_grad()
    def _place(self, codes: torch.Tensor, cells: torch.Tensor, error: torch.Tensor) -> None:
        """Move these codes onto cells, float32 [N, D], drawn in proportion to their squared error,
        float32 [N, D].
        """
        codes = codes[: len(cells)]
        found = cells[torch.multinomial(error.square().sum(1) + 1e-8, len(codes))]
        self.total[codes], self.codebook[codes], self.count[codes] = found, found, 1.0
