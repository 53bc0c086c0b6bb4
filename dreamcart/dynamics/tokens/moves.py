"""Moves: what a step may change, of all that a step has been seen to change.

A step changes some cells from old tokens to new ones; those cells, without the place where they
lie, are a move: "a T piece turns left", "a 3 becomes a 4". With them go the cells of the same thing
that stay as they are (touching cells of the same tokens): what turns a T must find the whole T. A
game has few moves (Blockfall's pieces, walls and digits make some hundred) and uses them all the
time, but for changes of some sizes, such as the fall of what lay above a full row, of which hardly
any comes twice. How often a change of so many touching cells is a new one, and not several known
ones at once, is told by how many would be new to an episode if all others were known (a
leave-one-out estimate, after Good 1953, "The population frequencies of species"). Where that is
rare, a dream that would change the screen as no recording does makes the likeliest known moves
instead (`known.py`): half a piece is no move, so pieces stay whole.

In games where several things move on their own most steps are new, and nothing is taken for
impossible. (Of moves of cells that touch, which such games have, dreams of Pong and Breakout were
the worse: what they forbid stays on the screen. docs/lab)
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from skimage.measure import label

from dreamcart.dynamics.layout import CUT, Layout
from dreamcart.dynamics.tokens.apart import largest, pieces_of, unexplained
from dreamcart.dynamics.tokens.budget import along, check

MOST_CELLS = 32  # of a move: larger changes are left alone
MOST_THING = 12  # cells of a thing: what is larger is ground
MOST_MOVES = 8192
# share of the steps with a new change, above which nothing is known of a game's moves
MOST_NEW = 0.05
# of the changes of a size: where more are new, none of that size is taken for impossible
COMMON = 0.05
CHUNK = 4096


@dataclass(frozen=True)
class Moves:
    """What M moves change, S cells at most each.

    offsets: int16 [M, S, 2], rows and columns of a move's cells from its first one's: those that
    change, then those that must be there, each in reading order; old, new: int16 [M, S], their
    tokens, -1 where it has no more cells; open: bool [MOST_CELLS + 1], by the number of cells that
    touch, whether a change of so many may be a new one (in older files of all the cells of a step);
    whole: bool [], false in some older files, whose moves are of cells that touch, and are not
    used; apart: bool [], a step may be several moves (in older files it is one).
    """

    offsets: torch.Tensor
    old: torch.Tensor
    new: torch.Tensor
    open: torch.Tensor
    whole: torch.Tensor
    apart: torch.Tensor

    @staticmethod
    def empty(moves: int = 0, cells: int = 0, apart: bool = False) -> "Moves":
        """A table of this size that knows nothing yet."""
        old, new = torch.full((2, moves, cells), -1, dtype=torch.int16)
        offsets, unlimited = (
            torch.zeros(moves, cells, 2, dtype=torch.int16),
            torch.ones(MOST_CELLS + 1, dtype=torch.bool),
        )
        return Moves(offsets, old, new, unlimited, torch.tensor(True), torch.tensor(apart))


def groups_of(before: np.ndarray, after: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """What steps change, int [B, H, W] each: the step's number and int16 [n, 4], a cell a line in
    reading order: row and column, old and new token. Of a step that changes nothing there is none.
    """
    at, y, x = np.nonzero(before != after)
    table = np.stack([y, x, before[at, y, x], after[at, y, x]], 1).astype(np.int16)
    edges = np.flatnonzero(np.diff(at)) + 1
    return (
        list(zip(at[np.r_[0, edges]].tolist(), np.split(table, edges), strict=True))
        if len(at)
        else []
    )


def without_place(group: np.ndarray) -> np.ndarray:
    """A group of cells as `groups_of` has it, its rows and columns counted from its first
    cell's.
    """
    moved = group.copy()
    moved[:, :2] -= group[0, :2]
    return moved


def things(frames: np.ndarray) -> np.ndarray:
    """Which cells touch by their sides and show the same token: int [B, H, W], numbers of such
    things, 0 for the ground (things of more than MOST_THING cells).
    """
    # frames apart, so that none touches the next
    spaced = np.full((2 * len(frames), *frames.shape[1:]), -1, np.int32)
    spaced[::2] = frames
    labels = label(spaced, background=-1, connectivity=1)[::2]
    small = np.bincount(labels.ravel()) <= MOST_THING
    return np.where(small[labels], labels, 0)


def rest_of(group: np.ndarray, before: np.ndarray, now: np.ndarray, then: np.ndarray) -> np.ndarray:
    """The cells of the things that a group changes, or makes, which stay as they are: int16 [n, 4],
    from the group's first cell.

    Args:
        before: int16 [H, W], the screen; now, then: the `things` on it before and after.
    """
    y, x = group[:, 0], group[:, 1]
    some = np.zeros(before.shape, bool)
    for numbers in (now, then):
        for own in set(numbers[y, x].tolist()) - {0}:
            some |= numbers == own
    some[y, x] = False
    y, x = np.nonzero(some)
    return np.stack([y - group[0, 0], x - group[0, 1], before[y, x], before[y, x]], 1).astype(
        np.int16
    )


def find_moves(
    tokens: np.ndarray, index: np.ndarray, transitions: np.ndarray, layout: Layout
) -> Moves:
    """The moves of a training split.

    Args:
        tokens: int [U, H, W], every distinct frame once; index: the split's records, with the row
            of `tokens` that each shows;
        transitions: int [T], records with a successor.
    """
    rows = index["frame"]
    at = transitions[rows[transitions] != rows[transitions + 1]]
    active = np.zeros(tokens[0].size, bool)
    active[layout.cells[layout.mask].numpy()] = True
    active = active.reshape(tokens.shape[1:])
    return table_of(count(tokens, index, at, active))


@dataclass
class Seen:
    """How often something was seen, in which episode first, and whether in no other; and with what
    around it.
    """

    episode: int
    times: int = 0
    lonely: bool = True
    around: dict[bytes, "Seen"] = field(default_factory=dict)

    def again(self, episode: int) -> None:
        self.times += 1
        self.lonely = self.lonely and self.episode == episode


def count(
    tokens: np.ndarray, index: np.ndarray, at: np.ndarray, active: np.ndarray
) -> dict[bytes, Seen]:
    """The moves of at most MOST_CELLS cells in the steps at the records `at`, but for cuts to
    another scene.
    """
    seen: dict[bytes, Seen] = {}
    for first in along(range(0, len(at), CHUNK), "moves", "batch"):
        some = at[first : first + CHUNK]
        before, after = (tokens[index["frame"][some + k]].astype(np.int16) for k in (0, 1))
        cut = (before != after).sum((1, 2)) > CUT * active.size
        after = np.where(active & ~cut[:, None, None], after, before)
        episodes, now, then = index["episode"][some].tolist(), things(before), things(after)
        for step, group in groups_of(before, after):
            check()
            if len(group) <= MOST_CELLS:
                own = seen.setdefault(without_place(group).tobytes(), Seen(episodes[step]))
                own.again(episodes[step])
                rest = rest_of(group, before[step], now[step], then[step]).tobytes()
                own.around.setdefault(rest, Seen(episodes[step])).again(episodes[step])
    return seen


def table_of(seen: dict[bytes, Seen]) -> Moves:
    """The moves seen, but for new ones of a size of which many are; none where many steps are new.

    A size is the most cells of a change that touch and are new; or touch, where it is known or
    several known ones at once.
    """
    several = {move for move, own in seen.items() if not own.lonely}
    sizes, (times, new) = {}, np.zeros((2, MOST_CELLS + 1))
    for move, own in along(seen.items(), "moves, taken apart", "move"):
        group = np.frombuffer(move, np.int16).reshape(-1, 4)
        left = (
            unexplained(group, lambda some: without_place(some).tobytes() in several)
            if own.lonely
            else []
        )
        sizes[move] = largest(left or list(pieces_of(group)))
        times[sizes[move]] += own.times
        new[sizes[move]] += own.times * bool(left)
    if new.sum() > MOST_NEW * times.sum():
        return Moves.empty()
    unlimited = new > COMMON * times  # no change of a size that was never seen is new
    kept = [
        (move, own) for move, own in seen.items() if not (own.lonely and unlimited[sizes[move]])
    ]
    lines = [(move, rest) for move, own in kept for rest in surroundings(own)]
    lines = sorted(
        lines, key=lambda line: (-seen[line[0]].around[line[1]].times if line[1] else 0, line)
    )[:MOST_MOVES]
    lines = [move + rest for move, rest in lines]
    table = np.full((len(lines), max(map(cells_in, lines), default=0), 4), -1, np.int16)
    for row, line in zip(table, lines, strict=True):
        row[: cells_in(line)] = np.frombuffer(line, np.int16).reshape(-1, 4)
    parts = (
        torch.from_numpy(part.copy()) for part in (table[:, :, :2], table[:, :, 2], table[:, :, 3])
    )
    return Moves(*parts, torch.from_numpy(unlimited), torch.tensor(True), torch.tensor(True))


def surroundings(own: Seen) -> list[bytes]:
    """What must be around a move: each that several episodes show, but for those that ask for more
    than another; nothing where there is no such.
    """
    several = sorted((rest for rest, seen in own.around.items() if not seen.lonely), key=len) or [
        b""
    ]
    kept: list[tuple[bytes, set[bytes]]] = []
    for rest in several:
        cells = {rest[first : first + 8] for first in range(0, len(rest), 8)}
        if not any(less <= cells for _, less in kept):
            kept.append((rest, cells))
    return [rest for rest, _ in kept]


def cells_in(move: bytes) -> int:
    return len(move) // 8  # four int16 a cell
