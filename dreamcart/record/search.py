"""The search for start states: from which state which move is tried next, and what is kept.

States are kept as a search keeps them: whatever a move reaches that was not seen before is a place
to go on from. A move counts where it shows something that waiting would not.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from dreamcart.games.coarse import coarse
from dreamcart.games.retro import LEFT_OUT
from dreamcart.record.judge import Acts, Judge, at_once
from dreamcart.record.machine import Frame, Machine
from dreamcart.record.moves import RESET, Move, all_moves, is_play, wait

FIRST_LOOKS = (30, 60, 90, 150, 240, 360, 600)  # steps of waiting after power-on
SETTLE = 20  # steps: a state is looked at now and a little later
MEMORY = 2**27  # bytes of states that are kept
GOOD = 0.6  # worth of a state that may end the search before its time
UNKNOWN = 0.3  # chance of a scene in which no button acts
PATIENCE = 16  # moves from a scene that halve its chance
ALIKE = 0.06  # share of the coarse frame in which two states of a scene may differ
WAITS = 3  # that may follow each other without anything new


@dataclass
class Node:
    """A state to go on from, and the way to it from power-on."""

    state: bytes
    way: tuple[Move, ...]
    frame: Frame
    scene: int
    moves: Iterator[Move] | None  # those not tried yet; None: no more
    acts: Acts = field(default_factory=dict)
    worth: float = 0.0
    tried: int = 0
    waited: int = 0  # waits in a row before it that showed nothing new
    quiet: list[int] = field(default_factory=list)  # digests of waiting in it
    quiet_state: bytes = b""

    @property
    def steps(self) -> int:
        return sum(move.steps for move in self.way)


class Search:
    """Looks for states in which the buttons do something."""

    def __init__(self, machine: Machine, seconds: float, seed: int) -> None:
        self.machine, self.seconds = machine, seconds
        self.rng = np.random.default_rng(seed)
        self.buttons = [name for name in machine.lines if name not in LEFT_OUT - RESET]
        self.play_buttons = {*filter(is_play, self.buttons)}
        self.judge = Judge(machine, self.buttons, self.rng)
        self.nodes: list[Node] = []
        self.cells: set[bytes] = set()
        self.scenes: list[tuple[np.ndarray, set[str]]] = []  # first coarse frame, acting buttons
        self.acted: set[str] = set()
        self.least = seconds / 3  # before them no good state ends the search
        self.begin = time.monotonic()
        self.switched_on = b""
        self.pending: list[Node] = []  # states that are not judged yet
        self.judging = 0.0  # seconds spent on that
        self.reached: float | None = None  # second of the first state that answers to two buttons

    @property
    def elapsed(self) -> float:
        """Seconds since the search began."""
        return time.monotonic() - self.begin

    @property
    def found(self) -> list[Node]:
        """States in which a button of play acts at once, the best first: rather two buttons.

        Of those that are about as good the one that is reached soonest.
        """
        good = [node for node in self.nodes if node.worth > 0]
        best = max((node.worth for node in good if self.count(node) > 1), default=0.0)

        def key(node: Node) -> tuple[bool, bool, float]:
            near = node.worth >= 0.9 * best
            return self.count(node) < 2, not near, node.steps if near else -node.worth

        return sorted(good, key=key)

    def count(self, node: Node) -> int:
        """How many buttons of play act at once in a state."""
        return len(at_once(node.acts) & self.play_buttons)

    def run(self, wanted: int, told: Callable[[tuple[float, str]], None]) -> None:
        """Search until the time is over, nothing is left to try, or `wanted` good ones are there.

        `told` gets (seconds, words) now and then.
        """
        self._power_on()
        last = 0.0
        while self.elapsed < self.seconds:
            if self.elapsed - last > 0.25:
                last = self.elapsed
                told((last, self._words()))
            good = sum(node.worth >= GOOD and self.count(node) > 1 for node in self.nodes)
            if good >= wanted and self.elapsed > self.least:
                return
            node = self._choose()
            if node is None:
                return
            self._try(node)
            self._judge()

    def _words(self) -> str:
        best = max((len(node.acts) for node in self.nodes), default=0)
        return f"{len(self.nodes)} states, {best} buttons act"

    def _power_on(self) -> None:
        """Wait some seconds without a button: the first states to go on from."""
        self.switched_on, steps = self.machine.save(), 0
        for until in FIRST_LOOKS:
            for _ in range(until - steps):
                frame = self.machine.step()
            steps = until
            state = self.machine.save()
            waited = WAITS if _cell(frame) in self.cells else 0  # the next looks wait as well
            self._keep(state, (wait(until),), frame, waited)
            self.machine.restore(state)
            if self.elapsed > self.seconds / 2:
                return

    def _keep(self, state: bytes, way: tuple[Move, ...], frame: Frame, waited: int = 0) -> None:
        """Take up a state, with the buttons that act in it, now or a little later."""
        self.cells.add(_cell(frame))
        best = (-1, state, way, frame, {})
        for pause in (0, SETTLE):
            for _ in range(pause):
                frame = self.machine.step()
            if pause:
                state, way = self.machine.save(), (*way, wait(pause))
            acts = self.judge.probe(state)
            count = len(set(acts) & self.play_buttons) + len(at_once(acts)) / 100
            if count > best[0]:
                best = (count, state, way, frame, acts)
            if count >= 2:
                break
            self.machine.restore(state)
        count, state, way, frame, acts = best
        scene, moves = self._scene(coarse(frame), acts), all_moves(self.buttons, self.rng)
        node = Node(state, way, frame, scene, moves, acts, waited=waited)
        self.acted |= set(acts)
        self.nodes.append(node)
        if self.reached is None and self.count(node) >= 2:
            self.reached = self.elapsed
        if count >= 1:
            self.pending.append(node)
            self._judge()
        if len(self.nodes) * len(state) > MEMORY:
            self.nodes.remove(min(self.nodes, key=lambda n: (n.worth, len(n.acts), -n.tried)))

    def _judge(self) -> None:
        """Judge the most promising state that waits for it, but for half of the time at most."""
        begin = time.monotonic()
        if self.pending and self.judging <= self.elapsed / 2:
            node = max(self.pending, key=lambda node: (self.count(node), len(node.acts)))
            self.pending.remove(node)
            node.worth = self.judge.worth(node.state)
            self.judging += time.monotonic() - begin

    def _choose(self) -> Node | None:
        """A state to go on from; None: no move is left.

        First a scene: rather one that answers, and one not tried much. Of its states every other
        time the last: where they look alike, what differs is how long was waited.
        """
        scenes: dict[int, list[Node]] = {}
        for node in self.nodes:
            scenes.setdefault(node.scene, []).append(node)
        choices, weights = [], []
        for nodes in scenes.values():
            left = [node for node in nodes if node.moves is not None]
            if left:
                chance = max(len(n.acts) / len(self.buttons) + n.worth for n in nodes)
                tried = sum(node.tried for node in nodes)
                choices.append(left)
                weights.append((UNKNOWN + chance) / (1 + tried / PATIENCE))
        if not choices:
            return None
        left = choices[self.rng.choice(len(choices), p=np.array(weights) / sum(weights))]
        if self.rng.random() < 0.5:
            return max(left, key=lambda node: node.steps)
        return left[self.rng.integers(len(left))]

    def _scene(self, cell: np.ndarray, acts: Acts) -> int:
        """The number of the scene a state belongs to: those that look and answer alike."""
        for number, (first, answers) in enumerate(self.scenes):
            same = answers == set(acts) and first.shape == cell.shape
            if same and (first != cell).mean() < ALIKE:
                return number
        self.scenes.append((cell, set(acts)))
        return len(self.scenes) - 1

    def _try(self, node: Node) -> None:
        """Make the next move from a state, and keep where it leads if that is new."""
        move = next(node.moves, None)
        node.tried += 1
        if move is None:
            node.moves, node.quiet, node.quiet_state = None, [], b""
            return
        quiet = self._quiet(node, move.steps)
        self.machine.restore(node.state)
        differs, done, frame = False, 0, node.frame
        for pressed, steps in move.presses:
            for _ in range(steps):
                frame = self.machine.step(pressed)
                differs |= self.machine.digest != quiet[done]
                done += 1
        if differs:
            self.acted |= {move.name} & set(self.buttons)
        new = _cell(frame) not in self.cells
        if not new and not (move.waits and node.waited < WAITS):
            return
        if differs or move.waits:
            waited = 0 if new else node.waited + 1
            self._keep(self.machine.save(), (*node.way, move), frame, waited)

    def _quiet(self, node: Node, steps: int) -> list[int]:
        """Digests of so many steps of waiting in a state, at least; they are kept."""
        if len(node.quiet) < steps:
            self.machine.restore(node.quiet_state or node.state)
            while len(node.quiet) < steps:
                self.machine.step()
                node.quiet.append(self.machine.digest)
            node.quiet_state = self.machine.save()
        return node.quiet


def _cell(frame: Frame) -> bytes:
    """A frame so coarse that what twinkles makes no new one."""
    return coarse(frame).tobytes()
