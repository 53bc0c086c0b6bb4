"""Where a game's picture lives: the cells that play changes, packed into a small window, and the
backdrops behind.

Most cells of many screens never change while one plays; they change together when the scene does
(title to play). So a frame is split into a *window*, the cells that ordinary transitions change,
and a *backdrop*, one of the few known fillings of all others. The network sees the window and the
number of the backdrop, which costs a fraction of the whole screen.
"""

import torch
from torch import nn


class Screen(nn.Module):
    """A screen's window and backdrops, as tensors that a cart holds.

    Attributes:
        cells: int64 [h, w], the flat number of the screen's cell at each place of the window (-1:
            nothing there); mask: bool [h, w], the places whose cell may change within a scene;
        outside: int64 [O], the cells that are in no such place; backdrops: uint8 [K, O, p], what
            they show; source: int64 [cells], where each cell of the screen comes from: a place of
            the window, or h * w and more, one of `outside`.
    """

    def __init__(
        self, screen: list[int], side: int, window: list[int], outside: int, backdrops: int
    ) -> None:
        """screen: of a frame, in pixels; side: of a cell; window: [h, w]."""
        super().__init__()
        self.screen, self.side = tuple(screen), side
        self.register_buffer("cells", torch.zeros(window, dtype=torch.int64))
        self.register_buffer("mask", torch.zeros(window, dtype=torch.bool))
        self.register_buffer("outside", torch.zeros(outside, dtype=torch.int64))
        cells = screen[0] // side * (screen[1] // side)
        self.register_buffer("source", torch.zeros(cells, dtype=torch.int64))
        self.register_buffer(
            "backdrops", torch.zeros(backdrops, outside, side * side, dtype=torch.uint8)
        )

    def cut(self, frames: torch.Tensor) -> torch.Tensor:
        """uint8 [B, H, W] → its cells, uint8 [B, H / t * W / t, p]."""
        rows, columns = (size // self.side for size in self.screen)
        cells = frames.view(-1, rows, self.side, columns, self.side).transpose(2, 3)
        return cells.reshape(frames.shape[0], rows * columns, -1)

    def window(self, cells: torch.Tensor) -> torch.Tensor:
        """[B, cells, p] → the window's, [B, h, w, p]; 0 where there is nothing."""
        return torch.where((self.cells >= 0)[:, :, None], cells[:, self.cells.clamp(min=0)], 0)

    def backdrop_of(self, cells: torch.Tensor) -> torch.Tensor:
        """Return the nearest backdrop of frames: uint8 [B, cells, p] → int64 [B]."""
        if len(self.backdrops) == 1:
            return torch.zeros(cells.shape[0], dtype=torch.int64, device=cells.device)
        shown = cells[:, self.outside]
        return torch.stack([(known != shown).sum((1, 2)) for known in self.backdrops], 1).argmin(1)

    def compose(self, window: torch.Tensor, backdrop: torch.Tensor) -> torch.Tensor:
        """Return frames, uint8 [B, H, W], from windows [B, h, w, p] and backdrop numbers [B]."""
        rows, columns = (size // self.side for size in self.screen)
        whole = torch.cat([window.flatten(1, 2), self.backdrops[backdrop]], 1)[:, self.source]
        whole = whole.view(-1, rows, columns, self.side, self.side).transpose(2, 3)
        return whole.reshape(-1, *self.screen)


def survey(
    cells: torch.Tensor, mask: torch.Tensor, backdrops: torch.Tensor, shown: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return the buffers of a `Screen`.

    Args:
        cells: int64 [h, w]; mask: bool [h, w]; backdrops: int64 [K, H / t, W / t], tile numbers;
        shown: uint8 [tiles, p], what these show.
    """
    count = backdrops[0].numel()
    source = torch.full((count,), -1)
    source[cells[mask]] = torch.arange(cells.numel()).view(cells.shape)[mask]
    outside = (source < 0).nonzero().squeeze(1)
    source[outside] = cells.numel() + torch.arange(len(outside))
    return {
        "cells": cells,
        "mask": mask,
        "outside": outside,
        "source": source,
        "backdrops": shown[backdrops.flatten(1)[:, outside]],
    }
