"""The Representation seam: frames to latents and back. One file a family, one line in `make_representation`."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from dreamcart.errors import UserError
from dreamcart.tensors import load_tensors, save_tensors


class Representation(nn.Module):
    """Base of all families.

    Frames are uint8 [B, H, W, C]; latents are float32 [B, *latent_shape], each number of about unit scale, or
    int16 tokens [B, h, w] below `vocabulary`, of which `pictures` [vocabulary, ...] tells what they stand for: those
    that mean alike have alike ones.
    """

    latent_dtype = torch.float32

    shape: tuple[int, int, int]  # (H, W, C)
    latent_shape: tuple[int, ...]
    vocabulary: int | None = None

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        """uint8 [B, H, W, C] → latents [B, *latent_shape]."""
        raise NotImplementedError

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents [B, *latent_shape] → uint8 [B, H, W, C]."""
        raise NotImplementedError

    def loss(self, frames: torch.Tensor) -> torch.Tensor:
        """uint8 [B, H, W, C] → the scalar to minimise."""
        raise NotImplementedError


def make_representation(config: dict[str, Any], source: object = "its config") -> Representation:
    """A fresh model of the family `config["kind"]`; the other keys are that family's arguments."""
    from dreamcart.representation.autoencoder import Autoencoder
    from dreamcart.representation.fsq import FiniteScalarQuantised
    from dreamcart.representation.tiles import Tiles
    from dreamcart.representation.vae import Vae
    from dreamcart.representation.vq import VectorQuantised

    families = {"ae": Autoencoder, "vae": Vae, "vq": VectorQuantised, "fsq": FiniteScalarQuantised, "tiles": Tiles}
    arguments = {key: value for key, value in config.items() if key != "kind"}
    try:
        return families[config["kind"]](**arguments)
    except (KeyError, TypeError):
        raise UserError(f"The model in {source} is foreign or of another Dreamcart; run `dvc repro` to train it again.") from None


def save_representation(path: Path, model: Representation, config: dict[str, Any]) -> None:
    """Weights and the config that rebuilds the model, in one safetensors file."""
    save_tensors(path, model.state_dict(), {"config": config})


def load_representation(path: Path) -> Representation:
    """The inverse of `save_representation`, in eval mode. Raises UserError on a damaged or foreign file."""
    tensors, meta = load_tensors(path)
    return load_weights(make_representation(meta.get("config", {}), path), tensors, path)


def load_weights(model: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> Any:
    """Put `tensors` into `model`, in eval mode and channels-last. Raises UserError where they do not fit."""
    try:
        model.load_state_dict(tensors)
    except RuntimeError:
        raise UserError(f"{path} does not hold the weights its config speaks of; delete it and run `dvc repro` again.") from None
    return model.eval().to(memory_format=torch.channels_last)
