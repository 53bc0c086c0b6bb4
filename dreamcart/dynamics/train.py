"""Training a dynamics model on the latents of a dataset: teacher-forced, self-fed, or by rollouts
of k steps.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dreamcart.core.errors import UserError
from dreamcart.data.processed import Split
from dreamcart.dynamics.base import Dynamics, Trained, make_dynamics
from dreamcart.dynamics.windows import Windows, disturb
from dreamcart.families import FAMILIES, imported
from dreamcart.params import Params
from dreamcart.training.device import autocast, keep_memory, make_repeatable, pick_device
from dreamcart.training.loop import Plan, fit, step_rng
from dreamcart.training.pace import within

VAL_BATCH = 256
SELF_FED_FROM, SELF_FED_FULL = 0.4, 0.8  # shares of the training between which self-feeding grows


def self_feeding(progress: float) -> float:
    """How far self-feeding has come, 0 to 1, when `progress` (0 to 1) of the training is over.

    Nothing at first, for a model that knows nothing yet would learn from its own noise.
    """
    return min(1.0, max(0.0, (progress - SELF_FED_FROM) / (SELF_FED_FULL - SELF_FED_FROM)))


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
