"""The script `explore`: first a search for places that are seldom seen, then play that leads there.

As Go-Explore does, the search keeps the emulator's states and goes on from those whose screen it
met least often. Nothing of it is recorded: the episode then begins anew in its start state, follows
the buttons that led through the most new screens, and goes on from there at random. So it has no
jumps, and seed, start state and buttons make each of its frames again.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dreamcart.games.coarse import coarse
from dreamcart.games.emulator import Emulator
from dreamcart.games.spec import GameSpec

BUDGET = 2.0  # steps of the search for each step of the episode
WAY = 0.75  # of the episode at most is the way; the rest goes on from its end
WALK, LOOK = 40, 5  # steps that are walked on from a place, and between two looks at the screen
LONGEST = 4  # times that a walk doubles where the ones before found nothing: a title may take long
PARTS, LEVELS = 12, 8  # the screen is coarse: about so many parts a side, so many levels of each
LEAST_PART = 8  # pixels: frames of toys are small
STILL = 60  # steps after which a screen that never changed is taken for a pause or an end
MEMORY = 2**26  # bytes of states that are kept


class Walker(Protocol):
    """Presses the buttons that are not searched for (a policy of `scripts`)."""

    def act(self, variables: dict[str, Any], rng: np.random.Generator) -> set[str]:
        """Return the buttons to hold for the next step."""


@dataclass
class Place:
    """A state of the emulator that showed something new, and how it was reached."""

    state: bytes
    before: "Place | None" = None
    held: tuple[frozenset[str], ...] = ()  # buttons of each step since `before`
    steps: int = 0  # from the start state
    depth: int = 0  # places before it
    visits: int = 1  # how often its screen was met, or it was gone on from
    vain: int = 0  # walks from it that found nothing


class Explorer:
    """A policy that searches once, in `search`, and then plays what it found.

    Where the screen stands still for long it presses what gets it out of a menu.
    """

    def __init__(self, spec: GameSpec, searcher: Walker, walker: Walker, waker: Walker) -> None:
        """Who presses the buttons while it searches, after the way, and where the screen stands
        still.
        """
        self.spec, self.searcher, self.walker, self.waker = spec, searcher, walker, waker
        self.way: deque[frozenset[str]] = deque()
        self.still = 0  # steps since the screen changed, which `collect` counts

    def act(self, variables: dict[str, Any], rng: np.random.Generator) -> set[str]:
        """Follow the way that was found, then walk at random."""
        if self.way:
            return set(self.way.popleft())
        return (self.waker if self.still > STILL else self.walker).act(variables, rng)

    def search(
        self, emulator: Emulator, state: str, seed: int, steps: int, rng: np.random.Generator
    ) -> None:
        """Look for a way for an episode of `steps` steps; the emulator is left somewhere.

        Depends on the arguments alone: on no other episode, and on no clock.
        """
        frame = emulator.reset(state, seed)
        first = Place(emulator.save())
        places = {_cell(frame): first}
        room, left = MEMORY - len(first.state), round(BUDGET * steps)
        while left > 0:
            known = [*places.values()]
            chances = 1 / np.array([place.visits for place in known])
            place = known[rng.choice(len(known), p=chances / chances.sum())]
            place.visits += 1
            length = WALK << min(place.vain, LONGEST)
            left -= length  # also where the game ends sooner: a search must end
            news = self._walk(emulator, place, length, places, rng)
            place.vain = 0 if news else place.vain + 1
            for cell, found in news:
                if found.steps <= WAY * steps and len(found.state) <= room:
                    places[cell] = found
                    room -= len(found.state)
        best = max(places.values(), key=lambda found: (found.depth, -found.visits))
        self.way = deque(_way(best))

    def _walk(
        self,
        emulator: Emulator,
        place: Place,
        length: int,
        places: dict[bytes, Place],
        rng: np.random.Generator,
    ) -> list[tuple[bytes, Place]]:
        """Go on from a place for `length` steps; return the new ones, until the game is over."""
        emulator.restore(place.state)
        held, found = [], {}
        for step in range(1, length + 1):
            pressed = frozenset(self.searcher.act({}, rng))
            held.append(pressed)
            frame, _, terminated, truncated = emulator.step(self.spec.vector(set(pressed)))
            if terminated or truncated:
                break
            if step % LOOK:
                continue
            cell = _cell(frame)
            known = found.get(cell) or places.get(cell)
            if known:
                known.visits += 1
            else:
                steps, depth = place.steps + len(held), place.depth + 1
                place = Place(emulator.save(), place, tuple(held), steps, depth)
                found[cell], held = place, []
        return [*found.items()]


def _cell(frame: np.ndarray) -> bytes:
    """What of a screen tells one place from another."""
    side = min(max(LEAST_PART, -(-max(frame.shape[:2]) // PARTS)), *frame.shape[:2])
    return bytes(str(frame.shape), "ascii") + coarse(frame, side, LEVELS).tobytes()


def _way(place: Place) -> list[frozenset[str]]:
    """The buttons of each step from the start state to a place."""
    parts: list[tuple[frozenset[str], ...]] = []
    while place.before is not None:
        parts.append(place.held)
        place = place.before
    return [held for part in reversed(parts) for held in part]
