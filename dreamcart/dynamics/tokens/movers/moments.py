"""When in a step a game reads its dials: no picture shows it, but how things have come after them does.

A step is several frames, and a console looks at its knobs in some of them only. Pong's does in every second one, and its bat goes
half of the way to where the knob points then; which of a step's two frames that is depends on when the episode began (LOG.md). So
every moment at which a dial may be read foretells where a thing goes, and each step tells how well.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from dreamcart.dynamics.tokens.dials import Dial, turned
from dreamcart.dynamics.tokens.movers.kinds import Kinds

ROUNDS = 6  # of fitting what follows a dial, and when each episode's are read
PULLS = (0.25, 0.5, 0.75, 1.0)  # to begin with
LEAST_WAY = 8  # pixels that a dial moves a thing on its whole way; what it moves less does not follow it
LEAST_SEEN = 5  # steps at an end of a thing's way
MOST_OFF = 4.0  # pixels: what is further off is off for another reason
BETTER = 0.8  # of what a thing is off if all episodes are read at one moment: less is left where each has its own
DOUBT = 12.0  # nats: no moment is ever less likely by more, so that it can be told anew


def moments_of(frames: int, dials: Sequence[Dial]) -> int:
    """At how many moments of a step of so many frames dials may be read: before each, and after the last; 0 without dials."""
    return frames + 1 if dials else 0


def readings(positions: torch.Tensor, action: torch.Tensor, dials: Sequence[Dial], moments: int) -> torch.Tensor:
    """Where dials stand at each moment of a step, float32 [N, M, B]: from their positions before it, [N, B], as `action`, [N, n],
    turns them."""
    shares = [moment / max(1, moments - 1) for moment in range(moments)]
    steps = [[dial._replace(step=dial.step * share) for dial in dials] for share in shares]
    return torch.stack([turned(positions, action, own) for own in steps], 1) if steps else positions[:, None][:, :0]


def places_of(found: np.ndarray, kinds: int) -> np.ndarray:
    """Top and left of the thing of each kind, float32 [N, K, 2], NaN where there is none, or are several. See `Finder.find`."""
    own = found[:, :, :1] == np.arange(kinds)  # [N, M, K]
    place = (own[:, :, :, None] * found[:, :, None, 1:]).sum(1).astype(np.float32)
    return np.where((own.sum(1) == 1)[:, :, None], place, np.nan)


def foretold(table: dict[str, np.ndarray], place: np.ndarray, read: np.ndarray) -> np.ndarray:
    """Where things go if their dials are read at each moment, float32 [N, K, B, 2, M].

    Args:
        table: see `Kinds.numpy`; place: float32 [N, K, 2], top and left; read: float32 [N, M, B], see `readings`.
    """
    slope, offset = np.moveaxis(table["dials"], 3, 0)[..., None]  # [K, B, 2, 1]
    low, high = np.moveaxis(table["ends"], 2, 0)[:, :, None, :, None]  # [K, 1, 2, 1]
    aim = (slope * read.transpose(0, 2, 1)[:, None, :, None] + offset).clip(low, high)
    return place[:, :, None, :, None] + table["pulls"] * (aim - place[:, :, None, :, None])


def told_by(table: dict[str, np.ndarray], place: np.ndarray, after: np.ndarray, read: np.ndarray) -> np.ndarray:
    """What steps tell of the moments, in nats: float32 [N, M]. place, after: see `foretold`."""
    off = np.abs(foretold(table, place, read) - after[:, :, None, :, None])
    told = np.where(table["pulls"] > 0, off, 0.0)
    return -np.nan_to_num(told, nan=0.0).clip(max=MOST_OFF).sum((1, 2, 3)).astype(np.float32)


def believe(moments: np.ndarray, told: np.ndarray) -> np.ndarray:
    """What is believed of the moments after steps, in nats below the likeliest, float32 [N, M]. told: see `told_by`."""
    joined = moments + told
    return np.maximum(joined - joined.max(1, keepdims=True), -DOUBT) if joined.shape[1] else joined


def believed_along(table: dict[str, np.ndarray], places: np.ndarray, read: np.ndarray, start: np.ndarray) -> np.ndarray:
    """What is believed of the moments at each record before its step, float32 [N, M].

    Args:
        places: float32 [N, K, 2], on each record's screen; read: float32 [N, M, B]; start: int [N], its episode's first record.
    """
    told = told_by(table, places[:-1], places[1:], read[:-1])
    along = np.zeros((len(places), table["pulls"].shape[3]), np.float32)
    for record in range(1, len(places)):
        if start[record] != record:
            along[record] = believe(along[record - 1 : record], told[record - 1 : record])[0]
    return along


def with_pulls(kinds: Kinds, places: np.ndarray, read: np.ndarray, start: np.ndarray) -> Kinds:
    """The kinds, with how they come after the dials: the lines, the ends of their way and the share of it that they go in a step.

    The line is that of things at rest. Episodes and moments are matched by turns: each episode's dials are read when that foretells
    it best, and the pull is the one that foretells all episodes best (least squares). Where one moment does nearly as well for all
    nothing is told of any.

    Args:
        kinds: with the lines that places and dials of the same moment are on, more or less; otherwise see `believed_along`.
    """
    count, dials, moments = len(kinds.colours), kinds.dials.shape[1], read.shape[1]
    pulls, lines, ends = np.zeros((count, dials, 2, moments), np.float32), kinds.dials.numpy().copy(), np.zeros((count, 2, 2))
    follows = start[1:] == start[:-1]
    for kind, axis in np.ndindex(count, 2):
        seen, times = np.unique(places[:, kind, axis][~np.isnan(places[:, kind, axis])], return_counts=True)
        if (times >= LEAST_SEEN).any():
            ends[kind, axis] = seen[times >= LEAST_SEEN][[0, -1]]
        for dial in range(dials):
            now, then = places[:-1, kind, axis], places[1:, kind, axis]
            at = np.flatnonzero(follows & ~np.isnan(now) & ~np.isnan(then))
            fitted = _fit(now[at], then[at], read[at, :, dial], start[at], lines[kind, dial, axis], ends[kind, axis])
            if fitted is not None:
                pulls[kind, dial, axis], lines[kind, dial, axis] = fitted
    parts = {"pulls": pulls, "dials": lines, "ends": ends.astype(np.float32)}
    return replace(kinds, **{name: torch.from_numpy(part) for name, part in parts.items()})


def _fit(
    now: np.ndarray, then: np.ndarray, read: np.ndarray, start: np.ndarray, line: np.ndarray, ends: np.ndarray
) -> tuple[float, np.ndarray] | None:
    """Pull and line of what follows a dial, or None where no episode has a moment of its own.

    Args:
        now, then: float32 [N], places before steps and after; read: float32 [N, M]; line: slope and
        offset, more or less; ends: of the places.
    """
    if abs(line[0]) < LEAST_WAY or not len(now):
        return None
    _, episode = np.unique(start, return_inverse=True)

    def off_by(pull: float, aim: np.ndarray) -> np.ndarray:
        off = np.abs(now[:, None] + pull * (aim - now[:, None]) - then[:, None]).clip(max=MOST_OFF)
        return np.stack([np.bincount(episode, one) for one in off.T], 1)

    rests = (now == then) & (read == read[:, :1]).all(1) & (now > ends[0]) & (now < ends[1])
    if rests.sum() < LEAST_SEEN:
        return None
    line = np.polyfit(read[rests, 0], now[rests], 1)
    aim, fits = (line[0] * read + line[1]).clip(*ends), []
    for pull in PULLS:
        for _ in range(ROUNDS):
            off = off_by(pull, aim)
            way = aim[np.arange(len(now)), off.argmin(1)[episode]] - now
            pull = float(np.clip((then - now) @ way / max(way @ way, 1e-9), PULLS[0] / 2, 1))
        fits.append((off_by(pull, aim), pull))
    off, pull = min(fits, key=lambda fit: fit[0].min(1).sum())
    return (pull, line) if off.min(1).sum() < BETTER * off.sum(0).min() else None
