"""What a dream of cells looks back on, and how it is kept up step by step.

One frame does not show a gravity counter, a key repeat or which way a thing moves. What does is
given plainly: what each cell showed before its last two changes and how long ago these were, what
each past step did, what was pressed in each. The clock of all this stops where the picture has
stood still for PATIENCE steps (a pause, a menu), so that a timer that the game froze can still be
read when the game goes on.

Everything is a tensor of a fixed shape and no branch depends on data, so that a step can be
exported.
"""

from dataclasses import dataclass, fields

import torch

PATIENCE = 12  # steps without a change after which the clock stops: longer than the timers of play
MOST_HELD = 31  # steps for which a button has been down (or up) are counted up to here
MOST_IDLE = 64  # steps without a change are counted up to here
PLANES = 3  # what a cell shows, and what it showed before each of its last two changes


@dataclass(frozen=True)
class State:
    """A dream's state. K = remembered steps, [h, w] the window of cells, p pixels a cell, n
    buttons.

    planes: uint8 [B, 3, h, w, p], palette indices of what each cell shows now, showed before its
    last change, and before the one before that; seen: float32 [B, 3, h, w, R], what the network's
    reader says of these, so that each content is read once; ages: int64 [B, 2, h, w], steps since
    these two changes, 0 for the last step, K for longer ago (what was before is not known then: the
    plane repeats the one after it); sums: float32 [B, S], see `parts.Summary`, of what is shown;
    deeds: float32 [B, K, D], what each past step did, in numbers that the network made of it;
    changed: float32 [B, K], whether it changed anything; actions: float32 [B, K, n], what was
    pressed in it; last: float32 [B, n], what the last step pressed, and held: int64 [B, n], for how
    many steps before it each button had been so; idle: int64 [B], steps since the picture last
    changed; backdrop: int64 [B], see `screen.Screen`.
    """

    planes: torch.Tensor
    seen: torch.Tensor
    ages: torch.Tensor
    sums: torch.Tensor
    deeds: torch.Tensor
    changed: torch.Tensor
    actions: torch.Tensor
    last: torch.Tensor
    held: torch.Tensor
    idle: torch.Tensor
    backdrop: torch.Tensor

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Return all parts, in the order of their names here."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def rows(self, chosen: torch.Tensor) -> "State":
        """Return the state of some rows of the batch."""
        return State(*(part[chosen] for part in self.tensors()))


def begin(
    window: torch.Tensor,
    seen: torch.Tensor,
    sums: torch.Tensor,
    backdrop: torch.Tensor,
    nothing: torch.Tensor,
    depth: int,
    buttons: int,
) -> State:
    """Return the state at an episode's begin: its first frame for ever, no buttons.

    Args:
        window: uint8 [B, h, w, p]; seen: float32 [B, h, w, R]; sums: float32 [B, S];
            backdrop: int64 [B]; nothing: float32 [B, D], the deed of a step that did nothing;
            depth: K.
    """
    batch, height, width, _ = window.shape
    like = window.new_zeros(batch, dtype=torch.float32)
    return State(
        window[:, None].repeat(1, PLANES, 1, 1, 1),
        seen[:, None].repeat(1, PLANES, 1, 1, 1),
        backdrop.new_full((batch, PLANES - 1, height, width), depth),
        sums,
        nothing[:, None].repeat(1, depth, 1),
        like.new_zeros(batch, depth),
        like.new_zeros(batch, depth, buttons),
        like.new_zeros(batch, buttons),
        backdrop.new_full((batch, buttons), MOST_HELD),
        torch.zeros_like(backdrop),
        backdrop,
    )


