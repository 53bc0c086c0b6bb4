"""The token dynamics: where the picture lives, what it may look back on, how it decides, and what
it learns.
"""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from toys.synthetic import BUTTONS
from toys.walk import (
    LEFT,
    RIGHT,
    A,
    assert_same_state,
    in_doubt,
    learn,
    make_model,
    plain_layout,
    presses,
    record,
    some_state,
    start_at,
    walk,
)

from dreamcart.core.tensors import load_weights
from dreamcart.data.processed import Split
from dreamcart.dynamics import layout as layouts
from dreamcart.dynamics.base import UNTOLD
from dreamcart.dynamics.layout import Layout, find_layout, pack
from dreamcart.dynamics.tokens.dials import Dial
from dreamcart.dynamics.tokens.history import MOST_HELD, MOST_IDLE, PATIENCE, Summary, ages, hold
from dreamcart.dynamics.tokens.model import CONTEXT, DEEDS, GLANCES, TokenDynamics
from dreamcart.dynamics.tokens.moves import Moves
from dreamcart.dynamics.tokens.network import Network
from dreamcart.dynamics.tokens.samples import MOST_WEIGHT, REFRESH, Samples
from dreamcart.dynamics.tokens.state import State, advance, delay
from dreamcart.dynamics.tokens.train import MOST_PULL, TELL_SHARE_RANDOM, bounded, tell

# Layout


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


