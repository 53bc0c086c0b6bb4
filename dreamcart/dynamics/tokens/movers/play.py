"""The movers in play: where each thing on a screen goes, and the cells of the window that must show it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from dreamcart.dynamics.tokens.beliefs import SURE
from dreamcart.dynamics.tokens.inertia import Thing
from dreamcart.dynamics.tokens.movers.births import remember, weighed
from dreamcart.dynamics.tokens.movers.claims import Tiles, claims
from dreamcart.dynamics.tokens.movers.kinds import Finder, Kinds, ways_before
from dreamcart.dynamics.tokens.movers.network import LOOKS, Mover
from dreamcart.dynamics.tokens.movers.views import view

UNLIKELY = 0.1  # that anything comes: then nothing is said
REMEMBERED = 4096  # screens whose things are kept in mind


class Claims(NamedTuple):
    """Cells that must show certain tokens: rows of the batch and places in the window laid out flat, int64 [N], and which tokens,
    bool [N, vocabulary]."""

    rows: torch.Tensor
    cells: torch.Tensor
    tokens: torch.Tensor


class Movers:
    """The kinds of movers and their trained network, ready for play."""

    def __init__(self, tiles: torch.Tensor, kinds: Kinds, network: Mover, cells: torch.Tensor) -> None:
        """tiles: uint8 [V, t, t], see `inertia.colours`; cells: int64 [h, w], see `Layout`."""
        self.tiles, self.network, shown = tiles, network, tiles.cpu().numpy()
        self.kinds, self.finder = kinds.numpy(), Finder(shown, kinds)
        self.shown = Tiles(shown, self.kinds["colours"].tolist())
        self.place = {cell: place for place, cell in enumerate(cells.flatten().tolist()) if cell >= 0}
        self._found: dict[bytes, np.ndarray] = {}
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
            born, np.stack([self.find(screen) for screen in screens.cpu().numpy().astype(np.int16)]), self.kinds["births"]
        )

    def claim(
        self,
        screens: torch.Tensor,
        dials: torch.Tensor,
        action: torch.Tensor,
        last: torch.Tensor,
        born: torch.Tensor,
        temperature: float,
        generator: torch.Generator | None,
        told: torch.Tensor | None,
        believed: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> Claims:
        """Decide where the things of B screens go, whether some come from nowhere, and what their cells show then.

        Args:
            screens: int16 [B, PAST + 1, H, W], of tokens, the screen now the last; dials: float32 [B, (P + 1) D], see
                `Samples.dialled`; action, last: [B, n], what is pressed now, and what was before; born: see `State`; temperature,
                generator: see `TokenDynamics.step`.
            told: bool [B], rows in which a thing of whose way the network is not sure is left to the cells, which know the truth.
            believed: of rows and places of the window, int64 [N] each, the log-probabilities of their next tokens, [N, vocabulary].
        """
        found = np.stack([[self.find(screen) for screen in past] for past in screens.cpu().numpy()])
        current = screens[:, -1].cpu().numpy()
        known = np.zeros(len(found), bool) if told is None else told.cpu().numpy()
        leave: list[list[Thing]] = [[] for _ in found]
        come, other = [[] for _ in found], [[] for _ in found]
        row, slot = np.nonzero(found[:, -1, :, 0] >= 0)
        if len(row):
            thing = found[row, -1, slot].astype(np.int64)
            context = (part.cpu().numpy()[row] for part in (dials, action, last))
            looked = screens[row, -LOOKS:].cpu()
            views = view(self.tiles.cpu(), looked, thing, self.kinds, ways_before(found[row, :-1], thing), *context)
            chance = self.network.chances(views.to(self.tiles.device)).cpu()
            for number, own, chances in zip(row.tolist(), thing.tolist(), chance, strict=True):
                way = choose(chances, temperature, generator, known[number])
                if way is not None and way < len(self.kinds["ways"]):
                    leave[number].append(self.thing(*own))
                    dy, dx = self.kinds["ways"][way].tolist()
                    come[number].append(self.thing(own[0], own[1] + dy, own[2] + dx))
        for number, screen in enumerate(current):
            for kind in set(self.kinds["births"][:, 0].tolist()) - set(found[number, :, :, 0].ravel().tolist()):
                own = np.flatnonzero(self.kinds["births"][:, 0] == kind)
                places = [self.thing(*birth) for birth in self.kinds["births"][own].tolist()]
                chances = self._births(number, screen, places, believed)
                memory = born[number, kind].tolist(), self.kinds["usual"], self.kinds["follows"]
                chances = torch.cat([weighed(chances[:-1], own, *memory), chances[-1:]])
                which = choose(chances, temperature, generator, known[number])
                if which is not None and chances[:-1].sum() > UNLIKELY:
                    come[number] += places[which : which + 1]
                    other[number] += places[:which] + places[which + 1 :]
        return self._joined(
            [self._claims(number, screen, leave[number], come[number], other[number]) for number, screen in enumerate(current)]
        )

    def thing(self, kind: int, y: int, x: int) -> Thing:
        """A thing of a kind, somewhere."""
        height, width = self.kinds["sizes"][kind].tolist()
        return Thing(int(self.kinds["colours"][kind]), y, x, self.kinds["masks"][kind, :height, :width])

    def _births(
        self, row: int, screen: np.ndarray, places: list[Thing], believed: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """Chances that a thing comes at each of some places, or at none, float32 [N + 1]: what the cell that believes it least
        gives it. It comes at one of them, so what is believed of each adds up."""
        parts = [self._birth(row, screen, place) for place in places]
        joined = self._joined(parts)
        mass = (believed(joined.rows, joined.cells).cpu().exp() * joined.tokens).sum(1).split([len(part) for part in parts])
        chances = torch.stack([least.min() if len(least) else torch.zeros(()) for least in mass])
        return torch.cat([chances, (1 - chances.sum()).clamp(min=0)[None]]) / chances.sum().clamp(min=1)

    def _birth(self, row: int, screen: np.ndarray, place: Thing) -> list[tuple[int, int, np.ndarray]]:
        """The claims of a thing that comes somewhere. They are asked for at each step without one, and seldom change."""
        side = self.shown.side
        around = screen[
            place.y // side : (place.y + place.mask.shape[0]) // side + 1,
            place.x // side : (place.x + place.mask.shape[1]) // side + 1,
        ]
        key = place.y, place.x, place.colour, place.mask.shape, around.tobytes()
        if key not in self._births_known:
            if len(self._births_known) >= REMEMBERED:
                self._births_known.clear()
            self._births_known[key] = self._claims(0, screen, [], [place], [])
        return [(row, cell, fits) for _, cell, fits in self._births_known[key]]

    def _claims(
        self, row: int, screen: np.ndarray, leave: list[Thing], come: list[Thing], other: list[Thing]
    ) -> list[tuple[int, int, np.ndarray]]:
        found = claims(self.shown, screen, leave, come, other)
        places = ((self.place.get(line * screen.shape[1] + column), fits) for line, column, fits in found)
        return [(row, place, fits) for place, fits in places if place is not None]

    def _joined(self, parts: list[list[tuple[int, int, np.ndarray]]]) -> Claims:
        together = [claim for part in parts for claim in part]
        tokens = np.stack([fits for *_, fits in together]) if together else np.zeros((0, len(self.tiles)), bool)
        rows, cells = (torch.tensor([claim[axis] for claim in together], dtype=torch.int64) for axis in (0, 1))
        return Claims(rows, cells, torch.from_numpy(tokens))


def choose(chances: torch.Tensor, temperature: float, generator: torch.Generator | None, told: bool) -> int | None:
    """One of some choices by their chances; nothing where none is sure and the truth is to be told. At temperature 0, and where one
    is sure, the likeliest."""
    if chances.max() >= SURE or (temperature == 0 and not told):
        return int(chances.argmax())
    return None if told else int(torch.multinomial((chances.log() / temperature).softmax(0), 1, generator=generator))
