"""Regions: which parts of a screen show one of a few contents, and that a dream shows nothing else
there.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toys.regions import BOXES, played
from toys.synthetic import BUTTONS
from toys.walk import in_doubt, make_model, plain_layout, record, some_state

from dreamcart.dynamics.base import load_dynamics, save_dynamics
from dreamcart.dynamics.layout import find_layout
from dreamcart.dynamics.tokens import regions as found_by
from dreamcart.dynamics.tokens.beliefs import Beliefs
from dreamcart.dynamics.tokens.model import config_for
from dreamcart.dynamics.tokens.regions import ALWAYS, Regions, find_regions


def test_a_box_is_a_region_a_board_is_none():
    """The board has more contents than are kept; and the counter shows its last numbers late, so it
    may go on.
    """
    tokens, index, layout = played(counts_to=30)
    regions = find_regions(tokens, index, layout)
    assert regions.contents.shape == (1, 3, 4)
    seen = layout.cells.flatten()[regions.places[0]]
    assert seen.tolist() == [1 * 10 + 5, 1 * 10 + 6, 2 * 10 + 5, 2 * 10 + 6]
    assert {tuple(content) for content in regions.contents[0].tolist()} == {
        tuple(box.flatten()) for box in BOXES
    }
    assert not regions.unknown(layout.window(torch.from_numpy(tokens.astype(np.int16)))).any()


@pytest.mark.parametrize(("every", "is_region"), [(1, True), (2, False)])
def test_a_counter_is_one_where_it_soon_begins_again(every, is_region):
    """Ten numbers, all seen in the first ten steps of thirty, or the last of them late.

    Regions of unlike size are in one table.
    """
    tokens, index, layout = played(every=every)
    regions = find_regions(tokens, index, layout)
    assert sorted((regions.places >= 0).sum(1).tolist()) == [1] * is_region + [4]
    assert regions.contents.shape == ((2, 10, 4) if is_region else (1, 3, 4))
    assert not regions.unknown(layout.window(torch.from_numpy(tokens.astype(np.int16)))).any()


def test_one_episode_is_not_enough_to_know():
    assert find_regions(*played(episodes=1)).contents.numel() == 0


def test_as_many_as_the_table_holds(monkeypatch):
    monkeypatch.setattr(found_by, "MOST_CONTENTS", 2)
    assert find_regions(*played()).contents.numel() == 0


def new_games(episodes: int = 12):
    """Half of each episode a title; then a board that begins with one of BOXES in the middle of
    nothing, and gets busy.
    """
    rng = np.random.default_rng(0)
    shown = []
    for number in range(episodes):
        frames = [np.full((8, 10), 5, np.int16) for _ in range(3)]
        frame = np.zeros((8, 10), np.int16)
        frame[2:4, 4:6] = BOXES[number % len(BOXES)]
        frames.append(frame)
        for _ in range(40):
            frame = frame.copy()
            frame[rng.integers(1, 7), rng.integers(1, 9)] = rng.integers(4)
            frames.append(frame)
        shown.append((frames, np.zeros((len(frames) - 1, len(BUTTONS)), np.uint8)))
    split, tokens = record(shown)
    return tokens, split.index, find_layout(tokens, split.index["frame"], split.transitions)


def test_how_a_new_game_begins_is_known():
    """Its first frame shows one of three boxes; that holds at the cut to it, not while the board is
    busy.
    """
    tokens, index, layout = new_games()
    regions = find_regions(tokens, index, layout)
    assert regions.contents.shape == (1, 3, 4)
    assert {tuple(content) for content in regions.contents[0].tolist()} == {
        tuple(box.flatten()) for box in BOXES
    }
    board = layout.backdrop_of(
        torch.from_numpy(tokens[index["frame"][index["step"] == 3][:1]].astype(np.int16))
    )
    assert regions.after.tolist() == board.tolist()
    assert find_regions(*new_games(episodes=3)).contents.numel() == 0, (
        "each box was seen once: there may be others"
    )


@pytest.fixture
def model():
    """In doubt of all cells; of the two rows of four, the first is a region."""
    model = in_doubt(make_model(plain_layout(2, 4), 4))
    model.network.event[2].bias.data[0] = 20.0  # something always changes
    model.set_regions(first_row())
    return model


def first_row(after: int = ALWAYS) -> Regions:
    """The first row of a window of two rows of four is a region."""
    contents = [[0, 0, 0, 0], [1, 1, 1, 2], [2, 1, 2, 2], [-1, -1, -1, -1]]
    return Regions(
        torch.tensor([[0, 1, 2, 3]]),
        torch.tensor([contents], dtype=torch.int16),
        torch.tensor([after]),
    )


def settled(model, *cells: int, likes: int = 0, cut: int = ALWAYS) -> list[int]:
    """What becomes of the region's cells, decided one by one, in a network that likes a token."""
    window = torch.tensor([[cells, (3, 3, 3, 3)]], dtype=torch.int16)
    model.network.paint[2].bias.data = torch.eye(4)[likes] * 5
    features = torch.zeros(1, 2, 4, 8)
    current = torch.full((1, 2, 4), 3, dtype=torch.int16)
    believed = Beliefs(current, current, torch.zeros(1, 2, 4), features)
    result = model._settle(window, torch.tensor([cut]), believed)
    assert result[0, 1].tolist() == [3, 3, 3, 3]  # not of the region
    return result[0, 0].tolist()


