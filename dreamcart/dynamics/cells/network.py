"""The network of cells: from a state and a button press to beliefs about the next frame."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn

from dreamcart.dynamics.cells.parts import WHOLE, Block, Deed, Painter, Reader, Summary
from dreamcart.dynamics.cells.state import MOST_HELD, MOST_IDLE, PLANES, State, hold

GLANCES = 32  # sums over the window that reach the memory
# uses of what the reader says, after those of the planes
NEXT, CHOICE, GLANCE = PLANES, PLANES + 1, PLANES + 2


class Sensed(NamedTuple):
    """What the network makes of a state before chance is drawn.

    x: [B, C, h, w]; memory: [B, M]; pressed: [B, 2 n]; code: logits of what kind of event comes
    [B, Z].
    """

    x: torch.Tensor
    memory: torch.Tensor
    pressed: torch.Tensor
    code: torch.Tensor


class Network(nn.Module):
    """Local convolutions over cells, row and column sums, and a history that reaches every block.

    Args:
        height, width: of the window, in cells; pixels: of a cell; colours: of the palette; buttons;
        backdrops; known: tiles that a cell may become as a whole; channels, blocks, memory: sizes;
        depth: remembered steps; deed: numbers kept of each of them; events: kinds of events Z.
    """

    def __init__(
        self,
        height: int,
        width: int,
        pixels: int,
        colours: int,
        buttons: int,
        backdrops: int,
        known: int,
        channels: int,
        blocks: int,
        memory: int,
        depth: int,
        deed: int,
        events: int,
    ) -> None:
        super().__init__()
        self.channels, self.depth = channels, depth
        self.summary = Summary(colours, pixels, height, width)
        # uses: three planes, the next frame (for its event's code), a tile as a choice, glances
        self.reader = Reader(colours, pixels, 2 * channels, [*[channels] * (PLANES + 2), GLANCES])
        self.age = nn.Embedding(2 * (depth + 1), channels)
        self.place = nn.Parameter(torch.randn(channels, height, width) * 0.02)
        self.deed = Deed(self.summary.size, buttons, 64, deed)
        self.past = nn.Linear(depth * (deed + 1 + buttons), memory)
        self.idle = nn.Embedding(MOST_IDLE + 1, memory)
        self.scene = nn.Embedding(backdrops, memory)
        # by button, down or up, and for how long
        self.press = nn.Embedding(buttons * 2 * (MOST_HELD + 1), memory)
        self.where = nn.Parameter(torch.randn(height, width, GLANCES) * 0.02)
        self.glance = nn.Linear(GLANCES, memory)
        self.mix = nn.Sequential(nn.ReLU(), nn.Linear(memory, memory), nn.ReLU())
        self.blocks = nn.ModuleList(Block(channels, memory, buttons) for _ in range(blocks))
        self.half = blocks // 2  # blocks before chance is drawn
        self.code = nn.Sequential(
            nn.Linear(channels + memory, memory), nn.ReLU(), nn.Linear(memory, events)
        )
        self.happened = nn.Embedding(events, memory)
        self.judge = nn.Linear(2 * channels, channels)
        self.named = nn.Sequential(
            nn.Linear(channels + memory, memory), nn.ReLU(), nn.Linear(memory, events)
        )
        self.gate = nn.Conv2d(channels, 1, 1)
        self.event = nn.Sequential(
            nn.Linear(channels + memory, memory), nn.ReLU(), nn.Linear(memory, 1 + backdrops)
        )
        self.choose = nn.Linear(channels, channels)
        self.key = nn.Parameter(torch.zeros(known, channels))
        self.painted = nn.Linear(channels, 1)
        self.painter = Painter(colours, channels, 32)
        for table in (self.age, self.press):
            nn.init.normal_(table.weight, std=0.1)
        nn.init.normal_(self.happened.weight, std=0.2)
        for part in (self.glance, self.painted):
            for weight in part.parameters():
                nn.init.zeros_(weight)

    def matrices(self) -> Iterator[nn.Parameter]:
        """Return the blocks' matrices: what Muon trains. Those of `film` are as large as all others
        together, and would take a tenth of the training's time.
        """
        for name, module in self.blocks.named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d) and "film" not in name:
                yield module.weight

    def remember(
        self,
        deeds: torch.Tensor,
        state: State,
        action: torch.Tensor,
        glances: torch.Tensor,
    ) -> torch.Tensor:
        """Return the memory [B, M] of past steps and buttons.

        deeds: [B, K, D]; glances: [B, h, w, GLANCES].
        """
        slots = torch.cat([deeds, state.changed[:, :, None], state.actions], 2)
        button = torch.arange(action.shape[1], device=action.device)
        pressed = (2 * button + action.long()) * (MOST_HELD + 1)
        pressed = pressed + hold(state.last, state.held, action)
        return self.mix(
            self.past(slots.flatten(1))
            + self.idle(state.idle)
            + self.scene(state.backdrop)
            + self.press(pressed).sum(1)
            + self.glance((glances * self.where).sum((1, 2)))
        )

    def sense(
        self,
        planes: Sequence[torch.Tensor],
        glances: torch.Tensor,
        deeds: torch.Tensor,
        state: State,
        action: torch.Tensor,
    ) -> Sensed:
        """Return what the first half of the blocks makes of it.

        Args:
            planes: three [B, h, w, C], of what cells show and have shown; glances, deeds: see
                `remember`; state: its planes, seen, sums and deeds are not looked at.
        """
        offset = torch.tensor([0, self.depth + 1], device=action.device)[:, None, None]
        x = sum(planes) + self.age(state.ages + offset).sum(1)
        x = x.permute(0, 3, 1, 2) + self.place
        memory = self.remember(deeds, state, action, glances)
        down = action > 0
        pressed = torch.cat([(down & (state.last == 0)).float(), down.float()], 1)
        for block in self.blocks[: self.half]:
            x = block(x, memory, pressed)
        seen = torch.cat([torch.relu(x).sum((2, 3)) / WHOLE, memory], 1)
        return Sensed(x, memory, pressed, self.code(seen))

    def name_event(
        self, sensed: Sensed, following: torch.Tensor, differs: torch.Tensor
    ) -> torch.Tensor:
        """Return what kind of event the true next frame is, logits [B, Z].

        Args:
            following: [B, h, w, C], its reading; differs: bool [B, h, w], the cells that change.
        """
        seen = torch.cat([sensed.x.permute(0, 2, 3, 1), following], 3)
        told = torch.relu(self.judge(seen)) * differs[:, :, :, None]
        return self.named(torch.cat([told.sum((1, 2)) / 4, sensed.memory], 1))

    def believe(
        self, sensed: Sensed, code: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return beliefs about the next frame, given the kind of event, one-hot [B, Z].

        Returns logits that anything changes [B], that each cell does, if anything does [B, h, w],
        features of the cells [B, h, w, C], and logits of the backdrop [B, K].
        """
        x, memory = sensed.x, sensed.memory + code @ self.happened.weight
        for block in self.blocks[self.half :]:
            x = block(x, memory, sensed.pressed)
        x = torch.relu(x)
        event = self.event(torch.cat([x.sum((2, 3)) / WHOLE, memory], 1))
        return event[:, 0], self.gate(x).squeeze(1), x.permute(0, 2, 3, 1), event[:, 1:]

    def choices(
        self, features: torch.Tensor, keys: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits of what changed cells become, [N, known + 1], the last to be painted, and
        what they are chosen by, [N, C].

        Args:
            features: [N, C]; keys: [known, C], the readings of the known tiles.
        """
        chosen = torch.relu(self.choose(features))
        tiles = chosen @ (keys + self.key).mT
        return torch.cat([tiles, self.painted(chosen)], 1), chosen
