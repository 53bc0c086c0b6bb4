"""The dream of cells: what of the next frame changes, and to what; one pure function of tensors.

The next frame is the present one, unless the network says that something changes; then each cell
that may change has a gate (copy or not) and becomes a known tile of the game, chosen as a whole, or
is painted pixel by pixel. Chance is drawn in three numbers a step: whether anything happens; which
cell does what is least expected, if any; and what that cell does. All other cells follow from that,
so that a random event is never a mixture of several. In training the least expected cell is the one
to which the network, before its last block, gives the least probability of what it truly does
(see `chance`).
"""

from typing import NamedTuple

import torch
from tqdm import tqdm

from dreamcart.dynamics.base import Dynamics
from dreamcart.dynamics.cells.chance import (
    CHANCES,
    SURE,
    does,
    draw_lead,
    leads,
    numbers_of,
    take,
    true_lead,
)
from dreamcart.dynamics.cells.network import CHOICE, GLANCE, HINT, Network, Sensed
from dreamcart.dynamics.cells.parts import Painter
from dreamcart.dynamics.cells.screen import Screen
from dreamcart.dynamics.cells.state import PLANES, State, advance, begin, gather_around

CONTEXT = 128  # frames from which a dream begins


class Kept(NamedTuple):
    """What follows from a dream's weights alone.

    said: [known, R], what the reader says of the known tiles; keys: [known, C], by what they are
    chosen; hints: [known + 2, C], what they and the other outcomes of a lead tell; scene: int64
    [P], the window's places whose cells only a scene changes, and int64 [h * w], for every place
    its number among them.
    """

    said: torch.Tensor
    keys: torch.Tensor
    hints: torch.Tensor
    scene: tuple[torch.Tensor, torch.Tensor]


