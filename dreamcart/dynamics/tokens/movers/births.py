"""Where things come from nowhere, and what decides where: often the place of the one before and a
clock that runs out of sight.

A serve of Breakout comes at one of four places, each as often as the others. But its console counts
frames: of two serves in a row the second comes where a number of steps that is even or odd has it
(found in 408 pairs of recorded serves: docs/lab). Which place follows which after how many steps is
counted in the recordings, for clocks of several lengths, and the clock is kept by which each serve
would best have been told from all others. When it comes may be as sure: a ball of Pong comes back
in the 31st step after it was lost, nearly always.
"""

import numpy as np
import torch

from dreamcart.dynamics.tokens.movers.kinds import MOST_ABSENT, PAST

MOST_BIRTHS, LEAST_SEEN = 64, 5
CLOCKS = (1, 2, 4, 8, 16)  # steps after which it begins anew
PRIOR = 2.0  # births by which what is usual counts as much as what was seen
NEVER = -1
DUE = 0.9  # a birth at least this probable is certain


def table_of(born: np.ndarray) -> dict[str, np.ndarray]:
    """What recordings tell of births.

    Args:
        born: int64 [M, 5], kind, top, left, the first record of its episode, and the record of the
            screen that shows it first.

    Returns `births`, `usual` and `follows` of `Kinds`.
    """
    places, number, times = np.unique(born[:, :3], axis=0, return_inverse=True, return_counts=True)
    kept = np.sort(np.argsort(-times, kind="stable")[:MOST_BIRTHS])
    kept = kept[times[kept] >= LEAST_SEEN]
    renumbered = np.full(len(places), NEVER)
    renumbered[kept] = np.arange(len(kept))
    births, usual = places[kept], np.zeros(len(kept), np.float32)
    for kind in np.unique(births[:, 0]):
        own = births[:, 0] == kind
        usual[own] = times[kept][own] / times[kept][own].sum()
    pairs = _pairs(born, renumbered[number.ravel()])
    best, length = max(
        ((_foretold(pairs, usual, clock), -clock) for clock in CLOCKS), default=(0.0, 0)
    )
    known = len(pairs) > 0 and best > np.log(usual[pairs[:, 2]]).sum()
    follows = _counted(pairs, usual, -length) if known else np.zeros((len(kept), 0, len(kept)))
    follows = (follows + PRIOR * usual) / (follows.sum(2, keepdims=True) + PRIOR * usual.sum())
    return {"births": births, "usual": usual, "follows": follows.astype(np.float32)}


def absent_along(seen: np.ndarray, start: np.ndarray) -> np.ndarray:
    """For how many steps one kind has not been seen at each record, int64 [N].

    Args:
        seen: bool [N], whether a record's screen shows one; start: int [N], the first record of its
            episode.
    """
    record = np.arange(len(seen))
    last = np.maximum.accumulate(np.where(seen, record, -1))
    return np.where(last >= start, record - last, record - start + 1)


def returns_of(seen: np.ndarray, start: np.ndarray) -> np.ndarray:
    """`Kinds.returns` for one kind; otherwise see `absent_along`."""
    absent = absent_along(seen, start)
    counted = np.flatnonzero(
        (absent[:-1] > PAST) & (absent[:-1] < MOST_ABSENT) & (start[1:] == start[:-1])
    )
    times, come = (
        np.bincount(absent[some], minlength=MOST_ABSENT)
        for some in (counted, counted[seen[counted + 1]])
    )
    return np.where(times >= LEAST_SEEN, come / np.maximum(times, 1), 0).astype(np.float32)


def _pairs(born: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Births that follow one of the same kind in the same episode: int64 [P, 3], the one before,
    steps since, and itself.
    """
    order = np.lexsort((born[:, 4], born[:, 3], born[:, 0]))
    born, number = born[order], number[order]
    same = (
        (born[1:, [0, 3]] == born[:-1, [0, 3]]).all(1)
        & (number[1:] != NEVER)
        & (number[:-1] != NEVER)
    )
    return np.stack([number[:-1], np.diff(born[:, 4]), number[1:]], 1)[same]


def _counted(pairs: np.ndarray, usual: np.ndarray, clock: int) -> np.ndarray:
    """How often each birth followed each, by the clock: float64 [N, clock, N]."""
    counts = np.zeros((len(usual), clock, len(usual)))
    np.add.at(counts, (pairs[:, 0], pairs[:, 1] % clock, pairs[:, 2]), 1)
    return counts


def _foretold(pairs: np.ndarray, usual: np.ndarray, clock: int) -> float:
    """How well births would be told from all others, in nats (leave one out)."""
    counts = _counted(pairs, usual, clock)[pairs[:, 0], pairs[:, 1] % clock]
    own = counts[np.arange(len(pairs)), pairs[:, 2]] - 1
    return float(np.log((own + PRIOR * usual[pairs[:, 2]]) / (counts.sum(1) - 1 + PRIOR)).sum())


def unborn(batch: int, kinds: int) -> torch.Tensor:
    """What is known of births before any screen was seen, see `State.born`."""
    born = torch.zeros(batch, kinds, 3, dtype=torch.int64)
    born[:, :, 0] = NEVER
    return born


def remember(born: torch.Tensor, found: np.ndarray, births: np.ndarray) -> torch.Tensor:
    """`State.born`, int64 [B, K, 3], a step later, when the screens show the things `found`, int
    [B, M, 3], see `Finder.find`.
    """
    kinds = np.arange(born.shape[1])
    seen = torch.from_numpy((found[:, :, 0][:, :, None] == kinds).any(1)).to(born.device)
    here = (found[:, :, None] == births).all(3).any(1)  # [B, N]
    place = np.full((len(found), len(kinds)), NEVER)
    for number, kind in enumerate(births[:, 0].tolist()):
        place[here[:, number], kind] = number
    last, age, absent = born.unbind(2)
    new = seen & (absent > PAST)
    last = torch.where(new, torch.from_numpy(place).to(born.device), last)
    return torch.stack([last, torch.where(new, 0, age + 1), torch.where(seen, 0, absent + 1)], 2)


def due(born: torch.Tensor, returns: torch.Tensor) -> torch.Tensor:
    """bool [B, K]: kinds of which one is as good as certain to come in the next step. born: see
    `State.born`.
    """
    absent = born[:, :, 2]
    chance = returns.gather(1, absent.clamp(max=MOST_ABSENT - 1).T).T
    return (absent > PAST) & (absent < MOST_ABSENT) & (chance >= DUE)


def weighed(
    chances: torch.Tensor, own: np.ndarray, born: list[int], usual: np.ndarray, follows: np.ndarray
) -> torch.Tensor:
    """What is believed of births at places, by what followed the last one: float32 [n], of the same
    sum.

    Args:
        chances: float32 [n], what is believed without; own: int [n], numbers of the places; born:
            of this kind, see `State.born`.
    """
    last, age, _ = born
    if last == NEVER or not follows.shape[1]:
        return chances
    ratio = torch.from_numpy(follows[last, (age + 1) % follows.shape[1], own] / usual[own])
    return chances.sum() * chances * ratio / (chances * ratio).sum().clamp(min=1e-9)


def certain(chances: torch.Tensor, own: np.ndarray, usual: np.ndarray) -> torch.Tensor:
    """Chances [n + 1] of births at places, or of none, where one is due: of the same proportions,
    or as is usual where none is believed.
    """
    some = chances[:-1] if chances[:-1].sum() > 0 else torch.from_numpy(usual[own])
    return torch.cat([some / some.sum(), torch.zeros(1)])
