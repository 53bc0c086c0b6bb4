"""What the network of the token dynamics is made of: how it looks at tokens, places, past steps,
lines and things that go on.
"""

import torch
from torch import nn
from torch.nn import functional as F

from dreamcart.dynamics.tokens.inertia import UNKNOWN

SLOT = 16  # numbers that tell what one past step changed
# sums over the window are divided by this: a thing in few cells must not drown in a mean
WHOLE = 32


class Looks(nn.Module):
    """What tokens look like, as a part of their vectors: tiles that look alike begin alike, and
    rare ones learn from others.
    """

    def __init__(self, pictures: torch.Tensor, channels: int) -> None:
        super().__init__()
        flat = pictures.flatten(1).float()
        flat = flat - flat.mean(0)
        self.count = len(flat)
        self.register_buffer("pictures", flat / flat.std().clamp(min=1e-3), persistent=False)
        self.read = nn.Linear(flat.shape[1], 4 * channels, bias=False)

    def forward(self, part: int) -> torch.Tensor:
        """[vocabulary, channels], for one of four uses."""
        return F.linear(self.pictures, self.read.weight.chunk(4)[part])


class Glance(nn.Module):
    """What stands at a few places: the digit that sets the pace, the word that stops the clock.

    Numbers, each a sum over the window of what its token says times how much its place counts; both
    are learned. Blocks would have to carry such a digit through sums over all cells, and a timer
    that depends on it was a step early or late (docs/lab).
    """

    def __init__(self, vocabulary: int, height: int, width: int, numbers: int, memory: int) -> None:
        super().__init__()
        self.value = nn.Embedding(vocabulary, numbers)
        self.where = nn.Parameter(torch.randn(height, width, numbers) * 0.02)
        self.tell = nn.Linear(numbers, memory)
        nn.init.normal_(self.value.weight, std=0.5)
        for part in self.tell.parameters():
            nn.init.zeros_(part)  # so that it can join a trained network

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        """int [B, h, w] → [B, memory]."""
        return self.tell((self.value(window.long()) * self.where).sum((1, 2)))


class Deed(nn.Module):
    """What a past step did, from what it changed and what was pressed: a fall, a shift, a turn, a
    turn and a fall at once.

    Two layers, because each turn of each piece changes the sums in its own way: with one, a fall
    that came with a turn was not seen to be one, and the timers that count from it were a step
    early or late (docs/lab).
    """

    def __init__(self, sums: int, buttons: int, hidden: int) -> None:
        super().__init__()
        self.sums = sums
        self.look = nn.Linear(sums + 2 * buttons, hidden)
        self.tell = nn.Linear(hidden, SLOT)

    def forward(self, moved: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Changes of the summary [B, K, S], and what was pressed in each step [B, K, n] → [B, K,
        SLOT].
        """
        fresh = actions - F.pad(actions[:, :-1], (0, 0, 1, 0))
        return self.tell(torch.relu(self.look(torch.cat([moved, actions, fresh], 2))))

    @torch.no_grad()
    def become(self, one: nn.Linear) -> None:
        """Say just what one layer of the changes alone says, as older networks have it; what is
        left of the hidden units says nothing yet.
        """
        self.look.weight[: 2 * SLOT] = 0
        self.look.weight[: 2 * SLOT, : self.sums] = torch.cat([one.weight, -one.weight])
        self.look.bias[: 2 * SLOT] = torch.cat([one.bias, -one.bias])
        self.tell.weight.zero_()
        self.tell.weight[:, : 2 * SLOT] = torch.cat([torch.eye(SLOT), -torch.eye(SLOT)], 1)
        self.tell.bias.zero_()


class Line(nn.Module):
    """What a row (or column) holds, and what lies on either side of it: sees full lines, and how
    many lie below.

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


class Carry(nn.Module):
    """What cells would show next by inertia: told to them, and trusted or not in the choice of a
    new token.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.show = nn.Linear(channels, channels, bias=False)
        # nothing moves here, something does, or something that no tile shows
        self.note = nn.Embedding(3, channels)
        self.trust = nn.Linear(channels, 1)
        for part in self.parameters():
            nn.init.zeros_(part)  # so that it can join a trained network

    def forward(self, now: torch.Tensor, onward: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        """int [B, h, w], twice, and the tokens' vectors [vocabulary, channels] → [B, h, w,
        channels].
        """
        strange = onward == UNKNOWN
        moves = (onward != now) & ~strange
        y, x = torch.where(moves, onward, now).long(), now.long()
        shown = self.show(F.embedding(y, token) - F.embedding(x, token))
        return shown + self.note(moves.long() + 2 * strange.long())

    def choose(
        self, logits: torch.Tensor, features: torch.Tensor, onward: torch.Tensor
    ) -> torch.Tensor:
        """Logits of cells' new tokens [N, vocabulary], that of the token by inertia, int16 [N],
        raised by how far it is trusted.
        """
        trust = self.trust(features) * (onward != UNKNOWN)[:, None]
        return logits.scatter_add(1, onward.long().clamp(min=0)[:, None], trust.to(logits.dtype))


class Block(nn.Module):
    """Residual: convolution, lines, FiLM by history and the whole picture (Perez et al. 2018), and
    a layer a cell.

    The weights of that layer depend on the buttons, as those of CondConv (Yang et al. 2019) on the
    picture: what all have in common, and what each button that is down, or has just gone down,
    adds. A and B, which do the opposite to the same piece, so have weights of their own; as a scale
    and a shift they were not told apart (docs/lab).
    """

    def __init__(self, channels: int, memory: int, buttons: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.look = nn.Conv2d(channels, channels, 3, padding=1)
        self.tell = nn.Linear(channels, channels)
        nn.init.zeros_(self.tell.weight)
        # added to those of `tell`
        self.press = nn.Parameter(torch.zeros(2 * buttons, channels * channels))
        self.row, self.column = Line(channels, 2), Line(channels, 1)
        self.film = nn.Sequential(
            nn.Linear(channels + memory, memory), nn.ReLU(), nn.Linear(memory, 2 * channels)
        )

    def forward(self, x: torch.Tensor, memory: torch.Tensor, pressed: torch.Tensor) -> torch.Tensor:
        """x [B, h, w, C], memory [B, M], pressed float [B, 2 n], see `Network.presses` → [B, h, w,
        C].
        """
        y = self.look(self.norm(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        whole = torch.cat([x.sum((1, 2)) / WHOLE, memory], 1)
        scale, shift = self.film(whole)[:, None, None].chunk(2, 3)
        y = torch.addcmul(shift + self.row(y) + self.column(y), y, 1 + scale).relu_()
        weights = torch.addmm(self.tell.weight.flatten(), pressed, self.press).unflatten(
            1, self.tell.weight.shape
        )
        return x + torch.baddbmm(
            self.tell.bias.to(y.dtype), y.flatten(1, 2), weights.mT.to(y.dtype)
        ).view_as(x)
