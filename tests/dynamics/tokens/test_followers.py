"""Things that follow a dial: found in recordings, followed by the buttons alone, and told when in a
step the dial is read.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toys.batches import quiet
from toys.flight import COLUMNS, ROWS, SIDE, Tiled, picture
from toys.flight_kinds import kinds
from toys.synthetic import BUTTONS, make_spec
from toys.walk import make_model, plain_layout, record

from dreamcart.dynamics.tokens.dials import MIDDLE, Dial, positions_of
from dreamcart.dynamics.tokens.movers.find_followers import BEYOND, with_followers
from dreamcart.dynamics.tokens.movers.followers import (
    DOUBT,
    aims,
    begin_at,
    believe,
    believed_along,
    led,
    moments_of,
    onward,
    places_of,
    readings,
    shown_at,
    sure_of,
    told_by,
)
from dreamcart.dynamics.tokens.movers.kinds import PAST
from dreamcart.dynamics.tokens.movers.train import told_anew, train_movers
from dreamcart.dynamics.tokens.samples import Samples
from dreamcart.training.loop import Plan

DIALS = [Dial(0, 1, 0.06)]
FRAMES, EPISODES, LENGTH = 2, 150, 200


def played(moments: tuple[int, ...] = (0, 1), seed: int = 0):
    """A bat whose place, a whole number, goes half of the way to where its dial points, rounded
    down, and is drawn at every second pixel; the dial is read at one of some moments of a step, by
    the episode. Places on the screen, readings, starts, moments.
    """
    rng = np.random.default_rng(seed)
    start = np.repeat(np.arange(EPISODES) * LENGTH, LENGTH)
    held = np.repeat(rng.integers(-1, 2, len(start) // 5), 5)
    actions = np.stack([held < 0, held > 0], 1).astype(np.uint8)
    at = torch.from_numpy(positions_of(actions, start, DIALS))
    read = readings(at, torch.from_numpy(actions).float(), DIALS, moments_of(FRAMES)).numpy()
    moment = rng.choice(moments, EPISODES)
    place, shown = 0, np.full((len(start), 1, 2), 7, np.float32)
    for at_record in range(len(start)):
        first = at_record == start[at_record]
        dial = MIDDLE if first else read[at_record - 1, moment[start[at_record] // LENGTH], 0]
        aim = int(np.clip(190 * dial + 3, 24, 189))
        place = aim if first else (place + aim) // 2
        shown[at_record, 0, 0] = place // 2 * 2 + 1
    return shown, read, start, moment


def bat():
    return replace(kinds((1, 2, 8)), dials=torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize("moments", [(0, 1), (1,)])
def test_how_a_bat_follows_its_dial_is_found(moments):
    table = with_followers(bat(), *played(moments)[:3])
    assert table.leads.tolist() == [[0, 0]]
    assert table.pulls.tolist() == [0.5]
    assert all(part.isfinite().all() for part in (table.stops, table.aims))
    assert table.grids.tolist() == [[2, 1]]
    # in other episodes, from the buttons alone
    places, read, start, moment = played(moments, seed=1)
    numbers, begins = table.numpy(), np.unique(start)
    followed = begin_at(numbers, places[begins], read[begins])
    wrong = []
    for step in range(1, LENGTH):
        followed = onward(numbers, followed, read[begins + step - 1])
        own = np.take_along_axis(shown_at(numbers, followed)[:, 0], moment[:, None], 1)[:, 0]
        wrong.append((own != places[begins + step, 0, 0]).mean())
    assert np.mean(wrong[12:]) < 0.01  # a few places of the dial are hardly ever seen
    along, exactly = believed_along(numbers, places, read, start)
    off = exactly[:, 0, 0] - places[:, 0, 0]
    settled = np.arange(len(start)) - start >= LENGTH // 2
    # drawn at every second pixel, followed at each
    assert np.isin(off[settled].round(2), (0, 1)).mean() > 0.97
    assert 0.3 < off[settled].mean() < 0.7
    np.testing.assert_array_equal(exactly[:, :, 1], places[:, :, 1])
    along = along.reshape(EPISODES, LENGTH, -1)
    assert not along[:, 0].any()  # nothing is known at first
    assert (along[:, -1].argmax(1) == moment).all()
    assert (np.sort(along[:, -1], 1)[:, -2] < -5).all()
    assert along.min() >= -DOUBT


def test_what_follows_no_dial_is_not_followed():
    places, read, start, _ = played()
    wild = places.copy()
    wild[:, 0, 0] = 2 * np.random.default_rng(0).integers(10, 90, len(wild))
    short = slice(0, 9)
    late = np.roll(places, 9, 0)  # more or less on the line, but not by such a rule
    for table in (
        with_followers(bat(), wild, read, start),
        with_followers(bat(), late, read, start),
        with_followers(bat(), np.full_like(places, np.nan), read, start),
        with_followers(bat(), places, read[:, :0, :0], start),
        with_followers(bat(), places[short], read[short], start[short]),  # too short to tell
    ):
        assert table.leads.tolist() == [[-1, -1]]
        assert table.shape[-1] == 0


def test_dials_turn_within_a_step():
    at = readings(torch.tensor([[0.5], [0.97]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), DIALS, 3)
    torch.testing.assert_close(at[:, :, 0], torch.tensor([[0.5, 0.47, 0.44], [0.97, 1.0, 1.0]]))
    assert readings(torch.zeros(4, 0), torch.zeros(4, 2), [], 0).shape == (4, 0, 0)


@pytest.fixture
def table():
    """Two kinds of which the second goes half of the way to ten times its dial from the left, drawn
    at every second pixel.
    """
    both = kinds(
        (1, 2, 2), (1, 2, 8), leads=[[-1, -1], [0, 1]], pulls=[0, 0.5], grids=[[1, 0], [2, 1]]
    )
    stops, drawn_to = (
        torch.tensor([[BEYOND] * 3, [0.0, 0.5, 1.0]]),
        torch.tensor([[0.0] * 3, [0.0, 50.0, 100.0]]),
    )
    return replace(both, stops=stops, aims=drawn_to).numpy()


def test_a_step_tells_when_the_dial_was_read(table):
    read = np.array([[[0.02], [0.52]], [[0.97], [1.0]]], np.float32)
    np.testing.assert_array_equal(aims(table, read)[:, 1], [[0, 50], [100, 100]])
    found = np.array([[[0, 5, 7], [1, 9, 21], [-1, -1, -1]], [[1, 4, 4], [1, 6, 6], [-1, -1, -1]]])
    place = places_of(found, 2)
    np.testing.assert_array_equal(place, [[[5, 7], [9, 21]], [[np.nan] * 2] * 2])
    np.testing.assert_array_equal(led(table, place), [[np.nan, 21], [np.nan] * 2])
    first = begin_at(table, place, read)
    # at rest, as far as the screen allows
    np.testing.assert_array_equal(first[:, 1], [[21, 22], [100, 100]])
    after = onward(table, first, read)
    np.testing.assert_array_equal(after[:, 1], [[10, 36], [100, 100]])
    np.testing.assert_array_equal(shown_at(table, after)[:, 1], [[9, 35], [99, 99]])
    seen = place.copy()
    seen[:, 1, 1] = [33, 99]
    told = told_by(table, after, seen)
    np.testing.assert_allclose(told, [[-4, -2], [0, 0]])  # so far off is off for another reason too
    np.testing.assert_allclose(believe(np.array([[0, -1.5], [0, -1]]), told), [[-0.5, 0], [0, -1]])
    assert believe(np.zeros((3, 0)), np.zeros((3, 0))).shape == (3, 0)


def test_it_is_sure_where_what_is_likely_agrees(table):
    followed = np.full((1, 2, 2), 40, np.float32)
    place = np.array([[[5, 5], [9, 39]]], np.float32)

    def told(moments: list[float], read: list[float], seen: np.ndarray = place) -> float:
        at = np.array([[[one] for one in read]], np.float32)
        sure = sure_of(table, np.array([moments]), followed, at, seen, 0.9)
        assert np.isnan(sure[0, 0])
        return float(sure[0, 1])

    assert told([0, 0], [0.5, 0.5]) == 45  # whenever it is read
    assert np.isnan(told([0, 0], [0.5, 1.0]))
    assert told([0, -9], [0.5, 1.0]) == 45
    assert np.isnan(told([0, -9], [0.5, 1.0], place + 2))  # it is not where it should be
    assert np.isnan(
        sure_of(table, np.zeros((1, 0)), followed[:, :, :0], np.zeros((1, 0, 1)), place, 0.9)
    ).all()


def on_screens(moments: tuple[int, ...], seed: int, episodes: int = 24, length: int = 160):
    """Pictures of a bat that follows its dial through episodes, and what is pressed."""
    rng = np.random.default_rng(seed)
    for moment in rng.choice(moments, episodes):
        actions = np.zeros((length - 1, len(BUTTONS)), np.uint8)
        for step, press in enumerate(np.repeat(rng.integers(-1, 2, length // 4), 4)[: length - 1]):
            actions[step, :2] = press < 0, press > 0
        at = torch.from_numpy(positions_of(actions, np.zeros(length - 1, int), DIALS))
        read = readings(
            at, torch.from_numpy(actions).float(), DIALS, moments_of(make_spec().frame_skip)
        ).numpy()
        place, shown = 12, []
        for step in range(length):
            shown.append(picture((1, 20, place, 2, 8)))
            if step < length - 1:
                place = (place + int(np.clip(30 * read[step, moment, 0] - 3, 0, 24))) // 2
        yield shown, actions


def test_a_dream_has_a_bat_where_its_dial_leads_it(tmp_path):
    """A hundred steps of buttons on, by networks that know next to nothing: every screen as
    it was.
    """
    played = list(on_screens((0, 1), 0))
    tiled = Tiled(*(one for shown, _ in played for one in shown))
    split, tokens = record(
        [([tiled(one).astype(np.int16) for one in shown], actions) for shown, actions in played]
    )
    model = make_model(
        plain_layout(ROWS, COLUMNS), len(tiled.tiles), depth=PAST, side=SIDE, dials=DIALS
    )
    model.tiles.copy_(torch.from_numpy(tiled.tiles))
    samples = Samples(split, tokens, model)
    both = {"train": samples, "val": samples}, {"train": tokens, "val": tokens}
    plan = Plan(20, 0.001, 0.01, 20, 20, 0)
    table, mover, sizes = train_movers(
        *both, tiled.tiles, kinds((1, 2, 8)), plan, tmp_path / "movers.ckpt"
    )
    model.set_movers(table, mover.eval())
    assert model.moments == moments_of(make_spec().frame_skip)
    assert model.kinds.leads.tolist() == [[0, 1]]
    renewed = told_anew(model.kinds, Samples(split, tokens, model), tokens, tiled.tiles)
    assert all(
        torch.equal(getattr(renewed, name), getattr(model.kinds, name))
        for name in ("leads", "pulls", "stops", "aims")
    )
    config = {"movers": {"shape": table.shape, "network": sizes}}
    twin = make_model(
        plain_layout(ROWS, COLUMNS), len(tiled.tiles), depth=PAST, side=SIDE, dials=DIALS, **config
    )
    twin.load_state_dict(model.state_dict())
    quiet(twin)
    shown, actions = (
        np.stack(part) for part in zip(*on_screens((0, 1), 1, episodes=6), strict=True)
    )
    real = torch.from_numpy(np.stack([[tiled(one) for one in episode] for episode in shown]))
    pressed = torch.from_numpy(actions)
    state = twin.start(real[:, :50], pressed[:, :49])
    assert (state.moments.sort(1).values[:, -2] < -5).all()
    for step in range(49, 149):
        frames, state = twin.step(state, pressed[:, step].float())
        assert torch.equal(frames, real[:, step + 1].to(frames.dtype)), step