def scenes_game(seed: int = 0, length: int = 300) -> tuple[Split, np.ndarray]:
    """A board of 4 x 3 and a panel of 1 x 2 that change, on three sceneries, which now and then
    change by a cut.
    """
    rng = np.random.default_rng(seed)
    scenery = rng.integers(0, 6, (3, 8, 9)).astype(np.int16)
    episodes = []
    for _ in range(3):
        frame, frames = scenery[0].copy(), []
        for _ in range(length // 3):
            if rng.random() < 0.05:
                frame = scenery[rng.integers(3)].copy()
            else:
                frame = frame.copy()
                frame[2 + rng.integers(4), 1 + rng.integers(3)] = rng.integers(6)
                frame[3, 6 + rng.integers(2)] = rng.integers(6)
            frames.append(frame)
        episodes.append((frames, rng.integers(0, 2, (len(frames) - 1, len(BUTTONS)))))
    return record(episodes)


def test_window_and_backdrop_make_the_frame_again():
    """Nothing that training frames show may be lost on the way into the window and back."""
    split, tokens = scenes_game()
    found = find_layout(tokens, split.index["frame"], split.transitions)
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
    split, tokens = scenes_game()
    found = find_layout(tokens, split.index["frame"], split.transitions)
    foreign = torch.from_numpy(tokens[:50].copy())
    wanted = found.backdrop_of(foreign)
    foreign[:, 0, [0, 4]] = 5 - foreign[:, 0, [0, 4]]
    foreign[:, 7, 8] = 99
    assert torch.equal(found.backdrop_of(foreign), wanted)


# History


def test_ages_are_what_a_slow_count_says():
    """How long ago each cell changed, which frame was there before, which steps changed: counted
    here frame by frame.
    """
    rng = np.random.default_rng(0)
    frames = np.zeros((40, 7, 3, 4), np.int16)
    for row in range(1, len(frames)):  # the first stands still for ever
        for step in range(1, 7):
            frames[row, step] = frames[row, step - 1]
            if rng.random() < 0.5:
                frames[row, step][rng.random((3, 4)) < 0.3] = rng.integers(4)
    age, before, changed = ages(torch.from_numpy(frames))
    for row, past in enumerate(frames):
        differs = [(past[step] != past[step - 1]).any() for step in range(1, 7)]
        assert changed[row].tolist() == differs
        previous = next((frame for frame in past[::-1] if (frame != past[-1]).any()), past[0])
        np.testing.assert_array_equal(before[row], previous)
        for y in range(3):
            for x in range(4):
                steps = [
                    6 - step for step in range(1, 7) if past[step, y, x] != past[step - 1, y, x]
                ]
                assert age[row, y, x] == min(steps, default=6)


def still_game(depth: int, seed: int = 0) -> tuple[Split, np.ndarray, TokenDynamics]:
    """Episodes with long still stretches in which buttons are pressed, cuts among them; each begins
    with a press; two buttons turn a dial.
    """
    rng = np.random.default_rng(seed)
    scenery = rng.integers(0, 5, (2, 5, 6)).astype(np.int16)
    episodes = []
    for _ in range(6):
        frame, frames, actions = scenery[rng.integers(2)].copy(), [], []
        left = int(rng.integers(0, 2 * PATIENCE))
        for _ in range(70):
            frames.append(frame)
            actions.append((rng.random(len(BUTTONS)) < 0.15).astype(int))
            if left := max(0, left - 1):
                continue
            left = int(rng.choice([0, 1, 2, 5, PATIENCE - 1, PATIENCE, PATIENCE + 1, PATIENCE + 9]))
            frame = scenery[rng.integers(2)].copy() if rng.random() < 0.1 else frame.copy()
            frame[1 + rng.integers(2), 2 + rng.integers(3)] = rng.integers(5)
        actions[0][LEFT] = 1
        episodes.append((frames, np.array(actions[:-1])))
    split, tokens = record(episodes)
    model = make_model(
        find_layout(tokens, split.index["frame"], split.transitions),
        5,
        depth,
        [Dial(LEFT, RIGHT, 0.23)],
    )
    return split, tokens, model


@pytest.mark.parametrize("depth", [3, 20])
def test_training_sees_what_playing_remembers(depth):
    """A sample's state is the one that a dream would have there, played from the episode's first
    frame, in every field.

    That holds through stretches so long that the clock stops, and for buttons pressed while it
    stands.
    """
    split, tokens, model = still_game(depth)
    samples = Samples(split, tokens, model)
    assert (samples.idle > PATIENCE).any()
    assert split.index["action"][:-1][samples.idle[:-1] > PATIENCE].any()
    assert len(model.backdrops) == 2
    episodes = int(split.index["episode"].max()) + 1
    first = np.flatnonzero(split.index["step"] == 0)
    whole = torch.from_numpy(tokens[split.index["frame"]])
    state = model.start(whole[first][:, None], torch.zeros(episodes, 0, len(BUTTONS)))
    for step in range(70):
        at = first + step
        if step:
            window, backdrop = model.layout.window(whole[at]), model.layout.backdrop_of(whole[at])
            action = torch.from_numpy(split.index["action"][at - 1])
            state = advance(
                state,
                action.float(),
                window,
                model.network.summary(window),
                backdrop,
                dials=model.network.dials,
            )
        if step < 69:
            seen, action, window, backdrop = samples.get(at)
            assert_same_state(seen, state, note=f"step {step}")
            np.testing.assert_array_equal(action, split.index["action"][at])
            np.testing.assert_array_equal(model.layout.compose(window, backdrop), whole[at + 1])


def test_samples_may_be_asked_for_in_any_order():
    """A batch is drawn from all episodes: each row must stand for itself."""
    split, tokens, model = still_game(5)
    samples = Samples(split, tokens, model)
    at = np.random.default_rng(0).choice(samples.all, 40)
    together = samples.get(at)[0]
    for number, one in enumerate(at):
        assert_same_state(together.rows(torch.tensor([number])), samples.get(np.array([one]))[0])


def test_a_context_padded_before_the_begin_starts_as_training_saw():
    """Evaluation pads the past before an episode with its first frame; the dream must take that for
    an episode's begin.
    """
    split, tokens, model = still_game(12)
    samples = Samples(split, tokens, model)
    at = samples.all[split.index["step"][samples.all] < model.history_frames - 1]
    assert (samples.idle[at] > PATIENCE).any()
    assert_same_state(start_at(split, tokens, model, at), samples.get(at)[0])


def test_a_still_begin_without_buttons_starts_as_training_saw():
    """Most games begin with a piece that hangs for some steps: how long it has hung is a timer that
    matters.
    """
    _, tokens, model = still_game(12)
    frames = [tokens[0]] * 9 + [tokens[1]] * 20
    split, tokens = record([(frames, np.zeros((28, len(BUTTONS)), int))])
    samples = Samples(split, tokens, model)
    at = np.arange(20)
    assert_same_state(start_at(split, tokens, model, at), samples.get(at)[0])


@pytest.mark.parametrize("depth", [16, 6])
def test_a_context_reaches_back_before_a_pause(depth):
    """Far from the begin, and after a pause much longer than the history: the timers of play are
    those from before it.
    """
    rng = np.random.default_rng(0)
    _, tokens, model = still_game(depth)
    shown = [
        *rng.integers(len(tokens), size=CONTEXT),
        *[0] * 300,
        *rng.integers(len(tokens), size=20),
    ]
    pressed = np.repeat(
        rng.random((len(shown), len(BUTTONS))) < 0.15, rng.integers(1, 50, len(shown)), 0
    )[: len(shown) - 1]
    split, tokens = record([([tokens[row] for row in shown], pressed.astype(int))])
    samples = Samples(split, tokens, model)
    at = samples.all[split.index["step"][samples.all] > CONTEXT + 2 * PATIENCE]
    assert samples.idle[at].max() > PATIENCE
    assert_same_state(start_at(split, tokens, model, at), samples.get(at)[0])


def test_the_clock_stops_where_nothing_happens():
    """A pause must not wash the timers of play out of the memory; how long buttons are held is
    counted all the same.
    """
    model = make_model(plain_layout(2, 2), 3, 4)
    one, two = torch.zeros(1, 2, 2, dtype=torch.int16), torch.ones(1, 2, 2, dtype=torch.int16)
    press = torch.eye(len(BUTTONS))[[A]]
    nothing = torch.zeros(1, 0, len(BUTTONS))
    state = model.start(one[:, None], nothing)

    def go_on(state: State, action: torch.Tensor, frame: torch.Tensor) -> State:
        return advance(
            state, action, frame, model.network.summary(frame), torch.zeros(1, dtype=torch.int64)
        )

    for _ in range(3):
        state = go_on(state, press, two)
        state = go_on(state, press, one)
    for _ in range(PATIENCE):
        state = go_on(state, 0 * press, one)
    before = state
    for _ in range(2 * MOST_IDLE):
        state = go_on(state, press, one)
    for name in ("frames", "sums", "actions"):
        assert torch.equal(getattr(state, name), getattr(before, name)), name
    assert (state.idle.item(), state.last[0, A].item(), state.held[0, A].item()) == (
        MOST_IDLE,
        1,
        MOST_HELD,
    )
    assert state.held[0, LEFT].item() == MOST_HELD
    state = go_on(state, press, two)
    assert state.idle.item() == 0
    assert torch.equal(state.frames[:, -1], two)


def test_a_press_is_counted_from_when_it_goes_down():
    """A tap that counts once, and a key repeat after so many steps: the network is told which of
    them this press is.
    """
    model = make_model(plain_layout(2, 2), 2, 4)
    frame = torch.zeros(1, 2, 2, dtype=torch.int16)
    state = model.start(frame[:, None], torch.zeros(1, 0, len(BUTTONS)))
    seen = []
    for down in [0, 1, 1, 1, 0, 0, 1]:
        action = torch.zeros(1, len(BUTTONS))
        action[0, A] = down
        seen.append(hold(state, action)[0, A].item())
        state = advance(
            state, action, frame, model.network.summary(frame), torch.zeros(1, dtype=torch.int64)
        )
    assert seen == [MOST_HELD, 0, 1, 2, 0, 1, 0]


def test_late_practice_is_a_longer_wait():
    """What is practised late must be the very state that a dream is in which waited so long, or the
    practice is for nothing.
    """
    split, tokens, model = still_game(8)
    samples = Samples(split, tokens, model)
    state = samples.get(samples.all)[0]
    state = state.rows(((state.last == 0).all(1)).nonzero().squeeze(1)[:60])
    assert state.idle.max() > PATIENCE
    late = torch.from_numpy(np.random.default_rng(0).integers(0, 90, len(state.idle)))
    delayed = delay(state, late)
    nothing = torch.zeros(len(late), len(BUTTONS))
    for step in range(91):
        done = (late == step).nonzero().squeeze(1)
        assert_same_state(delayed.rows(done), state.rows(done))
        state = advance(state, nothing, state.frames[:, -1], state.sums[:, -1], state.backdrop)


@pytest.mark.parametrize("vocabulary", [5, 100])
def test_a_summary_says_what_moved(vocabulary):
    """A thing that falls by a row changes the sums of its kind and of no other; a single frame's is
    that of a batch.
    """
    summary = Summary(vocabulary, 10, 8)
    frames = torch.from_numpy(
        np.random.default_rng(0).integers(0, vocabulary, (30, 10, 8)).astype(np.int16)
    )
    together = summary(frames)
    assert together.shape == (30, summary.size)
    assert torch.equal(together, torch.cat([summary(frame[None]) for frame in frames]))
    if vocabulary <= Summary.LIMIT:
        here, below = torch.zeros(2, 10, 8, dtype=torch.int16)
        here[3, 2:6] = below[4, 2:6] = 4
        change = (summary(below[None]) - summary(here[None])).view(3, vocabulary)
        assert change.nonzero().tolist() == [[1, 0], [1, 4]]  # rows: the ground the other way
        assert change[1].tolist() == [-1, 0, 0, 0, 1]


def test_half_precision_keeps_the_sums_exact():
    """Where the hardware multiplies in bfloat16 the dream runs in it, and its memory must still be
    what training saw.
    """
    summary = Summary(5, 20, 10)
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 5, (8, 20, 10)).astype(np.int16))
    exact = summary(frames)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(summary(frames).float(), exact)


