"""What may happen in Blockfall's well from one screen to the next, without knowing the buttons.

A *guess* says what may stand behind a screen: which cells are locked, which piece falls.
`reader_checker.py` keeps all guesses that explain the screens so far. The well's cells are flat
here: y * 10 + x.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PIECES = json.loads((Path(__file__).resolve().parent / "pieces.json").read_text())
CLEAR = 8  # a cell of a full row, see reader.py
# steps without a piece before one must come: 2 in the game, after rows have vanished
EMPTY_STEPS = 4
# steps in which nothing falls: 12 in the game, the slowest lock and the delay after it
STILL_STEPS = 24

# Why no guess allows a screen, the mildest first: of several guesses' reasons the mildest counts.
REASONS = (
    "frozen",  # the piece hangs where it is, or full rows do not vanish, for too long
    "next",  # the new piece is not the one that NEXT showed
    "jump",  # a whole piece, but not one that the last could have become in one step
    "half piece",  # beside the locked cells there is something, but not one whole piece
    "piece outside",  # the piece is cut off by the edge of the well
    "piece gone",  # nothing falls where something must
    # locked cells changed, wrong stack after a clear, wrong place or time of a lock, full rows that
    # stay
    "board",
    "scene",  # a scene that cannot follow
)


class Placement(NamedTuple):
    """A piece in the well, with its cells in rising order."""

    kind: int
    rot: int
    x: int
    y: int
    cells: tuple[int, ...]


class Guess(NamedTuple):
    """What may stand behind a screen.

    phase: "title", "fall" (a piece shows, locked already or not), "clear" (full rows show), "entry"
        (no piece shows) or "over".
    locked: int8 [200].
    age: steps since a screen last agreed.
    waited: steps, pauses not counted, since something fell or the phase began.
    """

    phase: str
    locked: np.ndarray
    piece: Placement | None = None
    age: int = 0
    waited: int = 0

    def merged(self) -> np.ndarray:
        """The locked cells and the piece, int8 [200]."""
        board = self.locked.copy()
        if self.piece:
            board[list(self.piece.cells)] = self.piece.kind + 1
        return board


class Move(NamedTuple):
    """What a guess may have become, and what happened on the way (events as in
    reader_checker.py).
    """

    guess: Guess
    events: frozenset[str] = frozenset()
    vanished: int = 0
    spawned: int | None = None
    new_game: bool = False


def _placements() -> tuple[dict[tuple[int, ...], Placement], set[tuple[int, tuple[int, ...]]]]:
    """All placements in the well, by their cells; (type, visible cells) of those that stick out of
    it.
    """
    whole, outside = [], set()
    for kind, turns in enumerate(PIECES["cells"]):
        for rot, turn in enumerate(turns):
            for x, y in np.ndindex(13, 23):
                at = [(x - 3 + dx, y - 3 + dy) for dx, dy in turn]
                cells = tuple(
                    sorted(10 * cy + cx for cx, cy in at if 0 <= cx < 10 and 0 <= cy < 20)
                )
                if len(cells) == 4:
                    whole.append(Placement(kind, rot, x - 3, y - 3, cells))
                elif cells:
                    outside.add((kind, cells))
    return {place.cells: place for place in sorted(whole, key=lambda p: p.y)}, outside


PLACES, OUTSIDE = _placements()
AT = np.array(list(PLACES))  # [N, 4], highest first
SHOWN = np.array([place.kind + 1 for place in PLACES.values()], np.int8)
SPAWNS = [
    PLACES[tuple(sorted(10 * dy + PIECES["spawn"][0] + dx for dx, dy in turns[0]))]
    for turns in PIECES["cells"]
]


def full_rows(board: np.ndarray, value: int | None = None) -> list[int]:
    """Rows in which every cell is filled, with `value` if given."""
    rows = board.reshape(20, 10)
    return np.flatnonzero((rows == value if value else rows != 0).all(1)).tolist()


def collapsed(board: np.ndarray, rows: list[int]) -> np.ndarray:
    """The stack after `rows` have vanished."""
    return np.concatenate(
        [np.zeros(10 * len(rows), np.int8), np.delete(board.reshape(20, 10), rows, axis=0).ravel()]
    )


def rests(piece: Placement, locked: np.ndarray) -> bool:
    """Is the way down blocked?"""
    return any(cell >= 190 or locked[cell + 10] for cell in piece.cells)


def near(one: Placement, other: Placement, slack: int) -> bool:
    """May `one` be `other` a step and `slack` more steps later?"""
    turns = len(PIECES["cells"][one.kind])
    turn = (other.rot - one.rot) % turns
    far = max(abs(other.x - one.x), other.y - one.y, min(turn, turns - turn))
    return one.kind == other.kind and other.y >= one.y and far <= 1 + slack


def added_piece(board: np.ndarray, locked: np.ndarray) -> Placement | None:
    """The one whole piece by which `board` exceeds `locked`, if that is all."""
    cells = np.flatnonzero(board != locked)
    piece = PLACES.get(tuple(cells.tolist())) if len(cells) == 4 else None
    return (
        piece
        if piece and not locked[cells].any() and (board[cells] == piece.kind + 1).all()
        else None
    )


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.tobytes() == other.tobytes()


def split(read: dict[str, Any], board: np.ndarray) -> list[Guess]:
    """All guesses that one screen alone allows."""
    if read["scene"] == "game_over":
        return [Guess("over", board)]
    if read["clearing"]:
        return [Guess("clear", board)]
    guesses = []
    for cells in AT[(board[AT] == SHOWN[:, None]).all(1)]:
        locked = board.copy()
        locked[cells] = 0
        guesses.append(Guess("fall", locked, PLACES[tuple(cells.tolist())]))
    return [*guesses, Guess("entry", board)]


def moves(guess: Guess, read: dict[str, Any], board: np.ndarray, nexts: set[int]) -> list[Move]:
    """All that `guess` may have become if `read` is the next screen: none where it cannot be.

    Args:
        board: the read's board, int8 [200] without -1.
        nexts: types that the next piece may have; empty where nothing is known.
    """
    if guess.phase in ("title", "over") and read["scene"] == "play":
        first = {PIECES["names"].index(PIECES["mode_a_order"][0])} if read["mode"] == 0 else set()
        found = _spawned(guess._replace(locked=np.zeros(200, np.int8)), board, first, set())
        return [move._replace(new_game=True) for move in found]
    if guess.phase == "title":
        return []
    if read["paused"] and not guess.age:  # frozen: exactly the screen before
        return [Move(guess)] if same(board, guess.merged()) else []
    if read["scene"] == "game_over":
        return _ended(guess, board, nexts)
    if guess.phase == "clear":
        if read["clearing"]:
            still = same(board, guess.locked) and guess.waited < STILL_STEPS
            return [Move(guess._replace(age=0, waited=guess.waited + 1))] if still else []
        rows = full_rows(guess.locked, CLEAR)
        after = Guess("entry", collapsed(guess.locked, rows), age=guess.age)
        return [move._replace(vanished=len(rows)) for move in moves(after, read, board, nexts)]
    if guess.phase == "entry":
        if same(board, guess.locked) and guess.waited < EMPTY_STEPS:
            return [Move(guess._replace(age=0, waited=guess.waited + 1))]
        return _spawned(guess, board, nexts, set())
    return _filled(guess, read, board) if read["clearing"] else _fallen(guess, board, nexts)


def _spawned(guess: Guess, board: np.ndarray, kinds: set[int], events: set[str]) -> list[Move]:
    """A new piece on top of the guess's locked cells."""
    piece = added_piece(board, guess.locked)
    if not piece or full_rows(guess.locked) or (kinds and piece.kind not in kinds):
        return []
    if not near(SPAWNS[piece.kind], piece, guess.age - 1):
        return []
    return [
        Move(Guess("fall", guess.locked, piece), frozenset(events | {"spawn"}), spawned=piece.kind)
    ]


