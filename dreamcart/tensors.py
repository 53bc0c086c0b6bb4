"""Tensors on disk: safetensors with JSON metadata, never pickle; what is damaged is refused in one sentence."""

import errno
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file

from dreamcart.errors import UserError
from dreamcart.files import replace_atomically


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, Any] | None = None) -> None:
    """Save tensors and JSON metadata as one safetensors file, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(flat, temporary, {"json": json.dumps(metadata or {}, sort_keys=True)})
    except SafetensorError as problem:  # it wraps what the system says
        temporary.unlink(missing_ok=True)
        if "No space left" in str(problem):
            raise OSError(errno.ENOSPC, "", str(path)) from None
        raise
    temporary.chmod(0o644)  # safetensors writes 0600
    replace_atomically(temporary, path)


def file_size(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> int:
    """Bytes of the file that `save_tensors` would write."""
    return len(save({name: tensor.contiguous() for name, tensor in tensors.items()}, {"json": json.dumps(metadata)}))


def read_metadata(path: Path, remedy: str) -> dict[str, Any]:
    """The JSON metadata of what `save_tensors` wrote, without its tensors. Raises UserError as `load_tensors` does."""
    try:
        with safe_open(path, framework="pt") as handle:
            metadata = json.loads((handle.metadata() or {}).get("json", "{}"))
        if not isinstance(metadata, dict):
            raise TypeError("metadata are an object with names")
        return metadata
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to train it.") from None
    except (SafetensorError, TypeError, json.JSONDecodeError):
        raise UserError(f"{path} is damaged (truncated or no safetensors file); {remedy}.") from None


def load_tensors(path: Path, remedy: str = "delete it and run `dvc repro` again") -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
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
                f"{path} holds NaN or infinity in {name!r}: its training diverged, or it was damaged; {remedy} "
                "(with a lower learning_rate where it happens again)."
            )
    return tensors, metadata
