"""Recurrent delta model for vector latents: a GRU (Cho et al. 2014) that carries what one frame
cannot show.
"""

from dataclasses import dataclass

import torch
from torch import nn

from dreamcart.dynamics.base import Dynamics


@dataclass(frozen=True)
class Recurrent:
    """A dream's state. hidden: float32 [B, units], after all steps but the coming one; latent:
    float32 [B, D], the newest.
    """

    hidden: torch.Tensor
    latent: torch.Tensor


class GruDynamics(Dynamics):
    """(latent, buttons) → GRU → hidden layer → latent; predicts the change of the latent.

    The hidden layer sees latent and buttons directly as well: through the hidden state alone, a
    button took thousands of steps to reach the picture. Training unrolls windows of
    `history_frames` steps from an empty hidden state, and every step of them is a target; a dream
    carries the hidden state on for as long as it lasts.

    Args:
        latent_shape: (D,).
        buttons: entries of a multi-hot action.
        units: size of the hidden state.
        history_frames: F, steps of a window.
    """

    def __init__(
        self, latent_shape: list[int], buttons: int, units: int, history_frames: int
    ) -> None:
        super().__init__(latent_shape, buttons, history_frames, history_frames)
        (size,) = latent_shape
        self.cell = nn.GRU(size + buttons, units, batch_first=True)
        self.out = nn.Sequential(
            nn.Linear(units + size + buttons, units), nn.GELU(), nn.Linear(units, size)
        )
        nn.init.zeros_(self.out[2].weight)  # begin as "nothing changes", which is mostly true
        nn.init.zeros_(self.out[2].bias)

    def unroll(
        self, latents: torch.Tensor, actions: torch.Tensor, hidden: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents [B, T, D], the buttons pressed on them [B, T, n] → the next latents [B, T, D],
        the last hidden [B, units].
        """
        inputs = torch.cat([latents, actions.to(latents.dtype)], 2)
        outputs, last = self.cell(inputs, None if hidden is None else hidden[None].to(inputs.dtype))
        return latents + self.out(torch.cat([outputs, inputs], 2)).float(), last[0].float()

    def start(
        self, latents: torch.Tensor, actions: torch.Tensor, real: torch.Tensor | None = None
    ) -> Recurrent:
        window = super().start(latents, actions)
        if self.history_frames == 1:
            return Recurrent(
                window.latents.new_zeros(len(latents), self.cell.hidden_size), window.latents[:, -1]
            )
        return Recurrent(
            self.unroll(window.latents[:, :-1], window.actions)[1], window.latents[:, -1]
        )

    def step(
        self,
        state: Recurrent,
        action: torch.Tensor,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, Recurrent]:
        following, hidden = self.unroll(
            state.latent[:, None], action.float()[:, None], state.hidden
        )
        return following[:, 0], Recurrent(hidden, following[:, 0])

    def forward(
        self, latents: torch.Tensor, actions: torch.Tensor, temperature: float = 0.0, generator=None
    ) -> torch.Tensor:
        return self.unroll(latents, actions)[0][:, -1]

    def loss_and_next(
        self,
        latents: torch.Tensor,
        actions: torch.Tensor,
        following: torch.Tensor,
        real: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The MSE of the last step, and as much again for the mean over all steps of the window,
        each against what really came.
        """
        predicted = self.unroll(latents, actions)[0]
        real = latents if real is None else real
        error = (predicted - torch.cat([real[:, 1:], following[:, None]], 1)).square().mean(2)
        return error[:, -1] + error.mean(1), predicted[:, -1]
