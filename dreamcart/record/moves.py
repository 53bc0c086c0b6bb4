"""What a search presses: single buttons, pairs, long holds, waits, random play."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dreamcart.data.scripts import MENU_BUTTONS

DIRECTIONS = ("UP", "DOWN", "LEFT", "RIGHT")
OPPOSITE = ({"UP", "DOWN"}, {"LEFT", "RIGHT"})
RESET = {"RESET"}  # no button of play; an Atari begins its games by it
SECOND = 30  # steps
TAP, LONG = 3, 3 * SECOND  # steps
RANDOM = "random"

Press = tuple[tuple[str, ...], int]  # buttons held, for so many steps


@dataclass(frozen=True)
class Move:
    """What is pressed, under a name for people."""

    name: str
    presses: tuple[Press, ...]

    @property
    def steps(self) -> int:
        return sum(steps for _, steps in self.presses)

    @property
    def waits(self) -> bool:
        """Whether nothing is pressed."""
        return not any(pressed for pressed, _ in self.presses)


def wait(steps: int) -> Move:
    return Move("wait", (((), steps),))


def hold(buttons: tuple[str, ...], steps: int, after: int) -> Move:
    """Hold buttons, then let go and see what comes of it."""
    return Move("+".join(buttons), ((buttons, steps), ((), after)))


def is_play(button: str) -> bool:
    """Whether a button belongs to play: no START, SELECT or RESET."""
    return button not in MENU_BUTTONS | RESET


def all_moves(buttons: list[str], rng: np.random.Generator) -> Iterator[Move]:
    """All moves from a state, about 90 of an NES: short ones first, random play in between.

    START comes first: most titles want it.
    """
    menu = [b for b in buttons if not is_play(b)]
    first = [*menu, *(b for b in buttons if is_play(b) and b not in DIRECTIONS)]
    arrows = [b for b in buttons if b in DIRECTIONS]
    pairs = [p for p in itertools.combinations(buttons, 2) if set(p) not in OPPOSITE]
    both = [p for p in pairs if not set(p) & set(DIRECTIONS)]
    rest = [p for p in pairs if p not in both]
    half = SECOND // 2
    yield from (hold((b,), TAP, SECOND) for b in first)
    yield wait(2 * SECOND)
    yield random_move(buttons, rng)
    yield from (hold(pair, half, half) for pair in both)
    yield from (hold((b,), LONG, half) for b in menu)
    yield from (hold((b,), TAP, half) for b in arrows)
    yield wait(5 * SECOND)
    yield from (random_move(buttons, rng) for _ in range(3))
    yield from (Move(f"{b} again and again", (((b,), TAP), ((), 12)) * 5) for b in first)
    yield from (hold((b,), LONG, half) for b in buttons if b not in menu)
    yield from (hold(pair, LONG, half) for pair in both)
    yield from (random_move(buttons, rng) for _ in range(4))
    yield from (hold(pair, half, half) for pair in rest)
    yield from (random_move(buttons, rng) for _ in range(4))


def random_play(buttons: list[str], steps: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
    """Random holds of one or two buttons, or none, for some steps each; one entry a step."""
    held: list[tuple[str, ...]] = []
    while len(held) < steps:
        count = int(rng.choice([0, 1, 2], p=[0.2, 0.6, 0.2]))
        chosen = rng.choice(buttons, min(count, len(buttons)), replace=False)
        held += [tuple(map(str, chosen))] * int(rng.integers(2, 12))
    return held[:steps]


def random_move(buttons: list[str], rng: np.random.Generator) -> Move:
    """Two seconds of random play, in half of the cases without START and its like."""
    chosen = buttons if rng.random() < 0.5 else [*filter(is_play, buttons)]
    held = random_play(chosen, 2 * SECOND, rng)
    presses = [(pressed, len(list(same))) for pressed, same in itertools.groupby(held)]
    return Move(RANDOM, tuple(presses))
