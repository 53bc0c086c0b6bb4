"""A split's transitions as training samples for families that see a window of the past."""

import numpy as np
import torch

from dreamcart.data.processed import Split, history
from dreamcart.dynamics.base import Dynamics

CHUNK = 256  # transitions that are looked at together: a bound on memory


class Windows:
    """A split's transitions as training samples: past latents, past buttons, next latent."""

    def __init__(
        self, split: Split, latents: np.ndarray, frames: int, actions: int, rare_power: float = 0.0
    ) -> None:
        self.split, self.latents = split, latents
        self.frames, self.actions = frames, actions
        self.start = split.episode_start
        self.all = split.transitions
        row = split.index["frame"]
        still = row[self.all] == row[self.all + 1]
        self.changed, self.unchanged = self.all[~still], self.all[still]
        self.chance = rarity(split, self.changed) ** rare_power
        self.chance /= max(self.chance.sum(), 1e-12)

    def get(
        self, at: np.ndarray, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Latents [B, F, *latent_shape], actions [B, A, buttons] and next latents [B,
        *latent_shape], float32.
        """
        rows, buttons = history(self.split.index, self.start, at, self.frames, self.actions)
        past = torch.from_numpy(self.latents[rows]).to(device)
        following = torch.from_numpy(self.latents[self.split.index["frame"][at + 1]]).to(device)
        return past, torch.from_numpy(buttons).to(device).float(), following

    @torch.no_grad()
    def self_fed(
        self,
        model: Dynamics,
        at: np.ndarray,
        steps: int,
        device: torch.device,
        own: np.ndarray | None = None,
    ) -> torch.Tensor:
        """Past latents as in `get`, the last `steps` of them predicted by `model` from what it then
        had before it.

        own: bool [B, steps], the steps that are its own predictions; the others stay real. All are
        by default.
        """
        past, buttons, _ = self.get(at - steps, device)
        model.eval()  # as it will dream
        for number in range(steps):
            record = at - steps + number
            predicted = model(past, buttons).float()
            if own is not None:
                real = torch.from_numpy(self.latents[self.split.index["frame"][record + 1]]).to(
                    device
                )
                mine = torch.from_numpy(own[:, number]).to(device).view(-1, *[1] * (real.dim() - 1))
                predicted = torch.where(mine, predicted, real)
            past, buttons = self.slide(past, buttons, predicted, record + 1)
        model.train()
        return past

    def slide(
        self, past: torch.Tensor, buttons: torch.Tensor, latents: torch.Tensor, at: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Windows one step later:

        `latents` came, and the buttons of the records `at` are pressed on them.
        """
        pressed = torch.from_numpy(self.split.index["action"][at]).to(buttons)
        return torch.cat([past[:, 1:], latents[:, None]], 1), torch.cat(
            [buttons[:, 1:], pressed[:, None]], 1
        )

    def dreamed(
        self, model: Dynamics, at: np.ndarray, steps: int, noise: float, device: torch.device
    ) -> torch.Tensor:
        """Mean loss over the `steps` steps up to the records `at`, each from the model's own
        predictions: [B].
        """
        real, buttons, following = self.get(at - steps + 1, device)
        past = disturb(real, noise)
        total = torch.zeros(len(at), device=device)
        for number in range(steps - 1):
            record = at - steps + 1 + number
            loss, predicted = model.loss_and_next(past, buttons, following, real)
            total = total + loss
            past, buttons = self.slide(past, buttons, predicted.float(), record + 1)
            real = torch.cat([real[:, 1:], following[:, None]], 1)
            following = torch.from_numpy(self.latents[self.split.index["frame"][record + 2]]).to(
                device
            )
        return (total + model.loss(past, buttons, following, real)) / steps

    def draw(
        self, rng: np.random.Generator, count: int, changed_share: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Records, `changed_share` of them with a changing picture, and weights that undo this
        share (mean 1).

        The favour for rare changes is not undone: what follows from the past may be practised as
        often as it needs.
        """
        share = len(self.changed) / len(self.all)
        if changed_share == 0 or share == 0:
            return rng.choice(self.all, count), np.ones(count, np.float32)
        some = round(count * changed_share) if share < 1 else count
        at = np.concatenate(
            [
                rng.choice(self.changed, some, p=self.chance),
                rng.choice(self.unchanged, count - some) if some < count else self.all[:0],
            ]
        )
        weight = np.full(count, (1 - share) * count / max(1, count - some), np.float32)
        weight[:some] = share * count / max(1, some)
        return at, weight


def disturb(latents: torch.Tensor, noise: float) -> torch.Tensor:
    """Latents with Gaussian noise of this standard deviation; tokens have none."""
    return (
        latents + noise * torch.randn_like(latents)
        if noise and latents.is_floating_point()
        else latents
    )


def rarity(split: Split, at: np.ndarray) -> np.ndarray:
    """How rare each of the changes at the records `at` is, float64 [N]: 1 over the frequency of the
    rarest thing in it.

    Things are the 8 x 8 blocks of the picture that change and the buttons that have just gone down;
    their frequency is the share of `at` that has them. A falling piece changes common blocks; a new
    one in the NEXT box, a digit, GAME OVER or a turn by a tap on A are rare.
    """
    action = split.index["action"]
    released = (split.index["step"][at] == 0)[:, None] | (action[at - 1] == 0)
    pressed = (action[at] == 1) & released
    masks = []
    for first in range(0, len(at), CHUNK):
        some = at[first : first + CHUNK]
        before, after = (
            split.frames[split.index["frame"][some]],
            split.frames[split.index["frame"][some + 1]],
        )
        differs = (before != after).any(3)
        height, width = (side // 8 * 8 for side in differs.shape[1:])
        masks.append(
            differs[:, :height, :width]
            .reshape(len(some), height // 8, 8, width // 8, 8)
            .any((2, 4))
            .reshape(len(some), -1)
        )
    if not masks:
        return np.zeros(0)
    things = np.concatenate([np.concatenate(masks), pressed], 1)
    return np.where(things, 1 / np.maximum(things.mean(0), 1e-9), 1.0).max(1)
