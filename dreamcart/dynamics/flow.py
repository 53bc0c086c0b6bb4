"""Conditional flow matching for latents (Lipman et al. 2023): from noise to the next latent in a
few Euler steps.

On the straight path x_t = (1 - t) * noise + t * change, the network sees x_t, t and the past, and
predicts the change itself (as in Li & He 2025; few-step flows that predict the velocity fared
worse), from which the velocity follows: (prediction - x_t) / (1 - t). So the last Euler step ends
exactly on a prediction.
"""

from typing import Any

import torch
from torch import nn

from dreamcart.dynamics.base import Dynamics
from dreamcart.dynamics.conv import ConvDynamics, planes_of, still

TIMES = 16  # numbers that tell t
FIXED = 7  # seed of the noise that validation uses


class FlowDynamics(Dynamics):
    """Draws the change of the latent; different noise, different futures. Temperature scales the
    noise at the start.

    Args:
        latent_shape: (D,), or (C, h, w).
        buttons: entries of a multi-hot action.
        hidden: width of the residual blocks (vectors).
        channels: of the hidden layers (grids).
        dead_zone: cells of a grid that would change by less stay as they are, see `ConvDynamics`.
        flow_steps: Euler steps in play.
        history_frames, history_actions: F and A.
    """

    error_is = "flow matching loss"

    def __init__(
        self,
        latent_shape: list[int],
        buttons: int,
        hidden: int,
        channels: int,
        dead_zone: float,
        flow_steps: int,
        history_frames: int,
        history_actions: int,
    ) -> None:
        super().__init__(latent_shape, buttons, history_frames, history_actions)
        self.dead_zone, self.flow_steps = dead_zone, flow_steps
        self.register_buffer(
            "frequencies", 2.0 ** torch.arange(TIMES // 2) * torch.pi / 8, persistent=False
        )
        inputs = buttons * history_actions + TIMES
        if len(latent_shape) == 1:
            self.net = Residual(latent_shape[0], latent_shape[0] * history_frames + inputs, hidden)
        else:  # the noisy change is one more frame, and the time a few more buttons
            self.net = ConvDynamics(latent_shape, inputs, channels, 0.0, history_frames + 1, 1)

    def look_back(self, latents: torch.Tensor) -> Any:
        """What does not change on the way from noise to a latent: past latents [B, F, …] as
        `predict` wants them.
        """
        return latents.flatten(1) if latents.dim() == 3 else self.net.look(planes_of(latents))

    def predict(
        self, past: Any, buttons: torch.Tensor, noisy: torch.Tensor, time: torch.Tensor
    ) -> torch.Tensor:
        """The change of the latent [B, *latent_shape] that a noisy one, at `time` [B] of its path,
        comes from.

        past: of `look_back`; buttons: [B, A * n].
        """
        angles = time[:, None] * self.frequencies
        inputs = torch.cat([buttons, angles.sin(), angles.cos()], 1)
        if noisy.dim() == 2:
            return self.net(noisy, torch.cat([past, inputs], 1)).float()
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        looked = self.net.look(noisy, self.history_frames * noisy.shape[1])
        return self.net.change((past[0] + looked[0], past[1] + looked[1]), inputs).float()

    def forward(
        self, latents: torch.Tensor, actions: torch.Tensor, temperature: float = 0.0, generator=None
    ) -> torch.Tensor:
        past, buttons = self.look_back(latents), actions.flatten(1)
        shape, device = latents[:, -1].shape, latents.device
        x = (
            temperature * torch.randn(shape, generator=generator, device=device)
            if temperature
            else torch.zeros(shape, device=device)
        )
        for number in range(self.flow_steps):
            time = torch.full((len(x),), number / self.flow_steps, device=device)
            velocity = (self.predict(past, buttons, x, time) - x) / (1 - number / self.flow_steps)
            x = x + velocity / self.flow_steps
        if x.dim() == 4 and not self.training:
            x = still(x, self.dead_zone)
        return latents[:, -1] + x

    def loss(
        self,
        latents: torch.Tensor,
        actions: torch.Tensor,
        following: torch.Tensor,
        real: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean squared error of the predicted change, at a random time of the path from random
        noise, [B].
        """
        return self._loss(latents, actions, following, None)

    def loss_and_next(
        self,
        latents: torch.Tensor,
        actions: torch.Tensor,
        following: torch.Tensor,
        real: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.loss(latents, actions, following), self(latents, actions)

    def error(
        self, latents: torch.Tensor, actions: torch.Tensor, following: torch.Tensor
    ) -> torch.Tensor:
        """The loss with the same noise and times at every validation."""
        return self._loss(
            latents, actions, following, torch.Generator(latents.device).manual_seed(FIXED)
        )

    def _loss(
        self,
        latents: torch.Tensor,
        actions: torch.Tensor,
        following: torch.Tensor,
        generator: torch.Generator | None,
    ) -> torch.Tensor:
        change = following - latents[:, -1]
        noise = torch.randn(change.shape, generator=generator, device=change.device)
        time = torch.rand(len(change), generator=generator, device=change.device)
        along = time.view(-1, *[1] * (change.dim() - 1))
        predicted = self.predict(
            self.look_back(latents), actions.flatten(1), (1 - along) * noise + along * change, time
        )
        return (predicted - change).square().flatten(1).mean(1)


class Residual(nn.Module):
    """Two residual blocks for vectors, whose inputs are scaled and shifted by the condition (FiLM,
    Perez et al. 2018).
    """

    def __init__(self, size: int, condition: int, hidden: int) -> None:
        super().__init__()
        self.condition = nn.Sequential(
            nn.LayerNorm(condition), nn.Linear(condition, hidden), nn.GELU()
        )
        self.first = nn.Linear(size, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(2))
        self.films = nn.ModuleList(nn.Linear(hidden, 2 * hidden) for _ in range(2))
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden))
            for _ in range(2)
        )
        self.last = nn.Linear(hidden, size)
        nn.init.zeros_(self.last.weight)  # begin as "nothing changes"
        nn.init.zeros_(self.last.bias)

    def forward(self, noisy: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """[B, D] and [B, condition] → [B, D]."""
        told = self.condition(condition)
        hidden = self.first(noisy) + told
        for norm, film, layer in zip(self.norms, self.films, self.layers, strict=True):
            scale, shift = film(told).chunk(2, 1)
            hidden = hidden + layer(norm(hidden) * (1 + scale) + shift)
        return self.last(hidden)
