"""How long ago each cell of a screen changed, and what it showed before."""

import torch


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
