"""The network of the token dynamics: local convolutions, row and column sums, and a history that reaches every block."""

from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from dreamcart.dynamics.tokens.dials import Dial, Dialled, turned
from dreamcart.dynamics.tokens.history import MOST_HELD, MOST_IDLE, Summary, ages, hold
from dreamcart.dynamics.tokens.inertia import UNKNOWN
from dreamcart.dynamics.tokens.state import State

SLOT = 16  # numbers that tell what one past step changed
WHOLE = 32  # sums over the window are divided by this: a thing in few cells must not drown in a mean
MOST_CHANGE = 4.0  # a step's change of the summary is cut here


class Looks(nn.Module):
    """What tokens look like, as a part of their vectors: tiles that look alike begin alike, and rare ones learn from others."""

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

    Numbers, each a sum over the window of what its token says times how much its place counts; both are learned. Blocks would
    have to carry such a digit through sums over all cells, and a timer that depends on it was a step early or late (LOG.md).
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
    """What a past step did, from what it changed and what was pressed: a fall, a shift, a turn, a turn and a fall at once.

    Two layers, because each turn of each piece changes the sums in its own way: with one, a fall that came with a turn was
    not seen to be one, and the timers that count from it were a step early or late (LOG.md).
    """

    def __init__(self, sums: int, buttons: int, hidden: int) -> None:
        super().__init__()
        self.sums = sums
        self.look = nn.Linear(sums + 2 * buttons, hidden)
        self.tell = nn.Linear(hidden, SLOT)

    def forward(self, moved: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Changes of the summary [B, K, S], and what was pressed in each step [B, K, n] → [B, K, SLOT]."""
        fresh = actions - F.pad(actions[:, :-1], (0, 0, 1, 0))
        return self.tell(torch.relu(self.look(torch.cat([moved, actions, fresh], 2))))

    @torch.no_grad()
    def become(self, one: nn.Linear) -> None:
        """Say just what one layer of the changes alone says, as older networks have it; what is left of the hidden units says
        nothing yet."""
        self.look.weight[: 2 * SLOT] = 0
        self.look.weight[: 2 * SLOT, : self.sums] = torch.cat([one.weight, -one.weight])
        self.look.bias[: 2 * SLOT] = torch.cat([one.bias, -one.bias])
        self.tell.weight.zero_()
        self.tell.weight[:, : 2 * SLOT] = torch.cat([torch.eye(SLOT), -torch.eye(SLOT)], 1)
        self.tell.bias.zero_()


class Line(nn.Module):
    """What a row (or column) holds, and what lies on either side of it: sees full lines, and how many lie below.

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
    """What cells would show next by inertia: told to them, and trusted or not in the choice of a new token."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.show = nn.Linear(channels, channels, bias=False)
        self.note = nn.Embedding(3, channels)  # nothing moves here, something does, or something that no tile shows
        self.trust = nn.Linear(channels, 1)
        for part in self.parameters():
            nn.init.zeros_(part)  # so that it can join a trained network

    def forward(self, now: torch.Tensor, onward: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        """int [B, h, w], twice, and the tokens' vectors [vocabulary, channels] → [B, h, w, channels]."""
        strange = onward == UNKNOWN
        moves = (onward != now) & ~strange
        y, x = torch.where(moves, onward, now).long(), now.long()
        shown = self.show(F.embedding(y, token) - F.embedding(x, token))
        return shown + self.note(moves.long() + 2 * strange.long())

    def choose(self, logits: torch.Tensor, features: torch.Tensor, onward: torch.Tensor) -> torch.Tensor:
        """Logits of cells' new tokens [N, vocabulary], that of the token by inertia, int16 [N], raised by how far it is trusted."""
        trust = self.trust(features) * (onward != UNKNOWN)[:, None]
        return logits.scatter_add(1, onward.long().clamp(min=0)[:, None], trust.to(logits.dtype))


class Block(nn.Module):
    """Residual: convolution, lines, FiLM by history and the whole picture (Perez et al. 2018), and a layer a cell.

    The weights of that layer depend on the buttons, as those of CondConv (Yang et al. 2019) on the picture: what all have in
    common, and what each button that is down, or has just gone down, adds. A and B, which do the opposite to the same
    piece, so have weights of their own; as a scale and a shift they were not told apart (LOG.md).
    """

    def __init__(self, channels: int, memory: int, buttons: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.look = nn.Conv2d(channels, channels, 3, padding=1)
        self.tell = nn.Linear(channels, channels)
        nn.init.zeros_(self.tell.weight)
        self.press = nn.Parameter(torch.zeros(2 * buttons, channels * channels))  # added to those of `tell`
        self.row, self.column = Line(channels, 2), Line(channels, 1)
        self.film = nn.Sequential(nn.Linear(channels + memory, memory), nn.ReLU(), nn.Linear(memory, 2 * channels))

    def forward(self, x: torch.Tensor, memory: torch.Tensor, pressed: torch.Tensor) -> torch.Tensor:
        """x [B, h, w, C], memory [B, M], pressed float [B, 2 n], see `Network.presses` → [B, h, w, C]."""
        y = self.look(self.norm(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        whole = torch.cat([x.sum((1, 2)) / WHOLE, memory], 1)
        scale, shift = self.film(whole)[:, None, None].chunk(2, 3)
        y = torch.addcmul(shift + self.row(y) + self.column(y), y, 1 + scale).relu_()
        weights = torch.addmm(self.tell.weight.flatten(), pressed, self.press).unflatten(1, self.tell.weight.shape)
        return x + torch.baddbmm(self.tell.bias.to(y.dtype), y.flatten(1, 2), weights.mT.to(y.dtype)).view_as(x)


class Network(nn.Module):
    """From a state, a button press and what is already known of the next frame, to beliefs about the next frame."""

    def __init__(
        self,
        height: int,
        width: int,
        vocabulary: int,
        buttons: int,
        backdrops: int,
        channels: int,
        blocks: int,
        depth: int,
        memory: int,
        glances: int = 0,
        deeds: int = 0,
        dials: Sequence[Dial] = (),
        dial_past: int = 1,
        inertia: bool = False,
        codes: bool = False,
        pictures: torch.Tensor | None = None,
    ) -> None:
        """glances: numbers of `Glance`, 0 for none; deeds: hidden units of `Deed`, 0 for one layer in its place; dials: see
        `dials.py`, and of how many past steps; inertia: whether states have `onward`; codes: whether its file
        holds the summary's code; pictures: uint8 [vocabulary, ...], what the tokens look like; for training, see `Looks`."""
        super().__init__()
        self.summary = Summary(vocabulary, height, width)
        self.codes = False
        if codes:
            self.keep_codes()
        self.token, self.before = nn.Embedding(vocabulary, channels), nn.Embedding(vocabulary, channels)
        self.age = nn.Embedding(depth + 1, channels)
        self.known = nn.Embedding(vocabulary + 1, channels)  # 0: not known
        self.place = nn.Parameter(torch.randn(height, width, channels) * 0.5)
        self.slot = Deed(self.summary.size, buttons, deeds) if deeds else nn.Linear(self.summary.size, SLOT)
        self.past = nn.Linear(depth * (SLOT + 1 + buttons), memory)
        self.idle = nn.Embedding(MOST_IDLE + 1, memory)
        self.scene = nn.Embedding(backdrops, memory)
        self.press = nn.Embedding(buttons * 2 * (MOST_HELD + 1), memory)  # by button, down or up, and for how long
        self.glance = Glance(vocabulary, height, width, glances, memory) if glances else None
        self.dials = [Dial(*dial) for dial in dials]
        self.dial_past = dial_past
        self.dialled = Dialled(len(dials) * (dial_past + 1), height, width, channels, memory) if dials else None
        self.carry = Carry(channels) if inertia else None
        self.mix = nn.Sequential(nn.ReLU(), nn.Linear(memory, memory), nn.ReLU())
        self.blocks = nn.ModuleList(Block(channels, memory, buttons) for _ in range(blocks))
        self.gate = nn.Linear(channels, 1)
        self.paint = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, vocabulary))
        self.looks = None if pictures is None else Looks(pictures, channels)
        self.event = nn.Sequential(nn.Linear(channels + memory, memory), nn.ReLU(), nn.Linear(memory, 1 + backdrops))
        for table in (self.token, self.before, self.age, self.known, self.press):
            nn.init.normal_(table.weight, std=0.5)

    def keep_codes(self) -> None:
        """From now on the weights hold the summary's code, which tokens with other numbers took along."""
        self.codes = True
        self.summary.register_buffer("code", self.summary.code)

    def tokens(self, features: torch.Tensor, onward: torch.Tensor | None = None) -> torch.Tensor:
        """Features of changed cells [N, C], what they show by inertia, int16 [N] → logits of new tokens [N, vocabulary]."""
        shown = self.paint[:2](features)
        logits = self.paint[2](shown)
        if self.looks is not None:
            logits = logits + F.linear(shown, self.looks(3))
        return logits if self.carry is None else self.carry.choose(logits, features, onward)

    def _tables(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The vectors of tokens as they are now, as they were, and as what is known of the next frame (0: nothing)."""
        tables = self.token.weight, self.before.weight, self.known.weight
        if self.looks is None:
            return tables
        token, before, known = (
            table + F.pad(self.looks(n), (0, 0, len(table) - self.looks.count, 0)) for n, table in enumerate(tables)
        )
        return token, before, known

    @torch.no_grad()
    def settle(self) -> None:
        """After training: what looks contribute becomes part of the tables, and the pictures are needed no more."""
        if self.looks is not None:
            tables = self._tables()
            for embedding, table in zip((self.token, self.before, self.known), tables, strict=True):
                embedding.weight.copy_(table)
            self.paint[2].weight.add_(self.looks(3))
            self.looks = None

    def matrices(self) -> Iterator[nn.Parameter]:
        """The blocks' matrices: what Muon trains. Not tables, nor what reads the history (large, and dear to orthogonalise)."""
        for name, module in self.named_modules():
            if name.startswith("blocks.") and isinstance(module, nn.Linear | nn.Conv2d):
                yield module.weight

    def remember(self, state: State, action: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
        """State and the buttons [B, n] pressed now → what memory is mixed from, [B, M]."""
        moved = (state.sums[:, 1:] - state.sums[:, :-1]).clamp(-MOST_CHANGE, MOST_CHANGE)
        did = self.slot(moved, state.actions) if isinstance(self.slot, Deed) else self.slot(moved)
        slots = torch.cat([torch.relu(did), changed[:, :, None], state.actions], 2)
        button = torch.arange(action.shape[1], device=action.device)
        pressed = (2 * button + action.long()) * (MOST_HELD + 1) + hold(state, action)
        seen = self.past(slots.flatten(1)) + self.idle(state.idle) + self.scene(state.backdrop) + self.press(pressed).sum(1)
        return seen if self.glance is None else seen + self.glance(state.frames[:, -1])

    @staticmethod
    def presses(state: State, action: torch.Tensor) -> torch.Tensor:
        """Which buttons have just gone down, and which are down: float32 [B, 2 n]."""
        return torch.cat([((action > 0) & (state.last == 0)).float(), (action > 0).float()], 1)

    def forward(self, state: State, action: torch.Tensor, known: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        """Beliefs about the next frame.

        Args:
            action: float32 [B, n]; known: int64 [B, h, w], 0 or 1 + the next token of cells already decided.

        Returns:
            Logits that anything changes [B]; of the next backdrop [B, K]; that each cell changes, if anything does
            [B, h, w]; and features [B, h, w, C] from which `tokens` gives the logits of a changed cell's new token.
        """
        age, before, changed = ages(state.frames)
        token, earlier, told = self._tables()
        x = F.embedding(state.frames[:, -1].long(), token) + F.embedding(before.long(), earlier) + self.age(age) + self.place
        x = x + (told[0] if known is None else F.embedding(known, told))
        seen, pressed = self.remember(state, action, changed), self.presses(state, action)
        if self.dialled is not None:
            said, shown = self.dialled(state.dials, turned(state.dials[:, -1], action, self.dials))
            seen, x = seen + said, x + shown
        if self.carry is not None:
            x = x + self.carry(state.frames[:, -1], state.onward, token)
        memory = self.mix(seen)
        for block in self.blocks:
            x = block(x, memory, pressed)
        x = torch.relu(x)
        event = self.event(torch.cat([x.sum((1, 2)) / WHOLE, memory], 1))
        return event[:, 0], event[:, 1:], self.gate(x).squeeze(3), x