@pytest.mark.parametrize("depth", [255, 256])
def test_the_longest_history_that_params_allow(depth):
    """dynamics.history_frames may be 256: the age of a cell must not wrap round there."""
    frames = torch.zeros(1, depth + 1, 1, 1, dtype=torch.int16)
    frames[:, -1] = 1
    age, before, changed = ages(frames)
    assert (age.item(), before.item(), changed.sum().item()) == (0, 0, 1)


@torch.inference_mode()
def test_what_tokens_look_like_is_for_training_alone():
    """A trained model plays without pictures, and decides as it did with them."""
    torch.manual_seed(0)
    pictures = torch.randint(0, 256, (4, 8, 8, 3), dtype=torch.uint8)
    network = Network(
        3, 4, 4, buttons=8, backdrops=1, channels=8, blocks=2, depth=5, memory=16, pictures=pictures
    ).eval()
    model = make_model(plain_layout(3, 4), 4, 5)
    state, action = some_state(model)
    known = torch.randint(0, 5, (7, 3, 4))
    *wanted, features = network(state, action, known)
    colours = network.tokens(features.flatten(0, 2))
    network.settle()
    *found, features = network(state, action, known)
    for one, other in zip(
        (*wanted, colours), (*found, network.tokens(features.flatten(0, 2))), strict=True
    ):
        torch.testing.assert_close(one, other)
    plain = Network(3, 4, 4, buttons=8, backdrops=1, channels=8, blocks=2, depth=5, memory=16)
    plain.load_state_dict(network.state_dict())


