"""A step that is several known moves at once: known too, though no recording shows just these
together.
"""

import numpy as np
import pytest
from toys.synthetic import BUTTONS
from toys.walk import record

from dreamcart.dynamics.layout import find_layout
from dreamcart.dynamics.tokens.apart import MOST_PIECES, pieces_of, unexplained
from dreamcart.dynamics.tokens.known import Known
from dreamcart.dynamics.tokens.moves import Moves, find_moves

BOX = slice(14, 16)  # columns
BAR, GUEST = 1, 2
GUEST_CELLS = {(0, 5): GUEST, (0, 6): GUEST}


def play(heap: int = 0, still: float = 0.3) -> Moves:
    """A bar of two cells goes left or right on a board or, a `still` share of the steps, stays; a
    guest of two cells comes or goes at the top, and a box beside shows another of three pictures
    just then. At times `heap` cells of the floor become random.
    """
    rng = np.random.default_rng(0)
    played = []
    for _ in range(100):
        x, guest, picture = int(rng.integers(1, 11)), False, 3
        frames, floor = [], np.zeros(heap, np.int16)
        for _ in range(60):
            frame = np.zeros((6, 16), np.int16)
            frame[2:4, x] = BAR
            frame[0, 5:7] = GUEST * guest
            frame[5, :heap] = floor
            frame[0:2, BOX] = picture
            frames.append(frame)
            if rng.random() >= still:
                x = int(np.clip(x + rng.choice((-1, 1)), 0, 11))
            if rng.random() < 0.06:
                guest, picture = (
                    not guest,
                    int(rng.choice([other for other in (3, 4, 5) if other != picture])),
                )
            if heap and rng.random() < 0.01:
                floor = rng.integers(6, 90, heap).astype(np.int16)
        played.append((frames, np.zeros((59, len(BUTTONS)), np.uint8)))
    split, tokens = record(played)
    return find_moves(
        tokens,
        split.index,
        split.transitions,
        find_layout(tokens, split.index["frame"], split.transitions),
    )


@pytest.fixture(scope="module")
def moves() -> Moves:
    return play()


def screen(x: int = 9, picture: int = 3, **more: dict[tuple[int, int], int]) -> np.ndarray:
    now = np.zeros((6, 16), np.int16)
    now[2:4, x] = BAR
    now[0:2, BOX] = picture
    for cell, token in more.get("cells", {}).items():
        now[cell] = token
    return now


def mended(
    moves: Moves,
    now: np.ndarray,
    dream: np.ndarray,
    doubts: dict[tuple[int, int, int], float] | None = None,
):
    """What becomes of a step that the network likes but for some `doubts`; nothing else it likes.

    And whether it was asked.
    """
    gains = np.full((6, 16, 90), -4.0, np.float32)
    np.put_along_axis(gains, now[:, :, None].astype(int), 0.0, 2)
    for cell in np.argwhere(now != dream):
        gains[(*cell, dream[tuple(cell)])] = 5
    for place, gain in (doubts or {}).items():
        gains[place] = gain
    asked = []
    return Known(moves).mend(now, dream, lambda: asked.append(1) or gains), bool(asked)


def test_several_known_moves_at_once_are_known(moves):
    """The bar at any distance while the guest comes: nothing is mended, and nothing computed."""
    assert bool(moves.apart)
    assert not moves.open.any()
    for x in range(1, 12):
        dream = screen(x - 1, picture=4, cells=GUEST_CELLS)
        result, asked = mended(moves, screen(x), dream)
        assert np.array_equal(result, dream)
        assert not asked


def test_in_an_older_file_a_step_is_one_move(moves):
    older = Moves(
        *(getattr(moves, name) for name in ("offsets", "old", "new", "open", "whole")),
        apart=Moves.empty().apart,
    )

    def alike(known: Moves, x: int) -> bool:
        dream = screen(x - 1, picture=4, cells=GUEST_CELLS)
        return np.array_equal(mended(known, screen(x), dream)[0], dream)

    assert all(alike(moves, x) for x in range(1, 12))
    # at some distance no recording shows both
    assert not all(alike(older, x) for x in range(1, 12))


def test_what_always_comes_together_comes_together(moves):
    """A guest without another picture: the picture follows.

    Where none is likely there is no guest either.
    """
    now, dream = screen(9), screen(9, cells=GUEST_CELLS)
    new = [(y, x, 4) for y in (0, 1) for x in (14, 15)]
    result, _ = mended(moves, now, dream, dict.fromkeys(new, -1.0))
    assert np.array_equal(result, screen(9, picture=4, cells=GUEST_CELLS))
    result, _ = mended(moves, now, dream)
    assert np.array_equal(result, now)


def test_half_a_move_beside_a_whole_one(moves):
    """Half a guest while the bar goes on: the guest comes whole, with its picture, and the bar goes
    where it would.
    """
    now, whole = screen(9), screen(8, picture=4, cells=GUEST_CELLS)
    dream = whole.copy()
    dream[0, 6] = 0
    result, asked = mended(moves, now, dream, {(0, 6, GUEST): -2})
    assert asked
    assert np.array_equal(result, whole)


def test_two_halves_become_two_moves(moves):
    now, whole = screen(9), screen(8, picture=4, cells=GUEST_CELLS)
    dream = whole.copy()
    dream[0, 6], dream[3, 8] = 0, 0
    result, _ = mended(moves, now, dream, {(0, 6, GUEST): -2, (3, 8, BAR): -2})
    assert np.array_equal(result, whole)


def test_what_is_often_new_stays_free_beside_known_moves():
    """A floor of ten random cells: so many that touch are free, also with a move; fewer are not."""
    moves = play(heap=10)
    assert np.flatnonzero(moves.open.numpy()).tolist()[-1] >= 9
    assert not moves.open[:5].any()
    now, dream = screen(9), screen(8)
    now[5, :10], dream[5, :10] = 6, np.arange(20, 30)
    result, asked = mended(moves, now, dream)
    assert np.array_equal(result, dream)
    assert not asked
    dream = screen(8)
    dream[5, 0:2] = 7  # two odd cells
    result, asked = mended(moves, screen(9), dream)
    assert asked
    assert np.array_equal(result, screen(8))


def test_what_known_moves_leave():
    """A bar of four that lies moves by its ends, which do not touch: together they are known, each
    alone is not.
    """
    ends = np.array([[0, 0, 0, 1], [0, 4, 1, 0]], np.int16)
    other = np.array([[3, 1, 0, 2], [3, 2, 0, 2]], np.int16)
    speck = np.array([[6, 6, 0, 9]], np.int16)

    def left(*groups: np.ndarray) -> list:
        def knows(group: np.ndarray) -> bool:
            return any(np.array_equal(group, one) for one in (ends, other))

        return [piece.tolist() for piece in unexplained(np.concatenate(groups), knows)]

    assert len(list(pieces_of(ends))) == 2
    assert left(ends, other) == []
    assert left(ends, other, speck) == [speck.tolist()]
    assert left(ends[:1], other) == [ends[:1].tolist()]
    many = np.array([[2 * k, 0, 0, 1] for k in range(MOST_PIECES + 1)], np.int16)
    assert len(left(many)) == MOST_PIECES + 1  # too many to be taken apart
