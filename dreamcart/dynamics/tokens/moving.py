"""Things that move as one in a dream of tokens: what is known of them from screen to screen, and
where they go.
"""

from dataclasses import fields, replace
from functools import partial

import torch

from dreamcart.dynamics.base import UNTOLD, Dynamics
from dreamcart.dynamics.tokens.beliefs import Beliefs
from dreamcart.dynamics.tokens.dials import turned
from dreamcart.dynamics.tokens.movers.followers import readings
from dreamcart.dynamics.tokens.movers.kinds import PAST, Kinds
from dreamcart.dynamics.tokens.movers.network import Mover
from dreamcart.dynamics.tokens.movers.play import Claims, Movers
from dreamcart.dynamics.tokens.state import State

# of `Kinds`: older files have none of them, nor of the newest
NEWER = ("fields", "tints", "taller", "returns")
NEWEST = ("leads", "pulls", "grids", "stops", "aims")


class Moving(Dynamics):
    """A dynamics of tokens with movers; it has a `layout`, with its buffers, a `network`, `tiles`
    and their `side`, and says what it believes of cells (`_chances`).
    """

    def set_movers(self, kinds: Kinds, mover: Mover | None = None) -> None:
        """After training: the things that move as one, and the network that knows where they go.
        (Older files tell no looks.)
        """
        for field in fields(kinds):
            part = getattr(kinds, field.name)
            known = dict.fromkeys(NEWER, kinds.tints.shape[1]) | dict.fromkeys(
                NEWEST, kinds.stops.shape[1]
            )
            kept = (
                mover is not None and (known | {"ticks": len(kinds.ticks)}).get(field.name, 1) > 0
            )
            self.register_buffer(f"kinds_{field.name}", part, persistent=kept)
        self.mover = mover
        self._movers: Movers | None = None  # made from them at the first step

    @property
    def kinds(self) -> Kinds:
        kinds = Kinds(*(getattr(self, f"kinds_{field.name}") for field in fields(Kinds)))
        return kinds.everywhere(*(side * self.side for side in self.backdrops.shape[1:]))

    @property
    def moments(self) -> int:
        """M of `State`."""
        return self.mover.moments if self.mover is not None else 0

    @property
    def recalled(self) -> int:
        """G of `State`."""
        return self.mover.recalled if self.mover is not None else 0

    @property
    def movers(self) -> Movers:
        """The movers in play, made at the first step."""
        if self._movers is None:
            self._movers = Movers(self.tiles, self.kinds, self.mover, self.cells)
        return self._movers

    def _remember(
        self,
        state: State,
        screens: torch.Tensor,
        earlier: State | None = None,
        action: torch.Tensor | None = None,
    ) -> State:
        """The state with what comes from nowhere on screens int [B, H, W] in mind, and what they
        tell of things that follow a dial, after what was pressed in a state; without one they are
        the first.
        """
        if self.mover is None:
            return state
        state = replace(state, born=self.movers.remember(state.born, screens))
        if self.moments and earlier is None:
            state = replace(
                state,
                followed=self.movers.begin_at(
                    screens, self._read(state, torch.zeros_like(state.last))
                ),
            )
        elif self.moments:
            followed, moments = self.movers.follow(
                earlier.followed, earlier.moments, screens, self._read(earlier, action)
            )
            state = replace(state, followed=followed, moments=moments)
        return self.movers.recall(state, screens) if self.recalled else state

    def _read(self, state: State, action: torch.Tensor) -> torch.Tensor:
        """See `followers.readings`."""
        return readings(state.dials[:, -1], action, self.network.dials, self.moments)

    def _claim(
        self,
        state: State,
        action: torch.Tensor,
        believed: Beliefs,
        temperature: float,
        generator: torch.Generator | None,
        truth: torch.Tensor | None,
    ) -> Claims:
        """Where the movers go, see `Movers.claim`."""
        past = state.frames[:, -PAST - 1 :]
        screens = self.layout.compose(
            past.flatten(0, 1), state.backdrop.repeat_interleave(past.shape[1])
        )
        after = turned(state.dials[:, -1], action, self.network.dials)
        dials = torch.cat([state.dials.flatten(1), after], 1)
        told = None if truth is None else (truth != UNTOLD).flatten(1).any(1)
        screens = screens.view(*past.shape[:2], *screens.shape[1:])
        said = partial(self._chances, believed)
        read = self._read(state, action)
        return self.movers.claim(
            state, screens, dials, action, read, temperature, generator, told, said
        )