def test_each_button_has_weights_of_its_own():
    """Pressing A teaches the network about A: what it believes of B, or of A that is held on, stays
    as it was.
    """
    model = make_model(plain_layout(3, 4), 4)
    network, (state, _) = model.network, some_state(model)
    state = dataclasses.replace(state, last=torch.zeros(7, len(BUTTONS)))
    pressed = nn.functional.one_hot(torch.full((7,), A), len(BUTTONS)).float()
    network(state, pressed)[3].square().sum().backward()
    taught = network.blocks[0].press.grad.abs().sum(1) > 0
    assert taught.nonzero().squeeze(1).tolist() == [A, len(BUTTONS) + A]
    held = dataclasses.replace(state, last=pressed)
    assert network.presses(held, pressed).nonzero()[:, 1].tolist() == [len(BUTTONS) + A] * 7
    before = [network(which, pressed)[3].detach() for which in (state, held)]
    network.blocks[0].press.data[A] += 1
    after = [network(which, pressed)[3].detach() for which in (state, held)]
    assert not torch.allclose(before[0], after[0])
    assert torch.equal(before[1], after[1])


# Deciding


@torch.inference_mode()
def test_nothing_known_is_zeros():
    """In the first look nothing is told, and training tells nothing with zeros: the same beliefs,
    or practice is wasted.
    """
    model = make_model(plain_layout(3, 4), 4)
    state, action = some_state(model)
    without = model.network(state, action)
    told = model.network(state, action, torch.zeros(7, 3, 4, dtype=torch.int64))
    for one, other in zip(without, told, strict=True):
        torch.testing.assert_close(one, other)
    other = model.network(state, action, torch.ones(7, 3, 4, dtype=torch.int64))
    assert not torch.allclose(without[2], other[2])


