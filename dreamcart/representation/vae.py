"""Variational autoencoder: a latent is a normal distribution, of which training draws and play
takes the mean.

Kingma & Welling, "Auto-Encoding Variational Bayes" (2014); the weight beta on the KL term from
Higgins et al., "beta-VAE" (2017).

Reductions: the reconstruction terms are means over a frame's values (see `Convolutional`), and the
KL divergence to the standard normal is a mean over the latent's numbers (in nats), both averaged
over the batch. So one beta does for a vector of 32 numbers and for a grid of 13,440. A beta stated
for a KL *sum* over d numbers is d times this one's.
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

# either way: beyond it exp() is of no use, and early steps can throw it there
MOST_LOG_VARIANCE = 8.0
DECAY = 0.99  # of the running scale of the means


class Vae(Convolutional):
    """Latents are float32 [B, latent_dim], or for latent_dim 0 [B, grid_channels, H / 2^n, W /
    2^n]: the means.

    A small beta leaves their scale free, so they leave divided by their running root mean square
    (one number for all of them: what the KL term has switched off stays small) and are multiplied
    again before decoding.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        latent_dim: int,
        channels: list[int],
        grid_channels: int,
        beta: float,
        noise_factor: float,
        l1_weight: float,
        mse_weight: float,
        perceptual_weight: float = 0.0,
    ) -> None:
        """
        Args:
            beta: weight of the KL term, see above.
            latent_dim, grid_channels, noise_factor: as for `Autoencoder`; the noise comes on top of
                the drawn one.
            shape, channels, l1_weight, mse_weight, perceptual_weight: see `Convolutional`.
        """

        def ends(inner: tuple[int, int, int]) -> tuple[Layers, Layers]:
            if latent_dim:
                size = inner[0] * inner[1] * inner[2]
                return [nn.Flatten(), nn.Linear(size, 2 * latent_dim)], from_vector(
                    latent_dim, inner
                )
            return [nn.Conv2d(inner[0], 2 * grid_channels, 1)], from_grid(grid_channels, inner)

        super().__init__(shape, channels, ends, l1_weight, mse_weight, perceptual_weight)
        shrink = 2 ** len(channels)
        self.latent_shape = (
            (latent_dim,) if latent_dim else (grid_channels, shape[0] // shrink, shape[1] // shrink)
        )
        self.beta, self.noise_factor = beta, noise_factor
        self.register_buffer("scale", torch.ones(()))

    def posterior(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """uint8 [B, H, W, C] → mean and log-variance, float32 [B, *latent_shape] each."""
        mean, log_variance = self.look(frames).chunk(2, 1)
        return mean, log_variance.clamp(-MOST_LOG_VARIANCE, MOST_LOG_VARIANCE)

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        return self.posterior(frames)[0] / self.scale

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return to_frames(self.draw(latents * self.scale))

    def loss(self, frames: torch.Tensor) -> torch.Tensor:
        mean, log_variance = self.posterior(frames)
        hidden = mean
        if self.training:
            with torch.no_grad():
                self.scale.lerp_(mean.square().mean().sqrt().clamp(min=1e-3), 1 - DECAY)
            hidden = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
            if self.noise_factor:
                hidden = hidden + self.noise_factor * self.scale * torch.randn_like(mean)
        return self.reconstruction_loss(hidden, frames) + self.beta * kl(mean, log_variance)


def kl(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL(N(mean, variance) || N(0, 1)) in nats, the mean over all numbers: a scalar."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
