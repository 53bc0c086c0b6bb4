"""Cells that no recording changes, and play may."""

import numpy as np
import torch

from dreamcart.dynamics.layout import find_layout
from dreamcart.dynamics.tokens.reach import reach

GROUND, BRICK, WALL, BALL = 0, 1, 2, 3


def wall_of_bricks(*hit: int) -> np.ndarray:
    """int16 [U, 5, 7]: a row of five bricks between walls, of which those in these columns are hit
    one after another, and a ball on the ground below.
    """
    frames = [np.zeros((5, 7), np.int16)]
    frames[0][:, [0, 6]] = WALL
    frames[0][1, 1:6] = BRICK
    for column in hit:
        frames.append(frames[-1].copy())
        frames[-1][1, column] = GROUND
    for column in (1, 2, 3, 5):
        frames.append(frames[-1].copy())
        frames[-1][3:] = np.where(frames[-1][3:] == BALL, GROUND, frames[-1][3:])
        frames[-1][3, column] = BALL
    return np.stack(frames)


def reached(*episodes: np.ndarray):
    """The layout of episodes, before and after."""
    ends = np.cumsum([len(frames) for frames in episodes])
    seen = np.concatenate(episodes), np.arange(ends[-1]), np.delete(np.arange(ends[-1]), ends - 1)
    layout = find_layout(*seen)
    return layout, reach(layout, *seen)


def cells(layout) -> set[tuple[int, int]]:
    return {divmod(cell, 7) for cell in layout.cells[layout.mask].tolist()}


def test_a_brick_that_was_never_hit_is_a_brick():
    """Beside one that was hit; not one further on, nor the walls (which never change), nor the bare
    ground.
    """
    before, after = reached(wall_of_bricks(2))
    assert cells(before) == {(1, 2), (3, 1), (3, 2), (3, 3), (3, 5)}
    assert cells(after) - cells(before) == {(1, 1), (1, 3)}


def test_what_a_cut_changes_does_not_count():
    """The walls vanish with the scene: that makes no wall something that may be hit."""
    frames = wall_of_bricks(2)
    before, after = reached(np.concatenate([frames, np.full_like(frames[:1], BALL), frames]))
    assert cells(after) - cells(before) == {(1, 1), (1, 3)}


def test_backdrops_that_differ_no_more_are_one():
    """Two begins, one of them without a brick that was never hit."""
    frames, fewer = wall_of_bricks(2), wall_of_bricks(2)
    fewer[:, 1, 1] = WALL
    before, after = reached(frames, fewer)
    assert len(before.backdrops) == len(after.backdrops) == 2
    assert (1, 1) not in cells(after)  # it may be a wall, too, and walls stay
    fewer[:, 1, 1] = BALL
    before, after = reached(frames, fewer)
    assert (1, 1) in cells(after)
    assert (len(before.backdrops), len(after.backdrops)) == (2, 1)
    assert torch.equal(after.cells, before.cells)