@torch.inference_mode()
def test_an_oracle_settles_every_doubt():
    """A dream that is told what happened wherever it is in doubt, and doubts everything, shows the
    true frame.
    """
    model = in_doubt(make_model(plain_layout(3, 4), 4))
    state, action = some_state(model, 9)
    truth = torch.from_numpy(np.random.default_rng(2).integers(0, 4, (9, 3, 4)))
    truth[4] = state.frames[4, -1]
    frame, after = model.step(state, action, oracle=truth)
    assert torch.equal(frame.long(), truth)
    assert torch.equal(after.frames[:, -1], frame)
    partly = truth.clone()
    partly[5:] = UNTOLD
    frame = model.step(state, action, oracle=partly)[0]
    assert torch.equal(frame[:5].long(), truth[:5])
    assert torch.equal(frame[5:], model.step(state, action)[0][5:]), (
        "what is not told is left to the dream"
    )
    assert not torch.equal(frame[5:].long(), truth[5:])


@torch.inference_mode()
def test_an_oracle_is_not_asked_where_there_is_no_doubt():
    """What the model is sure of it must answer for: else the score of the told dream would be a
    gift.
    """
    model = in_doubt(make_model(plain_layout(3, 4), 4))
    state, action = some_state(model)
    truth = 3 - state.frames[:, -1].long()
    model.network.event[-1].bias.data[0] = -20
    assert torch.equal(model.step(state, action, oracle=truth)[0], state.frames[:, -1])
    model.network.event[-1].bias.data[0] = 20
    model.network.gate.bias.data[:] = 20
    model.network.paint[-1].bias.data = torch.tensor([20.0, 10.0, 0.0, 0.0])
    wanted = torch.where(state.frames[:, -1] == 0, 1, 0)
    assert torch.equal(model.step(state, action, oracle=truth)[0], wanted.to(torch.int16))


@torch.inference_mode()
def test_temperature_0_needs_no_luck():
    """The likeliest choice is the same at any time, and takes nothing from torch's random
    numbers.
    """
    model = make_model(plain_layout(3, 4), 4)
    state, action = some_state(model)
    torch.manual_seed(1)
    first, before = model.step(state, action)[0], torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(model.step(state, action)[0], first)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), before)


@torch.inference_mode()
def test_luck_comes_from_the_generator_alone():
    """The same seed plays the same game again, another one another."""
    model = in_doubt(make_model(plain_layout(3, 4), 4))
    state, action = some_state(model)
    one, again, other = (
        model.step(state, action, 1.0, torch.Generator().manual_seed(seed))[0] for seed in (3, 3, 4)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@torch.inference_mode()
def test_a_step_moves_the_history_and_keeps_the_still_cells():
    """The new frame is the newest of the new state, and what is not in the mask is the
    backdrop's.
    """
    split, tokens = scenes_game()
    model = in_doubt(make_model(find_layout(tokens, split.index["frame"], split.transitions), 6))
    whole = torch.from_numpy(tokens[:20])[:, None]
    state = model.start(whole, torch.zeros(20, 0, len(BUTTONS)))
    frame, after = model.step(
        state, torch.zeros(20, len(BUTTONS)), 1.0, torch.Generator().manual_seed(0)
    )
    assert (frame.shape, frame.dtype) == ((20, 8, 9), torch.int16)
    assert torch.equal(frame, model.layout.compose(after.frames[:, -1], after.backdrop))
    assert torch.equal(after.frames[:, -2], state.frames[:, -1])
    assert (frame != whole[:, 0]).flatten(1).any(1).any()


@torch.inference_mode()
def test_a_batch_dreams_as_each_alone():
    """Rollouts are scored in batches and played one at a time: it must be the same dream."""
    model = make_model(plain_layout(3, 4), 4)
    model.network.event[-1].bias.data[0] = 5
    model.network.gate.bias.data[:] = 1
    state, action = some_state(model)
    together, _ = model.step(state, action)
    for row in range(7):
        alone, _ = model.step(state.rows(torch.tensor([row])), action[row : row + 1])
        assert torch.equal(alone[0], together[row])


@torch.inference_mode()
def test_half_precision_decides_the_same():
    """The network was trained in full precision, and its decisions hang on thresholds: everywhere
    they must be the same.
    """
    model = make_model(plain_layout(3, 4), 4)
    model.network.event[-1].bias.data[0] = 5
    model.network.paint[-1].weight.data *= 20
    model.network.gate.weight.data *= 20
    state, action = some_state(model, 200)
    wanted = model.step(state, action)[0]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.step(state, action)[0], wanted)