def _ended(guess: Guess, board: np.ndarray, nexts: set[int]) -> list[Move]:
    """Game over: the stack as it was, and the next piece does not fit."""
    merged = guess.merged()
    if guess.phase == "clear" or not same(board, merged):
        return []
    if guess.phase == "over":
        return [Move(guess._replace(age=0))]
    blocked = any(merged[list(SPAWNS[kind].cells)].any() for kind in nexts or range(7))
    if not blocked or (guess.piece and not rests(guess.piece, guess.locked)):
        return []
    return [
        Move(
            Guess("over", merged),
            frozenset({"game_over", "lock"} if guess.piece else {"game_over"}),
        )
    ]


def _steered(one: Placement, other: Placement) -> set[str]:
    """Which way it was shifted and turned; a piece of two pictures looks alike either way."""
    turns = len(PIECES["cells"][one.kind])
    turn = (other.rot - one.rot) % turns
    events = set()
    if other.x != one.x:
        events.add("shift_right" if other.x > one.x else "shift_left")
    if turn:
        events.add(
            "rotate" if turns == 2 else "rotate_left" if turn == turns - 1 else "rotate_right"
        )
    return events


def _fallen(guess: Guess, board: np.ndarray, nexts: set[int]) -> list[Move]:
    """The piece moved or stayed, or it became part of the stack as the next one came."""
    piece = added_piece(board, guess.locked)
    if piece:
        waited = guess.waited + 1 if piece.y == guess.piece.y else 0
        step = Move(
            Guess("fall", guess.locked, piece, waited=waited),
            frozenset(_steered(guess.piece, piece)),
        )
        return [step] if near(guess.piece, piece, guess.age) and waited <= STILL_STEPS else []
    if not rests(guess.piece, guess.locked):
        return []
    return _spawned(Guess("entry", guess.merged(), age=guess.age), board, nexts, {"lock"})


