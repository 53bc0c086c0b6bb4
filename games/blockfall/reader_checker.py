"""Is a sequence of Blockfall's screens legal? Follows the game by what `reader.py` reads, knowing
no buttons.

A single screen cannot tell the falling piece from the stack, nor a piece that lies from one that
has locked. So the checker keeps every guess (see reader_well.py) that explains the screens so far.
At each step a guess lives on in all that the rules allow the next screen to be; a screen that no
guess allows is a fault. Timers are hardly judged: a dream may lock a little early, but not hang for
twice as long as the game can.

After a fault the screen shown counts as true, so that one fault is not counted for ever. The
guesses from before it also live on for AGE steps, so that a fault of one screen is not counted
again when it heals. What a screen alone shows to be wrong (a cell, digit, still cell or NEXT
without a legal picture, a level that does not fit the lines) counts in every screen that shows it.
"""

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_SPEC = importlib.util.spec_from_file_location(
    "blockfall_well", Path(__file__).resolve().parent / "reader_well.py"
)
well = importlib.util.module_from_spec(_SPEC)  # the folders of games are no packages
_SPEC.loader.exec_module(well)

AGE = 3
POINTS = (0, 10, 30, 60, 100)
MAX_SCORE, MAX_LINES, MAX_LEVEL, LINES_PER_LEVEL = 65530, 999, 15, 5
REASONS = (
    *well.REASONS,  # "next" also: unreadable, changed without a spawn, or out of mode A's order
    "cell",  # a cell of the well that shows no legal picture
    "digit",  # unreadable, or not what the clears so far make of it
    "static",  # a still cell is wrong, or the mode's letter unreadable or changed
    "text",  # the panel says neither PAUSED nor GAME OVER nor nothing
)
EVENTS = (
    "shift_left",
    "shift_right",
    "rotate_left",
    "rotate_right",
    "rotate",
    "lock",
    "spawn",
    "clear",
    "game_over",
)


class Verdict(NamedTuple):
    """`reasons` (of REASONS) are empty for a legal screen; `events` (of EVENTS) as in Checker."""

    reasons: tuple[str, ...]
    events: frozenset[str]


