"""Dials: what a console remembers of two buttons, and no picture shows.

A paddle is a knob that two buttons turn by a fixed step, up to its two ends (`GameSpec.paddles`),
and the game's bat follows it late and rounded: where the bat goes next depends on how far the knob
was turned, which may be out of sight beyond the screen's edge. That is known exactly from the
buttons alone (docs/lab), so a dream is given it with its past.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

MIDDLE = 0.5  # where a dial stands when a game begins
OCTAVES = 8


class Dial(NamedTuple):
    """Numbers of the buttons that turn it back and on, and the share of its whole way that a step
    turns it.
    """

    back: int
    on: int
    step: float


def turned(positions: torch.Tensor, action: torch.Tensor, dials: Sequence[Dial]) -> torch.Tensor:
    """Positions float32 [B, D], 0 to 1, after a step in which `action`, multi-hot [B, n], was
    pressed.
    """
    return (
        (positions + turns(action, dials).to(positions.dtype)).clamp(0, 1) if dials else positions
    )


def turns(action: torch.Tensor, dials: Sequence[Dial]) -> torch.Tensor:
    """By how much a step in which `action`, multi-hot [B, n], is pressed turns dials that are at no
    end: float [B, D].
    """
    return torch.stack(
        [dial.step * (action[:, dial.on] - action[:, dial.back]) for dial in dials], 1
    )


def positions_of(actions: np.ndarray, starts: np.ndarray, dials: Sequence[Dial]) -> np.ndarray:
    """Positions before the action of each record: float32 [N, D].

    Args:
        actions: uint8 [N, n]; starts: int [N], the first record of each one's episode.
    """
    positions = np.full((len(actions), len(dials)), MIDDLE, np.float32)
    for number, dial in enumerate(dials):
        moves = np.float32(dial.step) * (
            actions[:, dial.on].astype(np.float32) - actions[:, dial.back]
        )
        begins = np.arange(len(actions)) == starts
        at = np.float32(MIDDLE)
        for record, (move, first) in enumerate(zip(moves, begins, strict=True)):
            at = np.float32(MIDDLE) if first else at
            positions[record, number] = at
            at = min(max(at + move, np.float32(0)), np.float32(1))
    return positions


class Dialled(nn.Module):
    """Where the dials stood in the last steps and stand after this one, for the memory and for each
    row and column of the window: a bat is drawn where its dial points, or, as it comes after late,
    where it pointed a few steps ago. As sines of rising frequency (Mildenhall et al. 2020), for a
    pixel is a small part of the way.
    """

    def __init__(self, places: int, height: int, width: int, channels: int, memory: int) -> None:
        """places: positions in all, those after this step included."""
        super().__init__()
        numbers = places * (1 + 2 * OCTAVES)
        self.places = places
        self.tell = nn.Linear(numbers, memory)
        self.rows = nn.Parameter(torch.zeros(numbers, height, 1, channels))
        self.columns = nn.Parameter(torch.zeros(numbers, 1, width, channels))
        for part in self.tell.parameters():
            nn.init.zeros_(part)  # so that it can join a trained network
        self.register_buffer("angles", torch.pi * 2.0 ** torch.arange(OCTAVES), persistent=False)

    def forward(self, past: torch.Tensor, after: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions [B, P, D] and [B, D] → [B, memory] and [B, h, w, channels]."""
        at = torch.cat([past.flatten(1), after], 1)
        waves = (at[:, :, None] * self.angles).flatten(1)
        numbers = torch.cat([2 * at - 1, waves.sin(), waves.cos()], 1)
        rows, columns = (torch.tensordot(numbers, part, 1) for part in (self.rows, self.columns))
        return self.tell(numbers), rows + columns

    @torch.no_grad()
    def become(self, other: "Dialled") -> None:
        """Say just what one with a shorter past says."""
        first = self.places - other.places
        places = torch.arange(other.places)
        waves = (places[:, None] * OCTAVES + torch.arange(OCTAVES)).flatten()
        own = torch.cat(
            [
                first + places,
                *(self.places * (1 + k * OCTAVES) + first * OCTAVES + waves for k in (0, 1)),
            ]
        )
        self.tell.weight.zero_()[:, own] = other.tell.weight
        self.tell.bias.copy_(other.tell.bias)
        self.rows.zero_()[own] = other.rows
        self.columns.zero_()[own] = other.columns
