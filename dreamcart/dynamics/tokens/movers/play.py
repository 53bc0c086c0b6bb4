"""The movers in play: where each thing on a screen goes, and the cells of the window that must show
it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from dreamcart.dynamics.tokens.beliefs import SURE
from dreamcart.dynamics.tokens.inertia import Thing
from dreamcart.dynamics.tokens.movers.births import certain, due, remember, weighed
from dreamcart.dynamics.tokens.movers.claims import Tiles, claims
from dreamcart.dynamics.tokens.movers.clocks import told_by_deeds, weights
from dreamcart.dynamics.tokens.movers.finder import Finder
from dreamcart.dynamics.tokens.movers.followers import (
    begin_at,
    believe,
    exact,
    onward,
    places_of,
    sure_of,
    told_by,
)
from dreamcart.dynamics.tokens.movers.kinds import Kinds, choice_numbers, drawn, ways_before
from dreamcart.dynamics.tokens.movers.memory import Seen, lately, told_of, ways_of
from dreamcart.dynamics.tokens.movers.mind import keep_in_mind
from dreamcart.dynamics.tokens.movers.network import LOOKS, Mover
from dreamcart.dynamics.tokens.movers.views import view
from dreamcart.dynamics.tokens.state import State

UNLIKELY = 0.1  # that anything comes: then nothing is said
REMEMBERED = 4096  # screens whose things are kept in mind


class Claims(NamedTuple):
    """Cells that must show certain tokens: rows of the batch and places in the window laid out
    flat, int64 [N], and which tokens, bool [N, vocabulary].
    """

    rows: torch.Tensor
    cells: torch.Tensor
    tokens: torch.Tensor


class Movers:
    """The kinds of movers and their trained network, ready for play."""

    def __init__(
        self, tiles: torch.Tensor, kinds: Kinds, network: Mover, cells: torch.Tensor
    ) -> None:
        """tiles: uint8 [V, t, t], see `inertia.colours`; cells: int64 [h, w], see `Layout`."""
        self.tiles, self.network, shown = tiles, network, tiles.cpu().numpy()
        self.kinds, self.finder = kinds.numpy(), Finder(shown, kinds)
        self.shown = Tiles(shown, np.unique(self.kinds["tints"]).tolist())
        self.place = {
            cell: place for place, cell in enumerate(cells.flatten().tolist()) if cell >= 0
        }
        self._choices = choice_numbers(self.kinds)
        self._found: dict[bytes, np.ndarray] = {}
        self._refound: dict[tuple, tuple[int, int, np.ndarray] | None] = {}
        self._births_known: dict[tuple, list[tuple[int, int, np.ndarray]]] = {}

    def find(self, screen: np.ndarray) -> np.ndarray:
        """See `Finder.find`."""
        key = screen.tobytes()
        if key not in self._found:
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            self._found[key] = self.finder.find(screen)
        return self._found[key]

    def remember(self, born: torch.Tensor, screens: torch.Tensor) -> torch.Tensor:
        """`State.born` when screens int [B, H, W] come next."""
        return remember(
            born,
            np.stack([self.find(screen) for screen in screens.cpu().numpy().astype(np.int16)]),
            self.kinds["births"],
        )

    def begin_at(self, screens: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        """`State.followed` on an episode's first screens, int [B, H, W]; read: see
        `followers.readings`.
        """
        return torch.from_numpy(begin_at(self.kinds, self._places(screens), read.cpu().numpy())).to(
            read.device
        )

    def follow(
        self,
        followed: torch.Tensor,
        moments: torch.Tensor,
        screens: torch.Tensor,
        read: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`State.followed` and `State.moments` a step later, when screens int [B, H, W] come; read:
        see `followers.readings`.
        """
        after = onward(self.kinds, followed.cpu().numpy(), read.cpu().numpy())
        believed = believe(moments.cpu().numpy(), told_by(self.kinds, after, self._places(screens)))
        return torch.from_numpy(after).to(read.device), torch.from_numpy(believed).to(read.device)

    def _places(self, screens: torch.Tensor) -> np.ndarray:
        """See `followers.places_of`."""
        found = np.stack([self.find(screen) for screen in screens.cpu().numpy().astype(np.int16)])
        return places_of(found, self.finder.count)

    def recall(self, state: State, screens: torch.Tensor) -> State:
        """The state with what is remembered when screens int [B, H, W] come, of which it knows the
        rest.
        """
        followed = (part.cpu().numpy() for part in (state.followed, state.moments))
        now = torch.from_numpy(exact(self.kinds, self._places(screens), *followed)).to(
            state.placed.device
        )
        told = told_of(state.dials[:, -1], state.last, state.moments)
        height, width = (side * self.shown.side for side in screens.shape[1:])
        seen = Seen(
            now,
            ways_of(state.placed, now),
            lately(state.born[:, :, 2]),
            told,
            state.beat,
            (height, width),
        )
        recalled = self.network.memory(seen.each(), state.recalled)[:, 0]
        phases = state.phases
        if len(self.kinds["ticks"]):
            did = self._did(state.placed.cpu().numpy(), now.cpu().numpy())
            told = told_by_deeds(self.kinds["ticks"], state.beat.cpu().numpy() - 1, did)
            phases = torch.from_numpy(believe(phases.cpu().numpy(), told)).to(phases.device)
        return replace(state, placed=now, recalled=recalled, beat=state.beat + 1, phases=phases)

    def _did(self, before: np.ndarray, now: np.ndarray) -> np.ndarray:
        """Which choice the thing of each kind made from places to others, [B, K, 2]: int64 [B, K],
        see `train.choices_of`, -1 for what was not there or follows a dial.
        """
        did = np.full(before.shape[:2], -1)
        for row, kind in np.argwhere(~np.isnan(before[:, :, 0]) & (self.kinds["leads"][:, 0] < 0)):
            was, is_now = before[row, kind], now[row, kind]
            did[row, kind] = len(self._choices)
            if not np.isnan(is_now[0]):
                way, place = (
                    tuple((is_now - was).astype(int).tolist()),
                    (
                        int(kind),
                        *is_now.astype(int).tolist(),
                    ),
                )
                did[row, kind] = self._choices.get(way, self._choices.get(place, did[row, kind]))
        return did

    def due(self, born: torch.Tensor) -> torch.Tensor:
        """bool [B]: rows in which something is to come from nowhere, see `births.due`."""
        return due(born, torch.from_numpy(self.kinds["returns"]).to(born.device)).any(1)

    def claim(
        self,
        state: State,
        screens: torch.Tensor,
        dials: torch.Tensor,
        action: torch.Tensor,
        read: torch.Tensor,
        temperature: float,
        generator: torch.Generator | None,
        told: torch.Tensor | None,
        believed: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> Claims:
        """Decide where the things of B screens go, whether some come from nowhere, and what their
        cells show then.

        Args:
            screens: int16 [B, PAST + 1, H, W], of tokens, the screen now the last; dials: float32
                [B, (P + 1) D], see `Samples.dialled`; action: [B, n], what is pressed now; read:
                see `followers.readings`; temperature, generator: see `TokenDynamics.step`.
            told: bool [B], rows in which a thing of whose way the network is not sure is left to
                the cells, which know the truth.
            believed: of rows and places of the window, int64 [N] each, the log-probabilities of
                their next tokens, [N, vocabulary].
        """
        found = np.stack([[self.find(screen) for screen in past] for past in screens.cpu().numpy()])
        known = np.zeros(len(found), bool) if told is None else told.cpu().numpy()

        def decide(row: int, chances: torch.Tensor) -> int | None:
            return choose(chances, temperature, generator, known[row])

        born = state.born
        context = [
            part.cpu().numpy()
            for part in (dials, action, state.last, state.moments, born[:, :, 2], state.placed)
        ]
        follows = [part.cpu().numpy() for part in (state.moments, state.followed, read)]
        phases = [part.cpu().numpy() for part in (state.phases, state.beat)]
        leave, come = self._go(screens, found, context, state.recalled, phases, follows, decide)
        other: list[list[Thing]] = [[] for _ in found]
        certain_kinds = due(born.cpu(), torch.from_numpy(self.kinds["returns"]))
        current = screens[:, -1].cpu().numpy()
        for row, screen in enumerate(current):
            for kind in set(self.kinds["births"][:, 0].tolist()) - set(
                found[row, :, :, 0].ravel().tolist()
            ):
                own = np.flatnonzero(self.kinds["births"][:, 0] == kind)
                places = [drawn(self.kinds, *birth) for birth in self.kinds["births"][own].tolist()]
                chances = self._births(row, screen, places, believed)
                if certain_kinds[row, kind]:
                    chances = certain(chances, own, self.kinds["usual"])
                memory = born[row, kind].tolist(), self.kinds["usual"], self.kinds["follows"]
                chances = torch.cat([weighed(chances[:-1], own, *memory), chances[-1:]])
                which = decide(row, chances)
                if which is not None and chances[:-1].sum() > UNLIKELY:
                    for place, parts in enumerate(places):
                        (come if place == which else other)[row].extend(parts)
        return self._joined(
            [
                self._claims(row, screen, leave[row], come[row], other[row])
                for row, screen in enumerate(current)
            ]
        )

    def _go(
        self,
        screens: torch.Tensor,
        found: np.ndarray,
        context: list[np.ndarray],
        recalled: torch.Tensor,
        phases: list[np.ndarray],
        follows: list[np.ndarray],
        decide: Callable[[int, torch.Tensor], int | None],
    ) -> tuple[list[list[Thing]], list[list[Thing]]]:
        """What things leave and where they come to, by row.

        Args:
            screens: see `claim`; found: int16 [B, PAST + 1, M, 3], the movers on them; context,
                recalled: what `view` is told from `action` on; phases: and beat of the state;
                follows: moments, followed and read, see `sure_of`; decide: of a row, one of some
                choices by their chances, or nothing, see `choose`.
        """
        # of things found again, the pixels of the screen that show nothing else
        alone: dict[tuple[int, ...], np.ndarray] = {}

        def again(row: int, step: int, thing: tuple[int, int, int]) -> tuple[int, int] | None:
            place = self.refind(
                *(screens[row, number].cpu().numpy() for number in (step - 1, step)), thing
            )
            if place and step == screens.shape[1] - 1:
                alone[row, thing[0], *place[:2]] = place[2]
            return place[:2] if place else None

        things, lost = keep_in_mind(found, again)
        leave, come = ([[] for _ in found] for _ in range(2))
        rows, slots = np.nonzero(things[:, -1, :, 0] >= 0)
        if not len(rows):
            return leave, come
        thing = things[rows, -1, slots].astype(np.int64)
        before, told = ways_before(things[rows, :-1], thing), (part[rows] for part in context)
        views = view(
            self.tiles.cpu(),
            screens[rows, -LOOKS:].cpu(),
            thing,
            self.kinds,
            before,
            *told,
            recalled[rows].cpu(),
        )
        chances = self.network.chances(views.to(self.tiles.device)).cpu()
        if len(self.kinds["ticks"]):
            likelier = weights(self.kinds["ticks"], phases[0], phases[1] - 1)[rows, thing[:, 0]]
            chances = chances * torch.from_numpy(likelier)
            chances = chances / chances.sum(1, keepdim=True)
        known = sure_of(self.kinds, *follows, places_of(things[:, -1], self.finder.count), SURE)
        for row, slot, (kind, y, x), chance in zip(
            rows.tolist(), slots.tolist(), thing.tolist(), chances, strict=True
        ):
            if np.isnan(known[row, kind]):
                way = decide(row, chance)
                to = None if way is None else self._to(way, kind, (y, x), len(chance) - 1)
                if to is None:
                    continue
            else:
                to = np.array([y, x])
                to[self.kinds["leads"][kind, 1]] = known[row, kind]
            if lost[row, -1, slot] <= 0:
                leave[row] += self._left((kind, y, x), alone.get((row, kind, y, x)))
            come[row] += drawn(self.kinds, kind, *to.tolist())
        return leave, come

    def _to(self, choice: int, kind: int, place: tuple[int, int], none: int) -> np.ndarray | None:
        """Top and left of where a thing's choice leads it, see `Mover`; nothing where it is
        `none`.
        """
        ways, births = self.kinds["ways"], self.kinds["births"]
        if choice == none:
            return None
        if choice < len(ways):
            return ways[choice] + place
        return births[choice - len(ways), 1:] if births[choice - len(ways), 0] == kind else None

    def refind(
        self, before: np.ndarray, now: np.ndarray, thing: tuple[int, int, int]
    ) -> tuple[int, int, np.ndarray] | None:
        """See `Finder.refind`."""
        key = before.tobytes(), now.tobytes(), thing
        if key not in self._refound:
            if len(self._refound) >= REMEMBERED:
                self._refound.clear()
            self._refound[key] = self.finder.refind(before, thing, now)
        return self._refound[key]

    def _left(self, thing: Sequence[int], alone: np.ndarray | None) -> list[Thing]:
        """What a thing leaves behind: all of it, or where it lies on what has its colour those of
        its pixels that show it alone.
        """
        parts = drawn(self.kinds, *thing)
        return (
            parts
            if alone is None
            else [replace(part, mask=part.mask & part.within(alone)) for part in parts]
        )

    def _births(
        self,
        row: int,
        screen: np.ndarray,
        places: list[list[Thing]],
        believed: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """Chances that a thing comes at each of some places, or at none, float32 [N + 1]: what the
        cell that believes it least gives it. It comes at one of them, so what is believed of each
        adds up.
        """
        parts = [self._birth(row, screen, place) for place in places]
        joined = self._joined(parts)
        mass = (
            (believed(joined.rows, joined.cells).cpu().exp() * joined.tokens)
            .sum(1)
            .split([len(part) for part in parts])
        )
        chances = torch.stack([least.min() if len(least) else torch.zeros(()) for least in mass])
        return torch.cat([chances, (1 - chances.sum()).clamp(min=0)[None]]) / chances.sum().clamp(
            min=1
        )

    def _birth(
        self, row: int, screen: np.ndarray, place: list[Thing]
    ) -> list[tuple[int, int, np.ndarray]]:
        """The claims of a thing that comes somewhere.

        They are asked for at each step without one, and seldom change.
        """
        side = self.shown.side
        around = [
            screen[
                part.y // side : (part.y + part.mask.shape[0]) // side + 1,
                part.x // side : (part.x + part.mask.shape[1]) // side + 1,
            ].tobytes()
            for part in place
        ]
        key = tuple((part.y, part.x, *part.shape) for part in place), *around
        if key not in self._births_known:
            if len(self._births_known) >= REMEMBERED:
                self._births_known.clear()
            self._births_known[key] = self._claims(0, screen, [], place, [])
        return [(row, cell, fits) for _, cell, fits in self._births_known[key]]

    def _claims(
        self,
        row: int,
        screen: np.ndarray,
        leave: list[Thing],
        come: list[Thing],
        other: list[Thing],
    ) -> list[tuple[int, int, np.ndarray]]:
        # what is small is seen before what is large
        come = sorted(come, key=lambda part: -part.mask.sum())
        found = claims(self.shown, screen, leave, come, other)
        places = (
            (self.place.get(line * screen.shape[1] + column), fits) for line, column, fits in found
        )
        return [(row, place, fits) for place, fits in places if place is not None]

    def _joined(self, parts: list[list[tuple[int, int, np.ndarray]]]) -> Claims:
        together = [claim for part in parts for claim in part]
        tokens = (
            np.stack([fits for *_, fits in together])
            if together
            else np.zeros((0, len(self.tiles)), bool)
        )
        rows, cells = (
            torch.tensor([claim[axis] for claim in together], dtype=torch.int64) for axis in (0, 1)
        )
        return Claims(rows, cells, torch.from_numpy(tokens))


def choose(
    chances: torch.Tensor, temperature: float, generator: torch.Generator | None, told: bool
) -> int | None:
    """One of some choices by their chances; nothing where none is sure and the truth is to be told.
    At temperature 0, and where one is sure, the likeliest.
    """
    if chances.max() >= SURE or (temperature == 0 and not told):
        return int(chances.argmax())
    return (
        None
        if told
        else int(
            torch.multinomial((chances.log() / temperature).softmax(0), 1, generator=generator)
        )
    )
