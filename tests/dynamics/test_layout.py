"""Where a game's picture lives: the window, and the backdrops behind it."""

import numpy as np
import pytest
import torch

from dreamcart.dynamics import layout as layouts
from dreamcart.dynamics.layout import Layout, find_layout, pack


def changing(cells: list[tuple[slice, slice]], shape: tuple[int, int] = (6, 8)) -> np.ndarray:
    """int [U, H, W]: one frame with each of these parts filled, after an empty one."""
    frames = np.zeros((len(cells) + 1, *shape), np.int16)
    for number, (rows, columns) in enumerate(cells):
        frames[number + 1, rows, columns] = number + 1
    return frames


def layout_of(frames: np.ndarray) -> Layout:
    """The layout of one episode that shows these frames one after another, and the first one again
    in between.
    """
    rows = np.stack([np.zeros(len(frames), int), np.arange(len(frames))], 1).flatten()
    return find_layout(frames, rows, np.arange(len(rows) - 1))


def test_rows_and_columns_that_never_change_are_dropped():
    """The window is what the network pays for, so still borders must not be in it."""
    frames = changing([(slice(2, 4), slice(3, 5)), (slice(4, 5), slice(3, 6))])
    found = layout_of(frames)
    np.testing.assert_array_equal(found.cells, np.arange(48).reshape(6, 8)[2:5, 3:6])
    assert found.mask.tolist() == [[True, True, False], [True, True, False], [True, True, True]]
    assert len(found.backdrops) == 1


def test_a_still_row_between_changing_ones_is_left_out():
    """Two lines of digits far apart need not drag along what lies between them."""
    found = layout_of(changing([(slice(0, 1), slice(0, 3)), (slice(5, 6), slice(0, 3))]))
    assert found.cells.tolist() == [[0, 1, 2], [40, 41, 42]]


def test_parts_are_stacked_where_that_is_smaller():
    """A tall board and a low panel beside it: one above the other they fill a smaller rectangle."""
    active = np.zeros((6, 8), bool)
    active[0:5, 0:3] = active[1:2, 5:8] = True
    assert pack(active).tolist() == [*np.arange(48).reshape(6, 8)[0:5, 0:3].tolist(), [13, 14, 15]]


def test_parts_stay_side_by_side_where_stacking_is_no_smaller():
    """Twins of equal height share their rows already."""
    active = np.zeros((6, 8), bool)
    active[0:5, 0:3] = active[0:5, 5:8] = True
    np.testing.assert_array_equal(
        pack(active), np.arange(48).reshape(6, 8)[0:5, [0, 1, 2, 5, 6, 7]]
    )


def test_a_narrower_part_is_filled_up_with_nothing():
    """Places without a cell are no cell: they change never, and show token 0."""
    active = np.zeros((6, 8), bool)
    active[0:5, 0:3] = active[1:2, 5:7] = True
    cells = pack(active)
    assert cells[-1].tolist() == [13, 14, -1]
    found = Layout(
        torch.from_numpy(cells),
        torch.from_numpy(cells >= 0),
        torch.full((1, 6, 8), 3, dtype=torch.int16),
    )
    assert found.window(torch.full((1, 6, 8), 7))[0, -1].tolist() == [7, 7, 0]
    whole = found.compose(torch.full((1, *cells.shape), 7), torch.tensor([0]))
    assert (whole == torch.from_numpy(np.where(active, 7, 3))).all()


def test_a_cut_does_not_widen_the_window():
    """From the title to play everything changes at once; that is another backdrop, and not for
    every step's network.
    """
    frames = changing([(slice(2, 3), slice(3, 5))] * 2)
    title = np.full((6, 8), 9, np.int16)
    found = layout_of(np.concatenate([frames, title[None]]))
    assert found.cells.tolist() == [[19, 20]]
    assert len(found.backdrops) == 2


def test_a_game_that_only_ever_cuts_or_stands_still_has_a_window_all_the_same():
    """Nothing would be left to paint: then every cell is the network's."""
    still, cuts = (
        np.zeros((1, 6, 8), np.int16),
        np.arange(3, dtype=np.int16)[:, None, None].repeat(6, 1).repeat(8, 2),
    )
    for frames in (still, cuts):
        found = layout_of(frames)
        assert (tuple(found.cells.shape), bool(found.mask.all()), len(found.backdrops)) == (
            (6, 8),
            True,
            1,
        )


@pytest.mark.parametrize(
    ("scenes", "window"), [(layouts.MOST_BACKDROPS, (1, 2)), (layouts.MOST_BACKDROPS + 1, (6, 8))]
)
def test_scenery_without_end_is_painted(scenes, window):
    """A scrolling game has no few backdrops; they must not be hoarded, and every cell is the
    network's.
    """
    numbers = np.arange(scenes)
    frames = np.zeros((scenes, 2, 6, 8), np.int16)
    frames[:, :, 0] = (numbers % 100)[:, None, None]
    frames[:, :, 1:2] = (numbers // 100)[:, None, None, None]
    frames[:, :, 5] = numbers[:, None, None] % 7
    frames[:, 1, 3, 3:5] = 1
    frames[:, 1, 3, 3:5] += (numbers % 5)[:, None].astype(np.int16)
    flat = frames.reshape(-1, 6, 8)
    found = find_layout(flat, np.arange(len(flat)), np.arange(0, len(flat), 2))
    assert tuple(found.cells.shape) == window
    assert len(found.backdrops) == (scenes if window == (1, 2) else 1)


def scenes_game(seed: int = 0, length: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A board of 4 x 3 and a panel of 1 x 2 that change, on three sceneries, which now and then
    change by a cut: frames, rows and transitions, as `find_layout` takes them.
    """
    rng = np.random.default_rng(seed)
    scenery = rng.integers(0, 6, (3, 8, 9)).astype(np.int16)
    frame, frames = scenery[0], []
    for _ in range(length):
        frame = frame.copy()
        if rng.random() < 0.05:
            frame = scenery[rng.integers(3)].copy()
        else:
            frame[2 + rng.integers(4), 1 + rng.integers(3)] = rng.integers(6)
            frame[3, 6 + rng.integers(2)] = rng.integers(6)
        frames.append(frame)
    return np.stack(frames), np.arange(length), np.arange(length - 1)


def test_window_and_backdrop_make_the_frame_again():
    """Nothing that training frames show may be lost on the way into the window and back."""
    tokens, *recorded = scenes_game()
    found = find_layout(tokens, *recorded)
    assert found.mask.sum() == 14
    assert found.cells.numel() < 36
    whole = torch.from_numpy(tokens)
    backdrop = found.backdrop_of(whole)
    assert len(backdrop.unique()) == len(found.backdrops) == 3
    again = found.compose(found.window(whole), backdrop)
    assert again.dtype == torch.int16
    assert torch.equal(again, whole)


def test_a_foreign_frame_gets_the_nearest_backdrop():
    """A scenery that differs in a cell from a known one is that one: a dream must start from any
    real frame.
    """
    tokens, *recorded = scenes_game()
    found = find_layout(tokens, *recorded)
    foreign = torch.from_numpy(tokens[:50].copy())
    wanted = found.backdrop_of(foreign)
    foreign[:, 0, [0, 4]] = 5 - foreign[:, 0, [0, 4]]
    foreign[:, 7, 8] = 99
    assert torch.equal(found.backdrop_of(foreign), wanted)
