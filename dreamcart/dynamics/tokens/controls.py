"""What buttons do to the live thing: which slides it, in which steps while it is held, and which
turns it into what.

A piece slides when LEFT goes down, again after five steps, and then in every second one, unless
RIGHT is down too; it turns when A goes down; and what has no room stays. A network learns that
almost, and is wrong where few recordings show it (both at once, a turn beside the stack). Where
recordings have no exception it is known, as its pace is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from dreamcart.dynamics.tokens.history import MOST_HELD
from dreamcart.dynamics.tokens.live import NO_MORE, Follower, shape_of
from dreamcart.dynamics.tokens.pace import UNSEEN


@dataclass(frozen=True)
class Controls:
    """ways: int16 [W, 2], rows and columns: how the live thing slides; button, against: int64 [W],
    the button that slides it so, and one that must be up (-1: none); beats: int8 [W, MOST_HELD],
    whether it slides when that has been so for as many steps, -1 where it was not seen. turns:
    int64 [T], buttons that turn it as they go down, of several the first; becomes: int16 [T, M],
    the shape that each shape of `Live` becomes, -1 where that was not seen, and offsets: int16 [M,
    M, 2], where its first cell goes then. turns_first: bool [], whether it turns before it slides.
    Without ways and turns nothing is known.
    """

    ways: torch.Tensor
    button: torch.Tensor
    against: torch.Tensor
    beats: torch.Tensor
    turns: torch.Tensor
    becomes: torch.Tensor
    offsets: torch.Tensor
    turns_first: torch.Tensor

    @staticmethod
    def empty(ways: int = 0, turns: int = 0, shapes: int = 0) -> "Controls":
        """A table of this size that knows nothing yet."""
        return Controls(
            torch.zeros(ways, 2, dtype=torch.int16),
            *torch.zeros(2, ways, dtype=torch.int64),
            torch.full((ways, MOST_HELD), UNSEEN, dtype=torch.int8),
            torch.zeros(turns, dtype=torch.int64),
            torch.full((turns, shapes), UNSEEN, dtype=torch.int16),
            torch.zeros(shapes, shapes, 2, dtype=torch.int16),
            torch.tensor(True),
        )

    @property
    def size(self) -> list[Any]:
        """The arguments of `empty`."""
        return [len(self.ways), *self.becomes.shape]

    @property
    def known(self) -> bool:
        return len(self.ways) + len(self.turns) > 0


class Hands:
    """Moves the live thing as the buttons say."""

    def __init__(self, follower: Follower, live_shapes: torch.Tensor, controls: Controls) -> None:
        """live_shapes: see `Live.shapes`."""
        self.follower, self.known = follower, controls.known
        self.shapes = [
            shape[(shape != NO_MORE).any(1)].astype(np.int64) for shape in live_shapes.cpu().numpy()
        ]
        for field in fields(controls):
            setattr(self, field.name, getattr(controls, field.name).cpu().numpy())

    def moved(
        self, live: np.ndarray, screen: np.ndarray, action: Sequence[float], held: np.ndarray
    ) -> np.ndarray | None:
        """Where the live thing, int8 [H, W], is after a step on a screen int [H, W], but for a
        fall; None where that is not known.

        Args:
            action: [n], the buttons; held: int64 [n], for how many steps before this one each has
                been as it is.
        """
        if not self.known:
            return None
        for turns in (bool(self.turns_first), not self.turns_first):
            cells = (
                self._turned(live, screen, action, held)
                if turns
                else self._slid(live, action, held)
            )
            if cells is None:
                return None
            for goes in cells:
                after = self.follower.placed(live, screen, goes + np.argwhere(live > 0)[:1])
                if after is not None:
                    goes = goes + np.argwhere(live > 0)[:1]
                    live, screen = np.zeros_like(live), after
                    live[tuple(goes.T)] = 1
        return live

    def _turned(
        self, live: np.ndarray, screen: np.ndarray, action: Sequence[float], held: np.ndarray
    ) -> list[np.ndarray] | None:
        """The cells of what it turns into, from its first cell, int64 [N, 2]: none or one;

        None where that is not known.
        """
        turn = next(
            (
                number
                for number, button in enumerate(self.turns)
                if action[button] and not held[button]
            ),
            None,
        )
        if turn is None:
            return []
        shape = self.follower.shapes.get((int(screen[live > 0][0]), shape_of(live)))
        then = UNSEEN if shape is None else int(self.becomes[turn, shape])
        return None if then == UNSEEN else [self.shapes[then] + self.offsets[shape, then]]

    def _slid(
        self, live: np.ndarray, action: Sequence[float], held: np.ndarray
    ) -> list[np.ndarray] | None:
        """The cells to which it slides, one way after another, likewise."""
        own, cells = np.argwhere(live > 0), []
        for number, (button, against) in enumerate(zip(self.button, self.against, strict=True)):
            if not action[button] or (against >= 0 and action[against]):
                continue
            since = self.since(held, button, against)
            beat = UNSEEN if since >= MOST_HELD else self.beats[number, since]
            if beat == UNSEEN:
                return None
            if beat:
                cells.append(own - own[:1] + self.ways[number])
        return cells

    @staticmethod
    def since(held: np.ndarray, button: int, against: int) -> int:
        """For how many steps a button has been down and another up."""
        return int(held[button] if against < 0 else min(held[button], held[against]))
