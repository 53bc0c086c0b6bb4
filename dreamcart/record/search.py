"""The search for start states: which moves are tried from where, and what a state is worth.

States are kept as a search keeps them: whatever a move reaches that was not seen before is a place
to go on from. A move counts where it shows something that waiting would not: the same state is
let run without buttons beside it, so that no animation is taken for an answer.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from dreamcart.data.scripts import MENU_BUTTONS
from dreamcart.games.retro import LEFT_OUT
from dreamcart.record.machine import Frame, Machine

DIRECTIONS = ("UP", "DOWN", "LEFT", "RIGHT")
OPPOSITE = ({"UP", "DOWN"}, {"LEFT", "RIGHT"})
RESET = {"RESET"}  # no button of play; an Atari begins its games by it
SECOND = 30  # steps
FIRST_LOOKS = (30, 60, 90, 150, 240, 360, 600)  # steps of waiting after power-on
PROBE = 2  # steps within which a button has to change the screen
SETTLE = 20  # steps: a state is looked at now and a little later
PLAYS, PLAY_STEPS, PLAY_LOOK = 5, 60, 12  # random plays that judge a state, and looks at each
RANDOM_MOVES = 12  # from one state
MEMORY = 2**27  # bytes of states that are kept
GOOD = 0.75  # worth: the search ends early at a third of its time
WAITS = 3  # that may follow each other without anything new

Press = tuple[tuple[str, ...], int]  # buttons held, for so many steps


@dataclass(frozen=True)
class Move:
    """What is pressed, under a name for people."""

    name: str
    presses: tuple[Press, ...]

    @property
    def steps(self) -> int:
        return sum(steps for _, steps in self.presses)


@dataclass
class Node:
    """A state to go on from, and the way to it from power-on."""

    state: bytes
    way: tuple[Move, ...]
    frame: Frame
    moves: Iterator[Move]
    acts: frozenset[str] = frozenset()  # buttons that change the screen within PROBE steps
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
        self.play_buttons = [b for b in self.buttons if b not in MENU_BUTTONS | RESET]
        self.nodes: list[Node] = []
        self.cells: set[bytes] = set()
        self.acted: set[str] = set()
        self.begin = time.monotonic()
        self.switched_on = b""

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
        """How many buttons of play act in a state."""
        return len(node.acts & set(self.play_buttons))

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
            if good >= wanted and self.elapsed > self.seconds / 3:
                return
            node = self._choose()
            if node is None:
                return
            self._try(node)

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
            self._keep(state, (_wait(until),), frame)
            self.machine.restore(state)
            if self.elapsed > self.seconds / 2:
                return

    def _keep(self, state: bytes, way: tuple[Move, ...], frame: Frame, waited: int = 0) -> None:
        """Take up a state, with the buttons that act in it, now or a little later."""
        self.cells.add(_cell(frame))
        best = (-1, state, way, frame, frozenset())
        for pause in (0, SETTLE):
            for _ in range(pause):
                frame = self.machine.step()
            if pause:
                state, way = self.machine.save(), (*way, _wait(pause))
            acts = self.probe(state)
            count = len(acts & set(self.play_buttons))
            if count > best[0]:
                best = (count, state, way, frame, acts)
            if count > 1:
                break
            self.machine.restore(state)
        count, state, way, frame, acts = best
        node = Node(state, way, frame, self._moves(), acts, waited=waited)
        self.acted |= acts
        self.nodes.append(node)
        if count:
            node.worth = self.judge(state)
        if len(self.nodes) * len(state) > MEMORY:
            self.nodes.remove(min(self.nodes, key=lambda n: (n.worth, len(n.acts), -n.tried)))

    def probe(self, state: bytes, buttons: list[str] | None = None) -> frozenset[str]:
        """The buttons that, held from `state`, show something else than none within PROBE steps."""
        quiet = self._trail(state, ())
        buttons = self.buttons if buttons is None else buttons
        return frozenset(b for b in buttons if self._trail(state, (b,)) != quiet)

    def _trail(self, state: bytes, pressed: tuple[str, ...]) -> list[int]:
        self.machine.restore(state)
        digests = []
        for _ in range(PROBE):
            self.machine.step(pressed)
            digests.append(self.machine.digest)
        return digests

    def judge(self, state: bytes) -> float:
        """What a state is worth as a start of play, 0 to 1.

        Random plays from it: at how many moments directions and another button act, and how many
        of the plays are at different screens at the same time. A menu has few of those, a film one.
        """
        acting, ends = [], []
        for number in range(PLAYS):
            self.machine.restore(state)
            digests = []
            for step, pressed in enumerate(self._random_play(PLAY_STEPS)):
                if number < 2 and step % PLAY_LOOK == 0:
                    here = self.machine.save()
                    acting.append(_share(self.probe(here, self.play_buttons)))
                    self.machine.restore(here)
                self.machine.step(pressed)
                digests.append(self.machine.digest)
            ends.append((digests[PLAY_STEPS // 2], digests[-1]))
        apart = np.mean([len(set(column)) - 1 for column in zip(*ends, strict=True)]) / (PLAYS - 1)
        return float(np.mean(acting) * (0.2 + 0.8 * apart))

    def _random_play(self, steps: int, buttons: list[str] | None = None) -> list[tuple[str, ...]]:
        """Random holds of one or two buttons, one entry a step."""
        buttons, held = buttons or self.play_buttons, []
        while len(held) < steps:
            count = int(self.rng.choice([0, 1, 2], p=[0.2, 0.6, 0.2]))
            chosen = self.rng.choice(buttons, min(count, len(buttons)), replace=False)
            held += [tuple(map(str, chosen))] * int(self.rng.integers(2, 12))
        return held[:steps]

    def _choose(self) -> Node | None:
        """A state to go on from: rather one that answers, and one not tried much; None: no move
        is left.
        """
        if self.nodes:
            answers = [len(node.acts) / len(self.buttons) + node.worth for node in self.nodes]
            tried = [node.tried for node in self.nodes]
            weights = (0.3 + np.array(answers)) / (1 + np.array(tried) / 4)
            weights *= [node.moves is not None for node in self.nodes]
            if weights.any():
                return self.nodes[self.rng.choice(len(weights), p=weights / weights.sum())]
        return None

    def _try(self, node: Node) -> None:
        """Make the next move from a state, and keep where it leads if that is new."""
        move = next(node.moves, None)
        node.tried += 1
        if move is None:
            node.moves, node.quiet, node.quiet_state = None, [], b""
            return
        if move.name == "random":
            move = self._random_move()
        quiet = self._quiet(node, move.steps)
        self.machine.restore(node.state)
        differs, done, frame = False, 0, node.frame
        for pressed, steps in move.presses:
            for _ in range(steps):
                frame = self.machine.step(pressed)
                differs |= self.machine.digest != quiet[done]
                done += 1
        waiting = not any(pressed for pressed, _ in move.presses)
        new = _cell(frame) not in self.cells
        if not new and not (waiting and node.waited < WAITS):
            return
        if differs or waiting:
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

    def _random_move(self) -> Move:
        """Two seconds of random holds, of all buttons in half of the cases."""
        buttons = self.buttons if self.rng.random() < 0.5 else self.play_buttons
        held = self._random_play(2 * SECOND, buttons)
        presses = [(pressed, len(list(same))) for pressed, same in itertools.groupby(held)]
        return Move("random", tuple(presses))

    def _moves(self) -> Iterator[Move]:
        """All moves from a state: short ones first, with random play in between."""
        plain = [b for b in self.buttons if b not in DIRECTIONS]
        menu = [b for b in plain if b in MENU_BUTTONS | RESET]
        first = [*menu, *(b for b in plain if b not in menu)]  # a title wants START
        pairs = [p for p in itertools.combinations(self.buttons, 2) if set(p) not in OPPOSITE]
        both = [p for p in pairs if not set(p) & set(DIRECTIONS)]
        rest = [p for p in pairs if p not in both]
        random = Move("random", ((), 0))
        yield from (_held((b,), 3, SECOND) for b in first)
        yield _wait(2 * SECOND)
        yield random
        yield from (_held(pair, SECOND // 2, SECOND // 2) for pair in both)
        yield from (_held((b,), 3, SECOND // 2) for b in DIRECTIONS if b in self.buttons)
        yield _wait(5 * SECOND)
        yield from itertools.repeat(random, 3)
        yield from (Move(f"{b} again and again", (((b,), 3), ((), 12)) * 5) for b in first)
        yield from (_held((b,), 3 * SECOND, SECOND // 2) for b in self.buttons)
        yield from (_held(pair, 3 * SECOND, SECOND // 2) for pair in both)
        yield from itertools.repeat(random, 4)
        yield from (_held(pair, SECOND // 2, SECOND // 2) for pair in rest)
        yield from itertools.repeat(random, RANDOM_MOVES - 8)


def _wait(steps: int) -> Move:
    return Move("wait", (((), steps),))


def _held(buttons: tuple[str, ...], steps: int, after: int) -> Move:
    """Hold buttons, then let go and see what comes of it."""
    return Move("+".join(buttons), ((buttons, steps), ((), after)))


def _share(acts: frozenset[str]) -> float:
    """How much of play answers at a moment: two directions, and one other button."""
    directions = len(acts & set(DIRECTIONS))
    return 0.7 * min(1.0, directions / 2) + 0.3 * bool(len(acts) > directions)


def _cell(frame: Frame) -> bytes:
    """A frame so coarse that what twinkles makes no new one: means of 8 × 8 pixels, 16 levels."""
    height, width = (side // 8 * 8 for side in frame.shape[:2])
    grey = frame[:height, :width].mean(2, dtype=np.float32)
    means = grey.reshape(height // 8, 8, width // 8, 8).mean((1, 3))
    return (means / 16).astype(np.uint8).tobytes()
