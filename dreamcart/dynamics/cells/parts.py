"""What the network of cells is made of: how it reads pixels, past steps and lines; its blocks; and
how it paints.
"""

import torch
from torch import nn
from torch.nn import functional as F

WHOLE = (
    32  # sums over the window are divided by this: a thing in few cells must not drown in a mean
)
CODE = 48  # random projections of a cell's pixels, by whose sums a step is told
PIXEL = 8  # numbers for a colour


class Reader(nn.Module):
    """What a cell's pixels say, and what that means in each use that the network makes of it."""

    def __init__(self, colours: int, pixels: int, hidden: int, uses: list[int]) -> None:
        """uses: the sizes of their vectors."""
        super().__init__()
        self.colour = nn.Embedding(colours, PIXEL)
        self.look = nn.Linear(pixels * PIXEL, hidden)
        self.tell = nn.ModuleList(nn.Linear(hidden, size) for size in uses)

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        """uint8 [..., p] → what they say, float [..., hidden]."""
        return torch.relu(self.look(self.colour(cells.int()).flatten(-2)))


class Summary(nn.Module):
    """What a step changed in the window, in a few numbers: of CODE random projections of the cells'
    pixels, how their sum changed, and those of their rows and columns. So a thing that moves by a
    row changes some numbers by one, wherever it is.
    """

    def __init__(self, colours: int, pixels: int, height: int, width: int) -> None:
        super().__init__()
        signs = torch.randint(
            0, 2, (colours * pixels, CODE), generator=torch.Generator().manual_seed(0)
        )
        self.register_buffer("code", (2.0 * signs - 1) / pixels**0.5, persistent=False)
        place = torch.stack(
            [
                torch.ones(height, width),
                torch.arange(height)[:, None].expand(height, width),
                torch.arange(width).expand(height, width),
            ]
        )
        self.register_buffer("place", place.flatten(1) / 4, persistent=False)
        self.register_buffer("offset", torch.arange(pixels) * colours, persistent=False)
        self.size = 3 * CODE

    def codes(self, cells: torch.Tensor) -> torch.Tensor:
        """uint8 [..., p] → float32 [..., CODE]."""
        return F.embedding_bag(
            (cells.long() + self.offset).flatten(0, -2), self.code, mode="sum"
        ).unflatten(0, cells.shape[:-1])

    def sums(self, codes: torch.Tensor) -> torch.Tensor:
        """float32 [B, h, w, CODE] → [B, size]."""
        with torch.autocast(codes.device.type, enabled=False):  # bfloat16 would round the sums
            return (self.place @ codes.flatten(1, 2)).flatten(1)


class Deed(nn.Module):
    """What a past step did, in `size` numbers, from what it changed and what was pressed."""

    def __init__(self, sums: int, buttons: int, hidden: int, size: int) -> None:
        super().__init__()
        self.look = nn.Linear(sums + 2 * buttons, hidden)
        self.tell = nn.Linear(hidden, size)

    def forward(
        self, moved: torch.Tensor, action: torch.Tensor, last: torch.Tensor
    ) -> torch.Tensor:
        """Changes of the summary [..., S], what was pressed and what had been before [..., n] →
        [..., size].
        """
        seen = torch.cat([moved.clamp(-4, 4), action, action - last], -1)
        return torch.relu(self.tell(torch.relu(self.look(seen))))


