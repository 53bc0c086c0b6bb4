"""The network of cells: from a state and a button press to beliefs about the next frame."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from dreamcart.dynamics.cells.parts import WHOLE, Block, Deed, Painter, Reader, Summary
from dreamcart.dynamics.cells.state import MOST_HELD, MOST_IDLE, PLANES, State, hold

GLANCES = 32  # sums over the window that reach the memory
# uses of what the reader says, after those of the planes
HINT, CHOICE, GLANCE = PLANES, PLANES + 1, PLANES + 2


class Sensed(NamedTuple):
    """What the network makes of a state before chance is drawn.

    x: [B, h, w, C]; memory: [B, M]; pressed: [B, 2 n]; features: of the cells [B, h * w, C]; lead:
    logits of which cell does what is least expected, the last that none does, [B, h * w + 1].
    """

    x: torch.Tensor
    memory: torch.Tensor
    pressed: torch.Tensor
    features: torch.Tensor
    lead: torch.Tensor


class Network(nn.Module):
    """Local convolutions over cells, row and column sums, and a history that reaches every block.

    Args:
        height, width: of the window, in cells; pixels: of a cell; colours: of the palette; buttons;
        backdrops; known: tiles that a cell may become as a whole; channels, blocks, memory: sizes;
        depth: remembered steps; deed: numbers kept of each of them.
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
    ) -> None:
        super().__init__()
        self.channels, self.depth = channels, depth
        self.summary = Summary(colours, pixels, height, width)
        # uses: three planes, a tile as a hint of what comes, a tile as a choice, glances
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
        self.half = max(1, blocks - 1)  # blocks before chance is drawn
        self.expect = nn.Linear(channels, 1)
        self.prefer = nn.Linear(channels, channels)
        self.lead = nn.Linear(channels, 1)
        self.none = nn.Sequential(
            nn.Linear(channels + memory, memory), nn.ReLU(), nn.Linear(memory, 1)
        )
        self.surprise = nn.Linear(channels, channels)
        self.other = nn.Linear(channels, 2)  # the lead is painted, or stays as it is
        self.hint = nn.Parameter(torch.randn(2, channels) * 0.2)  # likewise
        self.heard = nn.Linear(channels, memory)
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
        """Return what the blocks before the last make of it.

        Args:
            planes: three [B, h, w, C], of what cells show and have shown; glances, deeds: see
                `remember`; state: its planes, seen, sums and deeds are not looked at.
        """
        ages = self.age(state.ages[:, 0]) + self.age(state.ages[:, 1] + self.depth + 1)
        x = planes[0] + planes[1] + planes[2] + ages
        x = x + self.place.permute(1, 2, 0).contiguous()
        memory = self.remember(deeds, state, action, glances)
        down = action > 0
        pressed = torch.cat([(down & (state.last == 0)).float(), down.float()], 1)
        for block in self.blocks[: self.half]:
            x = block(x, memory, pressed)
        features = torch.relu(x).flatten(1, 2)
        none = self.none(torch.cat([features.sum(1) / WHOLE, memory], 1))
        lead = torch.cat([self.lead(features).squeeze(2), none], 1)
        return Sensed(x, memory, pressed, features, lead)

    def expected(self, features: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Return logits of what changed cells become, before chance is drawn, [N, known + 1]: see
        `choices`.
        """
        return self.among(torch.relu(self.prefer(features)), keys)

    def outcomes(self, features: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Return logits of what leads do, [B, known + 2]: become a known tile, something painted,
        or stay as they are.

        Args:
            features: [B, C], of the leads; keys: [known, C], the readings of the known tiles.
        """
        chosen = torch.relu(self.surprise(features))
        return torch.cat([chosen @ (keys + self.key).mT, self.other(chosen)], 1)

    def hints(self, tiles: torch.Tensor) -> torch.Tensor:
        """Return what each outcome of a lead tells, [known + 2, C], from what the reader says of
        the known tiles as hints, [known, C].
        """
        return torch.cat([tiles, self.hint.to(tiles.dtype)])

    def believe(
        self, sensed: Sensed, lead: torch.Tensor, hint: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return beliefs about the next frame, given what the lead does.

        Args:
            lead: int64 [B], the flat number of its cell, h * w for none; hint: [B, C], what its
                outcome tells.

        Returns logits that anything changes [B], that each cell does, if anything does [B, h, w],
        features of the cells [B, h, w, C], and logits of the backdrop [B, K].
        """
        x = sensed.x
        cells = x.shape[1] * x.shape[2]
        there = F.one_hot(lead, cells + 1)[:, :cells].to(hint.dtype)
        told = there.any(1, keepdim=True) * hint
        x = x + (there[:, :, None] * told[:, None]).view_as(x)
        memory = sensed.memory + self.heard(told)
        for block in self.blocks[self.half :]:
            x = block(x, memory, sensed.pressed)
        x = torch.relu(x)
        event = self.event(torch.cat([x.sum((1, 2)) / WHOLE, memory], 1))
        gate = self.gate(x.permute(0, 3, 1, 2)).squeeze(1)
        return event[:, 0], gate, x, event[:, 1:]

    def choices(
        self, features: torch.Tensor, keys: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits of what changed cells become, [N, known + 1], the last to be painted, and
        what they are chosen by, [N, C].

        Args:
            features: [N, C]; keys: [known, C], the readings of the known tiles.
        """
        chosen = torch.relu(self.choose(features))
        return self.among(chosen, keys), chosen

    def among(self, chosen: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Return logits of the known tiles and, the last, of painting: [N, known + 1]."""
        return torch.cat([chosen @ (keys + self.key).mT, self.painted(chosen)], 1)