class CellDynamics(Dynamics):
    """Latents are frames of palette indices, uint8 [B, H, W]; the state is `state.State`."""

    error_is = "share of frames not exact"
    takes_truth = True

    def __init__(
        self,
        latent_shape: list[int],
        buttons: int,
        side: int,
        window: list[int],
        outside: int,
        backdrops: int,
        colours: int,
        known: int,
        most: int,
        depth: int,
        **sizes: int,
    ) -> None:
        """side: of a cell in pixels; window, outside, backdrops: see `Screen`; known: tiles that a
        cell may become as a whole; most: cells that a step may paint; depth: remembered steps;
        sizes: see `Network`.
        """
        super().__init__(latent_shape, buttons, CONTEXT, CONTEXT)
        self.depth, self.most = depth, most
        self.cells = window[0] * window[1]
        self.kept: Kept | None = None
        self.register_load_state_dict_post_hook(CellDynamics.forget)
        self.screen = Screen(latent_shape, side, window, outside, backdrops)
        self.register_buffer("tiles", torch.zeros(known, side * side, dtype=torch.uint8))
        self.network = Network(
            *window,
            pixels=side * side,
            colours=colours,
            buttons=buttons,
            backdrops=backdrops,
            known=known,
            depth=depth,
            **sizes,
        )

    def start(
        self, latents: torch.Tensor, actions: torch.Tensor, real: torch.Tensor | None = None
    ) -> State:
        """Return the state after a real context: uint8 [B, T, H, W], multi-hot [B, T - 1, n].

        See `Dynamics.start`.
        """
        batch, time = latents.shape[:2]
        actions = actions[:, actions.shape[1] - time + 1 :].float()
        waits = torch.zeros(batch, dtype=torch.int64, device=latents.device)
        waits = waits if real is None else time - real
        for step in tqdm(range(time), desc="context", unit="frame", delay=2, leave=False):
            cells = self.screen.cut(latents[:, step])
            window, backdrop = self.screen.window(cells), self.screen.backdrop_of(cells)
            read = self.network.reader(window), self.sums(window)
            nothing = self.nothing(window)
            fresh = begin(window, *read, backdrop, nothing, self.depth, self.buttons)
            if step == 0:
                state = fresh
                continue
            action = actions[:, step - 1]
            next_state = self.follow(state, action, window, backdrop)
            begins = step <= waits  # its episode begins here, or later
            state = State(
                *(
                    torch.where(begins.view(-1, *[1] * (old.dim() - 1)), new, old)
                    for old, new in zip(next_state.tensors(), fresh.tensors(), strict=True)
                )
            )
        return state

    def nothing(self, window: torch.Tensor) -> torch.Tensor:
        """Return the deed of a step that did nothing, for each row of windows [B, ...]: [B, D]."""
        none = torch.zeros(window.shape[0], self.buttons, device=window.device)
        sums = torch.zeros(window.shape[0], self.network.summary.size, device=window.device)
        return self.network.deed(sums, none, none)

    def follow(
        self,
        state: State,
        action: torch.Tensor,
        window: torch.Tensor,
        backdrop: torch.Tensor,
        read: torch.Tensor | None = None,
    ) -> State:
        """Return the state after `action` was pressed and a window [B, h, w, p] came; `read` is its
        reading [B, h, w, R] where that is known.
        """
        sums = self.sums(window)
        deed = self.network.deed(sums - state.sums, action, state.last)
        read = self.network.reader(window) if read is None else read
        return advance(state, action, window, read, sums, backdrop, deed)

    def sums(self, window: torch.Tensor) -> torch.Tensor:
        """Return the summary of windows [B, h, w, p]: [B, S]."""
        return self.network.summary.sums(self.network.summary.codes(window))

    def step(
        self,
        state: State,
        action: torch.Tensor,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
        oracle: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, State]:
        """Press `action`, multi-hot [B, n]. Returns the next frame, uint8 [B, H, W], and the new
        state.

        Args:
            temperature: 0 takes what is most probable; at 1 chance is drawn where the network is
                less than SURE.
            oracle: true next frames, int16 [B, H, W], UNTOLD in the rows in which it says nothing:
                chance is taken from them instead of drawn, to score a rollout with the random
                events given.
        """
        noise = torch.rand(len(action), CHANCES, generator=generator, device=action.device)
        noise = noise if temperature else torch.full_like(noise, 0.5)
        # half precision would decide otherwise than training did
        with torch.autocast(action.device.type, enabled=False):
            return self.dream(state, action.float(), noise, torch.tensor(temperature), oracle)

    def dream(
        self,
        state: State,
        action: torch.Tensor,
        noise: torch.Tensor,
        temperature: torch.Tensor,
        oracle: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, State]:
        """Return what `step` does, as a pure function of tensors.

        Args:
            noise: float32 [B, CHANCES], uniform on (0, 1); temperature: float32 []; the others as
            there.
        """
        screen, network = self.screen, self.network
        now = state.planes[:, 0]
        sensed = self.look(state, action)
        kept = self.kept_of()
        lead, outcome = draw_lead(
            network, sensed, kept.keys, screen.mask, noise[:, 1:], temperature
        )
        if oracle is not None:
            lead, outcome, truly = self.given(state, sensed, oracle, lead, outcome)
        event, gate, features, scene = network.believe(sensed, lead, kept.hints[outcome])
        unsure = event.abs() < torch.logit(torch.tensor(SURE))
        happens = event + temperature * unsure * torch.logit(noise[:, 0].clamp(1e-6, 1 - 1e-6)) > 0
        if oracle is not None:
            happens = torch.where(unsure & (truly >= 0), truly > 0, happens)
        gate = gate.masked_fill(~screen.mask, -torch.inf)
        content, read = self.contents(state, features.flatten(1, 2), gate.flatten(1))
        changes = ((gate > 0) & happens[:, None, None])[:, :, :, None]
        window = torch.where(changes, content.view_as(now), now)
        seen = state.seen[:, 0]
        read = torch.where(changes, read.view_as(seen), seen)
        backdrop = torch.where(happens, scene.argmax(1), state.backdrop)
        frame = screen.compose(window, backdrop)
        window = screen.window(screen.cut(frame))  # cells that only a scene changes, too
        places, number = kept.scene
        if len(places):
            told = network.reader(window.flatten(1, 2)[:, places])[:, number].view_as(read)
            read = torch.where(screen.mask[:, :, None], read, told)
        return frame, self.follow(state, action, window, backdrop, read)

    def contents(
        self, state: State, features: torch.Tensor, gate: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what cells become if they change, uint8 [B, h * w, p]: a known tile, or what is
        painted, in at most `most` cells: those of which a change is likeliest. And what the reader
        says of it, [B, h * w, R].

        features: [B, h * w, C]; gate: [B, h * w].
        """
        network, kept = self.network, self.kept_of()
        choice, chosen = network.choices(features.flatten(0, 1), kept.keys)
        choice, chosen = (part.view(*gate.shape, -1) for part in (choice, chosen))
        best = choice[:, :, :-1].argmax(2)
        whole, read = self.tiles[best], kept.said[best]
        paints = choice.argmax(2) == len(self.tiles)
        at = gate.masked_fill(~paints, -torch.inf).topk(self.most, 1).indices
        around = gather_around(state, at, self.screen.side, Painter.MARGIN, network.painter.colours)
        chosen = take(chosen, at)
        colours = network.painter(around.flatten(0, 1), chosen.flatten(0, 1))
        painted = colours.argmax(2).to(torch.uint8).view(*at.shape, -1)
        # where fewer cells are painted than could be, the rest of them keep their tile
        painted = torch.where(paints.gather(1, at)[:, :, None], painted, take(whole, at))
        own = network.reader(painted)
        read = read.scatter(1, at[:, :, None].expand_as(own), own)
        return whole.scatter(1, at[:, :, None].expand_as(painted), painted), read

    def kept_of(self) -> Kept:
        """Return what follows from the weights; kept until they are loaded or the mode changes."""
        if self.kept is None:
            with torch.inference_mode(False), torch.no_grad():
                said = self.network.reader(self.tiles.clone())
                theirs = ~self.screen.mask.flatten()
                number = (theirs.cumsum(0) - 1).clamp(min=0)
                keys = self.network.reader.tell[CHOICE](said)
                hints = self.network.hints(self.network.reader.tell[HINT](said))
                self.kept = Kept(said, keys, hints, (theirs.nonzero().squeeze(1), number))
        return self.kept

    def train(self, mode: bool = True) -> "CellDynamics":
        """Set the mode, as of any module; where it changes, what was kept is forgotten."""
        if mode != self.training:
            self.kept = None
        return super().train(mode)

    def forget(self, *_: object) -> None:
        """Forget what was kept: other weights have come."""
        self.kept = None

    def look(self, state: State, action: torch.Tensor) -> Sensed:
        """Return what the network senses before chance is drawn."""
        network, tell = self.network, self.network.reader.tell
        planes = [tell[plane](state.seen[:, plane]) for plane in range(PLANES)]
        glances = tell[GLANCE](state.seen[:, 0])
        return network.sense(planes, glances, state.deeds, state, action)

    def given(
        self,
        state: State,
        sensed: Sensed,
        oracle: torch.Tensor,
        lead: torch.Tensor,
        outcome: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return which cell leads and what it does, from the true next frame where the network is
        not sure of it; and whether anything truly changes, int64 [B], -1 where that is not told.
        """
        told = (oracle >= 0).flatten(1).all(1)
        window = self.screen.window(self.screen.cut(oracle.clamp(min=0).to(torch.uint8)))
        differs = (window != state.planes[:, 0]).any(3) & self.screen.mask
        truly = torch.where(told, differs.flatten(1).any(1).long(), -1)
        network, keys, mask = self.network, self.kept_of().keys, self.screen.mask
        sure = leads(sensed, mask).softmax(1).amax(1) >= SURE
        sure &= (lead == self.cells) | (
            does(network, sensed, lead, keys).softmax(1).amax(1) >= SURE
        )
        asked = (told & ~sure).nonzero().squeeze(1)
        if len(asked):
            known = numbers_of(window[asked][differs[asked]], self.tiles)
            true = true_lead(network, sensed.features[asked], keys, mask, differs[asked], known)
            lead = lead.index_copy(0, asked, true[0])
            outcome = outcome.index_copy(0, asked, true[1])
        return lead, outcome, truly
