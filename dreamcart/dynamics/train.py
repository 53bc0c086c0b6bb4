"""Training a dynamics model on the latents of a dataset: teacher-forced, self-fed, or by rollouts
of k steps.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dreamcart.core.errors import UserError
from dreamcart.data.processed import Split, history
from dreamcart.dynamics.base import Dynamics, Trained, make_dynamics
from dreamcart.families import FAMILIES, imported
from dreamcart.params import Params
from dreamcart.training.device import autocast, keep_memory, make_repeatable, pick_device
from dreamcart.training.loop import Plan, fit, step_rng
from dreamcart.training.pace import within

VAL_BATCH = 256
SELF_FED_FROM, SELF_FED_FULL = 0.4, 0.8  # shares of the training between which self-feeding grows


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


def self_feeding(progress: float) -> float:
    """How far self-feeding has come, 0 to 1, when `progress` (0 to 1) of the training is over.

    Nothing at first, for a model that knows nothing yet would learn from its own noise.
    """
    return min(1.0, max(0.0, (progress - SELF_FED_FROM) / (SELF_FED_FULL - SELF_FED_FROM)))


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
    for first in range(0, len(at), VAL_BATCH):
        some = at[first : first + VAL_BATCH]
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


def dynamics_config(
    params: Params, latent_shape: tuple[int, ...], buttons: int, **sizes: Any
) -> dict[str, Any]:
    """The self-describing config of the dynamics that `params` asks for;

    `sizes` are what a family finds in the data.
    """
    family = FAMILIES[params.dynamics_kind]
    settings = {name: getattr(params.dynamics, name) for name in family.settings}
    settings |= asdict(getattr(params.dynamics, params.dynamics_kind))
    return {
        "kind": params.dynamics_kind,
        "latent_shape": list(latent_shape),
        "buttons": buttons,
        **sizes,
        **settings,
    }


def fresh_model(
    params: Params, train: Split, latents: np.ndarray, vocabulary: int
) -> tuple[Dynamics, dict[str, Any]]:
    """An untrained model for the training split, and its config."""
    survey = imported(FAMILIES[params.dynamics_kind].where).survey
    sizes, buffers = survey(latents, train.index["frame"], train.transitions, vocabulary)
    config = dynamics_config(params, latents.shape[1:], len(train.spec.buttons), **sizes)
    model = make_dynamics(config)
    model.load_state_dict(buffers, strict=False)
    return model, config


def train_dynamics(
    params: Params,
    train: Split,
    val: Split,
    latents: dict[str, np.ndarray],
    pictures: torch.Tensor | None,
    checkpoint: Path,
    start: Trained | None = None,
) -> tuple[Dynamics, dict[str, Any], list[dict[str, float]]]:
    """Train on (past latents, past buttons) → next latent with the family's own loss; keep the best
    by validation.

    Args:
        latents: "train" and "val": those of the distinct frames, float32 or int16 [U,
            *latent_shape].
        pictures: uint8 [vocabulary, ...], what tokens look like; None where latents are none.
        start: for families that can begin from another dream; this trainer's cannot.

    Returns the model (on the CPU, eval mode), its config and the loss curve. Its `val` is the
    model's `error`, at the data's own frequencies.
    """
    if start is not None:
        raise UserError(
            f"dynamics.kind {params.dynamics_kind!r} cannot begin from {start.source}; leave"
            " dynamics.init_from empty."
        )
    own = params.dynamics
    keep_memory()
    make_repeatable(params.seed)
    device = pick_device()
    model, config = fresh_model(
        params, train, latents["train"], 0 if pictures is None else len(pictures)
    )
    model = model.to(device, memory_format=torch.channels_last)
    windows = {
        name: Windows(
            split, latents[name], model.history_frames, model.history_actions, own.rare_power
        )
        for name, split in (("train", train), ("val", val))
    }
    practice = windows["train"]
    mode = "teacher" if params.latent_kind == "tokens" else own.training
    fixed = windows["val"].all[:: max(1, len(windows["val"].all) // model.judged)]

    def loss_at(step: int) -> torch.Tensor:
        rng = step_rng(params.seed, step)
        at, weight = practice.draw(rng, own.batch_size, own.changed_share)
        far = self_feeding(step / plan.steps) if mode == "self_fed" else 0.0
        back = (
            own.rollout_steps - 1
            if mode == "k_step"
            else int(rng.integers(0, own.rollout_steps + 1))
            if far
            else 0
        )
        back = min(back, int(train.index["step"][at].max()))
        usable = train.index["step"][at] >= back  # the others would reach back before their episode
        at, weight = at[usable], weight[usable]
        with autocast(device):
            if mode == "k_step":
                loss = practice.dreamed(model, at, back + 1, own.input_noise, device)
            else:
                real, buttons, following = practice.get(at, device)
                past = real
                if back:
                    past = practice.self_fed(
                        model,
                        at,
                        back,
                        device,
                        rng.random((len(at), back)) < far * own.self_fed_probability,
                    )
                loss = model.loss(disturb(past, own.input_noise), buttons, following, real)
        return (loss * torch.from_numpy(weight).to(device)).mean()

    def validate() -> float:
        total = 0.0
        for first in range(0, len(fixed), VAL_BATCH):
            with autocast(device):
                total += float(
                    model.error(*windows["val"].get(fixed[first : first + VAL_BATCH], device)).sum()
                )
        return total / len(fixed)

    plan = Plan(
        own.steps,
        own.learning_rate,
        own.weight_decay,
        own.validate_every,
        own.checkpoint_every,
        params.seed,
    )
    matrices = list(model.matrices())
    plan = within(plan, own.minutes, model, loss_at, checkpoint, matrices=matrices)
    title = f"dynamics, {config['kind']}"
    curve = fit(model, plan, loss_at, validate, checkpoint, title, matrices=matrices)
    return model.cpu(), config, curve
