"""Causal transformer over the next frame's tokens (roadmap 6.2), given the past frames' tokens and
buttons.

The sequence of a step is the cells that ever change in play (`layout`), twice: first what
each of them has been through (its token, the one before it, and for how long; all cells see each
other), then the next frame's tokens, each given the cells of the past and the tokens already
decided (a causal mask). What a cell has been through stands for the frames themselves: as tokens of
their own, 32 frames of a screen would be a sequence of ten thousand.
"""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from dreamcart.dynamics.attention import Block, Cache
from dreamcart.dynamics.base import Dynamics, History
from dreamcart.dynamics.cells.state import look_back
from dreamcart.dynamics.drafts import decide
from dreamcart.dynamics.layout import Layout, find_layout

# logit by which a cell stays as it is before any training: a given other token comes once in
# thousands of steps
COPY = 8.0
SCALE = 0.1  # brings a frame's negative log-likelihood (a sum over cells) near 1
GUESS = 0.5  # weight of the first draft's own loss
MOST_PULL = 4.0  # a frame whose loss is larger pulls no harder


class TransformerDynamics(Dynamics):
    """Latents are frames of tokens, int16 [B, H, W]; N of their cells ever change.

    Args:
        latent_shape: (H, W).
        buttons: entries of a multi-hot action.
        vocabulary: number of tokens; cells, backdrops: N and K of the layout.
        hidden: size D of a cell's vector; blocks, heads: of the transformer.
        history_frames: F, past frames and buttons that it sees.
    """

    error_is = "share of frames not exact"
    takes_truth = True
    judged = 1024  # each costs as much as hundreds of another family's

    def __init__(
        self,
        latent_shape: list[int],
        buttons: int,
        vocabulary: int,
        cells: int,
        backdrops: int,
        hidden: int,
        blocks: int,
        heads: int,
        history_frames: int,
    ) -> None:
        frames = max(history_frames, 2)  # what changed last is seen in two
        super().__init__(latent_shape, buttons, frames, frames)
        self.register_buffer("cells", torch.zeros(cells, dtype=torch.int64))
        self.register_buffer("backdrops", torch.zeros(backdrops, *latent_shape, dtype=torch.int16))
        self.now, self.before = nn.Embedding(vocabulary, hidden), nn.Embedding(vocabulary, hidden)
        self.age = nn.Embedding(frames, hidden)
        self.place = nn.Parameter(torch.randn(cells, hidden) * 0.5)
        # the cell before, in the next frame; the last is "none before"
        self.told = nn.Embedding(vocabulary + 1, hidden)
        self.moved = nn.Embedding(2, hidden)  # whether that one changes
        # tells the next frame's places from the past's
        self.part = nn.Parameter(torch.zeros(hidden))
        self.past = nn.Linear((frames - 1) + frames * buttons, hidden)
        self.idle = nn.Embedding(frames, hidden)
        # by button, down or up, and for how long
        self.press = nn.Embedding(buttons * 2 * frames, hidden)
        self.scene = nn.Embedding(backdrops, hidden)
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(hidden, hidden), nn.GELU())
        self.blocks = nn.ModuleList(Block(hidden, heads, hidden) for _ in range(blocks))
        self.norm = nn.LayerNorm(hidden)
        self.tokens = nn.Linear(hidden, vocabulary)
        self.stay = nn.Linear(hidden, 1)
        self.guess, self.guess_stay = nn.Linear(hidden, vocabulary), nn.Linear(hidden, 1)
        self.next_scene = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.GELU(), nn.Linear(hidden, backdrops)
        )
        for table in (self.now, self.before, self.age, self.told, self.moved, self.press):
            nn.init.normal_(table.weight, std=0.5)
        for stay in (self.stay, self.guess_stay):
            nn.init.constant_(stay.bias, COPY)

    @property
    def layout(self) -> Layout:
        return Layout(
            self.cells[None], torch.ones_like(self.cells[None], dtype=torch.bool), self.backdrops
        )

    def set_layout(self, layout: Layout) -> None:
        """Copy a layout that fits the sizes given at construction; see `survey`."""
        self.cells.copy_(layout.cells[layout.mask])
        self.backdrops.copy_(layout.backdrops)

    @staticmethod
    def survey(
        latents: np.ndarray, frame: np.ndarray, transitions: np.ndarray, vocabulary: int
    ) -> tuple[dict[str, int], dict[str, torch.Tensor]]:
        """Find the cells that ever change and the backdrops behind them; see `Dynamics.survey`."""
        layout = find_layout(latents, frame, transitions)
        cells = layout.cells[layout.mask]
        sizes = {"vocabulary": vocabulary, "cells": len(cells), "backdrops": len(layout.backdrops)}
        return sizes, {"cells": cells, "backdrops": layout.backdrops}

    def matrices(self) -> Any:
        return (module.weight for module in self.blocks.modules() if isinstance(module, nn.Linear))

    def look_back(self, frames: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What a step can know: frames int16 [B, F, H, W], actions multi-hot [B, F, n], the last
        being pressed.

        Returns the cells' tokens now, int64 [B, N], their vectors [B, N, D], the condition of all
        blocks [B, D], and the number of the current backdrop, int64 [B].
        """
        layout = self.layout
        windows = layout.window(frames.to(torch.int16))  # [B, F, 1, N]
        planes, age = look_back(windows)
        now, before = planes[:, 0, 0].long(), planes[:, 1, 0].long()
        changed = (windows[:, 1:] != windows[:, :-1]).flatten(2).any(2).float()
        scene = layout.backdrop_of(frames[:, -1])
        cells = self.now(now) + self.before(before) + self.age(age[:, 0, 0]) + self.place
        actions = actions.float()
        button = torch.arange(self.buttons, device=now.device)
        pressed = (2 * button + actions[:, -1].long()) * actions.shape[1] + streak(
            actions[:, :-1] == actions[:, -1:]
        )
        condition = self.past(torch.cat([changed, actions.flatten(1)], 1)) + self.press(
            pressed
        ).sum(1)
        condition = condition + self.idle(streak(changed[:, :, None] == 0)[:, 0])
        return now, cells, self.mix(condition + self.scene(scene)), scene

    def read(
        self, now: torch.Tensor, cells: torch.Tensor, condition: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, list[Cache]]:
        """The past's cells through all blocks; see `look_back`.

        Returns the logits of the next backdrop [B, K], of each next token from the past alone [B,
        N, vocabulary], and the blocks' keys and values.
        """
        caches = []
        x = cells
        for block in self.blocks:
            x, cache = block(x, condition)
            caches.append(cache)
        x = self.norm(x)
        scene = self.next_scene(torch.cat([x.mean(1), condition], 1))
        return scene, with_stay(self.guess(x), self.guess_stay(x), now), caches

    def write(
        self,
        now: torch.Tensor,
        cells: torch.Tensor,
        condition: torch.Tensor,
        draft: torch.Tensor,
        caches: list[Cache],
        first: int = 0,
    ) -> tuple[torch.Tensor, list[Cache]]:
        """Logits [B, N - first, vocabulary] of the next frame's tokens from cell `first` on, each
        given those before it.

        draft: int64 [B, N], the next frame's tokens; caches: of `read`, and of the cells before
        `first`. Returns the caches with these cells' keys and values, too.
        """
        told = torch.cat(
            [torch.full_like(draft[:, :1], self.told.num_embeddings - 1), draft[:, :-1]], 1
        )[:, first:]
        moved = F.pad((draft != now)[:, :-1], (1, 0))[:, first:]
        x = cells[:, first:] + self.told(told) + self.moved(moved.long()) + self.part
        after = []
        for block, cache in zip(self.blocks, caches, strict=True):
            x, cache = block(x, condition, cache, causal=True)
            after.append(cache)
        x = self.norm(x)
        return with_stay(self.tokens(x), self.stay(x), now[:, first:]), after

    def forward(
        self,
        latents: torch.Tensor,
        actions: torch.Tensor,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
        oracle: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The next frames, int16 [B, H, W].

        Args:
            temperature: 0 takes the most probable tokens; above, those that are not SURE are drawn.
            oracle: true next frames, UNTOLD in rows of which it says nothing: what is not SURE is
                taken from them instead.
        """
        now, cells, condition, _ = self.look_back(latents, actions)
        scene, guess, caches = self.read(now, cells, condition)
        noise = None
        # Gumbel noise: the greatest of logits with it is a draw by their probabilities
        if temperature > 0:
            even = torch.rand(
                *now.shape, self.tokens.out_features, generator=generator, device=now.device
            )
            noise = -(-even.clamp(1e-10, 1 - 1e-7).log()).log() * temperature
        truth = None if oracle is None else self.layout.window(oracle)[:, 0].long()
        tokens = decide(self.write, (now, cells, condition), guess.argmax(2), caches, noise, truth)
        return self.layout.compose(tokens[:, None], scene.argmax(1))

    def step(
        self,
        state: History,
        action: torch.Tensor,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
        oracle: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, History]:
        """Press `action`, multi-hot [B, n].

        Returns the next frame, int16 [B, H, W], and the new state; see `forward`.
        """
        actions = torch.cat([state.actions, action.float()[:, None]], 1)
        frame = self(state.latents, actions, temperature, generator, oracle)
        return frame, History(
            torch.cat([state.latents[:, 1:], frame[:, None].to(state.latents.dtype)], 1),
            actions[:, 1:],
        )

    def loss(
        self,
        latents: torch.Tensor,
        actions: torch.Tensor,
        following: torch.Tensor,
        real: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Negative log-likelihood of the next frames (a sum over cells), scaled: [B]."""
        logits, guess, scene, tokens, backdrop = self._teach(latents, actions, following)
        loss = F.cross_entropy(logits.transpose(1, 2), tokens, reduction="none").sum(1)
        loss = loss + GUESS * F.cross_entropy(guess.transpose(1, 2), tokens, reduction="none").sum(
            1
        )
        loss = SCALE * (loss + F.cross_entropy(scene.float(), backdrop, reduction="none"))
        return loss * (MOST_PULL / loss.detach()).clamp(max=1)

    def error(
        self, latents: torch.Tensor, actions: torch.Tensor, following: torch.Tensor
    ) -> torch.Tensor:
        """1 where the frame that is dreamed at temperature 0 would not be exact, else 0: [B]."""
        logits, _, scene, tokens, backdrop = self._teach(latents, actions, following)
        return ((logits.argmax(2) != tokens).any(1) | (scene.argmax(1) != backdrop)).float()

    def _teach(
        self, latents: torch.Tensor, actions: torch.Tensor, following: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Beliefs about each token given all true ones before it, given none, and about the
        backdrop; and the truth of both.
        """
        now, cells, condition, _ = self.look_back(latents, actions)
        scene, guess, caches = self.read(now, cells, condition)
        tokens = self.layout.window(following)[:, 0].long()
        logits, _ = self.write(now, cells, condition, tokens, caches)
        return logits, guess, scene, tokens, self.layout.backdrop_of(following)


def with_stay(logits: torch.Tensor, stay: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
    """Logits of tokens [B, T, vocabulary], with those of staying [B, T, 1] added to the tokens
    `now` [B, T]; float32.
    """
    return logits.float().scatter_add(2, now[..., None], stay.float())


def streak(same: torch.Tensor) -> torch.Tensor:
    """bool [B, T, n] → int64 [B, n]: for how many of the last steps, up to the end, it has been
    true without a break.
    """
    return same.flip(1).long().cumprod(1).sum(1)