def scored(numbers: tuple[int, int, int], vanished: int) -> tuple[int, int, int]:
    """(score, lines, level) after `vanished` rows."""
    lines = min(MAX_LINES, numbers[1] + vanished)
    level = min(MAX_LEVEL, lines // LINES_PER_LEVEL) if vanished else numbers[2]
    return min(MAX_SCORE, numbers[0] + POINTS[vanished]), lines, level


class Checker:
    """Judges one sequence: `step` with one read a step of an unattended dream, or of the real game.

    Events, all as the screens show them: "shift_left" and "shift_right" (the piece stands a column
    further), "rotate_left", "rotate_right" (anticlockwise and clockwise) and "rotate" (a turn of a
    piece of two pictures, which looks alike either way), "lock" (the piece turns out to be part of
    the stack: the next one comes, rows show full or the game ends), "spawn" (a new piece comes),
    "clear" (full rows begin to show) and "game_over". A screen with a fault in the well shows none,
    nor does the first.
    """

    def __init__(self) -> None:
        names, order = well.PIECES["names"], well.PIECES["mode_a_order"]
        self.after = {names.index(order[i - 1]): names.index(name) for i, name in enumerate(order)}
        self.guesses: list[Any] = []
        # What NEXT and the numbers may have been: several after a fault, empty where nothing is
        # known.
        self.nexts: set[int] = set()
        self.numbers: set[tuple[int, int, int]] = set()
        self.mode: int | None = None

    def step(self, read: dict[str, Any]) -> Verdict:
        """Judge the next screen, a dict of `Reader.read`."""
        reasons = [] if read["static_ok"] else ["static"]
        if read["scene"] is None:
            self._age()
            return Verdict((*reasons, "scene"), frozenset())
        if read["mode"] is None or (
            read["scene"] != "title" and self.mode not in (None, read["mode"])
        ):
            reasons.append("static")
        self.mode = self.mode if read["mode"] is None else read["mode"]
        if read["scene"] == "title":
            if any(guess.phase != "title" for guess in self.guesses):
                reasons.append("scene")
            # may choose another
            self.guesses, self.mode = [well.Guess("title", np.zeros(200, np.int8))], None
            self.nexts, self.numbers = set(), set()
            return Verdict(tuple(dict.fromkeys(reasons)), frozenset())
        if read["paused"] is None:
            reasons.append("text")
        move, fault = self._follow(read)
        reasons += [fault] * bool(fault) + self._hud(move, read)
        self._remember(move, read)
        return Verdict(tuple(dict.fromkeys(reasons)), move.events if move else frozenset())

    def _age(self) -> None:
        self.guesses = [
            guess._replace(age=guess.age + 1) for guess in self.guesses if guess.age < AGE
        ]

    def _follow(self, read: dict[str, Any]) -> tuple[Any, str]:
        """What happened in the well: the move of the best guess that goes on, or None and the
        fault.
        """
        board = read["board"].ravel()
        broken = (
            "cell"
            if (board < 0).any()
            else "board"
            if (board == well.CLEAR).sum() != 10 * len(read["clearing"])
            else ""
        )
        if broken:
            self._age()
            return None, broken
        if self.guesses:
            moves = [
                move
                for guess in self.guesses
                for move in well.moves(guess, read, board, self.nexts)
            ]
        else:
            moves = [well.Move(guess) for guess in well.split(read, board)]
        if not moves:
            fault = min(
                (well.why_not(guess, read, board) for guess in self.guesses), key=well.REASONS.index
            )
            self._age()
            self.guesses += well.split(read, board)
            return None, fault
        # NEXT and the numbers say what happened too: keep the moves that they confirm.
        faults = [len(self._hud(move, read)) for move in moves]
        moves = [move for move, count in zip(moves, faults, strict=True) if count == min(faults)]
        self.guesses = [move.guess for move in moves]
        return moves[0], ""

    def _expected(self, move: Any) -> tuple[set[int], set[tuple[int, int, int]]]:
        """What NEXT and the numbers may show after `move` (None: after anything); empty: no matter
        what.
        """
        if move is None:
            return set(), (
                {scored(n, vanished) for n in self.numbers for vanished in range(5)} | {(0, 0, 0)}
                if self.numbers
                else set()
            )
        nexts = self.nexts
        if move.spawned is not None:
            nexts = {self.after[move.spawned]} if self.mode == 0 else set()
        return nexts, (
            {(0, 0, 0)} if move.new_game else {scored(n, move.vanished) for n in self.numbers}
        )

    def _hud(self, move: Any, read: dict[str, Any]) -> list[str]:
        """Faults of NEXT and of the numbers."""
        nexts, numbers = self._expected(move)
        reasons = []
        if read["next"] is None or (nexts and read["next"] not in nexts):
            reasons.append("next")
        shown = (read["score"], read["lines"], read["level"])
        if (
            None in shown
            or (numbers and shown not in numbers)
            or shown[2] != min(MAX_LEVEL, shown[1] // LINES_PER_LEVEL)
            or shown[0] % 10
        ):
            reasons.append("digit")
        return reasons

    def _remember(self, move: Any, read: dict[str, Any]) -> None:
        """Keep what NEXT and the numbers show; where that was a fault, also what they should have
        shown.
        """
        faults = self._hud(move, read)
        nexts, numbers = self._expected(move)
        if move is None:
            nexts, numbers = self.nexts, self.numbers
        shown = (read["score"], read["lines"], read["level"])
        self.nexts = nexts if "next" in faults or move is None else set()
        self.nexts = self.nexts | ({read["next"]} - {None})
        if "digit" not in faults:
            self.numbers = {shown}
        else:  # bounded: of a row of faults only the last few count
            self.numbers = set(list(numbers)[:4]) | ({shown} if None not in shown else set())
