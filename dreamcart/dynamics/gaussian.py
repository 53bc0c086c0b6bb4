"""Gaussian delta model for vector latents (roadmap 3.1): the change of the latent as a mean and a
log-variance.

The mean is trained as the deterministic model is, by MSE, so that temperature 0 loses nothing. The
variance is trained by the likelihood of what really came, given that mean, on a copy of the
features that sends no gradients back: otherwise states with much noise would take the mean's share
of the training (Seitzer et al. 2022). A KL divergence to N(0, 1), as in a VAE (Kingma & Welling
2014), keeps the variance from vanishing.
"""

import torch
from torch import nn

from dreamcart.dynamics.base import Dynamics, History

FIRST_LOG_VARIANCE = -4.0  # of an untrained model
LOG_VARIANCE = (-10.0, 2.0)  # bounds: deviations of 0.007 to 2.7, where latents have unit scale


class GaussianDynamics(Dynamics):
    """LayerNorm → hidden → hidden → mean and log-variance, GELU; draws mean + temperature *
    deviation * noise.

    The loss is MSE (mean over the latent's D numbers) + negative log-likelihood of the variance
    (mean over the numbers) + beta * KL(N(mean, variance) || N(0, 1)), the KL summed over the
    numbers; each averaged over the batch.

    Args:
        latent_shape: (D,).
        buttons: entries of a multi-hot action.
        hidden: width of the two hidden layers.
        beta: weight of the KL.
        history_frames, history_actions: F and A.
    """

    def __init__(
        self,
        latent_shape: list[int],
        buttons: int,
        hidden: int,
        beta: float,
        history_frames: int,
        history_actions: int,
    ) -> None:
        super().__init__(latent_shape, buttons, history_frames, history_actions)
        (size,) = latent_shape
        inputs = size * history_frames + buttons * history_actions
        self.beta = beta
        self.trunk = nn.Sequential(
            nn.LayerNorm(inputs),
            nn.Linear(inputs, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
        )
        self.mean = nn.Linear(hidden, size)
        self.spread = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, size))
        for layer in (*self.trunk, self.mean):
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight)
                nn.init.zeros_(layer.bias)
        nn.init.constant_(self.spread[2].bias, FIRST_LOG_VARIANCE)

    def beliefs(
        self, latents: torch.Tensor, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance of the change of the latent, float32 [B, D] each."""
        features = self.trunk(torch.cat([latents.flatten(1), actions.flatten(1)], 1))
        return self.mean(features).float(), self.spread(features.detach()).float().clamp(
            *LOG_VARIANCE
        )

    def forward(
        self, latents: torch.Tensor, actions: torch.Tensor, temperature: float = 0.0, generator=None
    ) -> torch.Tensor:
        mean, log_variance = self.beliefs(latents, actions)
        if temperature == 0:
            return latents[:, -1] + mean
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return latents[:, -1] + mean + temperature * (log_variance / 2).exp() * noise

    def loss_and_next(
        self,
        latents: torch.Tensor,
        actions: torch.Tensor,
        following: torch.Tensor,
        real: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_variance = self.beliefs(latents, actions)
        error = (mean - (following - latents[:, -1])).square()
        likelihood = (log_variance + error.detach() * (-log_variance).exp()) / 2
        loss = (error + likelihood).mean(1) + self.beta * divergence(mean, log_variance)
        return loss, latents[:, -1] + mean

    @torch.no_grad()
    def diagnose(self, state: History, action: torch.Tensor) -> dict[str, float]:
        """`kl`: the divergence as in the loss, a mean over the batch;

        `deviation`: the mean of the drawn noise's.
        """
        mean, log_variance = self.beliefs(
            state.latents, torch.cat([state.actions, action.float()[:, None]], 1)
        )
        return {
            "kl": float(divergence(mean, log_variance).mean()),
            "deviation": float((log_variance / 2).exp().mean()),
        }


def divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL(N(mean, variance) || N(0, 1)) in nats, summed over the numbers: [B, D] twice → [B]."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
