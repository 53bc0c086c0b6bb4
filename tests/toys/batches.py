"""Batches small enough for tests of movers."""

import pytest
import torch

from dreamcart.dynamics.tokens.model import TokenDynamics
from dreamcart.dynamics.tokens.movers import train


def small_batches(patch: pytest.MonkeyPatch) -> None:
    """Let movers train on less at once: games of tests are small."""
    for name, value in (("STRETCHES", 6), ("STEPS", 60), ("BATCH", 64)):
        patch.setattr(train, name, value)


def quiet(model: TokenDynamics) -> None:
    """Let something happen at every step, and cells stay as they are by themselves."""
    torch.nn.init.constant_(model.network.event[2].bias, 20.0)
    torch.nn.init.constant_(model.network.gate.bias, -20.0)
    torch.nn.init.zeros_(model.network.gate.weight)
