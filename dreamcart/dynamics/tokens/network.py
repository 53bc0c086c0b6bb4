"""The network of the token dynamics: local convolutions, row and column sums, and a history that
reaches every block.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from dreamcart.dynamics.tokens.dials import Dial, Dialled, turned
from dreamcart.dynamics.tokens.history import MOST_HELD, MOST_IDLE, Summary, ages, hold
from dreamcart.dynamics.tokens.parts import SLOT, WHOLE, Block, Carry, Deed, Glance, Looks
from dreamcart.dynamics.tokens.state import State

MOST_CHANGE = 4.0  # a step's change of the summary is cut here


class Sensed(NamedTuple):
    """What the network makes of states and buttons, whatever is known of the next frame.

    cells, and more: float32 [B, h, w, C], what is told of each cell before and after what is known
    of it (more: None for nothing); memory: [B, M]; pressed: [B, 2 n].
    """

    cells: torch.Tensor
    more: torch.Tensor | None
    memory: torch.Tensor
    pressed: torch.Tensor

    def rows(self, chosen: torch.Tensor) -> "Sensed":
        """That of some rows of the batch."""
        return Sensed(*(None if part is None else part[chosen] for part in self))


class Network(nn.Module):
    """From a state, a button press and what is already known of the next frame, to beliefs about
    the next frame.
    """

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
        """glances: numbers of `Glance`, 0 for none; deeds: hidden units of `Deed`, 0 for one layer
        in its place; dials: see `dials.py`, and of how many past steps; inertia: whether states
        have `onward`; codes: whether its file holds the summary's code; pictures: uint8
        [vocabulary, ...], what the tokens look like; for training, see `Looks`.
        """
        super().__init__()
        self.summary = Summary(vocabulary, height, width)
        self.codes = False
        if codes:
            self.keep_codes()
        self.token, self.before = (
            nn.Embedding(vocabulary, channels),
            nn.Embedding(vocabulary, channels),
        )
        self.age = nn.Embedding(depth + 1, channels)
        self.known = nn.Embedding(vocabulary + 1, channels)  # 0: not known
        self.place = nn.Parameter(torch.randn(height, width, channels) * 0.5)
        self.slot = (
            Deed(self.summary.size, buttons, deeds) if deeds else nn.Linear(self.summary.size, SLOT)
        )
        self.past = nn.Linear(depth * (SLOT + 1 + buttons), memory)
        self.idle = nn.Embedding(MOST_IDLE + 1, memory)
        self.scene = nn.Embedding(backdrops, memory)
        # by button, down or up, and for how long
        self.press = nn.Embedding(buttons * 2 * (MOST_HELD + 1), memory)
        self.glance = Glance(vocabulary, height, width, glances, memory) if glances else None
        self.dials = [Dial(*dial) for dial in dials]
        self.dial_past = dial_past
        self.dialled = (
            Dialled(len(dials) * (dial_past + 1), height, width, channels, memory)
            if dials
            else None
        )
        self.carry = Carry(channels) if inertia else None
        self.mix = nn.Sequential(nn.ReLU(), nn.Linear(memory, memory), nn.ReLU())
        self.blocks = nn.ModuleList(Block(channels, memory, buttons) for _ in range(blocks))
        self.gate = nn.Linear(channels, 1)
        self.paint = nn.Sequential(
            nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, vocabulary)
        )
        self.looks = None if pictures is None else Looks(pictures, channels)
        self.event = nn.Sequential(
            nn.Linear(channels + memory, memory), nn.ReLU(), nn.Linear(memory, 1 + backdrops)
        )
        for table in (self.token, self.before, self.age, self.known, self.press):
            nn.init.normal_(table.weight, std=0.5)

    def keep_codes(self) -> None:
        """From now on the weights hold the summary's code, which tokens with other numbers took
        along.
        """
        self.codes = True
        self.summary.register_buffer("code", self.summary.code)

    def tokens(self, features: torch.Tensor, onward: torch.Tensor | None = None) -> torch.Tensor:
        """Features of changed cells [N, C], what they show by inertia, int16 [N] → logits of new
        tokens [N, vocabulary].
        """
        shown = self.paint[:2](features)
        logits = self.paint[2](shown)
        if self.looks is not None:
            logits = logits + F.linear(shown, self.looks(3))
        return logits if self.carry is None else self.carry.choose(logits, features, onward)

    def _tables(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The vectors of tokens as they are now, as they were, and as what is known of the next
        frame (0: nothing).
        """
        tables = self.token.weight, self.before.weight, self.known.weight
        if self.looks is None:
            return tables
        token, before, known = (
            table + F.pad(self.looks(n), (0, 0, len(table) - self.looks.count, 0))
            for n, table in enumerate(tables)
        )
        return token, before, known

    @torch.no_grad()
    def settle(self) -> None:
        """After training: what looks contribute becomes part of the tables, and the pictures are
        needed no more.
        """
        if self.looks is not None:
            tables = self._tables()
            for embedding, table in zip((self.token, self.before, self.known), tables, strict=True):
                embedding.weight.copy_(table)
            self.paint[2].weight.add_(self.looks(3))
            self.looks = None

    def matrices(self) -> Iterator[nn.Parameter]:
        """The blocks' matrices: what Muon trains.

        Not tables, nor what reads the history (large, and dear to orthogonalise).
        """
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
        seen = (
            self.past(slots.flatten(1))
            + self.idle(state.idle)
            + self.scene(state.backdrop)
            + self.press(pressed).sum(1)
        )
        return seen if self.glance is None else seen + self.glance(state.frames[:, -1])

    @staticmethod
    def presses(state: State, action: torch.Tensor) -> torch.Tensor:
        """Which buttons have just gone down, and which are down: float32 [B, 2 n]."""
        return torch.cat([((action > 0) & (state.last == 0)).float(), (action > 0).float()], 1)

    def sense(self, state: State, action: torch.Tensor) -> Sensed:
        """What `believe` needs, once for all that may become known of the next frame. action:
        float32 [B, n].
        """
        age, before, changed = ages(state.frames)
        token, earlier, _ = self._tables()
        cells = (
            F.embedding(state.frames[:, -1].long(), token)
            + F.embedding(before.long(), earlier)
            + self.age(age)
            + self.place
        )
        seen, more = self.remember(state, action, changed), None
        if self.dialled is not None:
            said, more = self.dialled(state.dials, turned(state.dials[:, -1], action, self.dials))
            seen = seen + said
        if self.carry is not None:
            carried = self.carry(state.frames[:, -1], state.onward, token)
            more = carried if more is None else more + carried
        return Sensed(cells, more, self.mix(seen), self.presses(state, action))

    def believe(
        self, sensed: Sensed, known: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Beliefs about the next frame.

        Args:
            known: int64 [B, h, w], 0 or 1 + the next token of cells already decided.

        Returns:
            Logits that anything changes [B]; of the next backdrop [B, K]; that each cell changes,
                if anything does [B, h, w]; and features [B, h, w, C] from which `tokens` gives the
                logits of a changed cell's new token.
        """
        *_, told = self._tables()
        x = sensed.cells + (told[0] if known is None else F.embedding(known, told))
        x = x if sensed.more is None else x + sensed.more
        for block in self.blocks:
            x = block(x, sensed.memory, sensed.pressed)
        x = torch.relu(x)
        event = self.event(torch.cat([x.sum((1, 2)) / WHOLE, sensed.memory], 1))
        return event[:, 0], event[:, 1:], self.gate(x).squeeze(3), x

    def forward(
        self, state: State, action: torch.Tensor, known: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Both: see `sense` and `believe`."""
        return self.believe(self.sense(state, action), known)
