"""What recordings allow: in a region what they showed, in a chain what followed, of moves those
that were made, and by turns.

A network that draws cell by cell is wrong now and then, in a way that no recording shows: half a
word, a digit that is none, a piece in halves. What is known from all of them is kept beside its
weights and has the last word.
"""

from dataclasses import fields, replace
from functools import partial

import numpy as np
import torch

from dreamcart.dynamics.base import Dynamics
from dreamcart.dynamics.tokens.beliefs import Beliefs, chances
from dreamcart.dynamics.tokens.chains import Chains
from dreamcart.dynamics.tokens.controls import Controls
from dreamcart.dynamics.tokens.history import hold
from dreamcart.dynamics.tokens.known import Known
from dreamcart.dynamics.tokens.lines import Lines
from dreamcart.dynamics.tokens.live import Live
from dreamcart.dynamics.tokens.moves import Moves
from dreamcart.dynamics.tokens.pace import Pace, Time, Watched
from dreamcart.dynamics.tokens.referee import Referee
from dreamcart.dynamics.tokens.regions import ALWAYS, Regions
from dreamcart.dynamics.tokens.state import TURNING, State
from dreamcart.dynamics.tokens.turns import Turns

CERTAIN = 50.0  # nats
# with their buffers' prefix
TABLES = (Live, "live"), (Turns, "turns"), (Pace, "pace"), (Controls, "controls"), (Lines, "lines")


