"""Makes, saves and loads a representation by the name of its family."""

from pathlib import Path
from typing import Any

from dreamcart.core.tensors import load_tensors, load_weights, save_tensors
from dreamcart.families import REPRESENTATIONS, build
from dreamcart.representation.base import Representation


def make_representation(config: dict[str, Any], source: object = "its config") -> Representation:
    """Build an untrained model of the family `config["kind"]`; the other keys are that family's
    arguments.

    Raises UserError, naming `source`, where there is no such family or it does not take them.
    """
    return build(REPRESENTATIONS, config, source)


def save_representation(path: Path, model: Representation, config: dict[str, Any]) -> None:
    """Write weights and the config that rebuilds the model as one safetensors file."""
    save_tensors(path, model.state_dict(), {"config": config})


def load_representation(path: Path) -> Representation:
    """Read what `save_representation` wrote, in eval mode.

    Raises UserError on a damaged or foreign file.
    """
    tensors, meta = load_tensors(path)
    return load_weights(make_representation(meta.get("config", {}), path), tensors, path)
