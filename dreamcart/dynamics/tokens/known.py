"""The known moves in play: where a dream would do what no recording shows, the likeliest known
moves instead.
"""

from collections.abc import Callable

import numpy as np
import torch

from dreamcart.dynamics.tokens.apart import MOST_PIECES, largest, unexplained
from dreamcart.dynamics.tokens.moves import MOST_CELLS, Moves, groups_of, without_place

ROUNDING = 1e-3  # nats: no hope is given up for the order of a sum
MOST_TRIED = 64  # moves that another rule may forbid, the likeliest first

Allows = Callable[[np.ndarray], bool]


class Known:
    """The known moves, ready for play."""

    def __init__(self, moves: Moves) -> None:
        moves = moves if moves.whole else Moves.empty()
        table = torch.cat([moves.offsets, moves.old[:, :, None], moves.new[:, :, None]], 2)
        self.table = table.cpu().numpy()  # int16 [M, S, 4], a cell a line as in `groups_of`
        self.moves: dict[bytes, list[np.ndarray]] = {}  # what changes, and what may be around it
        for line in self.table:
            line = line[line[:, 2] >= 0]
            changes = line[:, 2] != line[:, 3]
            self.moves.setdefault(line[changes].tobytes(), []).append(
                line[~changes].astype(np.int64)
            )
        self.open = moves.open.tolist()
        self.apart = bool(moves.apart)

    def mend(
        self,
        current: np.ndarray,
        dreamed: np.ndarray,
        gains: Callable[[], np.ndarray],
        allows: Allows = lambda after: True,
    ) -> np.ndarray:
        """The screen that a dream shows next: where it changes what may not be new, by the
        likeliest known move instead.

        Args:
            current, dreamed: int16 [H, W], the screen now, and as it was decided cell by cell.
            gains: gives float32 [H, W, vocabulary], how much likelier it is that a cell changes to
                a token than that it stays, as a difference of log-probabilities; -inf where it
                cannot.
            allows: whether a screen may follow, int16 [H, W], by other rules.

        Returns int16 [H, W]: `dreamed` itself where all that it changes is known.
        """
        for _, group in groups_of(current[None], dreamed[None]):
            if not self.may(group, current) or not allows(dreamed):
                return self._likeliest_of_all(current, gains(), allows)
        return dreamed

    def may(self, group: np.ndarray, current: np.ndarray) -> bool:
        """Whether a group of cells as `groups_of` has it may change so: as is known, or as is often
        new.
        """
        if len(group) > MOST_CELLS or self.knows(group, current):
            return True
        if not self.apart:
            return self.open[len(group)]
        left = unexplained(group, lambda some: self.knows(some, current))
        return not left or self.open[largest(left)]

    def _likeliest_of_all(
        self, current: np.ndarray, gain: np.ndarray, allows: Allows
    ) -> np.ndarray:
        """The screen after the likeliest known move, and what others gain beside it, the likeliest
        first.
        """
        free, after = current, current
        for _ in range(MOST_PIECES if self.apart else 1):
            before, after = after, self.likeliest(free, after, gain, allows)
            if np.array_equal(before, after):
                break
            free = np.where(before != after, -1, free)
        return after

    def knows(self, group: np.ndarray, current: np.ndarray) -> bool:
        """Whether a group of cells as `groups_of` has it is a known move, with what must be around
        it.
        """
        (top, left), (height, width) = group[0, :2], current.shape
        for rest in self.moves.get(without_place(group).tobytes(), ()):
            y, x = top + rest[:, 0], left + rest[:, 1]
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            if inside.all() and (current[y, x] == rest[:, 2]).all():
                return True
        return False

    def likeliest(
        self,
        free: np.ndarray,
        undone: np.ndarray,
        gain: np.ndarray,
        allows: Allows = lambda after: True,
    ) -> np.ndarray:
        """The screen after the known move that gains most, at any place that shows what it changes,
        or after none.

        Args:
            free: int16 [H, W], the tokens of cells that may still change, -1 where they are
                settled; undone: the screen to change; gain, allows: see `mend`.
        """
        height, width = free.shape
        hope = self._hope(gain)
        # pairs of a move and a place that fit in their first cells, then of those the ones that fit
        # in their second, …
        hopeful = np.flatnonzero(hope[:, 0] > 0)
        move, at = np.nonzero(self.table[hopeful, 0, 2][:, None] == free.reshape(1, -1))
        move = hopeful[move]
        total = np.zeros(len(move), np.float32)
        for cell in range(self.table.shape[1]):
            dy, dx, old, new = self.table[move, cell].astype(np.int64).T
            y, x = at // width + dy, at % width + dx
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            y, x = np.where(inside, y, 0), np.where(inside, x, 0)
            more = old >= 0
            fits = ~more | (inside & (free[y, x] == old))
            total = np.where(more, total + gain[y, x, new], total)
            fits &= total + hope[move, cell + 1] > 0
            move, at, total = move[fits], at[fits], total[fits]
        for best in (-total).argsort(kind="stable")[:MOST_TRIED].tolist():
            if total[best] <= 0:  # that nothing changes is known too
                break
            line = self.table[move[best]]
            dy, dx, _, new = line[line[:, 2] != line[:, 3]].T
            after = undone.copy()
            after[at[best] // width + dy, at[best] % width + dx] = new
            if allows(after):
                return after
        return undone

    def _hope(self, gain: np.ndarray) -> np.ndarray:
        """The most that moves can gain from their cells on, wherever they are made: float32 [M, S +
        1]. Nearly all moves of a game with thousands have none at all, and are looked for nowhere.
        """
        old, new = self.table[:, :, 2], self.table[:, :, 3]
        most = np.where(old != new, gain.max((0, 1))[new], 0) + ROUNDING
        return np.pad(
            most[:, ::-1].cumsum(1)[:, ::-1], ((0, 0), (0, 1)), constant_values=ROUNDING
        ).astype(np.float32)
