"""What the token dynamics may look back on, and the clock by which it is counted.

One frame does not show a gravity counter, a key repeat or which piece is falling. The past K frames
and buttons do, if they are given plainly: how long ago each cell changed, what each step changed,
what was pressed at each step. The clock stops where the picture has stood still for PATIENCE steps
(a pause, a menu), so that a timer that the game froze can still be read when the game goes on.
"""

from dataclasses import dataclass, fields

import torch

PATIENCE = 12  # steps without a change after which the clock stops: longer than the timers of play
# steps for which a button has been down (or up) are counted up to here, whatever the clock does
MOST_HELD = 31
MOST_IDLE = 64  # steps without a change are counted up to here


@dataclass(frozen=True)
class State:
    """A dream's state. K = remembered steps, [h, w] the active window, n buttons.

    frames: int16 [B, K + 1, h, w], oldest first, the current one last; sums: float32 [B, K + 1, S],
    see `Summary`; actions: float32 [B, K, n], what was pressed between them; last: float32 [B, n],
    what the last step pressed, and held: int64 [B, n], for how many steps before it each button had
    been as it was then; idle: int64 [B], steps since the picture last changed; backdrop: int64 [B].
    """

    frames: torch.Tensor
    sums: torch.Tensor
    actions: torch.Tensor
    last: torch.Tensor
    held: torch.Tensor
    idle: torch.Tensor
    backdrop: torch.Tensor

    def to(self, device: torch.device) -> "State":
        """The state on a device."""
        return State(*(getattr(self, field.name).to(device) for field in fields(self)))

    def rows(self, chosen: torch.Tensor) -> "State":
        """The state of some rows of the batch."""
        return State(*(getattr(self, field.name)[chosen] for field in fields(self)))


class Summary(torch.nn.Module):
    """What a frame holds, in a few numbers whose *change* tells what moved: for each kind of token,
    how many there are, and the sums of their rows and of their columns (in quarters, so that a
    piece of four cells that falls by a row changes one number by one). With more than `LIMIT`
    kinds, random projections of them.
    """

    LIMIT = 64

    def __init__(self, vocabulary: int, height: int, width: int) -> None:
        super().__init__()
        if vocabulary <= self.LIMIT:
            code = torch.eye(vocabulary)
        else:
            signs = torch.randint(
                0, 2, (vocabulary, self.LIMIT), generator=torch.Generator().manual_seed(0)
            )
            code = (2.0 * signs - 1) / 4
        place = torch.stack(
            [
                torch.ones(height, width),
                torch.arange(height)[:, None].expand(height, width),
                torch.arange(width).expand(height, width),
            ]
        )
        self.register_buffer("code", code, persistent=False)
        self.register_buffer("place", place.flatten(1) / 4, persistent=False)
        self.size = 3 * code.shape[1]

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        """int [B, h, w] → float32 [B, size]."""
        with torch.autocast(window.device.type, enabled=False):  # bfloat16 would round the sums
            return (self.place @ self.code[window.flatten(1).long()]).flatten(1)


def begin(
    frame: torch.Tensor, sums: torch.Tensor, backdrop: torch.Tensor, depth: int, buttons: int
) -> State:
    """The state at an episode's begin: its first frame for ever, no buttons."""
    batch = len(frame)
    return State(
        frame[:, None].repeat(1, depth + 1, 1, 1),
        sums[:, None].repeat(1, depth + 1, 1),
        frame.new_zeros(batch, depth, buttons, dtype=torch.float32),
        frame.new_zeros(batch, buttons, dtype=torch.float32),
        torch.full((batch, buttons), MOST_HELD, dtype=torch.int64, device=frame.device),
        torch.zeros(batch, dtype=torch.int64, device=frame.device),
        backdrop,
    )


def advance(
    state: State,
    action: torch.Tensor,
    frame: torch.Tensor,
    sums: torch.Tensor,
    backdrop: torch.Tensor,
) -> State:
    """The state one step later: `action` [B, n] was pressed and `frame` [B, h, w] came."""
    same = (frame == state.frames[:, -1]).flatten(1).all(1) & (backdrop == state.backdrop)
    idle = torch.where(same, (state.idle + 1).clamp(max=MOST_IDLE), 0)
    ticks = idle <= PATIENCE

    def push(past: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        moved = torch.cat([past[:, 1:], new[:, None].to(past.dtype)], 1)
        return (
            moved
            if bool(ticks.all())
            else torch.where(ticks.view(-1, *[1] * (past.dim() - 1)), moved, past)
        )

    return State(
        push(state.frames, frame),
        push(state.sums, sums),
        push(state.actions, action),
        action.float(),
        hold(state, action),
        idle,
        backdrop,
    )


def delay(state: State, late: torch.Tensor) -> State:
    """The state if nothing had happened and nothing been pressed for `late` steps more, int64 [B]:
    `advance` with the current frame and no buttons, that many times, for rows in which no button is
    down.
    """
    ticks = torch.minimum(late, (PATIENCE - state.idle).clamp(min=0))
    depth = state.actions.shape[1]
    order = torch.arange(depth + 1, device=late.device) + ticks[:, None]
    rows = torch.arange(len(late), device=late.device)[:, None]
    kept = order.clamp(max=depth)
    pressed = torch.where(
        (order[:, :-1] < depth)[:, :, None],
        state.actions[rows, order[:, :-1].clamp(max=depth - 1)],
        0.0,
    )
    return State(
        state.frames[rows, kept],
        state.sums[rows, kept],
        pressed,
        state.last,
        (state.held + late[:, None]).clamp(max=MOST_HELD),
        (state.idle + late).clamp(max=MOST_IDLE),
        state.backdrop,
    )


def hold(state: State, action: torch.Tensor) -> torch.Tensor:
    """For how many steps before this one each button has been as `action` [B, n] has it now: int64
    [B, n].

    0 is a button that has just gone down or up: a press that counts once, and the clock of
    auto-repeat.
    """
    return torch.where(action.float() == state.last, (state.held + 1).clamp(max=MOST_HELD), 0)


def ages(frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """From frames [B, K + 1, h, w]: each cell's age, the last frame that was different, and the
    steps that changed.

    Returns:
        int64 [B, h, w], 0 for a cell that the last step changed to K for one that never changed;
        the latest frame that differs from the current one (the oldest where none does), [B, h, w];
        float32 [B, K], 1 where a step changed anything.
    """
    batch, depth = len(frames), frames.shape[1] - 1
    differs = frames[:, 1:] != frames[:, :-1]
    order = torch.arange(1, depth + 1, dtype=torch.int16, device=frames.device)
    age = depth - (differs * order.view(1, -1, 1, 1)).amax(1).long()
    changed = differs.flatten(2).any(2)
    # the step that made the current frame; its frame before is at that index
    last = (changed * order).amax(1).long() - 1
    return (
        age,
        frames[torch.arange(batch, device=frames.device), last.clamp(min=0)],
        changed.float(),
    )