def _filled(guess: Guess, read: dict[str, Any], board: np.ndarray) -> list[Move]:
    """The piece locked where it was, or a turn or a column from there, and filled just the rows
    that show.
    """
    old = guess.piece
    reached = [p for p in PLACES.values() if near(old, p, guess.age) and p.y <= old.y + guess.age]
    for piece in sorted(reached, key=lambda p: (p.y, abs(p.x - old.x), p.rot != old.rot)):
        if guess.locked[list(piece.cells)].any() or not rests(piece, guess.locked):
            continue
        merged = guess._replace(piece=piece).merged()
        rows = full_rows(merged)
        merged.reshape(20, 10)[rows] = CLEAR
        if rows == read["clearing"] and same(board, merged):
            return [
                Move(Guess("clear", board), frozenset({"lock", "clear"} | _steered(old, piece)))
            ]
    return []


def why_not(guess: Guess, read: dict[str, Any], board: np.ndarray) -> str:
    """Why `moves` found nothing: one of REASONS."""
    over, locked, piece = read["scene"] == "game_over", guess.locked, guess.piece
    if guess.phase == "title":
        return "scene" if over else "board"
    if (guess.phase == "over") != over and (guess.phase == "over" or same(board, guess.merged())):
        return "scene"
    if read["clearing"]:
        return "frozen" if same(board, locked) else "board"
    if guess.phase == "clear":
        locked = collapsed(locked, full_rows(locked, CLEAR))
    if ((locked != 0) & (board != locked)).any():
        return "board"
    cells = tuple(np.flatnonzero(board != locked).tolist())
    if not cells:
        return "piece gone"
    kinds = {int(board[cell]) - 1 for cell in cells}
    if len(kinds) == 1 and cells in PLACES and PLACES[cells].kind in kinds:
        if piece and near(piece, PLACES[cells], guess.age):
            return "frozen"
        return "next" if guess.phase == "entry" and PLACES[cells] in SPAWNS else "jump"
    if piece and len(cells) == 8:  # the old piece and a new one?
        for spawn in SPAWNS:
            old = PLACES.get(tuple(cell for cell in cells if cell not in spawn.cells))
            if (
                old
                and old.kind == piece.kind
                and same(board, Guess("", Guess("", locked, old).merged(), spawn).merged())
            ):
                # right place, rested, no row to clear: then only its type can be wrong
                fine = old == piece and rests(piece, locked) and not full_rows(guess.merged())
                return "next" if fine else "board"
    if len(kinds) == 1 and (*kinds, cells) in OUTSIDE:
        return "piece outside"
    return "half piece"
