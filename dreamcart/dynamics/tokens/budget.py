"""How long the searches in recordings may take: what is not found in time is left out, and a
sentence says so.

After its training the token dynamics looks in its recordings for what holds without exception, and
for the things that move as one. Those searches were made for games of a few things; in a game of
many, one of them could take hours.

**Two limits.** First an amount of work, the same on every machine: a game in which more things move
than a screen has room for has no movers (`find_kinds`), and on a screen only so many places are
tried (`Finder`), in recordings as in play. The clock is the last resort: all searches together may
take SHARE of the training's wall-clock time, or LEAST seconds and LEAST_STEP for each recorded step
where that is more, so that neither a fast machine nor a short training changes what is found in a
game of a few things.

**A search is found whole or left out whole**, so a game that stays within the limits comes out the
same on every machine, at every speed, and after every interruption. The training's time is kept in
its checkpoint: a run that was killed and goes on, or that finds its training finished, has the
budget of one that ran through. Movers that were being trained when it was killed had been found in
time, so they are found again without a clock. Only a run that the clock cuts off may come out
otherwise another time.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from time import monotonic
from typing import Any, TypeVar

import torch
from tqdm import tqdm

SHARE = 0.2  # of the training's time
LEAST, LEAST_STEP = 10.0, 0.002  # seconds, and seconds for each recorded step
SHOWN_AFTER = 2.0  # seconds

Item, Found = TypeVar("Item"), TypeVar("Found")


class LeftOutError(Exception):
    """Raised in a search that goes beyond a limit. The message is why: "… was left out, for …"."""


class Budget:
    """The seconds that some searches may take together; without a number as long as they need."""

    def __init__(self, seconds: float = math.inf) -> None:
        self.seconds, self.used, self.until = seconds, 0.0, math.inf

    @staticmethod
    def after(trained: float, steps: int) -> "Budget":
        """Return the budget after a training of so many seconds, for so many recorded steps."""
        return Budget(max(SHARE * trained, LEAST + LEAST_STEP * steps))

    def search(
        self, what: str, lacks: str, otherwise: Found, find: Callable[..., Found], *given: Any
    ) -> Found:
        """Return `find(*given)`; where it goes beyond a limit say so and return `otherwise`.

        Args:
            what: what is sought; lacks: what a dream does without it, as the end of that sentence.
        """
        begun, outer = monotonic(), _running.set(self)
        self.until = begun + self.seconds - self.used
        try:
            return find(*given)
        except LeftOutError as limit:
            tqdm.write(f"The search for {what} was left out, for {limit}; {lacks}.")
            return otherwise
        finally:
            _running.reset(outer)
            self.used += monotonic() - begun


_running: ContextVar[Budget | None] = ContextVar("running", default=None)


def check() -> None:
    """Raise LeftOutError where the budget of the search that runs, if there is one, is used up."""
    budget = _running.get()
    if budget is not None and monotonic() > budget.until:
        most = f"{budget.seconds:.0f} seconds"
        raise LeftOutError(f"searches may take {most} together after such a training")


def along(items: Iterable[Item], about: str, unit: str = "step", **bar: Any) -> Iterator[Item]:
    """Yield a search's items, with a bar if it takes long. Raises LeftOutError, see `check`."""
    with tqdm(items, desc=about, unit=unit, delay=SHOWN_AFTER, **bar) as shown:
        for item in shown:
            check()
            yield item


class Stopwatch:
    """Counts the seconds of a training. seconds: float64 [1], which a checkpoint is to hold."""

    def __init__(self) -> None:
        self.seconds, self.last = torch.zeros(1, dtype=torch.float64), monotonic()

    def tick(self) -> None:
        """Add the time since the last tick."""
        now = monotonic()
        self.seconds += now - self.last
        self.last = now
