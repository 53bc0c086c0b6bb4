"""Tensors on disk: safetensors with JSON metadata, never pickle; what is damaged is refused in one
sentence.
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file
from torch import nn

from dreamcart.core.errors import UserError
from dreamcart.core.files import writing


def save_tensors(
    path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, Any] | None = None
) -> None:
    """Save tensors and JSON metadata as one safetensors file, atomically.

    Raises OSError where it cannot be written.
    """
    with writing(path) as temporary:
        save_file(_apart(tensors), temporary, {"json": json.dumps(metadata or {}, sort_keys=True)})


def _apart(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copies in memory of their own: safetensors refuses tensors that share it, as two views of one
    frame do.
    """
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def file_size(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> int:
    """Bytes of the file that `save_tensors` would write."""
    return len(save(_apart(tensors), {"json": json.dumps(metadata)}))


def read_metadata(path: Path, remedy: str) -> dict[str, Any]:
    """The JSON metadata of what `save_tensors` wrote, without its tensors.

    Raises UserError as `load_tensors` does.
    """
    try:
        with safe_open(path, framework="pt") as handle:
            metadata = json.loads((handle.metadata() or {}).get("json", "{}"))
        if not isinstance(metadata, dict):
            raise TypeError("metadata are an object with names")
        return metadata
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to train it.") from None
    except OSError as problem:  # a folder, a right that is lacking
        raise UserError(
            f"{path} cannot be read ({os.strerror(problem.errno or 0)}); {remedy}."
        ) from None
    except (SafetensorError, TypeError, ValueError, RecursionError):
        raise UserError(
            f"{path} is damaged (truncated or no safetensors file); {remedy}."
        ) from None


def load_tensors(
    path: Path, remedy: str = "delete it and run `dvc repro` again"
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Load what `save_tensors` wrote. `remedy` is what a message about a damaged file advises.

    Raises:
        UserError: the file is missing, truncated or foreign, or holds NaN or infinity.
    """
    metadata = read_metadata(path, remedy)
    with safe_open(path, framework="pt") as handle:
        tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UserError(
                f"{path} holds NaN or infinity in {name!r}: its training diverged, or it was"
                f" damaged; {remedy} (with a lower learning_rate where it happens again)."
            )
    return tensors, metadata


def load_weights(model: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> Any:
    """Put `tensors` into `model`, in eval mode and channels-last.

    Raises UserError where they do not fit.
    """
    try:
        model.load_state_dict(tensors)
    except RuntimeError:
        raise UserError(
            f"{path} does not hold the weights its config speaks of; delete it and run `dvc repro`"
            " again."
        ) from None
    return model.eval().to(memory_format=torch.channels_last)
