"""Bounds on what a file may make us build: a model's config comes from a stranger, and 10**9 blocks
would hang.

A network is refused while it is built, as soon as it has clearly more in it than the file that it
is read from.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as registration

# no size or count of a real model is larger; a dictionary of tiles has 65,535 at most
MOST_WHOLE = 65_536
MOST_ENTRIES, MOST_DEPTH, LONGEST_TEXT = 4096, 8, 200
# How much more than the file's tensors a model may hold: tables that are worked out when it is made
# are not in the file.
TIMES, NUMBERS, MODULES = 4, 1_000_000, 1000


def check_config(value: Any, depth: int = 0) -> None:
    """Raise ValueError where a config holds a number, list or text that is larger than that of any
    real model.
    """
    sized = isinstance(value, (list, dict, str))
    most = {str: LONGEST_TEXT}.get(type(value), MOST_ENTRIES)
    if depth > MOST_DEPTH or (sized and len(value) > most):
        raise ValueError("the config is too large")
    if isinstance(value, (int, float)) and not (math.isfinite(value) and abs(value) <= MOST_WHOLE):
        raise ValueError(f"{value} is too large")
    inner = (
        [*value, *value.values()]
        if isinstance(value, dict)
        else value
        if isinstance(value, list)
        else []
    )
    for part in inner:
        check_config(part, depth + 1)


@contextlib.contextmanager
def no_larger_than(tensors: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Refuse to build modules with clearly more parameters, buffers or parts than these tensors
    hold. Raises ValueError.
    """
    numbers = TIMES * sum(tensor.numel() for tensor in tensors.values()) + NUMBERS
    modules = TIMES * len(tensors) + MODULES

    def count(_: nn.Module, name: str, tensor: torch.Tensor | None) -> None:
        nonlocal numbers
        numbers -= 0 if tensor is None else tensor.numel()
        if numbers < 0:
            raise ValueError(f"{name} makes the model larger than its file")

    def count_parts(_: nn.Module, name: str, part: nn.Module | None) -> None:
        nonlocal modules
        modules -= 1
        if modules < 0:
            raise ValueError(f"{name} makes the model larger than its file")

    hooks = [
        registration.register_module_parameter_registration_hook(count),
        registration.register_module_buffer_registration_hook(count),
        registration.register_module_module_registration_hook(count_parts),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
