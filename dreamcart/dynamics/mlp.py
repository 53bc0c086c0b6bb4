"""The roadmap's delta model (phase 1.3) for vector latents, with a window of history as its only
addition.
"""

import torch
from torch import nn

from dreamcart.dynamics.base import Dynamics


class MlpDynamics(Dynamics):
    """LayerNorm → hidden → hidden → latent, GELU, orthogonal initialisation; predicts the change of
    the latent.

    Args:
        latent_shape: (D,).
        buttons: entries of a multi-hot action.
        hidden: width of the two hidden layers (the roadmap's 128).
        history_frames, history_actions: F and A; 1 and 1 are the roadmap's own model.
    """

    def __init__(
        self,
        latent_shape: list[int],
        buttons: int,
        hidden: int,
        history_frames: int,
        history_actions: int,
    ) -> None:
        super().__init__(latent_shape, buttons, history_frames, history_actions)
        (size,) = latent_shape
        inputs = size * history_frames + buttons * history_actions
        self.net = nn.Sequential(
            nn.LayerNorm(inputs),
            nn.Linear(inputs, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, size),
        )
        for layer in self.net:
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(
        self, latents: torch.Tensor, actions: torch.Tensor, temperature: float = 0.0, generator=None
    ) -> torch.Tensor:
        inputs = torch.cat([latents.flatten(1), actions.flatten(1)], 1)
        return latents[:, -1] + self.net(inputs)
