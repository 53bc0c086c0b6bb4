"""What plays in a dream of tokens beside its network, and how to switch it off, part by part.

Beside the weights a dream keeps what was counted in recordings (which picture follows which, when
a piece falls), small networks that move whole objects, and some inputs that are computed by rule
(where a knob stands). To know what the network owes to them, play without. What builds on a part
goes off with it.

Some things stay, for without them there is no network to ask: the dictionary of tiles, the cells
that never change, and that cells in doubt are decided one after another.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from dreamcart.dynamics.tokens.chains import Chains
from dreamcart.dynamics.tokens.controls import Controls
from dreamcart.dynamics.tokens.lines import Lines
from dreamcart.dynamics.tokens.live import Live
from dreamcart.dynamics.tokens.model import TokenDynamics
from dreamcart.dynamics.tokens.movers.kinds import Kinds
from dreamcart.dynamics.tokens.moves import Moves
from dreamcart.dynamics.tokens.pace import Pace
from dreamcart.dynamics.tokens.regions import Regions
from dreamcart.dynamics.tokens.ruled import TABLES
from dreamcart.dynamics.tokens.turns import Turns


@dataclass(frozen=True)
class Switch:
    """One part that is not the network.

    name: one word, for a command line; says: what it does; has: whether a model has it; off: takes
    it out of a model; takes: names of the parts that build on it; told: whether it is an input of
    the network, and not a rule that overrules it."""

    name: str
    says: str
    has: Callable[[TokenDynamics], bool]
    off: Callable[[TokenDynamics], None]
    takes: tuple[str, ...] = ()
    told: bool = False


class Still:
    """In place of `Inertia`: nothing that moves goes on."""

    def onward(self, before: np.ndarray, now: np.ndarray) -> np.ndarray:
        """Return the screen int [H, W] as it is, int16."""
        return now.astype(np.int16)


class Forgetful(nn.Module):
    """In place of `Memory`: nothing is remembered."""

    def forward(self, seen: Any, before: torch.Tensor) -> torch.Tensor:
        """Return zeros [B, 1, units] for what was remembered before, [B, units]."""
        return torch.zeros_like(before)[:, None]


def _set_tables(model: TokenDynamics, **empty: Any) -> None:
    """Replace tables of what is live, by their prefix."""
    tables = {}
    for kind, prefix in TABLES:
        tables[prefix] = kind(*(getattr(model, f"{prefix}_{field.name}") for field in fields(kind)))
    model.set_live(**(tables | empty))


def _set_kinds(model: TokenDynamics, **parts: torch.Tensor) -> None:
    """Replace parts of what is known of objects."""
    kinds = Kinds(*(getattr(model, f"kinds_{field.name}") for field in fields(Kinds)))
    model.set_movers(replace(kinds, **parts), model.mover)


def _no_buttons(model: TokenDynamics) -> None:
    _set_tables(model, controls=Controls.empty())


def _no_lines(model: TokenDynamics) -> None:
    _set_tables(model, lines=Lines.empty())


def _no_gravity(model: TokenDynamics) -> None:
    _no_buttons(model)
    _set_tables(model, pace=Pace.empty(buttons=model.buttons))


def _no_turns(model: TokenDynamics) -> None:
    _no_gravity(model)
    _no_lines(model)
    _set_tables(model, turns=Turns.empty())


def _no_piece(model: TokenDynamics) -> None:
    _no_turns(model)
    _set_tables(model, live=Live.empty())


def _no_looks(model: TokenDynamics) -> None:
    _set_kinds(model, tints=model.kinds_tints[:, :0], taller=model.kinds_taller[:, :0])


def _has_serves(model: TokenDynamics) -> bool:
    return model.kinds_follows.shape[1] > 0 or bool(model.kinds_returns.any())


def _no_serves(model: TokenDynamics) -> None:
    places = len(model.kinds_births)
    never = torch.zeros_like(model.kinds_returns)
    _set_kinds(model, returns=never, follows=model.kinds_follows.new_zeros(places, 0, places))


def _remembers(model: TokenDynamics) -> bool:
    return model.recalled > 0 and not isinstance(model.mover.memory, Forgetful)


def _forget(model: TokenDynamics) -> None:
    model.mover.memory = Forgetful()


def _hold_still(model: TokenDynamics) -> None:
    model.inertia = Still()


def _no_paddle(model: TokenDynamics) -> None:
    _set_kinds(model, leads=torch.full_like(model.kinds_leads, -1))


def _no_knob(model: TokenDynamics) -> None:
    """The knob stays in the middle; nothing may follow it there."""
    model.network.dials = [dial._replace(step=0.0) for dial in model.network.dials]
    if model.mover is not None:
        _no_paddle(model)


SWITCHES = (
    Switch(
        "displays",
        "boxes and texts show one of the few pictures that recordings have there",
        lambda model: len(model.places) > 0,
        lambda model: model.set_regions(Regions.empty()),
    ),
    Switch(
        "counters",
        "which picture of a counter or a box follows which",
        lambda model: len(model.chains_places) > 0,
        lambda model: model.set_chains(Chains.empty()),
    ),
    Switch(
        "moves",
        "which small changes of the screen there are (no half pieces)",
        lambda model: len(model.moves_old) > 0,
        lambda model: model.set_moves(Moves.empty()),
    ),
    Switch(
        "scenes",
        "which scene may follow which (title, play)",
        lambda model: not bool(model.scenes.all()),
        lambda model: model.set_scenes(torch.ones_like(model.scenes)),
    ),
    Switch(
        "piece",
        "only the active piece moves, and only in shapes that were seen",
        lambda model: len(model.live_tokens) > 0,
        _no_piece,
        takes=("turns", "gravity", "buttons", "lines"),
    ),
    Switch(
        "turns",
        "what comes next, where, and when a game ends or begins",
        lambda model: len(model.turns_notes) > 0,
        _no_turns,
        takes=("gravity", "buttons", "lines"),
    ),
    Switch(
        "gravity",
        "the timer by which the active piece falls and comes to lie",
        lambda model: len(model.pace_contents) > 0,
        _no_gravity,
        takes=("buttons",),
    ),
    Switch(
        "buttons",
        "what each button does to the active piece",
        lambda model: len(model.controls_ways) + len(model.controls_turns) > 0,
        _no_buttons,
    ),
    Switch("lines", "what full lines do", lambda model: bool(model.lines_mark >= 0), _no_lines),
    Switch(
        "objects",
        "whole objects are found on the screen and moved by a network of their own",
        lambda model: model.mover is not None,
        lambda model: model.set_movers(Kinds.empty()),
        takes=("paddle", "clock", "memory", "serves", "looks"),
    ),
    Switch(
        "paddle",
        "where a paddle is by its knob alone",
        lambda model: bool((model.kinds_leads >= 0).any()),
        _no_paddle,
    ),
    Switch(
        "clock",
        "what objects do at each tick of a hidden clock",
        lambda model: len(model.kinds_ticks) > 0,
        lambda model: _set_kinds(model, ticks=model.kinds_ticks[:0]),
    ),
    Switch("memory", "a recurrent network remembers where objects were", _remembers, _forget),
    Switch("serves", "when and where a lost object comes back", _has_serves, _no_serves),
    Switch(
        "looks",
        "in which colours an object is drawn, and what hides it",
        lambda model: model.kinds_tints.shape[1] > 0,
        _no_looks,
    ),
    Switch(
        "inertia",
        "input: how the screen would go on if all that moves goes on",
        lambda model: model.side > 0 and not isinstance(model.inertia, Still),
        _hold_still,
        told=True,
    ),
    Switch(
        "knob",
        "input: where the buttons have turned the console's knob",
        lambda model: any(dial.step for dial in model.network.dials),
        _no_knob,
        takes=("paddle",),
        told=True,
    ),
)


def switches_of(model: nn.Module) -> list[Switch]:
    """List the parts of a dream that are not its network; none of other families than tokens."""
    if not isinstance(model, TokenDynamics):
        return []
    return [switch for switch in SWITCHES if switch.has(model)]


def switch_off(model: TokenDynamics, names: list[str]) -> None:
    """Take parts out of a model that has not played yet; what it lacks is no matter.

    Raises:
        KeyError: a name is none of `SWITCHES`.
    """
    known = {switch.name: switch for switch in SWITCHES}
    for name in names:
        if known[name].has(model):
            known[name].off(model)
