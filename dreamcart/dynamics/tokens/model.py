"""Token dynamics: copy, or decide where and to what.

The next frame is the current one, unless the network says that something changes; then each cell
that may change has a gate (copy or not) and a categorical choice of its new token. Sources of the
idea: copy gates of IRIS-like and grid-world models (Neural Game Engine, Bamford & Lucas 2020),
iterative decoding (MaskGIT, Chang et al. 2022).

Cells are decided at once where the network is sure. Where it is not (a random event, or its own
doubt) the least sure cell is decided first, drawn or by its maximum, told back to the network, and
the others follow from it: so the next piece is one choice and never a mixture of pieces.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from tqdm import tqdm

from dreamcart.dynamics.base import UNTOLD
from dreamcart.dynamics.layout import Layout
from dreamcart.dynamics.tokens.beliefs import SURE, Beliefs, chances, choices, decide
from dreamcart.dynamics.tokens.chains import Chains
from dreamcart.dynamics.tokens.controls import Controls
from dreamcart.dynamics.tokens.dials import Dial
from dreamcart.dynamics.tokens.inertia import Inertia
from dreamcart.dynamics.tokens.lines import Lines
from dreamcart.dynamics.tokens.live import Live
from dreamcart.dynamics.tokens.movers.kinds import Kinds
from dreamcart.dynamics.tokens.movers.network import Mover
from dreamcart.dynamics.tokens.moves import Moves
from dreamcart.dynamics.tokens.moving import Moving
from dreamcart.dynamics.tokens.network import Network
from dreamcart.dynamics.tokens.pace import Pace
from dreamcart.dynamics.tokens.paint import keep, meet, paint
from dreamcart.dynamics.tokens.regions import ALWAYS, Regions
from dreamcart.dynamics.tokens.ruled import Ruled
from dreamcart.dynamics.tokens.state import MOVING, TURNING, State, advance, begin
from dreamcart.dynamics.tokens.turns import Turns

MOST_ROUNDS = 12  # cells decided one by one in a step, at most
GLANCES, DEEDS = 32, 64
DIAL_PAST = 4  # steps: a bat comes after its knob by some frames
# frames: what the clock of `history` counts may lie before a pause, and a pause may be long
CONTEXT = 1024


class TokenDynamics(Moving, Ruled):
    """Latents are frames of tokens, int [B, H, W]; the state is `state.State`."""

    error_is = "share of frames not exact"
    takes_truth = True

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
        scenes: bool = False,
        chains: tuple[int, int, int] = (0, 0, 0),
        live: tuple[int, int, Sequence[int]] = (0, 0, (0, 0)),
        turns: tuple[Sequence[int], int, Sequence[int]] = ((0, 0), 0, (0, 0)),
        pace: tuple[int, int, int] = (0, 0, 0),
        controls: tuple[int, int, int] = (0, 0, 0),
        lines: bool = False,
        turned: bool = False,
        side: int = 0,
        movers: dict[str, Any] | None = None,
        **sizes: Any,
    ) -> None:
        """window: [h, w], the size of the layout's active window; depth: past steps it sees;
        regions: R, K and S of `Regions`, cuts: whether some of them hold after cuts only; moves: M
        and S of `Moves`, apart: whether a step may be several; scenes: whether it is known which
        backdrop may follow which; chains: R, K and S of `Chains`; live, turns, pace, controls:
        their `size`, lines, turned: whether it is known what full lines and turning do; side: of
        tiles in pixels where the dream has inertia, else 0; movers: the shape of `Kinds` and the
        sizes of `Mover`, where it has such; sizes: see `Network`.
        """
        super().__init__(latent_shape, buttons, CONTEXT, CONTEXT)
        self.depth = depth
        self.register_buffer("cells", torch.zeros(window, dtype=torch.int64))
        self.register_buffer("mask", torch.zeros(window, dtype=torch.bool))
        self.register_buffer("backdrops", torch.zeros(backdrops, *latent_shape, dtype=torch.int16))
        self.set_regions(Regions.empty(*regions), cuts)
        self.set_moves(Moves.empty(*moves, apart))
        self.set_scenes(torch.full((backdrops, backdrops), not scenes))
        self.set_chains(Chains.empty(*chains))
        tables = Live.empty(*live, screen=latent_shape), Turns.empty(*turns, screen=latent_shape)
        self.set_live(
            *tables, Pace.empty(*pace), Controls.empty(*controls), Lines.empty(lines), turned
        )
        if side:
            self.register_buffer(
                "tiles", torch.zeros(sizes["vocabulary"], side, side, dtype=torch.uint8)
            )
        self.inertia: Inertia | None = None  # made from them at the first step
        (
            self.set_movers(Kinds.empty(*movers["shape"]), Mover(**movers["network"]))
            if movers
            else self.set_movers(Kinds.empty())
        )
        self.side = side
        self.network = Network(
            *window, buttons=buttons, backdrops=backdrops, depth=depth, inertia=side > 0, **sizes
        )

    @property
    def layout(self) -> Layout:
        return Layout(self.cells, self.mask, self.backdrops)

    def set_layout(self, layout: Layout) -> None:
        """Copy a layout that fits the sizes given at construction."""
        for name in ("cells", "mask", "backdrops"):
            getattr(self, name).copy_(getattr(layout, name))

    def start(
        self, latents: torch.Tensor, actions: torch.Tensor, real: torch.Tensor | None = None
    ) -> State:
        """The state after a real context: int [B, T, H, W], multi-hot [B, T - 1, n].

        See `Dynamics.start`.
        """
        layout = self.layout
        actions = actions[:, actions.shape[1] - latents.shape[1] + 1 :].float()
        windows = layout.window(latents.to(torch.int16))
        before = (
            torch.zeros(len(latents), dtype=torch.int64, device=latents.device)
            if real is None
            else latents.shape[1] - real
        )
        first = int(before.min())
        network = self.network
        steps = range(first, latents.shape[1])
        for step in tqdm(steps, desc="context", unit="frame", delay=2, leave=False):
            seen = (
                windows[:, step],
                network.summary(windows[:, step]),
                layout.backdrop_of(latents[:, step]),
            )
            if step == first:
                moving = {
                    "kinds": len(self.kinds.colours),
                    "moments": self.moments,
                    "recalled": self.recalled,
                }
                moving |= {
                    "ticks": len(self.kinds.ticks),
                    "dials": (network.dial_past, len(network.dials)),
                }
                state = begin(*seen, self.depth, self.buttons, **moving)
                begun = self._look(state, latents[:, step])
                state = self._remember(begun, latents[:, step])
            else:
                # for its episode to begin
                earlier, action, waits = state, actions[:, step - 1], step <= before
                state = advance(earlier, action, *seen, dials=network.dials)
                anew = self._remember(begun, latents[:, step]) if waits.any() else state
                state = self._remember(state, latents[:, step], earlier, action)
                state.idle[waits] = 0
                for name in MOVING:
                    getattr(state, name)[waits] = getattr(anew, name)[waits]
                anew = self._look(state, latents[:, step])
                state = self._watch(state, latents[:, step - 1], latents[:, step], action)
                for name in TURNING:
                    getattr(state, name)[waits] = getattr(anew, name)[waits]
        return self._carry_on(state, latents[:, max(first, latents.shape[1] - 2)], latents[:, -1])

    def _carry_on(self, state: State, before: torch.Tensor, now: torch.Tensor) -> State:
        """The state with what comes by inertia after two screens, int [B, H, W]."""
        if not self.side:
            return state
        if self.inertia is None:
            self.inertia = Inertia(self.tiles.cpu().numpy())
        onward = now.to(torch.int16, copy=True)
        for row in (before != now).flatten(1).any(1).nonzero().squeeze(1).tolist():
            one, other = (screen[row].cpu().numpy() for screen in (before, now))
            onward[row] = torch.from_numpy(self.inertia.onward(one, other)).to(onward.device)
        return replace(state, onward=self.layout.window(onward))

    def step(
        self,
        state: State,
        action: torch.Tensor,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
        oracle: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, State]:
        """Press `action`, multi-hot [B, n]. Returns the next frame of tokens, int16 [B, H, W], and
        the new state.

        Args:
            temperature: 0 takes the most probable choice; above, choices of which the network is
                less than SURE are drawn.
            oracle: true next frames, int [B, H, W], UNTOLD in the rows in which it says nothing:
                what the network is not sure of is taken from them instead of drawn, to score a
                rollout with the random events given.
        """
        # half precision would decide otherwise than training did
        with torch.autocast(action.device.type, enabled=False):
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
        sensed = self.network.sense(state, action)
        event, scene, gate, features = self.network.believe(sensed)
        current = state.frames[:, -1]
        screens = self.layout.compose(current, state.backdrop)
        state = self._told(state, screens)
        happens = decide(event, temperature, generator)
        if self.mover is not None:
            happens |= self.movers.due(state.born)
        times, presses = self._times(state, screens, action)
        happens |= presses
        if truth is not None:
            unsure = ((event.sigmoid() - 0.5).abs() < SURE - 0.5) & (oracle != UNTOLD).flatten(
                1
            ).all(1)
            happens = torch.where(unsure, (truth != current).flatten(1).any(1), happens)
        window, backdrop = current.clone(), state.backdrop.clone()
        rows = happens.nonzero().squeeze(1)
        if len(rows):
            told = None if truth is None else truth[rows]
            may = self.scenes[state.backdrop[rows]]
            backdrop[rows] = scene[rows].masked_fill(~may, -torch.inf).argmax(1)
            first = Beliefs(current, state.onward, gate, features).rows(rows)
            sensed, known = sensed.rows(rows), None
            if self.mover is not None:
                claimed = self._claim(
                    state.rows(rows), action[rows], first, temperature, generator, told
                )
                first, known = meet(
                    self.network, sensed, first, claimed, temperature, generator, MOST_ROUNDS
                )
            painted, *last = paint(
                self.network,
                self.mask,
                sensed,
                first,
                known,
                temperature,
                generator,
                told,
                MOST_ROUNDS,
            )
            if self.mover is not None and told is None:
                painted = keep(self.network, painted, last[0], claimed)
            cut = torch.where(backdrop[rows] == state.backdrop[rows], ALWAYS, backdrop[rows])
            window[rows] = self._settle(painted, cut, first)
            times = [times[row] for row in rows.tolist()]
        latent = self.layout.compose(window, backdrop)
        if len(rows) and (len(self.moves.old) or self.referee is not None):
            latent[rows] = self._keep_to_rules(
                state.rows(rows), latent[rows], backdrop[rows], cut, times, *last
            )
        frame = self.layout.window(latent)
        following = advance(
            state, action, frame, self.network.summary(frame), backdrop, dials=self.network.dials
        )
        following = self._watch(following, screens, latent, action)
        following = self._remember(following, latent, state, action)
        return latent, self._carry_on(following, screens, latent)

    def _chances(self, believed: Beliefs, rows: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the next tokens of cells, [N, vocabulary]."""
        return chances(self.network, believed.cells(rows, cells))

    def certainty(self, state: State, action: torch.Tensor) -> torch.Tensor:
        """How sure each cell's better choice is if anything changes, float [B, h, w]; 1 where
        nothing is to decide.
        """
        _, _, gate, features = self.network(state, action)
        _, _, certainty = choices(
            self.network, Beliefs(state.frames[:, -1], state.onward, gate, features)
        )
        return torch.where(self.mask, certainty.float(), 1.0)


def config_for(
    layout: Layout,
    vocabulary: int,
    buttons: int,
    own: Any,
    dials: Sequence[Dial] = (),
    side: int = 0,
    codes: bool = False,
) -> dict[str, Any]:
    """The self-describing config of the model for a layout, a game's dials, and the side of its
    tiles if it has inertia; `own` holds channels, blocks, memory and history_frames; codes: see
    `Network`.
    """
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
        "dial_past": DIAL_PAST,
        "side": side,
        "codes": codes,
    }
