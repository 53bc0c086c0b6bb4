"""The pace of the live thing: in which step it falls, and how long it lies before the next comes.

What no picture shows is counted: a piece falls by itself in every tenth step (or sixth, by the
level that a part of the screen tells), at each step while a certain button is down, and not
otherwise; where it was to fall and could not it lies, and so many steps later its turn ends. A
network that is told when each cell changed reads that clock well, but not without mistakes; in
recordings it holds without exception, and then it is known. What the thing does besides (slide,
turn) the network says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import torch

from dreamcart.dynamics.tokens.live import Follower

UNSEEN = -1


@dataclass(frozen=True)
class Pace:
    """part: int64 [S], the flat cells that tell how fast things fall; contents: int16 [K, S], what
    they show, and every: int16 [K], in which step after the last one the live thing falls by itself
    then, counted from 0, -1 where it is not known; fast: bool [n], the buttons by which it falls at
    each step; lies: int64 [], how many steps after it was to fall and could not its turn ends, -1
    where that is not known. Without contents nothing is known.
    """

    part: torch.Tensor
    contents: torch.Tensor
    every: torch.Tensor
    fast: torch.Tensor
    lies: torch.Tensor

    @staticmethod
    def empty(contents: int = 0, part: int = 0, buttons: int = 0) -> "Pace":
        """A table of this size that knows nothing yet."""
        return Pace(
            torch.zeros(part, dtype=torch.int64),
            torch.zeros(contents, part, dtype=torch.int16),
            torch.full((contents,), -1, dtype=torch.int16),
            torch.zeros(buttons, dtype=torch.bool),
            torch.tensor(-1),
        )

    @property
    def size(self) -> list[Any]:
        """The arguments of `empty`."""
        return [*self.contents.shape, len(self.fast)]


class Watched(NamedTuple):
    """What is known of the live thing of a dream, see `State`. live: int8 [H, W]."""

    live: np.ndarray
    waited: int = 0
    timed: bool = False
    lain: int = 0


class Time(NamedTuple):
    """What is known of a step before it. falls: whether the live thing falls in it if it can, None
    where that is not known; lies: whether it has lain, and moves no more; ends: whether its turn
    ends; moved: int8 [H, W], where it is then but for a fall, see `controls.py`, None where that is
    not known; lines: int16 [H, W], the area then (all else as it was) where nothing is live, see
    `lines.py`, likewise.
    """

    falls: bool | None = None
    lies: bool = False
    ends: bool = False
    moved: np.ndarray | None = None
    lines: np.ndarray | None = None


class Pacer:
    """Keeps the live thing to its pace."""

    def __init__(self, follower: Follower, pace: Pace) -> None:
        self.follower = follower
        for field in fields(pace):
            setattr(self, field.name, getattr(pace, field.name).cpu().numpy())
        self.fast = np.flatnonzero(self.fast).tolist()

    def time(self, now: Watched, screen: np.ndarray, action: Sequence[float]) -> Time:
        """What is known of the step from a screen int [H, W] in which buttons [n] are pressed, if
        time runs in it.
        """
        if now.lain:
            return Time(False, True, bool(now.lain >= self.lies))
        if not len(self.contents):
            return Time()
        if any(action[button] for button in self.fast):
            falls = True
        else:
            every = self._every(screen) if now.timed else UNSEEN
            falls = None if every == UNSEEN else now.waited >= every
        at_once = falls and self.lies == 0 and (now.live > 0).any()
        return Time(falls, ends=bool(at_once and self.follower.fallen(now.live, screen) is None))

    def _every(self, screen: np.ndarray) -> int:
        alike = (self.contents == screen.flat[self.part]).all(1)
        return int(self.every[alike.argmax()]) if alike.any() else UNSEEN

    def lies_down(self, time: Time, then: np.ndarray, after: np.ndarray) -> bool:
        """Whether what is live after a step in which it did not fall, int8 [H, W], was to and could
        not.
        """
        return bool(
            time.falls
            and self.lies > 0
            and (then > 0).any()
            and self.follower.fallen(then, after) is None
        )

    def keep(
        self, live: np.ndarray, before: np.ndarray, then: np.ndarray, time: Time
    ) -> tuple[np.ndarray, bool]:
        """The screen int16 [H, W] on which the live thing has done what was decided, but falls or
        not by the time; and whether it fell.

        Args:
            live, then: int8 [H, W], the live thing on the screen before, and where it was decided
                to be.
        """
        cells = np.argwhere(then > 0)
        if fell := self.follower.falls_of(live, then, before):
            cells = cells - fell * self.follower.falls[0].astype(np.int64)
        moved = self.follower.placed(live, before, cells)
        if moved is None:  # there was room for it only because it fell
            moved, cells = before, np.argwhere(live > 0)
        if not time.falls:
            return moved, False
        now = np.zeros_like(live)
        now[tuple(cells.T)] = 1
        fallen = self.follower.fallen(now, moved)
        return (moved, False) if fallen is None else (fallen, True)
