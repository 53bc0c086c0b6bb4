"""A token dream's state: what `history` tells, where the dials stand, and how the screen would go
on by inertia.
"""

from dataclasses import dataclass, fields
from typing import Any

import torch

from dreamcart.dynamics.tokens import history
from dreamcart.dynamics.tokens.dials import MIDDLE, turned
from dreamcart.dynamics.tokens.movers.births import unborn

# what is known of things that move
MOVING = ("born", "followed", "moments", "placed", "recalled", "beat", "phases")
# what is known of the live thing, as `pace.Watched` has it
TURNING = ("live", "waited", "timed", "lain")


@dataclass(frozen=True)
class State(history.State):
    """`history.State` (other families use what is in `history`), and:

    dials: float32 [B, P, D], 0 to 1, after each of the last P steps, the last one last; onward:
    int16 [B, h, w], what each cell of the window shows next if all that moves goes on, see
    `inertia.py`; [B, 0] in a dream without; born: int64 [B, K, 3], of each kind of movers where one
    came from nowhere last (-1: not known), how many steps ago, and for how many none has been seen;
    followed: float32 [B, K, M] and moments: float32 [B, M], see `movers/followers.py`, [B, K, 0]
    and [B, 0] where nothing follows a dial; placed: float32 [B, K, 2], where each kind is,
    recalled: float32 [B, G], and beat: int64 [B], a count of screens, see `movers/memory.py`, [B,
    0, 2] and [B, 0] in a dream without; phases: float32 [B, T], see `movers/clocks.py`; live: int8
    [B, H, W], 1 where the live thing is, see `live.py`, -1 everywhere if that is not known, [B, 0,
    0] in a dream without; waited: int64 [B], for how many steps it has not fallen, timed: bool [B],
    whether it is known since when, and lain: int64 [B], for how many steps it has lain where it
    could fall no further, see `pace.py`.
    """

    dials: torch.Tensor
    onward: torch.Tensor
    born: torch.Tensor
    followed: torch.Tensor
    moments: torch.Tensor
    placed: torch.Tensor
    recalled: torch.Tensor
    beat: torch.Tensor
    phases: torch.Tensor
    live: torch.Tensor
    waited: torch.Tensor
    timed: torch.Tensor
    lain: torch.Tensor

    def to(self, device: torch.device) -> "State":
        """The state on a device."""
        return State(*(getattr(self, field.name).to(device) for field in fields(self)))

    def rows(self, chosen: torch.Tensor) -> "State":
        """The state of some rows of the batch."""
        return State(*(getattr(self, field.name)[chosen] for field in fields(self)))


def begin(
    *seen: Any,
    dials: tuple[int, int] = (1, 0),
    kinds: int = 0,
    moments: int = 0,
    recalled: int = 0,
    ticks: int = 0,
) -> State:
    """`history.begin`; dials: P and D, all in the middle; kinds: of movers; moments: M; recalled:
    G; ticks: T. Nothing moves yet, and nothing was born or is remembered.
    """
    state = history.begin(*seen)
    middle = torch.full((len(state.idle), *dials), MIDDLE, device=state.idle.device)
    born, batch = unborn(len(state.idle), kinds), len(state.idle)
    live = nothing_live(batch)
    placed = torch.full((batch, kinds if recalled else 0, 2), torch.nan)
    memory = (
        placed,
        torch.zeros(batch, recalled),
        torch.zeros(batch, dtype=torch.int64),
        torch.zeros(batch, ticks),
    )
    own = born, torch.zeros(batch, kinds, moments), torch.zeros(batch, moments), *memory, *live
    return _join(state, middle, _nothing(state), *(part.to(middle.device) for part in own))


def nothing_live(batch: int) -> tuple[torch.Tensor, ...]:
    """What is known of the live thing where there is none, in the order of TURNING."""
    waited, lain = torch.zeros(2, batch, dtype=torch.int64)
    return (
        torch.zeros(batch, 0, 0, dtype=torch.int8),
        waited,
        torch.zeros(batch, dtype=torch.bool),
        lain,
    )


def advance(state: State, action: torch.Tensor, *seen: torch.Tensor, dials: Any = ()) -> State:
    """`history.advance`, with the dials turned by the buttons. What goes on by inertia is not known
    yet: `onward` is empty, what things do is as it was.
    """
    now = turned(state.dials[:, -1], action, dials)
    positions = torch.cat([state.dials[:, 1:], now[:, None]], 1)
    kept = (
        state.born,
        state.followed,
        state.moments,
        state.placed,
        state.recalled,
        state.beat,
        state.phases,
    )
    kept = *kept, *(getattr(state, name) for name in TURNING)
    return _join(history.advance(state, action, *seen), positions, _nothing(state), *kept)


def delay(state: State, late: torch.Tensor) -> State:
    """`history.delay`: no button is pressed, so the dials stay where they are; what stands still
    goes nowhere.
    """
    past = state.dials.shape[1]
    order = (torch.arange(past, device=late.device) + late[:, None]).clamp(max=past - 1)
    dials = state.dials.gather(1, order[:, :, None].expand_as(state.dials))
    onward = state.onward
    if onward.dim() == 3:
        onward = torch.where(late[:, None, None] > 0, state.frames[:, -1].to(onward.dtype), onward)
    born = state.born + torch.nn.functional.pad(
        late[:, None, None].expand(-1, state.born.shape[1], 2), (1, 0)
    )
    kept = state.followed, state.moments, state.placed, state.recalled, state.beat, state.phases
    kept = *kept, *(getattr(state, name) for name in TURNING)
    return _join(history.delay(state, late), dials, onward, born, *kept)


def _nothing(state: history.State) -> torch.Tensor:
    return torch.zeros(len(state.idle), 0, dtype=torch.int16, device=state.idle.device)


def _join(state: history.State, *own: torch.Tensor) -> State:
    return State(*(getattr(state, field.name) for field in fields(history.State)), *own)
