"""Token dynamics: copy, or decide where and to what.

The next frame is the current one, unless the network says that something changes; then each cell that may change has a
gate (copy or not) and a categorical choice of its new token. Sources of the idea: copy gates of IRIS-like and grid-world
models (Neural Game Engine, Bamford & Lucas 2020), iterative decoding (MaskGIT, Chang et al. 2022).

Cells are decided at once where the network is sure. Where it is not (a random event, or its own doubt) the least sure
cell is decided first, drawn or by its maximum, told back to the network, and the others follow from it: so the next
piece is one choice and never a mixture of pieces.
"""

from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
import torch

from dreamcart.dynamics.base import UNTOLD, Dynamics
from dreamcart.dynamics.tokens.dials import Dial, State, advance, begin
from dreamcart.dynamics.tokens.known import Known
from dreamcart.dynamics.tokens.layout import Layout
from dreamcart.dynamics.tokens.moves import Moves
from dreamcart.dynamics.tokens.network import Network
from dreamcart.dynamics.tokens.regions import ALWAYS, Regions

SURE = 0.9  # a choice at least this probable needs no second look
MOST_ROUNDS = 12  # cells decided one by one in a step, at most
CERTAIN = 50.0  # nats
GLANCES, DEEDS = 32, 64
CONTEXT = 1024  # frames: what the clock of `history` counts may lie before a pause, and a pause may be long