def test_a_models_file_holds_its_layout():
    """Weights without the window they were made for would paint into the wrong cells."""
    split, tokens = scenes_game()
    model = make_model(find_layout(tokens, split.index["frame"], split.transitions), 6)
    state = model.state_dict()
    sizes = {
        "vocabulary": 6,
        "channels": 8,
        "blocks": 1,
        "memory": 16,
        "glances": GLANCES,
        "deeds": DEEDS,
    }
    fresh = TokenDynamics([8, 9], len(BUTTONS), list(model.mask.shape), 3, 4, **sizes)
    loaded = load_weights(fresh, state, "memory")
    whole = torch.from_numpy(tokens)
    assert torch.equal(loaded.layout.window(whole), model.layout.window(whole))
    assert torch.equal(loaded.layout.backdrops, model.layout.backdrops)


# Practice


@pytest.fixture(scope="module")
def practice():
    split, tokens, model = still_game(4)
    samples = Samples(split, tokens, model)
    samples.learn(
        1,
        samples.all,
        torch.from_numpy(
            np.random.default_rng(0).uniform(0.1, 0.3, len(samples.all)).astype(np.float32)
        ),
    )
    return samples


def test_weights_undo_the_favour(practice):
    """Hard and changing samples are drawn more often; weighted, they count as often as they
    occur.
    """
    number = len(practice.frame)
    value = np.random.default_rng(1).normal(1, 1, number) + 3 * np.isin(
        np.arange(number), practice.changed
    )
    rng, found, plain = np.random.default_rng(2), [], []
    for _ in range(400):
        at, weight = practice.draw(rng, 64, 0.67)
        found.append((weight.numpy() * value[at]).mean())
        plain.append(value[at].mean())
    wanted = value[practice.all].mean()
    assert np.mean(found) == pytest.approx(wanted, rel=0.02)
    assert np.mean(plain) > 1.2 * wanted


def test_hard_samples_are_drawn_more_often(practice):
    """What the network gets wrong comes again soon; what it knows is not forgotten either."""
    hard = practice.changed[::10]
    practice.learn(1, practice.all, torch.full((len(practice.all),), 0.01))
    practice.learn(1, hard, torch.full((len(hard),), 3.0))
    rng = np.random.default_rng(0)
    at = np.concatenate([practice.draw(rng, 64, 0.5)[0] for _ in range(100)])
    assert np.isin(at, practice.changed).sum() == 3200
    share = np.isin(at, hard).sum() / 3200
    fair = len(hard) / len(practice.changed)
    odds = (3.01 / 0.02) ** 0.6
    assert share == pytest.approx(fair * odds / (fair * odds + 1 - fair), rel=0.1)
    assert share > 3 * fair
    assert len(np.unique(at)) > 0.7 * len(practice.all)


def test_what_was_never_drawn_is_as_hard_as_its_kind():
    """Of many recordings most are drawn once or never: a hard kind of change must come up before
    each was tried.
    """
    split, tokens, model = still_game(4)
    samples = Samples(split, tokens, model)
    assert len(samples.kind_loss) > 2
    kind = samples.kind[samples.changed[0]]
    alike = samples.all[samples.kind[samples.all] == kind]
    tried, untried = alike[::2], alike[1::2]
    for _ in range(60):
        samples.learn(1, tried, torch.full((len(tried),), 4.0))
        samples.learn(
            1,
            samples.all[samples.kind[samples.all] != kind],
            torch.zeros(int((samples.kind[samples.all] != kind).sum())),
        )
    assert (samples.hardness[untried] == 1).all()
    samples.learn(REFRESH, tried[:0], torch.zeros(0))
    torch.testing.assert_close(
        samples.hardness[untried],
        samples.hardness[tried][0].expand(len(untried)),
        rtol=0.02,
        atol=0,
    )


