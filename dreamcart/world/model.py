"""WorldModel = game spec + representation + dynamics: the dream that evaluation, play and exporters
share.

On disk it is a folder: `representation.safetensors`, `dynamics.safetensors`, and
`world.safetensors` with the game spec, the first frames of the game's start states and the median
frame. No emulator is needed to use it.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dreamcart.core.errors import UserError
from dreamcart.core.limits import check_config, no_larger_than
from dreamcart.core.tensors import load_tensors, load_weights, save_tensors
from dreamcart.core.typed import build
from dreamcart.dynamics.base import UNTOLD, Dynamics, make_dynamics
from dreamcart.games.spec import GameSpec
from dreamcart.params import PreprocessConfig
from dreamcart.representation.base import Representation
from dreamcart.representation.registry import make_representation
from dreamcart.training.device import autocast

PARTS = ("representation", "dynamics")
TRAINED = "trained"  # the file of the dynamics as `train_dynamics` leaves them, before `refine`
# What building and trying a model raises where its file is signed but of other code, or of
# nobody's.
FOREIGN = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError),
    *(NotImplementedError, RecursionError, RuntimeError, TypeError, ValueError),
)


class WorldModel:
    """A playable, batched dream.

    Attributes:
        spec: the game, with its buttons by name.
        starts: start state name → first frame, uint8 [H, W, C].
        seen_as: how its frames were made from the game's screen.
        shape: (H, W, C) of its frames.
    """

    def __init__(
        self,
        spec: GameSpec,
        representation: Representation,
        dynamics: Dynamics,
        starts: dict[str, np.ndarray],
        seen_as: PreprocessConfig,
        device: torch.device,
    ) -> None:
        self.spec, self.starts, self.seen_as, self.device = spec, starts, seen_as, device
        self.representation = representation.to(device).eval()
        self.dynamics = dynamics.to(device).eval()
        self.shape = next(iter(starts.values())).shape

    @property
    def first_start(self) -> str:
        """The start state from which it is played unless the player says otherwise: the game's
        first that the model has.
        """
        return next(name for name in [*self.spec.start_states, *self.starts] if name in self.starts)

    @property
    def temperature(self) -> float:
        """At which it is played unless the player says otherwise: as the game's, where its dynamics
        can draw at all.
        """
        return self.spec.temperature if self.dynamics.random else 0.0

    def start(self, frames: np.ndarray, actions: np.ndarray) -> Any:
        """Begin from a real context: frames uint8 [B, T, H, W, C], multi-hot actions [B, T - 1,
        buttons].
        """
        batch, time = frames.shape[:2]
        return self.begin(
            self.encode(frames.reshape(batch * time, *frames.shape[2:])).unflatten(
                0, (batch, time)
            ),
            actions,
        )

    @torch.inference_mode()
    def encode(self, frames: np.ndarray) -> torch.Tensor:
        """uint8 [B, H, W, C] → latents [B, *latent_shape]."""
        with autocast(self.device):
            return self.representation.encode(
                torch.from_numpy(np.ascontiguousarray(frames)).to(self.device)
            )

    @torch.inference_mode()
    def begin(
        self, latents: torch.Tensor, actions: np.ndarray, real: np.ndarray | None = None
    ) -> Any:
        """Begin from an encoded context: latents [B, T, *latent_shape], multi-hot actions [B, T -
        1, buttons].

        `real`, int [B], says how many of the frames are real, see `Dynamics.start`.
        """
        return self.dynamics.start(
            latents,
            torch.from_numpy(np.ascontiguousarray(actions)).to(self.device),
            None if real is None else torch.from_numpy(real).to(self.device),
        )

    @torch.inference_mode()
    def step(
        self,
        state: Any,
        action: np.ndarray,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
        truth: np.ndarray | None = None,
        told: np.ndarray | None = None,
    ) -> tuple[np.ndarray, Any]:
        """Press `action`, multi-hot [B, buttons]. Returns the next frames, uint8 [B, H, W, C], and
        the new state.

        `truth`, the real next frames, tells a dynamics that `takes_truth` what happened where it is
        in doubt, and only there; with `told`, bool [B], in those rows only.
        """
        with autocast(self.device):
            # int16, for UNTOLD is below all
            help = {} if truth is None else {"oracle": self.encode(truth).to(torch.int16)}
            if help and told is not None:
                help["oracle"][torch.from_numpy(~told)] = UNTOLD
            latent, state = self.dynamics.step(
                state, torch.from_numpy(action).to(self.device), temperature, generator, **help
            )
            frames = self.representation.decode(latent)
        return frames.cpu().numpy(), state

    @torch.inference_mode()
    def reconstruct(self, frames: np.ndarray) -> np.ndarray:
        """Encode and decode uint8 [B, H, W, C]: the best that any rollout could look like."""
        with autocast(self.device):
            return self.representation.decode(self.encode(frames)).cpu().numpy()


def save_world(
    path: Path,
    spec: GameSpec,
    starts: dict[str, np.ndarray],
    median: np.ndarray,
    seen_as: PreprocessConfig,
    recipe: dict[str, Any] | None = None,
) -> None:
    """Write world.safetensors: what a dream needs beside its two networks, and the settings that
    made it (`recipe`).
    """
    tensors = {
        f"start.{name}": torch.from_numpy(np.ascontiguousarray(frame))
        for name, frame in starts.items()
    }
    save_tensors(
        path,
        tensors | {"median": torch.from_numpy(median)},
        {
            "game": spec.to_dict(),
            "starts": list(starts),
            "preprocess": asdict(seen_as),
            "recipe": recipe or {},
        },
    )


def seen_as_of(meta: dict[str, Any], shape: tuple[int, ...], source: str) -> PreprocessConfig:
    """How the frames of a saved model were made; the first models did not say, and were resized by
    area.
    """
    told = {
        "height": shape[0],
        "width": shape[1],
        "color": "gray" if shape[2] == 1 else "rgb",
        "resize": "area",
        "val_share": 0.2,
    }
    return build(PreprocessConfig, meta.get("preprocess", told), "preprocess.", source)


def assemble(
    tensors: dict[str, torch.Tensor],
    meta: dict[str, Any],
    device: torch.device,
    source: str,
    remedy: str,
) -> WorldModel:
    """Build a dream of what a file or a folder holds, whoever wrote it.

    Args:
        tensors: "representation.…" and "dynamics.…", "start.…" (uint8 [H, W, C] each) and "median".
        meta: the configs of both networks under their names, "game", "starts" and "preprocess".
        source: what to call it in messages; remedy: what they advise.

    Raises:
        UserError: something is missing, too large, or does not fit the rest.
    """
    try:
        check_config([meta[part] for part in PARTS])
        parts = {}
        for part, make in zip(PARTS, (make_representation, make_dynamics), strict=True):
            own = {
                name.removeprefix(f"{part}."): tensor
                for name, tensor in tensors.items()
                if name.startswith(f"{part}.")
            }
            with no_larger_than(own):
                model = make(meta[part], source)
            parts[part] = load_weights(model, own, Path(source))
        starts = {name: tensors[f"start.{name}"].numpy() for name in meta["starts"]}
        spec, seen_as = (
            GameSpec.from_dict(meta["game"], source),
            seen_as_of(meta, tensors["median"].shape, source),
        )
        fits = fit_together(
            spec, parts["representation"], parts["dynamics"], starts, tensors["median"]
        )
    except FOREIGN:
        raise UserError(
            f"{source} lacks what a dream needs, or its parts do not fit together; {remedy}."
        ) from None
    if not fits:
        raise UserError(f"The parts of {source} do not fit together; {remedy}.")
    return WorldModel(spec, parts["representation"], parts["dynamics"], starts, seen_as, device)


def fit_together(
    spec: GameSpec,
    representation: Representation,
    dynamics: Dynamics,
    starts: dict[str, np.ndarray],
    median: torch.Tensor,
) -> bool:
    """Whether the parts of a model are of one game, frame size and latent."""
    return (
        bool(starts)
        and all(frame.shape == tuple(representation.shape) for frame in (*starts.values(), median))
        and all(frame.dtype == np.uint8 for frame in starts.values())
        and dynamics.latent_shape == tuple(representation.latent_shape)
        and dynamics.buttons == len(spec.buttons)
    )


def load_world(folder: Path, device: torch.device, dynamics: str = "dynamics") -> WorldModel:
    """Load a trained dream; `dynamics` names the file of its dynamics, TRAINED that which `refine`
    begins from.

    Raises UserError where a part is missing, damaged or does not fit the others.
    """
    if not (folder / "world.safetensors").is_file():
        raise UserError(
            f"There is no trained model in {folder}; run `dvc repro` to train it, or choose another"
            " game."
        )
    tensors, meta = load_tensors(folder / "world.safetensors")
    for part, file in zip(PARTS, ("representation", dynamics), strict=True):
        weights, own = load_tensors(folder / f"{file}.safetensors")
        tensors |= {f"{part}.{name}": weight for name, weight in weights.items()}
        meta[part] = own.get("config", {})
    return assemble(
        tensors, meta, device, f"the model in {folder}", "run `dvc repro` to train it again"
    )
