"""The families of representations and of dynamics: one line each.

Read with the params, so nothing heavy is imported here. Of the dynamics that fit the latents, the
first is what dynamics.kind "auto" picks.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from dreamcart.core.errors import UserError


@dataclass(frozen=True)
class Encoder:
    """A family of representations.

    where: its "module:class" in dreamcart.
    latents: what its latents are: "pixels" of a palette [H, W], "tokens" [h, w], or "" for float
        vectors [D] or, with latent_dim 0, grids [C, h, w].
    """

    where: str
    latents: str = ""


@dataclass(frozen=True)
class Family:
    """A family of dynamics.

    where: its "module:class" in dreamcart.
    latents: the kinds of latents that it predicts.
    settings: which of the keys that all families share in `dynamics` of params.yaml its constructor
        takes, beside those of the family's own section.
    random: it can draw different futures, and so has a temperature.
    warm: its training can begin from a cart of its kind (dynamics.init_from).
    trainer: the "module:function" that trains it; see `dynamics.train.train_dynamics` for its
        arguments.
    """

    where: str
    latents: tuple[str, ...]
    settings: tuple[str, ...] = ()
    random: bool = False
    warm: bool = False
    trainer: str = "dynamics.train:train_dynamics"


REPRESENTATIONS = {
    "palette": Encoder("representation.palette:Palette", "pixels"),
    "tiles": Encoder("representation.tiles:Tiles", "tokens"),
    "ae": Encoder("representation.autoencoder:Autoencoder"),
    "vae": Encoder("representation.vae:Vae"),
    "vq": Encoder("representation.vq:VectorQuantised", "tokens"),
    "fsq": Encoder("representation.fsq:FiniteScalarQuantised", "tokens"),
}
HISTORY = ("history_frames", "history_actions")
FAMILIES = {
    "cells": Family(
        "dynamics.cells.model:CellDynamics",
        ("pixels",),
        random=True,
        warm=True,
        trainer="dynamics.cells.train:train_cells",
    ),
    "mlp": Family("dynamics.mlp:MlpDynamics", ("vector",), HISTORY),
    "conv": Family("dynamics.conv:ConvDynamics", ("grid",), HISTORY),
    "gaussian": Family("dynamics.gaussian:GaussianDynamics", ("vector",), HISTORY, random=True),
    "gru": Family("dynamics.gru:GruDynamics", ("vector",), ("history_frames",)),
    "flow": Family("dynamics.flow:FlowDynamics", ("vector", "grid"), HISTORY, random=True),
    "transformer": Family(
        "dynamics.transformer:TransformerDynamics", ("tokens",), ("history_frames",), random=True
    ),
}


def latents_of(representation: str, latent_dim: int) -> str:
    """Return the kind of a representation's latents: "pixels", "tokens", "vector" or "grid"."""
    return REPRESENTATIONS[representation].latents or ("vector" if latent_dim else "grid")


def fitting(latents: str) -> list[str]:
    """Return the families of dynamics for a kind of latents, the default first."""
    return [name for name, family in FAMILIES.items() if latents in family.latents]


def imported(where: str) -> Any:
    """Import what a family names as "module:name"."""
    module, name = where.split(":")
    return getattr(import_module(f"dreamcart.{module}"), name)


def build(families: dict[str, Any], config: dict[str, Any], source: object) -> Any:
    """Build an untrained model of the family `config["kind"]`; the other keys are that family's
    arguments.

    Raises UserError, naming `source`, where there is no such family or it does not take them.
    """
    arguments = {key: value for key, value in config.items() if key != "kind"}
    try:
        return imported(families[config["kind"]].where)(**arguments)
    except (KeyError, TypeError):
        raise UserError(
            f"The model in {source} is foreign or of another Dreamcart; run `dvc repro` to train it"
            " again."
        ) from None
