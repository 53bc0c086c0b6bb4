"""Reads dreamed frames back into game terms and scores them against the real game.

Pixels tell how near a picture is; this tells whether it says the right thing. What a game's terms
are is the business of its own reader, games/<game>/reader.py, loaded as its bot is; here are the
counts over rollouts:

- states: at a horizon, the share of what the real frame shows that the dreamed one shows too;
- events: whether what happens in the game happens in the dream, within a step;
- legality: whether every screen of a dream is one that the game could show after the one before.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from dreamcart.core.errors import UserError
from dreamcart.games.catalog import game_module
from dreamcart.games.spec import GameSpec

Read = dict[str, Any]  # what a frame shows, in the game's own terms


class Verdict(Protocol):
    """Of one screen of a sequence: why it is not legal (empty if it is), and what happened."""

    reasons: tuple[str, ...]
    events: frozenset[str]


class Checker(Protocol):
    """Judges one sequence of screens."""

    def step(self, read: Read) -> Verdict:
        """The verdict on the next screen."""


class Reader(Protocol):
    """A game's reader: `make_reader()` of its reader.py.

    Attributes:
        shape: (H, W, C) of the frames that it reads, uint8; field: rows and columns of the
            playfield in them.
    """

    shape: tuple[int, int, int]
    field: tuple[slice, slice]

    def read(self, frame: np.ndarray) -> Read:
        """What a frame shows."""

    def truth(self, variables: dict[str, Any]) -> Read:
        """What the frame must show for a step's RAM variables; may know more than any frame
        shows.
        """

    def score(self, real: Read, dream: Read) -> dict[str, float | None]:
        """Metric → 0 to 1, None where the real frame has nothing to compare.

        `real` is a read or a truth.
        """

    def checker(self) -> Checker:
        """A fresh checker."""


class Judged(NamedTuple):
    """The verdicts on a sequence, one entry a step."""

    reasons: list[tuple[str, ...]]
    events: list[set[str]]


def load_reader(spec: GameSpec) -> Reader | None:
    """The reader of `spec`'s game, or of the game that it extends; None where neither has one."""
    try:
        module = game_module(spec.name, "reader.py")
    except UserError:  # recordings of a game that is not in games/
        return None
    return module.make_reader() if module else None


def state_scores(
    reader: Reader,
    real: Sequence[Mapping[int, Read]],
    dream: Sequence[Mapping[int, Read]],
    horizons: Iterable[int],
    variables: Sequence[Mapping[int, dict[str, Any]]] | None = None,
) -> dict[str, dict[str, float | None]]:
    """Mean scores over B rollouts at each horizon.

    Args:
        real, dream: B rollouts, their reads by step (from 1).
        variables: likewise, the RAM variables of the real steps. Without them, metrics that need
            more than the real frame shows are None.

    Returns:
        {horizon: {metric: mean}} and "count", the number of rollouts that had anything to compare
            there.
    """
    table: dict[str, dict[str, float | None]] = {}
    for horizon in sorted(set(horizons)):
        rows = []
        for number, (true, shown) in enumerate(zip(real, dream, strict=True)):
            wanted = true[horizon]
            # they know best, but not everything: an Atari game's bricks are not among them
            if variables:
                wanted = wanted | reader.truth(variables[number][horizon])
            rows.append(reader.score(wanted, shown[horizon]))
        means: dict[str, float | None] = {}
        for name in rows[0] if rows else ():
            values = [row[name] for row in rows if row[name] is not None]
            means[name] = round(float(np.mean(values)), 6) if values else None
        means["count"] = sum(any(value is not None for value in row.values()) for row in rows)
        table[str(horizon)] = means
    return table


def judge(reader: Reader, reads: Iterable[Read], context: Iterable[Read] = ()) -> Judged:
    """Follow one sequence with the game's checker.

    `context` (reads of the real frames before it, at least the last) tells the checker where the
    sequence starts from; without it the first screen is judged alone and can show no event.
    """
    checker = reader.checker()
    for read in context:
        checker.step(read)
    verdicts = [checker.step(read) for read in reads]
    return Judged(
        [verdict.reasons for verdict in verdicts], [set(verdict.events) for verdict in verdicts]
    )


def legality(judged: Iterable[Judged]) -> dict[str, Any]:
    """How legal dreams are, over all of them.

    Returns:
        steps, illegal (screens), share (illegal / steps), reasons {reason: screens}, and
            until_first: the mean number of steps before the first illegal screen, the whole length
            where there is none.
    """
    steps, illegal, reasons, until = 0, 0, Counter(), []
    for one in judged:
        faults = [number for number, why in enumerate(one.reasons) if why]
        steps, illegal = steps + len(one.reasons), illegal + len(faults)
        until.append(faults[0] if faults else len(one.reasons))
        for why in one.reasons:
            reasons.update(why)
    return {
        "steps": steps,
        "illegal": illegal,
        "share": round(illegal / steps, 6) if steps else None,
        "until_first": round(float(np.mean(until)), 2) if until else None,
        "reasons": dict(reasons.most_common()),
    }


def match_events(
    real: Sequence[set[str]], dream: Sequence[set[str]], tolerance: int = 1
) -> dict[str, dict[str, int]]:
    """Pair the events of two sequences of the same length, each with at most one of its kind.

    Two may pair that lie no more than `tolerance` steps apart.

    Returns:
        {event: {"real": number, "dream": number, "matched": pairs}}, for events that occur in
            either.
    """
    counts = {}
    for event in sorted(set().union(*real, *dream)):
        left, right = (
            [step for step, events in enumerate(side) if event in events] for side in (real, dream)
        )
        matched = i = j = 0
        # both rise, so pairing the earliest that can be paired leaves most for the rest
        while i < len(left) and j < len(right):
            if abs(left[i] - right[j]) <= tolerance:
                matched, i, j = matched + 1, i + 1, j + 1
            elif left[i] < right[j]:
                i += 1
            else:
                j += 1
        counts[event] = {"real": len(left), "dream": len(right), "matched": matched}
    return counts


def summarise(
    counts: Iterable[dict[str, dict[str, int]]],
) -> dict[str, dict[str, float | int | None]]:
    """Sum `match_events` over rollouts and rate each event, and all together as "all".

    Returns:
        {event: {real, dream, matched, recall, precision, f1}}; recall is None without real events,
            precision without dreamed ones, f1 without either.
    """
    totals: dict[str, Counter] = {}
    for one in counts:
        for event, numbers in one.items():
            for name in (event, "all"):
                totals.setdefault(name, Counter()).update(numbers)
    table = {}
    for event, sums in sorted(totals.items(), key=lambda item: (item[0] == "all", item[0])):
        real, dream, matched = sums["real"], sums["dream"], sums["matched"]
        table[event] = {
            "real": real,
            "dream": dream,
            "matched": matched,
            "recall": round(matched / real, 4) if real else None,
            "precision": round(matched / dream, 4) if dream else None,
            "f1": round(2 * matched / (real + dream), 4) if real + dream else None,
        }
    return table