def advance(
    state: State,
    action: torch.Tensor,
    window: torch.Tensor,
    seen: torch.Tensor,
    sums: torch.Tensor,
    backdrop: torch.Tensor,
    deed: torch.Tensor,
) -> State:
    """Return the state one step later.

    Args:
        action: float32 [B, n], what was pressed; window, seen, sums, backdrop: what came; deed:
            float32 [B, D].
    """
    depth = state.deeds.shape[1]
    differs = (window != state.planes[:, 0]).any(3)
    moves = differs.flatten(1).any(1) | (backdrop != state.backdrop)
    idle = torch.where(moves, 0, (state.idle + 1).clamp(max=MOST_IDLE))
    ticks = idle <= PATIENCE
    # where the clock stands nothing differs, and so the planes stay by themselves
    one, two = (state.ages + ticks.view(-1, 1, 1, 1).long()).clamp(max=depth).unbind(1)
    one, two = torch.where(differs, 0, one), torch.where(differs, one, two)

    def push(kept: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        """What a change leaves behind moves down by a plane; what is older than K is forgotten."""
        now, before, earlier = kept.unbind(1)
        at = differs[:, :, :, None]
        before, earlier = torch.where(at, now, before), torch.where(at, before, earlier)
        before = torch.where((one < depth)[:, :, :, None], before, new)
        earlier = torch.where((two < depth)[:, :, :, None], earlier, before)
        return torch.stack([new, before, earlier], 1)

    ages = torch.stack([one, torch.where(one < depth, two, depth)], 1)

    def past(kept: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        moved = torch.cat([kept[:, 1:], new[:, None].to(kept.dtype)], 1)
        return torch.where(ticks.view(-1, *[1] * (kept.dim() - 1)), moved, kept)

    return State(
        push(state.planes, window),
        push(state.seen, seen),
        ages,
        sums,
        past(state.deeds, deed),
        past(state.changed, moves),
        past(state.actions, action),
        action.float(),
        hold(state.last, state.held, action),
        idle,
        backdrop,
    )


def hold(last: torch.Tensor, held: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """Return for how many steps before this one each button has been as `action` has it now.

    int64 [B, n]: 0 is a button that has just gone down or up, a press that counts once, and the
    clock of auto-repeat.
    """
    return torch.where(action.float() == last, (held + 1).clamp(max=MOST_HELD), 0)


def look_back(past: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return planes and ages as `advance` keeps them, from what cells showed at the last K + 1
    ticks.

    Args:
        past: int [B, K + 1, h, w], what stands for each cell's content, oldest first.

    Returns:
        int [B, 3, h, w] and int64 [B, 2, h, w].
    """
    depth = past.shape[1] - 1
    differs = past[:, 1:] != past[:, :-1]
    order = torch.arange(1, depth + 1, device=past.device, dtype=torch.int16).view(1, -1, 1, 1)
    one = (differs * order).amax(1)  # the number of the step that changed it last, 0 for none
    two = (differs * (order * (order < one[:, None]))).amax(1)
    now = past[:, -1]
    # the content before step s is at place s - 1
    before = past.gather(1, (one.long() - 1).clamp(min=0)[:, None])[:, 0]
    before = torch.where(one > 0, before, now)
    earlier = past.gather(1, (two.long() - 1).clamp(min=0)[:, None])[:, 0]
    earlier = torch.where(two > 0, earlier, before)
    return torch.stack([now, before, earlier], 1), depth - torch.stack([one, two], 1).long()


def recent(planes: torch.Tensor, ages: torch.Tensor) -> torch.Tensor:
    """Return what cells showed now, one step ago and two, uint8 [B, 3, ..., p], from the planes and
    the ages of a state, [B, 2, ...].
    """
    now, before, earlier = planes.unbind(1)
    one, two = ages.unsqueeze(-1).unbind(1)
    last = torch.where(one == 0, before, now)
    older = torch.where(two == 1, earlier, before)
    older = torch.where(one == 0, older, torch.where(one == 1, before, now))
    return torch.stack([now, last, older], 1)


def gather_around(
    state: State, at: torch.Tensor, side: int, margin: int, beyond: int
) -> torch.Tensor:
    """Return the pixels in and around cells, now, one step ago and two, int32 [B, k, 3, t +
    2 m, t + 2 m].

    Args:
        at: int64 [B, k], flat numbers of cells; side: t, of a cell; margin: m, the pixels
        around it; beyond: what stands for pixels beyond the window.
    """
    height, width = state.planes.shape[2:4]
    near = torch.arange(3, device=at.device) - 1
    y, x = (at // width)[:, :, None, None] + near[:, None], (at % width)[:, :, None, None] + near
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    flat = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).flatten(1)[:, None]
    planes, ages = state.planes.flatten(2, 3), state.ages.flatten(2)
    planes = planes.gather(2, flat[..., None].expand(-1, PLANES, -1, planes.shape[3]))
    shown = recent(planes, ages.gather(2, flat.expand(-1, PLANES - 1, -1))).int()
    shown = torch.where(inside.flatten(1)[:, None, :, None], shown, beyond)
    # [B, 3, k, 3, 3, t, t] → [B, k, 3, 3 t, 3 t]
    shown = shown.unflatten(3, (side, side)).unflatten(2, (at.shape[1], 3, 3))
    shown = shown.permute(0, 2, 1, 3, 5, 4, 6).flatten(5, 6).flatten(3, 4)
    cut = slice(side - margin, 2 * side + margin)
    return shown[..., cut, cut]