class Line(nn.Module):
    """What a row (or column) holds, and what lies on either side of it.

    Sums over the other axis, then adds running sums along the own one, from both ends.
    """

    def __init__(self, channels: int, over: int) -> None:
        super().__init__()
        self.over = over  # the axis of [B, h, w, C] that is summed away
        self.look = nn.Linear(channels, channels)
        self.tell = nn.Linear(3 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, h, w, C] → the same shape, with the summed axis of size 1."""
        line = torch.relu(self.look(x.sum(self.over) / 4))
        before = line.cumsum(1) / line.shape[1]
        after = before[:, -1:] - before
        return self.tell(torch.cat([line, before, after], 2)).unsqueeze(self.over)


class Block(nn.Module):
    """Residual: a convolution, lines, what history and the whole picture say, and a layer a cell.
    All of it has channels last, so that a cell is a row of a matrix and nothing is rearranged.

    The weights of that layer depend on the buttons, as those of CondConv (Yang et al. 2019) on the
    picture: what all have in common, and what each button that is down, or has just gone down,
    adds. Buttons that do the opposite to the same thing so have weights of their own.
    """

    def __init__(self, channels: int, memory: int, buttons: int) -> None:
        super().__init__()
        self.norm, self.calm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.look = nn.Conv2d(channels, channels, 3, padding=1)
        self.tell = nn.Linear(channels, channels)
        nn.init.zeros_(self.tell.weight)
        self.press = nn.Parameter(torch.zeros(2 * buttons, channels * channels))
        self.row, self.column = Line(channels, 2), Line(channels, 1)
        self.film = nn.Sequential(
            nn.Linear(channels + memory, memory), nn.ReLU(), nn.Linear(memory, 2 * channels)
        )

    def forward(self, x: torch.Tensor, memory: torch.Tensor, pressed: torch.Tensor) -> torch.Tensor:
        """x [B, h, w, C], memory [B, M], pressed [B, 2 n] → [B, h, w, C]."""
        n = self.norm(x)
        whole = torch.cat([self.calm(n.sum((1, 2))), memory], 1)
        scale, shift = self.film(whole)[:, None, None].chunk(2, 3)
        seen = self.look(n.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        y = torch.relu(seen * (1 + scale) + (shift + self.row(n)) + self.column(n))
        weights = (self.tell.weight.flatten() + pressed @ self.press).unflatten(
            1, self.tell.weight.shape
        )
        told = y.flatten(1, 2) @ weights.mT.to(y.dtype) + self.tell.bias.to(y.dtype)
        return x + told.view_as(x)


class Painter(nn.Module):
    """Paints cells pixel by pixel from what surrounds them, so that a thing is moved the same way
    wherever in a cell it stands.

    Four convolutions without padding over the cell and MARGIN pixels around it, in the last FRAMES
    frames; what the network believes of the cell scales and shifts what each of them makes (FiLM,
    Perez et al. 2018). Each pixel becomes a colour, or stays as it was in one of the frames.
    """

    MARGIN, FRAMES, LAYERS = 4, 3, 4

    def __init__(self, colours: int, channels: int, width: int) -> None:
        super().__init__()
        self.colours, self.width = colours, width
        self.colour = nn.Embedding(colours + 1, PIXEL)  # the last one is beyond the screen
        self.film = nn.Linear(channels, 2 * width * self.LAYERS)
        self.layers = nn.ModuleList(
            nn.Conv2d(PIXEL * self.FRAMES if n == 0 else width, width, 3)
            for n in range(self.LAYERS)
        )
        self.tell = nn.Conv2d(width, colours + self.FRAMES, 1)

    def forward(self, around: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Return logits of pixels' colours [N, p, colours].

        Args:
            around: int [N, FRAMES, t + 2 MARGIN, t + 2 MARGIN], the present frame first; chosen:
                [N, C].
        """
        x = self.colour(around.permute(0, 2, 3, 1)).flatten(3).permute(0, 3, 1, 2)
        film = self.film(chosen).view(chosen.shape[0], self.LAYERS, 2, self.width, 1, 1)
        for number, layer in enumerate(self.layers):
            x = torch.relu(layer(x) * (1 + film[:, number, 0]) + film[:, number, 1])
        told = self.tell(x).flatten(2).mT
        margin = self.MARGIN
        own = around[:, :, margin:-margin, margin:-margin].flatten(2).mT.clamp(max=self.colours - 1)
        return told[:, :, : self.colours].scatter_add(2, own.long(), told[:, :, self.colours :])