def test_no_weight_is_without_bounds(practice):
    """A sample that is hardly ever drawn must not throw the training when it is."""
    practice.learn(1, practice.all, torch.full((len(practice.all),), 10.0))
    practice.learn(1, practice.all[::2], torch.zeros(len(practice.all[::2])))
    _, weight = practice.draw(np.random.default_rng(0), 2000, 0.67)
    assert weight.max() <= MOST_WEIGHT


@pytest.mark.parametrize("still", [True, False])
def test_records_of_one_kind_are_enough(still):
    """A game that never rests, or recordings in which nothing moves, still fill a batch."""
    frames = [np.full((2, 2), 0 if still else step % 2, np.int16) for step in range(20)]
    split, tokens = record([(frames, np.zeros((19, len(BUTTONS)), int))])
    model = make_model(plain_layout(2, 2), 2)
    at, weight = Samples(split, tokens, model).draw(np.random.default_rng(0), 16, 0.67)
    assert (len(at), len(weight), at.max() < 19) == (16, 16, True)
    torch.testing.assert_close(weight, torch.ones(16))


def test_a_freak_pulls_no_harder_than_its_bound():
    """One sample of loss 10,000 among others would be all that its batch teaches."""
    loss = torch.tensor([0.5, MOST_PULL, 1e4], requires_grad=True)
    assert bounded(loss).tolist() == pytest.approx([0.5, MOST_PULL, MOST_PULL])
    bounded(loss).sum().backward()
    assert loss.grad.tolist() == pytest.approx([1, 1, MOST_PULL / 1e4])


def test_what_is_told_is_true():
    """Cells told in advance practise deciding one by one: true tokens of cells that are in doubt,
    in some samples.
    """
    layout = plain_layout(3, 4)
    layout.mask[0] = False
    model = in_doubt(make_model(layout, 4))
    state, action = some_state(model, 400)
    window = torch.randint(0, 4, (400, 3, 4), generator=torch.Generator().manual_seed(2)).to(
        torch.int16
    )
    window[:100] = state.frames[:100, -1]
    known = tell(model, state, action, window, np.random.default_rng(0), TELL_SHARE_RANDOM)
    told = known > 0
    assert not told[:100].any()
    assert not (told & ~model.mask).any()
    assert torch.equal(known[told], window[told].long() + 1)
    assert told.flatten(1).any(1)[100:].float().mean() == pytest.approx(TELL_SHARE_RANDOM, abs=0.08)
    counts = told.flatten(1).sum(1)
    assert set(counts[counts > 0].tolist()) == set(range(1, 9))  # all eight cells are in doubt
    model.network.gate.bias.data[:] = -20.0  # nothing will change: the network is sure of it
    assert not tell(model, state, action, window, np.random.default_rng(0), TELL_SHARE_RANDOM).any()


# Learning


@torch.inference_mode()
def test_it_learns_to_walk(tmp_path):
    """A small game is learnt exactly, and fifty dreamed steps without a look at the game end in the
    right place.
    """
    train, val = walk(60, 60, 0), walk(10, 52, 1)
    with torch.inference_mode(False):
        model, config, curve = learn(train, val, tmp_path, 350)
    assert curve[-1]["val"] < 0.05
    assert (config["kind"], config["window"], config["vocabulary"]) == ("tokens", [6, 6], 2)
    split, tokens = val
    first = np.flatnonzero(split.index["step"] == 0)
    state = model.start(
        torch.from_numpy(tokens[split.index["frame"][first]])[:, None],
        torch.zeros(10, 0, len(BUTTONS)),
    )
    right = []
    for step in range(50):
        frame, state = model.step(state, torch.from_numpy(split.index["action"][first + step]))
        right.append((frame.numpy() == tokens[split.index["frame"][first + step + 1]]).all((1, 2)))
    assert np.mean(right) > 0.9
    assert np.mean(right[-1]) > 0.7


