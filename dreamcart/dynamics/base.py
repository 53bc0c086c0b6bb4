"""The Dynamics seam: from past latents and buttons to the next latent.

One file a family, one line in `families`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dreamcart.core.tensors import load_tensors, load_weights, save_tensors
from dreamcart.families import FAMILIES, build

UNTOLD = -1  # a latent that no frame has: an oracle's rows of it tell nothing


@dataclass(frozen=True)
class History:
    """A dream's state: what the model may look back on, oldest first. One frame is not Markov.

    latents: float32 [B, F, *latent_shape]; actions: float32 [B, A - 1, buttons], those already
    taken.
    """

    latents: torch.Tensor
    actions: torch.Tensor


@dataclass(frozen=True)
class Trained:
    """A dream that training may begin from.

    source: what messages call it; config: what `make_dynamics` makes it of; buttons: by name.
    """

    source: str
    dynamics: "Dynamics"
    config: dict[str, Any]
    buttons: list[str]


class Dynamics(nn.Module):
    """Base of families that see a window of F past latents and A past button states.

    Subclasses say in `forward(latents [B, F, *latent_shape], actions [B, A, buttons], temperature,
    generator)` what the next latent is; the last action is the one being pressed. Those that draw
    (`random`) take the likeliest future at temperature 0 and draw from what they have learned at 1.
    `error_is` names what validation measures (`error`).

    Attributes:
        kind: its name in `families.FAMILIES`; random: whether different futures can be drawn. Set
            by `make_dynamics`.
        takes_truth: whether `step` takes an `oracle`, the true next latents, for where it is in
            doubt.
        judged: transitions that a validation looks at, at most.
    """

    kind = ""
    random = False
    takes_truth = False
    error_is = "MSE of the latent"
    judged = 4096

    def __init__(
        self, latent_shape: list[int], buttons: int, history_frames: int, history_actions: int
    ) -> None:
        super().__init__()
        self.latent_shape = tuple(latent_shape)
        self.buttons = buttons
        self.history_frames = history_frames
        self.history_actions = history_actions

    @staticmethod
    def survey(
        latents: np.ndarray, frame: np.ndarray, transitions: np.ndarray, vocabulary: int
    ) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Find in the training data what a fresh model needs of it: arguments of the constructor,
        and buffers by name.

        Args:
            latents: those of the distinct frames [U, *latent_shape]; frame: int [N], which of them
                each record shows.
            transitions: int [T], the records that have a next one; vocabulary: number of tokens, 0
                where there are none.
        """
        return {}, {}

    def start(
        self, latents: torch.Tensor, actions: torch.Tensor, real: torch.Tensor | None = None
    ) -> History:
        """The state after a real context.

        Args:
            latents: float32 [B, T, *latent_shape], oldest first, T >= 1.
            actions: multi-hot [B, T - 1, buttons] between them; more of the past may be given.
            real: int64 [B], how many of the latents, the last ones, are real where a row's episode
                is shorter than T; those before them repeat its first, with no buttons. All are by
                default.

        What is missing before the context is filled as at an episode's begin: its first frame, no
        buttons.
        """
        lack = self.history_frames - latents.shape[1]
        if lack > 0:
            latents = torch.cat([latents[:, :1].expand(-1, lack, *latents.shape[2:]), latents], 1)
        actions = actions.float()
        lack = self.history_actions - 1 - actions.shape[1]
        if lack > 0:
            actions = torch.cat(
                [actions.new_zeros(len(actions), lack, actions.shape[2]), actions], 1
            )
        keep = self.history_actions - 1
        return History(
            latents[:, latents.shape[1] - self.history_frames :],
            actions[:, actions.shape[1] - keep :],
        )

    def step(
        self,
        state: History,
        action: torch.Tensor,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, History]:
        """Press `action`, multi-hot [B, buttons].

        Returns the next latent [B, *latent_shape] and the new state.
        """
        actions = torch.cat([state.actions, action.float()[:, None]], 1)
        latent = self(state.latents, actions, temperature, generator).float()
        return latent, History(
            torch.cat([state.latents[:, 1:], latent[:, None]], 1), actions[:, 1:]
        )

    def loss(
        self,
        latents: torch.Tensor,
        actions: torch.Tensor,
        following: torch.Tensor,
        real: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """What training minimises, float32 [B]: by default the mean squared error of the next
        latent.

        Args:
            latents, actions: as in `forward`; following: the true next latents [B, *latent_shape].
            real: what `latents` would be without noise and without the model's own predictions in
                it, for families with targets inside the window; as `latents` by default.
        """
        return self.loss_and_next(latents, actions, following, real)[0]

    def loss_and_next(
        self,
        latents: torch.Tensor,
        actions: torch.Tensor,
        following: torch.Tensor,
        real: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`loss`, and the next latent as a dream at temperature 0 would have it, with gradients:
        for rollouts in training.
        """
        predicted = self(latents, actions).float()
        return (predicted - following).square().flatten(1).mean(1), predicted

    def error(
        self, latents: torch.Tensor, actions: torch.Tensor, following: torch.Tensor
    ) -> torch.Tensor:
        """What validation averages and the best weights are chosen by, float32 [B]; see
        `error_is`.
        """
        predicted = self(latents, actions).float()
        return (predicted - following).square().flatten(1).mean(1)

    def diagnose(self, state: Any, action: torch.Tensor) -> dict[str, float]:
        """What else there is to know of the beliefs about the step after `state`, as numbers for a
        report.
        """
        return {}

    def matrices(self) -> Iterator[nn.Parameter]:
        """The weights that Muon trains (see `training.fit`); AdamW trains the others."""
        return iter(())


def make_dynamics(config: dict[str, Any], source: object = "its config") -> Dynamics:
    """Build an untrained model of the family `config["kind"]`; the other keys are that family's
    arguments.

    Raises UserError, naming `source`, where there is no such family or it does not take them.
    """
    model = build(FAMILIES, config, source)
    model.kind, model.random = config["kind"], FAMILIES[config["kind"]].random
    return model


def save_dynamics(path: Path, model: Dynamics, config: dict[str, Any]) -> None:
    """Weights and the config that rebuilds the model, in one safetensors file."""
    save_tensors(path, model.state_dict(), {"config": config})


def load_dynamics(path: Path) -> Dynamics:
    """The inverse of `save_dynamics`, in eval mode.

    Raises UserError on a damaged or foreign file.
    """
    tensors, meta = load_tensors(path)
    return load_weights(make_dynamics(meta.get("config", {}), path), tensors, path)
