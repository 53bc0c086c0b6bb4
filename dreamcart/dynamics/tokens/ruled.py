"""What recordings allow: in a region what they showed, in a chain what followed, of moves those that were made.

A network that draws cell by cell is wrong now and then, in a way that no recording shows: half a word, a digit that is none, a
piece in halves. What is known from all of them is kept beside its weights and has the last word.
"""

from dataclasses import fields
from functools import partial

import numpy as np
import torch

from dreamcart.dynamics.base import Dynamics
from dreamcart.dynamics.tokens.beliefs import Beliefs, chances
from dreamcart.dynamics.tokens.chains import Chains
from dreamcart.dynamics.tokens.known import Known
from dreamcart.dynamics.tokens.moves import Moves
from dreamcart.dynamics.tokens.regions import ALWAYS, Regions

CERTAIN = 50.0  # nats


class Ruled(Dynamics):
    """A dynamics of tokens that keeps to regions, chains and moves; it has a `layout`, with its buffers, and a `network`."""

    def set_regions(self, regions: Regions, cuts: bool | None = None) -> None:
        """After training: parts of the window that show nothing but their known contents. (Older models' files have none, or
        none of cuts.) cuts: whether their file tells which hold after cuts only; where not given, if any does."""
        for name in ("places", "contents"):
            self.register_buffer(name, getattr(regions, name), persistent=len(regions.places) > 0)
        self.register_buffer("after", regions.after, persistent=bool((regions.after >= 0).any()) if cuts is None else cuts)

    def set_chains(self, chains: Chains) -> None:
        """After training: parts of the window of which it is known what follows what. (Older models' files have none.)"""
        for field in fields(chains):
            self.register_buffer(f"chains_{field.name}", getattr(chains, field.name), persistent=len(chains.places) > 0)

    def set_moves(self, moves: Moves) -> None:
        """After training: what a step may change. (Older models' files have none, or do not tell that it may be several.)"""
        for field in fields(moves):
            kept = len(moves.old) > 0 and (field.name != "apart" or bool(moves.apart))
            self.register_buffer(f"moves_{field.name}", getattr(moves, field.name), persistent=kept)
        self._known: Known | None = None  # made from them at the first step

    @property
    def moves(self) -> Moves:
        return Moves(*(getattr(self, f"moves_{field.name}") for field in fields(Moves)))

    def _settle(self, window: torch.Tensor, cut: torch.Tensor, believed: Beliefs) -> torch.Tensor:
        """Windows [B, h, w] in which every region shows a known content, and every part of a chain what follows what it showed, see
        `Regions.settle` and `Chains.settle`."""

        def likely(row: int, places: torch.Tensor) -> torch.Tensor:
            return chances(self.network, believed.cells(row, places))

        if len(self.places):
            window = Regions(self.places, self.contents, self.after).settle(window, cut, likely)
        if len(self.chains_places):
            chains = Chains(*(getattr(self, f"chains_{field.name}") for field in fields(Chains)))
            window = chains.settle(believed.now, window, cut != ALWAYS, likely)
        return window

    def _keep_to_moves(self, latent: torch.Tensor, backdrop: torch.Tensor, believed: Beliefs, known: torch.Tensor) -> torch.Tensor:
        """Screens int16 [B, H, W], of which each changes the one before by known moves; what follows is of windows."""
        if self._known is None:
            self._known = Known(self.moves)
        if not self._known.moves:
            return latent
        before, dreamed = self.layout.compose(believed.now, backdrop).cpu().numpy(), latent.cpu().numpy()
        for row in range(len(dreamed)):
            gains = partial(self._gains, believed, known, row)
            dreamed[row] = self._known.mend(before[row], dreamed[row], gains)
        return torch.from_numpy(dreamed).to(latent.device)

    def _gains(self, believed: Beliefs, known: torch.Tensor, row: int) -> np.ndarray:
        """See `Known.mend`. What was decided for a cell by itself is as good as certain."""
        own = self.mask.flatten()
        cells, told = believed.cells(row, own), known[row].flatten()[own]
        old = cells.now.long()[:, None]
        logs = chances(self.network, cells)
        gains = logs - logs.gather(1, old)
        decided = torch.full_like(gains, -CERTAIN).scatter(1, (told - 1).clamp(min=0)[:, None], CERTAIN)
        gains = torch.where(told[:, None] > 0, decided, gains).scatter(1, old, 0.0)
        screen = torch.full((self.backdrops[0].numel(), gains.shape[1]), -torch.inf)
        screen[self.layout.cells[self.mask].cpu()] = gains.cpu()
        return screen.view(*self.backdrops.shape[1:], -1).numpy()