class TokenDynamics(Dynamics):
    """Latents are frames of tokens, int [B, H, W]; the state is `history.State`."""

    def __init__(
        self,
        latent_shape: list[int],
        buttons: int,
        window: list[int],
        backdrops: int,
        depth: int,
        regions: tuple[int, int, int] = (0, 0, 0),
        cuts: bool = False,
        moves: tuple[int, int] = (0, 0),
        apart: bool = False,
        **sizes: Any,
    ) -> None:
        """window: [h, w], the size of the layout's active window; depth: past steps it sees; regions: R, K and S of `Regions`,
        cuts: whether some of them hold after cuts only; moves: M and S of `Moves`, apart: whether a step may
        be several; sizes: see `Network`."""
        super().__init__(latent_shape, buttons, CONTEXT, CONTEXT)
        self.depth = depth
        self.register_buffer("cells", torch.zeros(window, dtype=torch.int64))
        self.register_buffer("mask", torch.zeros(window, dtype=torch.bool))
        self.register_buffer("backdrops", torch.zeros(backdrops, *latent_shape, dtype=torch.int16))
        self.set_regions(Regions.empty(*regions), cuts)
        self.set_moves(Moves.empty(*moves, apart))
        self.network = Network(*window, buttons=buttons, backdrops=backdrops, depth=depth, **sizes)

    @property
    def layout(self) -> Layout:
        return Layout(self.cells, self.mask, self.backdrops)

    def set_layout(self, layout: Layout) -> None:
        """Copy a layout that fits the sizes given at construction."""
        for name in ("cells", "mask", "backdrops"):
            getattr(self, name).copy_(getattr(layout, name))

    def set_regions(self, regions: Regions, cuts: bool | None = None) -> None:
        """After training: parts of the window that show nothing but their known contents. (Older models' files have none, or
        none of cuts.) cuts: whether their file tells which hold after cuts only; where not given, if any does."""
        for name in ("places", "contents"):
            self.register_buffer(name, getattr(regions, name), persistent=len(regions.places) > 0)
        self.register_buffer("after", regions.after, persistent=bool((regions.after >= 0).any()) if cuts is None else cuts)

    def set_moves(self, moves: Moves) -> None:
        """After training: what a step may change. (Older models' files have none, or do not tell that it may be several.)"""
        for field in fields(moves):
            kept = len(moves.old) > 0 and (field.name != "apart" or bool(moves.apart))
            self.register_buffer(f"moves_{field.name}", getattr(moves, field.name), persistent=kept)
        self._known: Known | None = None  # made from them at the first step

    @property
    def moves(self) -> Moves:
        return Moves(*(getattr(self, f"moves_{field.name}") for field in fields(Moves)))

    def start(self, latents: torch.Tensor, actions: torch.Tensor, real: torch.Tensor | None = None) -> State:
        """The state after a real context: int [B, T, H, W], multi-hot [B, T - 1, n]. See `Dynamics.start`."""
        layout = self.layout
        actions = actions[:, actions.shape[1] - latents.shape[1] + 1 :].float()
        windows = layout.window(latents.to(torch.int16))
        before = torch.zeros(len(latents), dtype=torch.int64, device=latents.device) if real is None else latents.shape[1] - real
        first = int(before.min())
        for step in range(first, latents.shape[1]):
            seen = windows[:, step], self.network.summary(windows[:, step]), layout.backdrop_of(latents[:, step])
            if step == first:
                state = begin(*seen, self.depth, self.buttons, dials=self.network.dials)
            else:
                state = advance(state, actions[:, step - 1], *seen, dials=self.network.dials)
                state.idle[step <= before] = 0  # the episode has not begun
        return state

    def step(
        self,
        state: State,
        action: torch.Tensor,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
        oracle: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, State]:
        """Press `action`, multi-hot [B, n]. Returns the next frame of tokens, int16 [B, H, W], and the new state.

        Args:
            temperature: 0 takes the most probable choice; above, choices of which the network is less than SURE are drawn.
            oracle: true next frames, int [B, H, W], UNTOLD in the rows in which it says nothing: what the network is not
                sure of is taken from them instead of drawn, to score a rollout with the random events given.
        """
        with torch.autocast(action.device.type, enabled=False):  # half precision would decide otherwise than training did
            return self._step(state, action.float(), temperature, generator, oracle)

    def _step(
        self,
        state: State,
        action: torch.Tensor,
        temperature: float,
        generator: torch.Generator | None,
        oracle: torch.Tensor | None,
    ) -> tuple[torch.Tensor, State]:
        truth = None if oracle is None else self.layout.window(oracle).to(torch.int16)
        event, scene, gate, features = self.network(state, action)
        current = state.frames[:, -1]
        happens = _decide(event, temperature, generator)
        if truth is not None:
            unsure = ((event.sigmoid() - 0.5).abs() < SURE - 0.5) & (oracle != UNTOLD).flatten(1).all(1)
            happens = torch.where(unsure, (truth != current).flatten(1).any(1), happens)
        window, backdrop = current.clone(), state.backdrop.clone()
        rows = happens.nonzero().squeeze(1)
        if len(rows):
            told = None if truth is None else truth[rows]
            backdrop[rows] = scene[rows].argmax(1)
            painted, *beliefs = self._paint(
                state.rows(rows), action[rows], gate[rows], features[rows], temperature, generator, told
            )
            cut = torch.where(backdrop[rows] == state.backdrop[rows], ALWAYS, backdrop[rows])
            window[rows] = self._settle(painted, cut, current[rows], gate[rows], features[rows])
        latent = self.layout.compose(window, backdrop)
        if len(rows):
            kept = self._keep_to_moves(latent[rows], current[rows], backdrop[rows], *beliefs)
            # moves know no words: half a word that they leave or take would stand there for ever
            settled = self._settle(self.layout.window(kept), cut, current[rows], gate[rows], features[rows])
            latent[rows] = self.layout.compose(settled, backdrop[rows])
        frame = self.layout.window(latent)
        return latent, advance(state, action, frame, self.network.summary(frame), backdrop, dials=self.network.dials)

    def _paint(
        self,
        state: State,
        action: torch.Tensor,
        gate: torch.Tensor,
        features: torch.Tensor,
        temperature: float,
        generator: torch.Generator | None,
        truth: torch.Tensor | None,
    ) -> tuple[torch.Tensor, ...]:
        """The next windows of frames that change, int16 [B, h, w]; doubtful cells one by one, as `truth` has them (int16
        [B, h, w]) tells or else drawn.

        With them what was believed at last: gate, features, and the cells that were decided by themselves, int64 [B, h, w],
        0 or 1 + their token.
        """
        current = state.frames[:, -1]
        gates, looks = gate.clone(), features.clone()
        known = torch.zeros(current.shape, dtype=torch.int64, device=current.device)
        result = current.clone()
        rows = torch.arange(len(current), device=current.device)
        for turn in range(MOST_ROUNDS + 1):
            chance, token, certainty = self._beliefs(current[rows], gate, features)
            chance = torch.where(self.mask, chance, 0.0)
            certainty = torch.where(self.mask & (known[rows] == 0), certainty, 1.0)
            settled = torch.where(known[rows] > 0, known[rows].to(torch.int16) - 1, torch.where(chance > 0.5, token, current[rows]))
            result[rows] = settled
            doubt = certainty.flatten(1).min(1)
            open_rows = (doubt.values < SURE).nonzero().squeeze(1)
            if turn == MOST_ROUNDS or not len(open_rows):
                return result, gates, looks, known
            rows = rows[open_rows]
            cell = doubt.indices[open_rows]
            decided = self._draw(current[rows], gate[open_rows], features[open_rows], cell, temperature, generator)
            if truth is not None:
                said = truth[rows].flatten(1).gather(1, cell[:, None]).squeeze(1)
                decided = torch.where(said == UNTOLD, decided, said)
            known[rows] = known[rows].flatten(1).scatter(1, cell[:, None], decided[:, None].long() + 1).view_as(known[rows])
            _, _, gate, features = self.network(state.rows(rows), action[rows], known[rows])
            gates[rows], looks[rows] = gate, features
        raise AssertionError("unreachable")

    def _settle(
        self, window: torch.Tensor, cut: torch.Tensor, current: torch.Tensor, gate: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        """Windows [B, h, w] in which every region shows a known content, see `Regions.settle`."""
        if not len(self.places):
            return window
        cells = current.flatten(1), gate.flatten(1), features.flatten(1, 2)
        regions = Regions(self.places, self.contents, self.after)
        return regions.settle(window, cut, lambda row, places: self._chances(*(part[row, places] for part in cells)))

    def _keep_to_moves(
        self,
        latent: torch.Tensor,
        current: torch.Tensor,
        backdrop: torch.Tensor,
        gate: torch.Tensor,
        features: torch.Tensor,
        known: torch.Tensor,
    ) -> torch.Tensor:
        """Screens int16 [B, H, W], of which each changes the one before by known moves; `current` and what follows are windows."""
        if self._known is None:
            self._known = Known(self.moves)
        if not self._known.moves:
            return latent
        before, dreamed = self.layout.compose(current, backdrop).cpu().numpy(), latent.cpu().numpy()
        for row in range(len(dreamed)):
            gains = partial(self._gains, current[row], gate[row], features[row], known[row])
            dreamed[row] = self._known.mend(before[row], dreamed[row], gains)
        return torch.from_numpy(dreamed).to(latent.device)

    def _gains(self, current: torch.Tensor, gate: torch.Tensor, features: torch.Tensor, known: torch.Tensor) -> np.ndarray:
        """See `Known.mend`. What was decided for a cell by itself is as good as certain."""
        own = self.mask.flatten()
        old, told = current.flatten()[own], known.flatten()[own]
        chances = self._chances(old, gate.flatten()[own], features.flatten(0, 1)[own])
        gains = chances - chances.gather(1, old.long()[:, None])
        decided = torch.full_like(gains, -CERTAIN).scatter(1, (told - 1).clamp(min=0)[:, None], CERTAIN)
        gains = torch.where(told[:, None] > 0, decided, gains).scatter(1, old.long()[:, None], 0.0)
        screen = torch.full((self.backdrops[0].numel(), gains.shape[1]), -torch.inf)
        screen[self.layout.cells[self.mask].cpu()] = gains.cpu()
        return screen.view(*self.backdrops.shape[1:], -1).numpy()

    def certainty(self, state: State, action: torch.Tensor) -> torch.Tensor:
        """How sure each cell's better choice is if anything changes, float [B, h, w]; 1 where nothing is to decide."""
        _, _, gate, features = self.network(state, action)
        _, _, certainty = self._beliefs(state.frames[:, -1], gate, features)
        return torch.where(self.mask, certainty.float(), 1.0)

    def _beliefs(self, current: torch.Tensor, gate: torch.Tensor, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Chance that each cell changes, its most probable new token, and the probability of the better choice.

        Colours are looked at only where a change is thinkable: the most of the screen is spared.
        """
        chance = gate.sigmoid()
        token = current.clone()
        certainty = torch.maximum(chance, 1 - chance)
        where = chance > 1 - SURE
        logits = self.network.tokens(features[where])
        logits = logits.scatter(1, current[where].long()[:, None], -torch.inf)  # a change is never to the same token
        best = logits.softmax(1).max(1)
        token[where] = best.indices.to(torch.int16)
        certainty[where] = torch.maximum(chance[where] * best.values, 1 - chance[where])
        return chance, token, certainty

    def _draw(
        self,
        current: torch.Tensor,
        gate: torch.Tensor,
        features: torch.Tensor,
        cell: torch.Tensor,
        temperature: float,
        generator: torch.Generator | None,
    ) -> torch.Tensor:
        """Decide one cell a row: int16 [B]."""
        each = torch.arange(len(cell), device=cell.device)
        chances = self._chances(*(part[each, cell] for part in (current.flatten(1), gate.flatten(1), features.flatten(1, 2))))
        if temperature == 0:
            return chances.argmax(1).to(torch.int16)
        return torch.multinomial((chances / temperature).softmax(1), 1, generator=generator).squeeze(1).to(torch.int16)

    def _chances(self, current: torch.Tensor, gate: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the next tokens of cells, the present one included: [N], [N], [N, C] → [N, vocabulary]."""
        old = current.long()[:, None]
        logits = self.network.tokens(features).scatter(1, old, -torch.inf)
        change, stay = (torch.nn.functional.logsigmoid(sign * gate)[:, None] for sign in (1, -1))
        return (logits.log_softmax(1) + change).scatter(1, old, stay)


def _decide(logit: torch.Tensor, temperature: float, generator: torch.Generator | None) -> torch.Tensor:
    """bool [B]: whether it happens; drawn only where the network is not sure."""
    if temperature == 0:
        return logit > 0
    drawn = torch.rand(logit.shape, generator=generator, device=logit.device) < (logit / temperature).sigmoid()
    return torch.where((logit.sigmoid() - 0.5).abs() < SURE - 0.5, drawn, logit > 0)


def config_for(layout: Layout, vocabulary: int, buttons: int, own: Any, dials: Sequence[Dial] = ()) -> dict[str, Any]:
    """The self-describing config of the model for a layout and a game's dials; `own` holds the params."""
    return {
        "kind": "tokens",
        "latent_shape": list(layout.backdrops.shape[1:]),
        "buttons": buttons,
        "vocabulary": vocabulary,
        "window": list(layout.mask.shape),
        "backdrops": len(layout.backdrops),
        "channels": own.channels,
        "blocks": own.blocks,
        "depth": own.history_frames,
        "memory": own.memory,
        "glances": GLANCES,
        "deeds": DEEDS,
        "dials": [list(dial) for dial in dials],
    }
