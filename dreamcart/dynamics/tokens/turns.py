"""Turns: when the live thing falls at the latest, which comes next and where, when none can, and
how a game begins anew.

A part of the screen (NEXT) may tell which thing comes and where: it does if each of its contents
was always followed by the same thing in the same place. Another (a panel) may show a content after
which nothing moves again (GAME OVER), and it comes only when the next thing has no room; or one
under which time stands still (a pause). While it does not, the live thing falls, or its turn ends,
after so many steps at most. All of that is counted in the recordings. At the full board, where a
game ends, a network that decides cell by cell is often wrong: few recordings show each such board,
and a thing that comes over others, in halves or not at all is no game any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from dreamcart.dynamics.tokens.live import Deed

TURNS = Deed.COMES, Deed.OTHER, Deed.CUT  # what is live after them is another


@dataclass(frozen=True)
class Turns:
    """notice: int64 [S], the flat cells of the part that tells what comes; notes: int16 [K, S], its
    contents; comes: int16 [K], the token of what comes after each, -1 where it is not known;
    places: int64 [K, N], its flat cells, -1 where it has no more; follows: int64 [K, K], how often
    the part showed one after another then; opens: int64 [K, K], how often a game began with what
    comes after one while the part showed another. panel: int64 [E], contents: int16 [J, E], alike;
    ends: bool [J], after which of them nothing moves again; begins: bool [J], after which of them a
    game begins; blank: int16 [H, W], what all else shows then, -1 where that is not always the
    same; runs: bool [J], under which of them time runs, and still: bool [J], under which nothing
    moves; patience: int64 [], for how many steps in which time runs the live thing did not fall at
    most. Without contents of the notice nothing is known.
    """

    notice: torch.Tensor
    notes: torch.Tensor
    comes: torch.Tensor
    places: torch.Tensor
    follows: torch.Tensor
    opens: torch.Tensor
    panel: torch.Tensor
    contents: torch.Tensor
    ends: torch.Tensor
    begins: torch.Tensor
    blank: torch.Tensor
    runs: torch.Tensor
    still: torch.Tensor
    patience: torch.Tensor

    @staticmethod
    def empty(
        notes: Sequence[int] = (0, 0),
        places: int = 0,
        contents: Sequence[int] = (0, 0),
        screen: Sequence[int] = (0, 0),
    ) -> "Turns":
        """A table of this size that knows nothing yet."""
        (own, cells), (shown, size) = notes, contents
        return Turns(
            torch.zeros(cells, dtype=torch.int64),
            torch.zeros(own, cells, dtype=torch.int16),
            torch.full((own,), -1, dtype=torch.int16),
            torch.full((own, places), -1, dtype=torch.int64),
            torch.zeros(own, own, dtype=torch.int64),
            torch.zeros(own, own, dtype=torch.int64),
            torch.zeros(size, dtype=torch.int64),
            torch.zeros(shown, size, dtype=torch.int16),
            *torch.zeros(2, shown, dtype=torch.bool),
            torch.full(tuple(screen) if own else (0, 0), -1, dtype=torch.int16),
            *torch.zeros(2, shown, dtype=torch.bool),
            torch.tensor(0),
        )

    @property
    def size(self) -> list[Any]:
        """The arguments of `empty`, but for the screen."""
        return [list(self.notes.shape), self.places.shape[1], list(self.contents.shape)]
