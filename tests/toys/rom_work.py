"""Work for a process of its own, in a module that imports little."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from dreamcart.record.judge import at_once
from dreamcart.record.machine import Machine
from dreamcart.record.search import Search

SECONDS = 30.0  # for a ROM at most: a search ends as soon as it has found a good state


def search_all(
    folder: Path, envs: list[str], report: Callable[[object], None]
) -> dict[str, tuple[set[str], float]]:
    """The buttons that act at once in the best state of each integration, and its worth.

    One emulator after the other: a process has one.
    """
    found = {}
    for env in envs:
        machine = Machine(folder, env)
        search = Search(machine, SECONDS, seed=0)
        search.least = 0.0
        search.run(1, report)
        found[env] = next(((at_once(node.acts), node.worth) for node in search.found), (set(), 0.0))
        machine.env.close()
        del machine, search
    return found


def dies(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def sleeps(*_: object) -> None:
    time.sleep(60)
