"""The training loop that every family shares: one-cycle AdamW (or Muon), validation, best weights,
checkpoints, resume.

A batch is a function of (seed, step) and of what the checkpoint holds, so a run that was killed and
goes on from its checkpoint ends with the numbers of an uninterrupted one (bit for bit on the same
machine's CPU).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from dreamcart.core.errors import UserError
from dreamcart.core.tensors import load_tensors, save_tensors
from dreamcart.training.muon import Muon

WARM_UP = 0.1  # share of the steps over which the learning rate rises
MOST_WARM_UP = 500  # steps: a long run needs no longer a start


@dataclass(frozen=True)
class Plan:
    """How long and how to train."""

    steps: int
    learning_rate: float
    weight_decay: float
    validate_every: int
    checkpoint_every: int
    seed: int


def step_rng(seed: int, step: int) -> np.random.Generator:
    """The random generator of one training step."""
    return np.random.default_rng([seed, step])


def learning_rate_at(plan: Plan, step: int) -> float:
    """One cycle: a short linear warm-up, then a half cosine to zero (Smith & Topin 2018)."""
    warm = max(1, min(MOST_WARM_UP, round(plan.steps * WARM_UP)))
    if step < warm:
        return plan.learning_rate * (step + 1) / warm
    return (
        plan.learning_rate
        * 0.5
        * (1 + math.cos(math.pi * (step - warm) / max(1, plan.steps - warm)))
    )


def fit(
    model: nn.Module,
    plan: Plan,
    loss_at: Callable[[int], torch.Tensor],
    validate: Callable[[], float],
    checkpoint: Path,
    title: str,
    extra: dict[str, torch.Tensor] | None = None,
    matrices: Iterable[nn.Parameter] = (),
) -> list[dict[str, float]]:
    """Train `model` in place and leave the weights that validated best in it.

    Args:
        loss_at: training loss (a scalar) of step k; may depend on k and the model only.
        validate: validation loss of the model as it is (in eval mode).
        checkpoint: file to go on from, and to write to; it stays until the caller removes it.
        matrices: the weights that Muon trains; AdamW trains the others.
        extra: tensors that `loss_at` changes in place and that a checkpoint must hold too.

    Returns:
        The curve: {"step", "train", "val"} at each validation; "train" is the mean since the one
            before.

    Raises:
        UserError: the loss is no longer a number.
    """
    optimizers = optimizers_for(model, plan, matrices)
    run = _Run(model, optimizers, extra or {}, plan.steps)
    if checkpoint.is_file():
        run.load(checkpoint)
    bar = tqdm(
        range(run.step, plan.steps),
        initial=run.step,
        total=plan.steps,
        unit="step",
        desc=title,
        smoothing=0.05,
    )
    for step in bar:
        value = train_step(model, optimizers, plan, loss_at, step, title)
        run.recent.append(value)
        run.step = step + 1
        if run.step % plan.validate_every == 0 or run.step == plan.steps:
            model.eval()
            with torch.inference_mode():
                run.note(validate())
            bar.set_postfix(
                train=f"{run.curve[-1]['train']:.5f}", val=f"{run.curve[-1]['val']:.5f}"
            )
        if run.step % plan.checkpoint_every == 0 or run.step == plan.steps:
            run.save(checkpoint)
    model.load_state_dict(run.best)
    model.eval()
    return run.curve


def optimizers_for(
    model: nn.Module, plan: Plan, matrices: Iterable[nn.Parameter] = ()
) -> list[torch.optim.Optimizer]:
    """Make AdamW, and Muon for `matrices` where there are some."""
    matrices = list(matrices)
    others = [w for w in model.parameters() if not any(w is matrix for matrix in matrices)]
    settings = {"lr": plan.learning_rate, "weight_decay": plan.weight_decay}
    optimizers = [torch.optim.AdamW(others, **settings, fused=True)]
    if matrices:
        optimizers.append(Muon(matrices, plan.learning_rate, plan.weight_decay))
    return optimizers


def train_step(
    model: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    plan: Plan,
    loss_at: Callable[[int], torch.Tensor],
    step: int,
    title: str,
) -> float:
    """Change the weights by one step, and return its loss. Raises UserError as `fit` does."""
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        group["lr"] = learning_rate_at(plan, step)
    model.train()
    torch.manual_seed(plan.seed * 1_000_003 + step)
    loss = loss_at(step)
    model.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(list(model.parameters()), 1.0)
    value = loss.item()
    if not (math.isfinite(value) and math.isfinite(norm)):  # before it spoils the weights
        raise UserError(
            f"{title}: the loss or its gradient became"
            f" {value if not math.isfinite(value) else norm.item()} at step {step}; lower its"
            " learning_rate in params.yaml and run again."
        )
    for optimizer in optimizers:
        optimizer.step()
    return value


class _Run:
    """Everything a run needs to go on: weights, optimizer, step, curve, best weights, RNG state."""

    def __init__(
        self,
        model: nn.Module,
        optimizers: list[torch.optim.Optimizer],
        extra: dict[str, torch.Tensor],
        steps: int,
    ) -> None:
        self.model, self.optimizers, self.extra, self.steps = model, optimizers, extra, steps
        self.step = 0
        self.curve: list[dict[str, float]] = []
        self.recent: list[float] = []
        self.best = {k: v.clone() for k, v in model.state_dict().items()}

    def note(self, val: float) -> None:
        """Add a point to the curve; keep the weights if they are the best so far."""
        if not self.curve or val < min(point["val"] for point in self.curve):
            self.best = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.curve.append(
            {"step": self.step, "train": sum(self.recent) / len(self.recent), "val": val}
        )
        self.recent = []

    def save(self, path: Path) -> None:
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        for which, optimizer in enumerate(self.optimizers):
            for number, entry in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{which}.{number}.{k}": v for k, v in entry.items()}
        tensors |= {f"extra.{k}": v for k, v in self.extra.items()}
        tensors["rng"] = torch.get_rng_state()
        meta = {"step": self.step, "steps": self.steps, "curve": self.curve, "recent": self.recent}
        save_tensors(path, tensors, meta)

    def load(self, path: Path) -> None:
        tensors, meta = load_tensors(path)
        try:
            self._restore(tensors, meta)
        except (RuntimeError, KeyError, ValueError):
            raise UserError(
                f"The checkpoint {path} was made by another version of the model; delete it and run"
                " again."
            ) from None

    def _restore(self, tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
        self.model.load_state_dict(_under(tensors, "model."))
        self.best = _under(tensors, "best.")
        for name, tensor in self.extra.items():
            tensor.copy_(tensors[f"extra.{name}"])
        for which, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, torch.Tensor]] = {}
            for name, tensor in _under(tensors, f"optimizer.{which}.").items():
                number, key = name.split(".", 1)
                state.setdefault(int(number), {})[key] = tensor
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            if (
                set(state) - set(range(len(weights)))
                or (weights and not state and meta["step"])
                or _misfits(state, weights)
            ):
                raise KeyError("the checkpoint is of another optimizer")
            # in the weights' own order in memory, which fused kernels take for granted
            for number, entry in state.items():
                like = weights[number]
                entry |= {k: torch.empty_like(like).copy_(v) for k, v in entry.items() if v.dim()}
            optimizer.load_state_dict(
                {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
            )
        torch.set_rng_state(tensors["rng"])
        self.step, self.curve, self.recent = meta["step"], meta["curve"], meta["recent"]


def _misfits(state: dict[int, dict[str, torch.Tensor]], weights: list[nn.Parameter]) -> bool:
    """Whether moments in a checkpoint are not of their weights' shapes (numbers without a shape,
    step counts, are).
    """
    return any(
        v.dim() and v.shape != weights[number].shape
        for number, entry in state.items()
        for v in entry.values()
    )


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)
    }
