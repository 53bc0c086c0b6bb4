"""Lines: what the area where things move shows where the live thing fills a line of it, when that
goes, and what is there then.

In a game of falling blocks a line without ground turns into one of a single token (it flashes),
goes some steps later with all that lies above it coming down by a line, and again some steps later
the next thing comes. A network has to decide two hundred cells for that, of which it has seen few
examples. Where recordings have no exception it is known, as what moves and its pace are.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch

from dreamcart.dynamics.tokens.live import UNKNOWN, Follower
from dreamcart.dynamics.tokens.pace import Time


@dataclass(frozen=True)
class Lines:
    """mark: int16 [], the token of which all of a full line is until it goes, -1 where that is not
    known; stays: int64 [], how many steps after they came full lines go; rests: int64 [], how many
    steps after that the next thing comes.
    """

    mark: torch.Tensor
    stays: torch.Tensor
    rests: torch.Tensor

    @staticmethod
    def empty(known: bool = False) -> "Lines":
        """A table that knows nothing, or will know (known)."""
        return Lines(
            torch.tensor(0 if known else UNKNOWN, dtype=torch.int16),
            *torch.zeros(2, dtype=torch.int64),
        )

    @property
    def known(self) -> bool:
        return bool(self.mark != UNKNOWN)


class Clears:
    """Clears full lines of screens int16 [H, W]."""

    def __init__(self, follower: Follower, lines: Lines) -> None:
        self.follower, self.known = follower, lines.known and straight(follower)
        for field in fields(lines):
            setattr(self, field.name, int(getattr(lines, field.name)))
        self.box = tuple(
            slice(along.min(), along.max() + 1) if len(along) else slice(0)
            for along in np.nonzero(follower.area)
        )

    def time(self, waited: int, screen: np.ndarray) -> Time:
        """What is known of the next step from a screen on which for so many steps nothing has been
        live.
        """
        if (self.well(screen) == self.mark).any():
            return Time(False, lines=self.gone(screen) if waited >= self.stays else screen)
        return Time(False, ends=True) if waited >= self.rests else Time(False, lines=screen)

    def well(self, screen: np.ndarray) -> np.ndarray:
        """A view [N, M] of the area where things move, a line in each row, the lowest last: things
        fall from row to row.
        """
        down, right = self.follower.falls[0].tolist()
        well = screen[self.box] if down else screen[self.box].T
        return well if down + right > 0 else well[::-1]

    def full(self, screen: np.ndarray) -> np.ndarray:
        """Which lines are full, bool [N]."""
        return (self.well(screen) != self.follower.ground).all(1)

    def marked(self, screen: np.ndarray) -> np.ndarray | None:
        """The screen on which full lines have been marked; None where there are none."""
        full = self.full(screen)
        if not full.any():
            return None
        after = screen.copy()
        self.well(after)[full] = self.mark
        return after

    def gone(self, screen: np.ndarray) -> np.ndarray:
        """The screen on which marked lines have gone."""
        after = screen.copy()
        well = self.well(after)
        left = self.well(screen)[(self.well(screen) != self.mark).any(1)]
        well[:] = self.follower.ground
        well[len(well) - len(left) :] = left
        return after


def straight(follower: Follower) -> bool:
    """Whether things fall by one line at a time, along rows or columns."""
    return len(follower.falls) == 1 and np.abs(follower.falls).sum() == 1