# Two different cells in one of three rows of a field with a margin, and nothing at all.
EMPTY = np.zeros((6, 4), np.int16)
SHAPES = [
    np.pad([[row == place, 2 * (row == place)] for row in range(3)], ((1, 2), (1, 1))).astype(
        np.int16
    )
    for place in range(3)
]


def appearing(episodes: int, seed: int) -> tuple[Split, np.ndarray]:
    """An empty field on which A makes a shape appear in one of three places; any next step takes it
    away.
    """
    rng = np.random.default_rng(seed)
    played = []
    for _ in range(episodes):
        frames, actions = [EMPTY], presses(rng, 40, A)
        for action in actions:
            appears = action[A] and not frames[-1].any()
            frames.append(SHAPES[rng.integers(3)] if appears else EMPTY)
        played.append((frames, actions))
    return record(played)


@torch.inference_mode()
def test_a_random_event_is_one_choice_and_never_a_mixture(tmp_path, monkeypatch):
    """The next piece: every kind comes at temperature 1, each whole, and temperature 0 shows always
    the same.

    A model that drew each cell for itself would show halves of two pieces. What was told in
    training already keeps most of them whole; that a half is no known move keeps all of them so. (A
    toy is trained shortly, so it is told more.)
    """
    # its spec has no seed variable
    monkeypatch.setattr("dreamcart.dynamics.tokens.train.TELL_SHARE", 0.6)
    train, val = appearing(40, 0), appearing(4, 1)
    with torch.inference_mode(False):
        model, _, _ = learn(train, val, tmp_path, 600, learning_rate=0.02)
    state = model.start(
        torch.from_numpy(EMPTY).expand(90, 1, 6, 4), torch.zeros(90, 0, len(BUTTONS))
    )
    press = torch.eye(len(BUTTONS))[[A] * 90]
    moves = model.moves
    for known, halves in ((Moves.empty(), 3), (moves, 0)):
        model.set_moves(known)
        drawn, after = model.step(state, press, 1.0, torch.Generator().manual_seed(0))
        whole = np.array(
            [[np.array_equal(frame, shape) for shape in SHAPES] for frame in drawn.numpy()]
        )
        something = drawn.numpy().any((1, 2))
        assert (something & ~whole.any(1)).sum() <= halves
        # whether anything comes is in some doubt after so short a training
        assert something.sum() >= 75
        assert min(whole.sum(0)) >= 15
    gone, _ = model.step(after, press, 1.0, torch.Generator().manual_seed(0))
    assert not gone[torch.from_numpy(whole.any(1))].any()
    likeliest = model.step(state, press)[0].numpy()
    assert any(np.array_equal(likeliest[0], shape) for shape in SHAPES)
    assert (likeliest == likeliest[0]).all()
    # told what happened in each, it follows in each
    truth = torch.from_numpy(np.stack([SHAPES[number % 3] for number in range(90)]))
    assert torch.equal(model.step(state, press, oracle=truth)[0], truth)


class KillError(Exception):
    """Stands for kill -9."""


def test_a_killed_training_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    """The losses that say what to practise, and Muon's momentum, come back from the checkpoint: the
    same to the bit.
    """
    train, val = walk(4, 30, 0), walk(2, 30, 1)
    how = {"checkpoint_every": 4, "validate_every": 6, "batch_size": 8, "channels": 4, "memory": 8}
    (tmp_path / "whole").mkdir()
    model, _, curve = learn(train, val, tmp_path / "whole", 12, **how)
    draw, calls = Samples.draw, []

    def dying(self, *arguments):
        calls.append(None)
        if len(calls) == 7:
            raise KillError
        return draw(self, *arguments)

    monkeypatch.setattr(Samples, "draw", dying)
    with pytest.raises(KillError):
        learn(train, val, tmp_path, 12, **how)
    kept = load_file(tmp_path / "checkpoint.safetensors")
    assert (kept["extra.hardness"] != 1).any()
    assert any(name.endswith(".momentum") for name in kept)
    again, _, curve_again = learn(train, val, tmp_path, 12, **how)
    assert len(calls) == 7 + 8
    assert curve_again == curve
    assert all(
        torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items()
    )
