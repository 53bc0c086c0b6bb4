"""Encoding the dataset to latents, and training and judging a dynamics model on them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from dreamcart.config import Params
from dreamcart.data.processed import Split, history
from dreamcart.dynamics.base import Dynamics, make_dynamics
from dreamcart.hardware import autocast, make_repeatable, pick_device
from dreamcart.training import Plan, fit, step_rng

VAL_BATCH = 256
JUDGE_SAMPLE = 4096  # validation transitions that a validation looks at


class Windows:
    """A split's transitions as training samples: past latents, past buttons, next latent."""

    def __init__(self, split: Split, latents: np.ndarray, frames: int, actions: int) -> None:
        self.split, self.latents = split, latents
        self.frames, self.actions = frames, actions
        self.start = split.episode_start
        self.all = split.transitions
        row = split.index["frame"]
        still = row[self.all] == row[self.all + 1]
        self.changed, self.unchanged = self.all[~still], self.all[still]

    def get(self, at: np.ndarray, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Latents [B, F, *latent_shape], actions [B, A, buttons] and next latents [B, *latent_shape], float32."""
        rows, buttons = history(self.split.index, self.start, at, self.frames, self.actions)
        past = torch.from_numpy(self.latents[rows]).to(device)
        following = torch.from_numpy(self.latents[self.split.index["frame"][at + 1]]).to(device)
        return past, torch.from_numpy(buttons).to(device).float(), following

    def draw(self, rng: np.random.Generator, count: int, changed_share: float) -> tuple[np.ndarray, np.ndarray]:
        """Records, `changed_share` of them with a changing picture, and weights that undo this favour (mean 1)."""
        share = len(self.changed) / len(self.all)
        if changed_share == 0 or share in (0.0, 1.0):
            return rng.choice(self.all, count), np.ones(count, np.float32)
        some = round(count * changed_share)
        at = np.concatenate([rng.choice(self.changed, some), rng.choice(self.unchanged, count - some)])
        weight = np.full(count, (1 - share) * count / max(1, count - some), np.float32)
        weight[:some] = share * count / max(1, some)
        return at, weight


def dynamics_config(params: Params, latent_shape: tuple[int, ...], buttons: int) -> dict[str, Any]:
    """The self-describing config of the dynamics that `params` asks for."""
    own = params.dynamics
    kind = own.kind if own.kind != "auto" else "mlp" if params.latent_dim else "conv"
    return {
        "kind": kind,
        "latent_shape": list(latent_shape),
        "buttons": buttons,
        **({"hidden": own.hidden} if kind == "mlp" else {"channels": own.channels}),
        "history_frames": own.history_frames,
        "history_actions": own.history_actions,
    }


def train_dynamics(
    params: Params, train: Split, val: Split, latents: dict[str, np.ndarray], checkpoint: Path
) -> tuple[Dynamics, dict[str, Any], list[dict[str, float]]]:
    """Train on (past latents, past buttons) → change of the latent with MSE; keep the best by validation.

    Returns the model (on the CPU, eval mode), its config and the loss curve. The validation loss is the MSE
    at the data's own frequencies.
    """
    own = params.dynamics
    make_repeatable(params.seed)
    device = pick_device()
    config = dynamics_config(params, latents["train"].shape[1:], len(train.spec.buttons))
    model = make_dynamics(config).to(device, memory_format=torch.channels_last)
    windows = {
        name: Windows(split, latents[name], own.history_frames, own.history_actions)
        for name, split in (("train", train), ("val", val))
    }
    fixed = windows["val"].all[:: max(1, len(windows["val"].all) // JUDGE_SAMPLE)]

    def loss_at(step: int) -> torch.Tensor:
        at, weight = windows["train"].draw(step_rng(params.seed, step), own.batch_size, own.changed_share)
        past, buttons, following = windows["train"].get(at, device)
        if own.input_noise:
            past = past + own.input_noise * torch.randn_like(past)
        with autocast(device):
            predicted = model(past, buttons)
        error = (predicted.float() - following).square().flatten(1).mean(1)
        return (error * torch.from_numpy(weight).to(device)).mean()

    def validate() -> float:
        total = 0.0
        for first in range(0, len(fixed), VAL_BATCH):
            past, buttons, following = windows["val"].get(fixed[first : first + VAL_BATCH], device)
            with autocast(device):
                predicted = model(past, buttons)
            total += float((predicted.float() - following).square().flatten(1).mean(1).sum())
        return total / len(fixed)

    plan = Plan(own.steps, own.learning_rate, own.weight_decay, own.validate_every, own.checkpoint_every, params.seed)
    curve = fit(model, plan, loss_at, validate, checkpoint, f"dynamics, {config['kind']}")
    return model.cpu(), config, curve
