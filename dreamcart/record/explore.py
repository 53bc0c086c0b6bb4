"""What `new` lets a process of its own do: search a ROM for start states, and show the way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dreamcart.core.errors import UserError
from dreamcart.games.retro import LEFT_OUT
from dreamcart.record import seed_address
from dreamcart.record.judge import at_once
from dreamcart.record.machine import FRAME_SKIP, Frame, Machine
from dreamcart.record.search import Node, Search

HELD = 10  # steps for which the filmstrip holds each button
LIKE = 64  # pixels of a frame that tell whether two states look alike


@dataclass(frozen=True)
class Start:
    """A start state: what the emulator saved, which buttons act in it at once, and its worth."""

    state: bytes
    acts: list[str]  # within two steps
    late: list[str]  # a little later
    worth: float
    steps: int  # from power-on


@dataclass(frozen=True)
class Found:
    """What a search saw of a game."""

    buttons: list[str]  # of the console, in the core's order
    idle: list[str]  # those that never changed anything
    rate: float  # emulator frames a second
    size: tuple[int, int]  # height and width in pixels
    crop: list[int]
    starts: list[Start]
    way: list[tuple[str, Frame]]  # what was pressed, and what was seen after it
    answers: list[tuple[str, Frame]] = field(default_factory=list)  # each acting button, held
    frames: int = 0  # emulator frames played
    seconds: float = 0.0
    reached: float | None = None  # after which two buttons of play acted at once
    seeded: bool | None = None  # whether another seed showed something else


def explore(
    folder: Path,
    env: str,
    seconds: float,
    seed: int,
    count: int,
    told: Callable[[tuple[float, str]], None],
) -> Found:
    """Search the ROM of the integration `env` in `folder` for `count` start states.

    Raises UserError where the core refuses it, its seed is at no place in RAM, or it shows nothing,
    or nothing ever changes.
    """
    machine = Machine(folder, env)
    seed_address.check(machine)
    search = Search(machine, seconds, seed)
    search.run(count, told)
    if len(machine.digests) < 2 or machine.plain:
        _refuse(machine, search)
    chosen = _different(search.found, count)
    told((search.elapsed, "filmstrip"))
    way = _watch(machine, search, chosen[0] if chosen else None)
    answers = _answers(machine, chosen[0]) if chosen else []
    shape = way[-1][1].shape
    return Found(
        buttons=[name for name in machine.lines if name not in LEFT_OUT],
        idle=[name for name in search.buttons if name in search.play_buttons - search.acted],
        rate=machine.rate,
        size=shape[:2],
        crop=machine.crop(shape),
        starts=list(map(_start, chosen)),
        way=way,
        answers=answers,
        frames=machine.steps * FRAME_SKIP,
        seconds=search.elapsed,
        reached=search.reached,
        seeded=seed_address.acts(machine, chosen[0].state, search.rng) if chosen else None,
    )


def _start(node: Node) -> Start:
    now = at_once(node.acts)
    return Start(node.state, sorted(now), sorted(set(node.acts) - now), node.worth, node.steps)


def _refuse(machine: Machine, search: Search) -> None:
    what = (
        "shows nothing but one colour"
        if machine.plain
        else "never changes its picture, whatever is pressed"
    )
    raise UserError(
        f"This ROM {what}, in {search.elapsed:.0f} seconds of trying: it is damaged, or the core"
        " does not know its cartridge; get another copy, or try longer with --seconds."
    )


def _different(found: list[Node], count: int) -> list[Node]:
    """The best state and those that look least like the ones chosen before them.

    Only such as are worth half of the best.
    """
    if not found:
        return []
    chosen = found[:1]
    rest = [n for n in found[1:] if n.worth >= found[0].worth / 2]
    while rest and len(chosen) < count:
        apart = [min(_distance(node, other) for other in chosen) for node in rest]
        furthest = int(np.argmax(apart))
        if apart[furthest] == 0:
            break
        chosen.append(rest.pop(furthest))
    return chosen


def _distance(one: Node, other: Node) -> float:
    """Mean difference of two frames, 0 to 255, at some of their pixels."""
    if one.frame.shape != other.frame.shape:
        return 255.0
    step = max(1, min(one.frame.shape[:2]) // LIKE)
    pictures = [node.frame[::step, ::step].astype(np.int16) for node in (one, other)]
    return float(np.abs(pictures[0] - pictures[1]).mean())


def _watch(machine: Machine, search: Search, node: Node | None) -> list[tuple[str, Frame]]:
    """Replay the way to a state from power-on: what was pressed, and the frame after it.

    Where no state was found, what waiting shows.
    """
    machine.restore(search.switched_on)
    seen = [("power on", machine.step())]
    machine.restore(search.switched_on)
    ways = [node.way] if node else sorted((n.way for n in search.nodes if len(n.way) < 2), key=len)
    done = 0
    for way in ways:
        for move in way:
            presses = move.presses if node else (((), move.steps - done),)
            done = 0 if node else move.steps
            frame = seen[-1][1]
            for pressed, steps in presses:
                for _ in range(steps):
                    frame = machine.step(pressed)
            seen.append((f"{move.name} {move.steps / 30:.1f} s", frame))
    return seen


def _answers(machine: Machine, node: Node) -> list[tuple[str, Frame]]:
    """What each acting button, held for some steps, makes of a state; first none of them."""
    seen = []
    for button in ("", *sorted(node.acts)):
        machine.restore(node.state)
        for _ in range(HELD):
            frame = machine.step((button,) if button else ())
        seen.append((button or "no button", frame))
    return seen