class Ruled(Dynamics):
    """A dynamics of tokens that keeps to regions, chains, moves, scenes and turns; it has a
    `layout`, with its buffers, and a `network`.
    """

    def set_regions(self, regions: Regions, cuts: bool | None = None) -> None:
        """After training: parts of the window that show nothing but their known contents. (Older
        models' files have none, or none of cuts.) cuts: whether their file tells which hold after
        cuts only; where not given, if any does.
        """
        for name in ("places", "contents"):
            self.register_buffer(name, getattr(regions, name), persistent=len(regions.places) > 0)
        self.register_buffer(
            "after",
            regions.after,
            persistent=bool((regions.after >= 0).any()) if cuts is None else cuts,
        )

    def set_chains(self, chains: Chains) -> None:
        """After training: parts of the window of which it is known what follows what. (Older
        models' files have none.)
        """
        for field in fields(chains):
            self.register_buffer(
                f"chains_{field.name}",
                getattr(chains, field.name),
                persistent=len(chains.places) > 0,
            )

    def set_moves(self, moves: Moves) -> None:
        """After training: what a step may change. (Older models' files have none, or do not tell
        that it may be several.)
        """
        for field in fields(moves):
            kept = len(moves.old) > 0 and (field.name != "apart" or bool(moves.apart))
            self.register_buffer(f"moves_{field.name}", getattr(moves, field.name), persistent=kept)
        self._known: Known | None = None  # made from them at the first step

    def set_scenes(self, scenes: torch.Tensor) -> None:
        """After training: which backdrop may follow which, bool [K, K]. (Older models' files do not
        tell.)
        """
        self.register_buffer("scenes", scenes, persistent=not bool(scenes.all()))

    def set_live(
        self,
        live: Live,
        turns: Turns,
        pace: Pace,
        controls: Controls,
        lines: Lines,
        turned: bool | None = None,
    ) -> None:
        """After training: how to tell what may move, what comes next, when, what buttons do, and
        what full lines. (Older models' files do not tell, or not all of it.) turned: whether the
        file tells what turning does; where not given, if it does anything.
        """
        turned = bool(live.turned.any()) if turned is None else turned
        tables = (
            ("live", live, len(live.tokens)),
            ("turns", turns, len(turns.notes)),
            ("pace", pace, len(pace.contents)),
        )
        tables = *tables, ("controls", controls, controls.known), ("lines", lines, lines.known)
        for prefix, table, known in tables:
            for field in fields(table):
                kept = known > 0 and (field.name != "turned" or turned)
                self.register_buffer(
                    f"{prefix}_{field.name}", getattr(table, field.name), persistent=kept
                )
        self._referee: Referee | None = None  # made from them at the first step

    @property
    def moves(self) -> Moves:
        return Moves(*(getattr(self, f"moves_{field.name}") for field in fields(Moves)))

    def _settle(self, window: torch.Tensor, cut: torch.Tensor, believed: Beliefs) -> torch.Tensor:
        """Windows [B, h, w] in which every region shows a known content, and every part of a chain
        what follows what it showed, see `Regions.settle` and `Chains.settle`.
        """

        def likely(row: int, places: torch.Tensor) -> torch.Tensor:
            return chances(self.network, believed.cells(row, places))

        if len(self.places):
            window = Regions(self.places, self.contents, self.after).settle(window, cut, likely)
        if len(self.chains_places):
            chains = Chains(*(getattr(self, f"chains_{field.name}") for field in fields(Chains)))
            window = chains.settle(believed.now, window, cut != ALWAYS, likely)
        return window

    @property
    def referee(self) -> Referee | None:
        """Who keeps to what is live, made at the first step; None in a dream that does not know."""
        if self._referee is None and len(self.live_tokens):
            tables = (
                kind(*(getattr(self, f"{prefix}_{field.name}") for field in fields(kind)))
                for kind, prefix in TABLES
            )
            self._referee = Referee(*tables)
        return self._referee

    def _times(
        self, state: State, screens: torch.Tensor, action: torch.Tensor
    ) -> tuple[list[Time], torch.Tensor]:
        """What is known of the step from screens int16 [B, H, W] by its time, and whether something
        happens in it, bool [B].
        """
        if self.referee is None:
            return [Time()] * len(screens), torch.zeros(
                len(screens), dtype=torch.bool, device=screens.device
            )
        told = list(zip(_watched(state), screens.cpu().numpy(), strict=True))
        pressed = zip(action.cpu().numpy(), hold(state, action).cpu().numpy(), strict=True)
        times = [
            self.referee.time(*pair, *buttons) for pair, buttons in zip(told, pressed, strict=True)
        ]
        presses = [
            self.referee.presses(now.live, screen, time)
            for (now, screen), time in zip(told, times, strict=True)
        ]
        return times, torch.tensor(presses, dtype=torch.bool, device=screens.device)

    def _keep_to_rules(
        self,
        state: State,
        latent: torch.Tensor,
        backdrop: torch.Tensor,
        cut: torch.Tensor,
        times: list[Time],
        believed: Beliefs,
        known: torch.Tensor,
    ) -> torch.Tensor:
        """Screens int16 [B, H, W] that follow from a state by its turns, or else by known moves of
        what is live, in its time.

        Args:
            latent: as it was decided; times: see `_times`; believed, known: see `paint`, what
                follows is of windows.
        """
        before = self.layout.compose(believed.now, backdrop)
        latent, ruled = self._rule(state, before, latent, times)
        if not ruled.all():
            mended = self._mend(
                state, before, latent, believed, known, (~ruled).nonzero().squeeze(1).tolist()
            )
            # moves know no words: half a word that they leave or take would stand there for ever
            settled = self.layout.compose(
                self._settle(self.layout.window(mended), cut, believed), backdrop
            )
            settled, _ = self._rule(state, before, settled, times)
            latent = torch.where(ruled[:, None, None], latent, settled)
        if self.referee is not None:
            told = zip(
                *(part.cpu().numpy() for part in (state.live, before, latent)), times, strict=True
            )
            latent = torch.from_numpy(np.stack([self.referee.in_time(*row) for row in told])).to(
                latent
            )
        return latent

    def _rule(
        self, state: State, before: torch.Tensor, after: torch.Tensor, times: list[Time]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Screens int16 [B, H, W] as `Referee.rule` has them, and which it has, bool [B]."""
        ruled = torch.zeros(len(after), dtype=torch.bool, device=after.device)
        if self.referee is None:
            return after, ruled
        after = after.clone()
        for row, time in enumerate(times):
            told = (part[row].cpu().numpy() for part in (state.live, before, after))
            decided = self.referee.rule(*told, time)
            if decided is not None:
                after[row], ruled[row] = torch.from_numpy(decided), True
        return after, ruled

    def _mend(
        self,
        state: State,
        before: torch.Tensor,
        after: torch.Tensor,
        believed: Beliefs,
        known: torch.Tensor,
        rows: list[int],
    ) -> torch.Tensor:
        """Screens int16 [B, H, W], some of them changed to what known moves make, see `Known.mend`;
        where none are known, nothing changes in place of what may not be.
        """
        if self._known is None:
            self._known = Known(self.moves)
        after = after.clone()
        for row in rows:
            live, now, then = (part[row].cpu().numpy() for part in (state.live, before, after))
            rule = [] if self.referee is None else [partial(self.referee.allows, live, now)]
            if self._known.moves:
                after[row] = torch.from_numpy(
                    self._known.mend(now, then, partial(self._gains, believed, known, row), *rule)
                )
            elif not all(allows(then) for allows in rule):
                after[row] = before[row]
        return after

    def _watch(
        self, state: State, before: torch.Tensor, after: torch.Tensor, action: torch.Tensor
    ) -> State:
        """The state with what is live after steps from screens to others, int16 [B, H, W], in which
        buttons [B, n] were pressed.
        """
        if self.referee is None:
            return state
        told = zip(
            _watched(state), *(part.cpu().numpy() for part in (before, after, action)), strict=True
        )
        return self._with_live(state, [self.referee.follow(*row) for row in told])

    def _told(self, state: State, screens: torch.Tensor) -> State:
        """The state with what is live on its screens int16 [B, H, W], if it does not tell (one made
        of a record, by `Samples`).
        """
        return state if state.live.numel() else self._look(state, screens)

    def _look(self, state: State, screens: torch.Tensor) -> State:
        """The state with what is live on screens int16 [B, H, W] of which nothing before is
        known.
        """
        if self.referee is None:
            return state
        return self._with_live(
            state,
            [Watched(self.referee.follower.begin(screen)) for screen in screens.cpu().numpy()],
        )

    @staticmethod
    def _with_live(state: State, told: list[Watched]) -> State:
        parts = (
            torch.from_numpy(np.stack(part)).to(state.live.device)
            for part in zip(*told, strict=True)
        )
        return replace(state, **dict(zip(TURNING, parts, strict=True)))

    def _gains(self, believed: Beliefs, known: torch.Tensor, row: int) -> np.ndarray:
        """See `Known.mend`. What was decided for a cell by itself is as good as certain."""
        own = self.mask.flatten()
        cells, told = believed.cells(row, own), known[row].flatten()[own]
        old = cells.now.long()[:, None]
        logs = chances(self.network, cells)
        gains = logs - logs.gather(1, old)
        decided = torch.full_like(gains, -CERTAIN).scatter(
            1, (told - 1).clamp(min=0)[:, None], CERTAIN
        )
        gains = torch.where(told[:, None] > 0, decided, gains).scatter(1, old, 0.0)
        screen = torch.full((self.backdrops[0].numel(), gains.shape[1]), -torch.inf)
        screen[self.layout.cells[self.mask].cpu()] = gains.cpu()
        return screen.view(*self.backdrops.shape[1:], -1).numpy()


def _watched(state: State) -> list[Watched]:
    return [
        Watched(*row)
        for row in zip(*(getattr(state, name).cpu().numpy() for name in TURNING), strict=True)
    ]
