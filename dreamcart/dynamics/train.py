"""Encoding the dataset to latents, and training and judging a dynamics model on them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from dreamcart.config import Params
from dreamcart.data.processed import Split, history
from dreamcart.dynamics.base import Dynamics, History, make_dynamics
from dreamcart.hardware import autocast, make_repeatable, pick_device
from dreamcart.training import Plan, fit, step_rng

VAL_BATCH = 256
SELF_FED_FROM, SELF_FED_FULL = 0.4, 0.8  # shares of the training between which self-feeding grows
JUDGE_SAMPLE = 4096  # validation transitions that a validation looks at


class Windows:
    """A split's transitions as training samples: past latents, past buttons, next latent."""

    def __init__(self, split: Split, latents: np.ndarray, frames: int, actions: int, rare_power: float = 0.0) -> None:
        self.split, self.latents = split, latents
        self.frames, self.actions = frames, actions
        self.start = split.episode_start
        self.all = split.transitions
        row = split.index["frame"]
        still = row[self.all] == row[self.all + 1]
        self.changed, self.unchanged = self.all[~still], self.all[still]
        self.chance = rarity(split, self.changed) ** rare_power
        self.chance /= max(self.chance.sum(), 1e-12)

    def get(self, at: np.ndarray, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Latents [B, F, *latent_shape], actions [B, A, buttons] and next latents [B, *latent_shape], float32."""
        rows, buttons = history(self.split.index, self.start, at, self.frames, self.actions)
        past = torch.from_numpy(self.latents[rows]).to(device)
        following = torch.from_numpy(self.latents[self.split.index["frame"][at + 1]]).to(device)
        return past, torch.from_numpy(buttons).to(device).float(), following

    @torch.no_grad()
    def self_fed(self, model: Dynamics, at: np.ndarray, steps: int, device: torch.device) -> torch.Tensor:
        """Past latents as in `get`, the last `steps` of them predicted by `model` from its own predictions."""
        past, buttons, _ = self.get(at - steps, device)
        state = History(past, buttons[:, :-1])
        model.eval()  # as it will dream
        for back in range(steps, 0, -1):
            _, state = model.step(state, torch.from_numpy(self.split.index["action"][at - back]).to(device))
        model.train()
        return state.latents

    def draw(self, rng: np.random.Generator, count: int, changed_share: float) -> tuple[np.ndarray, np.ndarray]:
        """Records, `changed_share` of them with a changing picture, and weights that undo this share (mean 1).

        The favour for rare changes is not undone: what follows from the past may be practised as often as it
        needs.
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


def self_fed_at(most: int, progress: float) -> int:
    """How many self-fed steps a window may end with when `progress` (0 to 1) of the training is over.

    None at first, for a model that knows nothing yet would learn from its own noise; then up to `most`.
    """
    return round(most * min(1.0, max(0.0, (progress - SELF_FED_FROM) / (SELF_FED_FULL - SELF_FED_FROM))))


def rarity(split: Split, at: np.ndarray) -> np.ndarray:
    """How rare each of the changes at the records `at` is, float64 [N]: 1 over the frequency of the rarest thing in it.

    Things are the 8 x 8 blocks of the picture that change and the buttons that have just gone down; their
    frequency is the share of `at` that has them. A falling piece changes common blocks; a new one in the NEXT
    box, a digit, GAME OVER or a turn by a tap on A are rare.
    """
    action = split.index["action"]
    released = (split.index["step"][at] == 0)[:, None] | (action[at - 1] == 0)
    pressed = (action[at] == 1) & released
    masks = []
    for first in range(0, len(at), VAL_BATCH):
        some = at[first : first + VAL_BATCH]
        before, after = split.frames[split.index["frame"][some]], split.frames[split.index["frame"][some + 1]]
        differs = (before != after).any(3)
        height, width = (side // 8 * 8 for side in differs.shape[1:])
        masks.append(
            differs[:, :height, :width].reshape(len(some), height // 8, 8, width // 8, 8).any((2, 4)).reshape(len(some), -1)
        )
    if not masks:
        return np.zeros(0)
    things = np.concatenate([np.concatenate(masks), pressed], 1)
    return np.where(things, 1 / np.maximum(things.mean(0), 1e-9), 1.0).max(1)


def dynamics_config(params: Params, latent_shape: tuple[int, ...], buttons: int) -> dict[str, Any]:
    """The self-describing config of the dynamics that `params` asks for."""
    own = params.dynamics
    kind = params.dynamics_kind
    return {
        "kind": kind,
        "latent_shape": list(latent_shape),
        "buttons": buttons,
        **({"hidden": own.hidden} if kind == "mlp" else {"channels": own.channels, "dead_zone": own.dead_zone}),
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
        name: Windows(split, latents[name], own.history_frames, own.history_actions, own.rare_power)
        for name, split in (("train", train), ("val", val))
    }
    fixed = windows["val"].all[:: max(1, len(windows["val"].all) // JUDGE_SAMPLE)]

    def loss_at(step: int) -> torch.Tensor:
        rng = step_rng(params.seed, step)
        at, weight = windows["train"].draw(rng, own.batch_size, own.changed_share)
        fed = int(rng.integers(0, self_fed_at(own.self_fed_steps, step / own.steps) + 1))
        fed = min(fed, int(train.index["step"][at].max()))
        usable = train.index["step"][at] >= fed  # the others would reach back before their episode
        at, weight = at[usable], weight[usable]
        past, buttons, following = windows["train"].get(at, device)
        with autocast(device):
            if fed:
                past = windows["train"].self_fed(model, at, fed, device)
            if own.input_noise:
                past = past + own.input_noise * torch.randn_like(past)
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
