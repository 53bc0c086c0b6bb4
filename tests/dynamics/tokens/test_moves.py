"""Moves: what recordings show a step to change, and that a dream changes nothing else."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toys.synthetic import BUTTONS
from toys.walk import in_doubt, make_model, plain_layout, record, some_state

from dreamcart.dynamics.base import load_dynamics, save_dynamics
from dreamcart.dynamics.layout import find_layout
from dreamcart.dynamics.tokens.beliefs import Beliefs
from dreamcart.dynamics.tokens.known import Known
from dreamcart.dynamics.tokens.model import config_for
from dreamcart.dynamics.tokens.moves import MOST_CELLS, Moves, find_moves, groups_of, without_place

LEFT_OR_RIGHT = (-1, 1)


def walk(things: int, episodes: int = 20, heap: int = 0):
    """Bars of two cells, each in rows of its own, that go left or right by one each step; and at
    times a heap of `heap` random tokens appears or goes.
    """
    rng = np.random.default_rng(0)
    played = []
    for _ in range(episodes):
        x = rng.integers(2, 28, things)
        frames, pile = [], np.zeros(heap, np.int16)
        for step in range(40):
            frame = np.zeros((3 * things + 2, 30), np.int16)
            for number in range(things):
                frame[3 * number : 3 * number + 2, x[number]] = number + 1
            if heap and step % 25 == 0:
                pile = rng.integers(1, 90, heap).astype(np.int16)
            frame[-1, :heap] = pile
            frames.append(frame)
            x = np.clip(x + rng.choice(LEFT_OR_RIGHT, things), 1, 28)
        played.append((frames, np.zeros((39, len(BUTTONS)), np.uint8)))
    split, tokens = record(played)
    return (
        tokens,
        split.index,
        split.transitions,
        find_layout(tokens, split.index["frame"], split.transitions),
    )


def shapes(moves: Moves) -> set[tuple]:
    return {
        tuple(map(tuple, np.frombuffer(move, np.int16).reshape(-1, 4).tolist()))
        for move in Known(moves).moves
    }


LEFT = ((0, 0, 0, 1), (0, 1, 1, 0), (1, 0, 0, 1), (1, 1, 1, 0))
RIGHT = ((0, 0, 1, 0), (0, 1, 0, 1), (1, 0, 1, 0), (1, 1, 0, 1))


def test_one_thing_that_moves_has_two_moves():
    """Wherever it is: and half of it is none."""
    moves = find_moves(*walk(1))
    assert shapes(moves) == {LEFT, RIGHT}
    assert not moves.open.any()


def test_of_things_that_move_on_their_own_nothing_is_known():
    """The whole steps of four things are hardly ever the same."""
    moves = find_moves(*walk(4))
    assert not shapes(moves)
    assert moves.open.all()


def test_what_never_comes_twice_is_left_alone():
    """A heap of ten random cells: no change of that size is known, and none of it is impossible.

    Of nine cells there is none.
    """
    moves = find_moves(*walk(1, heap=10))
    assert {LEFT, RIGHT} <= shapes(moves)
    assert moves.open[10]
    assert not moves.open[4]
    assert not moves.open[30]


def test_one_episode_is_not_enough_to_know():
    moves = find_moves(*walk(1, episodes=1))
    assert not shapes(moves)
    assert moves.open[4]


def test_a_step_without_its_place():
    before, after = np.zeros((2, 2, 5, 6), np.int16)
    before[0, 3, 2:4], after[0, 2, 3:5] = 7, 7
    groups = groups_of(before, after)
    assert [step for step, _ in groups] == [0]
    assert without_place(groups[0][1]).tolist() == [
        [0, 0, 0, 7],
        [0, 1, 0, 7],
        [1, -1, 7, 0],
        [1, 0, 7, 0],
    ]


@pytest.fixture
def known() -> Known:
    return Known(find_moves(*walk(1)))


def mended(
    known: Known,
    changed: dict[tuple[int, int], int],
    likes: dict[tuple[int, int, int], float],
    x: int = 10,
):
    """What becomes of a step that changes these cells, the bar being at column x, where the network
    likes some changes.
    """
    now = np.zeros((5, 30), np.int16)
    now[:2, x] = 1
    dream = now.copy()
    for (row, column), token in changed.items():
        dream[row, column] = token
    gains = np.full((5, 30, 3), -4.0, np.float32)
    gains[np.arange(5)[:, None], np.arange(30), now] = 0
    for place, gain in likes.items():
        gains[place] = gain
    gains[:, 0] = -np.inf  # these never change
    asked = []
    result = known.mend(now, dream, lambda: asked.append(1) or gains)
    return now, dream, result, bool(asked)


def test_a_known_move_stays(known):
    _, dream, result, asked = mended(known, {(0, 10): 0, (1, 10): 0, (0, 9): 1, (1, 9): 1}, {})
    assert np.array_equal(result, dream)
    assert not asked  # nothing is computed where nothing is wrong


def test_half_a_move_becomes_the_whole_one(known):
    """Three of the cells of a step to the left: the fourth follows, against what the network thinks
    of it alone.
    """
    likes = {(0, 10, 0): 5, (0, 9, 1): 5, (1, 9, 1): 5, (1, 10, 0): -3}
    now, _, result, _ = mended(known, {(0, 10): 0, (0, 9): 1, (1, 9): 1}, likes)
    assert result[:2, 8:12].tolist() == [[0, 1, 0, 0]] * 2
    assert (result[2:] == now[2:]).all()


def test_where_no_move_is_likely_nothing_changes(known):
    """A speck out of nothing goes; what did not change stays."""
    now, _, result, _ = mended(known, {(4, 20): 2}, {(4, 20, 2): 9})
    assert np.array_equal(result, now)


def test_a_move_needs_its_room(known):
    """At the left wall there is no place to go; nor does a move reach round the edge of the
    screen.
    """
    likes = {(y, x, t): gain for y in (0, 1) for x, t, gain in ((1, 0, 9), (29, 1, 9), (2, 1, -20))}
    now, _, result, _ = mended(known, {(0, 1): 0, (1, 1): 0}, likes, x=1)
    assert np.array_equal(result, now)


def test_large_changes_are_left_alone(known):
    changes = {(row, column): 2 for row in range(5) for column in range(1, 10)}
    assert len(changes) > MOST_CELLS
    _, dream, result, asked = mended(known, changes, {})
    assert np.array_equal(result, dream)
    assert not asked


@torch.inference_mode()
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_dream_makes_no_others_and_its_file_knows(temperature, tmp_path):
    """A network in doubt of everything, on a screen of 2 x 4 whose only moves are that its first
    row fills or empties.
    """
    torch.manual_seed(0)
    model = in_doubt(make_model(plain_layout(2, 4), 4))
    model.network.event[2].bias.data[0] = 20.0  # something always changes
    fills = [[0, column, 0, 1] for column in range(4)]
    table = torch.tensor([fills, [[y, x, new, old] for y, x, old, new in fills]], dtype=torch.int16)
    open_sizes = torch.zeros(MOST_CELLS + 1, dtype=torch.bool)
    model.set_moves(
        Moves(
            table[:, :, :2],
            table[:, :, 2],
            table[:, :, 3],
            open_sizes,
            torch.tensor(True),
            torch.tensor(True),
        )
    )
    own = SimpleNamespace(channels=8, blocks=1, history_frames=4, memory=16)
    config = config_for(model.layout, 4, len(BUTTONS), own) | {
        "moves": list(model.moves.old.shape),
        "apart": True,
    }
    save_dynamics(tmp_path / "dynamics.safetensors", model, config)
    again = load_dynamics(tmp_path / "dynamics.safetensors")
    state, action = some_state(model, 200, vocabulary=2)
    frames, _ = model.step(state, action, temperature, torch.Generator().manual_seed(0))
    known = Known(model.moves).moves
    groups = groups_of(state.frames[:, -1].numpy(), frames.numpy())
    assert all(without_place(group).tobytes() in known for _, group in groups)
    assert torch.equal(
        frames, again.step(state, action, temperature, torch.Generator().manual_seed(0))[0]
    )


@torch.inference_mode()
def test_what_was_drawn_is_kept():
    """In a game of chance the cell that was drawn decides which move it is, whatever the others
    thought.
    """
    model = make_model(plain_layout(1, 3), 4)
    zeros = torch.zeros(1, 1, 3, dtype=torch.int16)
    believed = Beliefs(zeros, zeros, torch.full((1, 1, 3), 9.0), torch.zeros(1, 1, 3, 8))
    # the middle cell: token 2, drawn
    gains = model._gains(believed, torch.tensor([[[0, 3, 0]]]), 0)
    assert gains.shape == (1, 3, 4)
    assert gains[0, 1].argmax() == 2
    assert gains[0, 1, [1, 3]].max() < -40
    assert (gains[0, :, 0] == 0).all()
    stays = model._gains(believed, torch.tensor([[[0, 1, 0]]]), 0)
    assert stays[0, 1, 1:].max() < -40


def plainly(known: Known, free: np.ndarray, undone: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """What `Known.likeliest` is to find, every move tried at every place."""
    best, after = 0.0, undone
    for line in known.table:
        line = line[line[:, 2] >= 0].astype(int)
        for y, x in np.argwhere(free == line[0, 2]):
            rows, columns = y + line[:, 0], x + line[:, 1]
            if (
                (rows >= 0).all()
                and (rows < len(free)).all()
                and (columns >= 0).all()
                and (columns < free.shape[1]).all()
            ):
                total = np.float32(0)
                for row, column, new in zip(rows, columns, line[:, 3], strict=True):
                    total += gain[row, column, new]
                if (free[rows, columns] == line[:, 2]).all() and total > best:
                    best, after = total, undone.copy()
                    after[rows, columns] = line[:, 3]
    return after


def some_moves(rng: np.random.Generator, moves: int = 60, cells: int = 5) -> Moves:
    """Moves of one to `cells` cells near one another, from and to any of five tokens; mostly from
    0.
    """
    offsets = torch.zeros(moves, cells, 2, dtype=torch.int16)
    old, new = torch.full((2, moves, cells), -1, dtype=torch.int16)
    for number in range(moves):
        own = rng.integers(1, cells + 1)
        places = rng.choice(9, own, replace=False)
        offsets[number, :own] = torch.from_numpy(np.stack([places // 3, places % 3 - 1], 1))
        old[number, :own] = torch.from_numpy(rng.integers(0, 5, own) * (rng.random(own) < 0.2))
        new[number, :own] = torch.from_numpy(rng.integers(0, 5, own))
    closed = torch.zeros(MOST_CELLS + 1, dtype=torch.bool)
    return Moves(offsets, old, new, closed, torch.tensor(True), torch.tensor(True))


@pytest.mark.parametrize("level", [-3.0, -1.5, 0.5])
def test_the_likeliest_move_is_found_without_trying_all(level):
    """Moves without hope are left out, and never the best one; of equal ones the first is taken."""
    rng = np.random.default_rng(0)
    known = Known(some_moves(rng))
    changed = 0
    for _ in range(10):
        now = np.zeros((14, 30), np.int16)
        for number in range(4):
            now[3 * number : 3 * number + 2, rng.integers(1, 29)] = number + 1
        free = np.where(rng.random(now.shape) < 0.02, -1, now)
        gain = (level + rng.normal(size=(14, 30, 5)) * 3).astype(np.float32).round(1)
        gain[rng.random(now.shape) < 0.1] = -np.inf
        np.put_along_axis(gain, now[:, :, None].astype(int), 0.0, 2)
        found = known.likeliest(free, now, gain)
        np.testing.assert_array_equal(found, plainly(known, free, now, gain))
        changed += (found != now).any()
    assert changed > 0