def test_it_becomes_the_nearest_known_content(model):
    assert settled(model, 1, 1, 1, 2) == [1, 1, 1, 2]
    assert settled(model, 1, 1, 3, 2) == [1, 1, 1, 2]
    assert settled(model, 2, 3, 2, 2) == [2, 1, 2, 2]
    assert settled(model, 3, 3, 0, 3) == [0, 0, 0, 0]


def test_what_holds_after_a_cut_holds_then_alone(model):
    """A new game begins with one of a few pictures; later its board shows what it will."""
    model.set_regions(first_row(after=1))
    assert settled(model, 1, 1, 3, 2) == [1, 1, 3, 2]
    assert settled(model, 1, 1, 3, 2, cut=0) == [1, 1, 3, 2]
    assert settled(model, 1, 1, 3, 2, cut=1) == [1, 1, 1, 2]


def test_of_equally_near_ones_the_network_chooses(model):
    assert settled(model, 1, 1, 2, 2, likes=1) == [1, 1, 1, 2]
    assert settled(model, 1, 1, 2, 2, likes=2) == [2, 1, 2, 2]
    assert settled(model, 3, 3, 3, 3, likes=0) == [0, 0, 0, 0]


@pytest.mark.parametrize("only_after_cuts", [False, True])
@torch.inference_mode()
def test_a_dream_shows_nothing_else_and_its_file_knows(model, tmp_path, only_after_cuts):
    """At any temperature; the other cells are as free as they were.

    The regions travel with the model.
    """
    torch.manual_seed(1)
    state, action = some_state(model, 200)
    known = [[0, 0, 0, 0], [1, 1, 1, 2], [2, 1, 2, 2]]
    own = SimpleNamespace(channels=8, blocks=1, history_frames=4, memory=16)
    model.set_regions(first_row(after=1)) if only_after_cuts else None
    config = config_for(model.layout, 4, len(BUTTONS), own) | {
        "regions": list(model.contents.shape),
        "cuts": only_after_cuts,
    }
    save_dynamics(tmp_path / "dynamics.safetensors", model, config)
    again = load_dynamics(tmp_path / "dynamics.safetensors")
    assert torch.equal(again.after, model.after)
    if only_after_cuts:
        return
    for temperature in (0.0, 1.0):
        frames, _ = model.step(state, action, temperature, torch.Generator().manual_seed(0))
        changed = (frames != state.frames[:, -1]).flatten(1).any(1)
        assert changed.sum() > 50
        assert all(frame[0].tolist() in known for frame in frames[changed])
        assert len({tuple(frame[1].tolist()) for frame in frames}) > 5
        assert torch.equal(
            frames, again.step(state, action, temperature, torch.Generator().manual_seed(0))[0]
        )
