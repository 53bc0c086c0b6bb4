"""Movers: things that move as one, found on screens, taught where they go, and shown where they
have gone.
"""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toys.batches import quiet, small_batches
from toys.flight import COLUMNS, HEIGHT, ROWS, SIDE, WIDTH, Tiled, flight, picture
from toys.flight_kinds import kinds
from toys.synthetic import BUTTONS
from toys.walk import assert_same_state, make_model, plain_layout, record, start_at

from dreamcart.dynamics.tokens.beliefs import Beliefs
from dreamcart.dynamics.tokens.budget import Budget, LeftOutError
from dreamcart.dynamics.tokens.inertia import Thing
from dreamcart.dynamics.tokens.model import TokenDynamics
from dreamcart.dynamics.tokens.movers import train
from dreamcart.dynamics.tokens.movers.births import (
    certain,
    due,
    remember,
    returns_of,
    table_of,
    unborn,
    weighed,
)
from dreamcart.dynamics.tokens.movers.claims import Tiles, claims
from dreamcart.dynamics.tokens.movers.finder import Finder
from dreamcart.dynamics.tokens.movers.kinds import MOST_ABSENT, MOST_THINGS, PAST, Kinds, find_kinds
from dreamcart.dynamics.tokens.movers.network import Mover
from dreamcart.dynamics.tokens.movers.play import Claims, choose
from dreamcart.dynamics.tokens.movers.recorded import things_of
from dreamcart.dynamics.tokens.movers.train import Practice, choices_of, complete, told_anew
from dreamcart.dynamics.tokens.movers.views import SIDE as SEEN
from dreamcart.dynamics.tokens.movers.views import crops
from dreamcart.dynamics.tokens.paint import keep
from dreamcart.dynamics.tokens.samples import Samples
from dreamcart.dynamics.tokens.state import MOVING
from dreamcart.dynamics.tokens.train import move
from dreamcart.training.loop import Plan


def thing(y: int, x: int, colour: int = 1) -> Thing:
    return Thing(colour, y, x, np.ones((2, 2), bool))


def test_cells_must_show_things_where_they_have_gone_and_nowhere_else():
    """All tiles that anything like it shows; a brick (colour 2) beside it may stay or go."""
    brick = (2, 8, 12, 4, 4)
    now, then, broken = (
        picture((1, 9, 6, 2, 2), brick),
        picture((1, 9, 9, 2, 2), brick),
        picture((1, 9, 9, 2, 2)),
    )
    off = picture((1, 10, 9, 2, 2), brick)
    tiled = Tiled(now, then, broken, off, picture())
    may = np.ones((ROWS, COLUMNS, len(tiled.tiles)), bool)
    seen = set()
    for row, column, fits in claims(
        Tiles(tiled.tiles, [1]), tiled(now), [thing(9, 6)], [thing(9, 9)]
    ):
        may[row, column] = fits
        seen.add((row, column))
    assert seen == {(2, 1), (2, 2)}

    def allowed(shown: np.ndarray) -> bool:
        tokens = tiled(shown)
        return all(
            may[row, column, tokens[row, column]] for row, column in np.ndindex(ROWS, COLUMNS)
        )

    assert allowed(then)
    assert allowed(broken)
    assert not any(
        allowed(shown)
        for shown in (now, off, picture(), picture((1, 9, 6, 2, 2), (1, 9, 9, 2, 2), brick))
    )


def test_a_place_where_nothing_comes_shows_nothing_new():
    empty, ball = picture(), picture((1, 9, 5, 2, 2))
    tiled = Tiled(empty, ball)
    [(row, column, fits)] = claims(Tiles(tiled.tiles, [1]), tiled(empty), [], [], [thing(9, 5)])
    assert (row, column) == (2, 1)
    assert fits[tiled(empty)[2, 1]]
    assert not fits[tiled(ball)[2, 1]]


def test_what_no_tile_shows_is_not_asked_for_and_the_screen_has_ends():
    tiled = Tiled(picture((1, 0, 0, 2, 2)))
    asked = list(
        claims(
            Tiles(tiled.tiles, [1]), tiled(picture((1, 0, 0, 2, 2))), [thing(0, 0)], [thing(-4, 9)]
        )
    )
    assert [(row, column) for row, column, _ in asked] == [(0, 0)]
    # a ball in the middle of a tile
    assert not list(claims(Tiles(tiled.tiles, [1]), tiled(picture()), [], [thing(1, 1)]))


def test_a_view_is_centred_and_knows_the_screens_ends():
    shown = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 251
    tiled = Tiled(shown.astype(np.uint8))
    screen = torch.from_numpy(tiled(shown.astype(np.uint8)))[None, None].repeat(1, 2, 1, 1)
    crop = crops(torch.from_numpy(tiled.tiles), screen, torch.tensor([[3, 5]]))[0]
    assert crop.shape == (2, SEEN, SEEN)
    assert torch.equal(crop[0], crop[1])
    wanted = np.zeros((SEEN, SEEN), int)
    for y, x in np.ndindex(SEEN, SEEN):
        py, px = y + 3 - SEEN // 2, x + 5 - SEEN // 2
        if 0 <= py < HEIGHT and 0 <= px < WIDTH:
            wanted[y, x] = shown[py, px] + 1
    np.testing.assert_array_equal(crop[0], wanted)


def test_a_choice_is_drawn_only_where_none_is_sure():
    generator = torch.Generator().manual_seed(0)
    even, sure = torch.tensor([0.3, 0.4, 0.3]), torch.tensor([0.02, 0.95, 0.03])
    assert {choose(even, 1.0, generator, False) for _ in range(60)} == {0, 1, 2}
    assert {choose(sure, 1.0, generator, told) for _ in range(200) for told in (False, True)} == {1}
    assert choose(even, 0.0, generator, False) == 1
    assert choose(even, 0.001, generator, False) == 1  # so cold that powers of chances are zero
    for temperature in (0.0, 1.0):
        assert choose(even, temperature, generator, True) is None


@pytest.fixture(scope="module")
def game():
    """A ball between walls: its model, samples and tokens."""
    split, tokens, tiled = flight(24, 60)
    model = make_model(plain_layout(ROWS, COLUMNS), len(tiled.tiles), depth=PAST, side=SIDE)
    model.tiles.copy_(torch.from_numpy(tiled.tiles))
    return SimpleNamespace(
        split=split, tokens=tokens, tiled=tiled, model=model, samples=Samples(split, tokens, model)
    )


def test_the_kinds_of_a_game_are_found(game):
    table = find_kinds(
        game.tiled.tiles, game.tokens, game.split.index["frame"], game.split.transitions
    )
    assert (table.colours.tolist(), table.sizes.tolist()) == ([1], [[2, 2]])
    assert table.masks.all()
    went = things_of(
        game.samples, game.tokens, Finder(game.tiled.tiles, table), game.samples.changed
    )
    assert went.there.all()
    assert not len(went.births)
    table = complete(table, went)
    assert table.shape == [1, 2, 2, len(table.ways), 0, 0, 0, HEIGHT, 0, 0]
    assert {(3, 3), (-3, 1)} <= set(map(tuple, table.ways.tolist()))
    assert table.ways.abs().max() <= 3
    practice = Practice(game.samples, game.tokens, game.tiled.tiles, table, went)
    chosen, stretch, step, weight, seen = practice.draw(np.random.default_rng(0), 64)
    assert weight.mean().item() == pytest.approx(1)
    assert weight.min() < 1 < weight.max()
    assert len(chosen) == 64
    # what the stretch shows at that step
    places = seen.places[torch.from_numpy(stretch), torch.from_numpy(step), 0]
    assert places.tolist() == went.thing[chosen, 1:].tolist()
    _, target = practice.get(np.arange(len(went.record)), torch.zeros(len(went.record), 0))
    for number in (0, 5, 700):
        row = game.samples.frame[went.record[number] + 1]
        dy, dx = table.ways[target[number]].tolist()
        _, y, x = went.thing[number]
        assert game.tokens[row].tolist() == game.tiled(picture((1, y + dy, x + dx, 2, 2))).tolist()


def rows_of(*columns: int, things: int = 6) -> tuple[Tiled, np.ndarray]:
    """Things of one size, one below the other and of different colours, at some places one after
    another.
    """
    shown = [picture(*((1 + n, 3 * n, x, 2, 2) for n in range(things))) for x in columns]
    tiled = Tiled(*shown)
    return tiled, np.stack([tiled(one) for one in shown])


def test_kinds_that_move_equally_often_have_the_order_of_the_screen():
    """In every process: a training that goes on has the kinds with which it began."""
    tiled, tokens = rows_of(2, 5, 9, 14, 16)
    assert find_kinds(tiled.tiles, tokens, np.arange(5), np.arange(4)).colours.tolist() == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]


def test_a_game_in_which_more_things_move_than_a_screen_has_room_for_has_no_movers():
    """Things of one kind here: how many kinds there are does not matter."""
    for number, allowed in ((MOST_THINGS, True), (MOST_THINGS + 1, False)):
        # each within a cell: else it is a cut
        places = [(8 * (n // COLUMNS), SIDE * (n % COLUMNS)) for n in range(number)]
        shown = [picture(*((1, y, x + step % 3, 2, 2) for y, x in places)) for step in range(6)]
        tiled = Tiled(*shown)
        told = tiled.tiles, np.stack([tiled(one) for one in shown]), np.arange(6), np.arange(5)
        if allowed:
            assert len(find_kinds(*told).colours) == 1
        else:
            with pytest.raises(
                LeftOutError,
                match=f"{number} of them move in a step on average and a screen has room for",
            ):
                find_kinds(*told)


def test_things_that_come_from_nowhere_are_noted():
    """A ball that comes at one of two places again and again, after a while without."""
    shown = [
        picture((1, 4, 8 + 12 * (turn % 2), 2, 2)) if step == 8 else picture()
        for turn in range(12)
        for step in range(9)
    ]
    tiled = Tiled(*shown)
    split, tokens = record(
        [
            (
                [tiled(one).astype(np.int16) for one in shown],
                np.zeros((len(shown) - 1, len(BUTTONS)), np.uint8),
            )
        ]
    )
    model = make_model(plain_layout(ROWS, COLUMNS), len(tiled.tiles), depth=PAST, side=SIDE)
    model.tiles.copy_(torch.from_numpy(tiled.tiles))
    samples = Samples(split, tokens, model)
    went = things_of(samples, tokens, Finder(tiled.tiles, kinds((1, 2, 2))), samples.changed)
    table = complete(kinds((1, 2, 2)), went)
    counted = told_anew(kinds((1, 2, 2)), samples, tokens, tiled.tiles)
    for name in ("births", "usual", "follows", "returns"):
        assert torch.equal(getattr(counted, name), getattr(table, name)), name
    assert table.returns[0].nonzero().tolist() == [[8]]  # eight steps without, and it is there
    assert table.births.tolist() == [[0, 4, 8], [0, 4, 20]]
    assert table.follows.shape == (2, 1, 2)  # the other one, whenever it comes
    assert table.follows[0, 0, 1] > 0.6 < table.follows[1, 0, 0]


def serves(count: int) -> np.ndarray:
    """Births in one episode, at a place that a clock decides: every second step the other half of
    the places.
    """
    rng = np.random.default_rng(1)
    records = np.cumsum(rng.integers(9, 30, count))
    where = 2 * (records % 2) + rng.integers(0, 2, count)
    return np.stack([np.zeros(count, int), 4 * where, 4 * where, np.zeros(count, int), records], 1)


def test_a_clock_out_of_sight_is_found():
    table = table_of(serves(400))
    assert table["births"].tolist() == [[0, 0, 0], [0, 4, 4], [0, 8, 8], [0, 12, 12]]
    assert table["usual"].sum() == pytest.approx(1)
    assert table["follows"].shape == (4, 2, 4)
    np.testing.assert_allclose(table["follows"].sum(2), 1, rtol=1e-5)
    for last, odd in np.ndindex(4, 2):
        half = (last // 2 + odd) % 2
        assert table["follows"][last, odd, 2 * half : 2 * half + 2].sum() > 0.95
    chance = serves(400)
    chance[:, 1] = chance[:, 2] = np.random.default_rng(2).integers(0, 4, 400)
    assert table_of(chance)["follows"].shape[1] == 0  # none, where none helps
    assert table_of(chance[:3])["births"].shape == (0, 3)


def test_when_a_thing_comes_back_is_counted():
    """Lost for nine steps each time it comes back in the tenth; another one comes now and then."""
    seen = np.tile(np.r_[np.ones(5, bool), np.zeros(9, bool)], 40)
    returns = returns_of(seen, np.repeat([0, 280], 280))
    assert np.flatnonzero(returns).tolist() == [9]
    assert returns[9] == 1
    assert not returns_of(seen[:40], np.zeros(40, int)).any()  # too seldom to know
    table = torch.stack([torch.from_numpy(returns), torch.zeros(MOST_ABSENT)])
    born = unborn(4, 2)
    born[:, 0, 2] = torch.tensor([8, 9, 10, 5000])
    assert due(born, table).tolist() == [
        [False, False],
        [True, False],
        [False, False],
        [False, False],
    ]
    usual = np.array([0.75, 0.25], np.float32)
    assert certain(torch.tensor([0.1, 0.3, 0.6]), np.arange(2), usual).tolist() == pytest.approx(
        [0.25, 0.75, 0]
    )
    assert certain(torch.tensor([0.0, 0.0, 1.0]), np.arange(2), usual).tolist() == pytest.approx(
        [0.75, 0.25, 0]
    )


def test_what_was_born_last_is_remembered_and_weighs():
    births = np.array([[0, 0, 0], [0, 4, 4], [1, 8, 8]])
    nothing = np.full((1, 2, 3), -1)
    ball, moved, other = nothing.copy(), nothing.copy(), nothing.copy()
    ball[0, 1], moved[0, 0], other[0, 0] = births[1], (0, 5, 5), (1, 8, 8)
    born = unborn(1, 2)
    for shown, steps, wanted in (
        (nothing, PAST + 1, [[-1, PAST + 1, PAST + 1], [-1, PAST + 1, PAST + 1]]),
        (ball, 1, [[1, 0, 0], [-1, PAST + 2, PAST + 2]]),
        (moved, 3, [[1, 3, 0], [-1, PAST + 5, PAST + 5]]),
        (nothing, 2, [[1, 5, 2], [-1, PAST + 7, PAST + 7]]),
        (ball, 1, [[1, 6, 0], [-1, PAST + 8, PAST + 8]]),  # hidden for a while, not born
        (other, 1, [[1, 7, 1], [2, 0, 0]]),
    ):
        for _ in range(steps):
            born = remember(born, shown, births)
        assert born[0].tolist() == wanted
    follows = np.zeros((3, 2, 3), np.float32)
    follows[1, 0], follows[1, 1] = (0.9, 0.1, 0), (0.1, 0.9, 0)
    chances, usual, own = (
        torch.tensor([0.3, 0.3]),
        np.array([0.5, 0.5, 1], np.float32),
        np.array([0, 1]),
    )
    torch.testing.assert_close(
        weighed(chances, own, [1, 7, 9], usual, follows), torch.tensor([0.54, 0.06])
    )
    torch.testing.assert_close(
        weighed(chances, own, [1, 6, 9], usual, follows), torch.tensor([0.06, 0.54])
    )
    assert weighed(chances, own, [-1, 6, 9], usual, follows) is chances


def plan(steps: int) -> Plan:
    return Plan(steps, 0.001, 0.01, steps, steps, 0)


def test_a_ball_is_taught_to_fly_and_to_bounce(game, tmp_path, monkeypatch):
    """Played after that by a network of cells that knows nothing: the ball goes where it should,
    whole.
    """
    both = {"train": game.samples, "val": game.samples}, {"train": game.tokens, "val": game.tokens}
    model = make_model(plain_layout(ROWS, COLUMNS), len(game.tiled.tiles), depth=PAST, side=SIDE)
    model.tiles.copy_(game.model.tiles)
    small_batches(monkeypatch)
    config = move(model, *both, plan(300), tmp_path / "movers.ckpt")
    assert not list(tmp_path.iterdir())
    at = game.samples.changed[7::11]
    state, action, *_ = Samples(game.split, game.tokens, model).get(at)
    known = start_at(game.split, game.tokens, model, at)
    # the record does not say what came from nowhere, nor what is remembered
    untold = dict.fromkeys(MOVING, torch.zeros(1))
    assert_same_state(*(dataclasses.replace(one, **untold) for one in (known, state)))
    quiet(model)
    with torch.inference_mode():
        dream, _ = model.step(known, action)
    true = torch.from_numpy(game.tokens[game.split.index["frame"][at + 1]])
    finder = Finder(game.tiled.tiles, model.kinds)
    seen, wanted = (
        [finder.find(screen)[0] for screen in screens.numpy()] for screens in (dream, true)
    )
    assert np.mean([(a == b).all() for a, b in zip(seen, wanted, strict=True)]) > 0.8
    # a model of the same config has the same, from a file's tensors
    twin = make_model(
        plain_layout(ROWS, COLUMNS), len(game.tiled.tiles), depth=PAST, side=SIDE, **config
    )
    twin.load_state_dict(model.state_dict())
    with torch.inference_mode():
        again, _ = twin.eval().step(known, action)
    assert torch.equal(dream, again)


def test_a_killed_training_of_movers_goes_on(game, tmp_path, monkeypatch):
    both = {"train": game.samples, "val": game.samples}, {"train": game.tokens, "val": game.tokens}
    models = [
        make_model(plain_layout(ROWS, COLUMNS), len(game.tiled.tiles), depth=PAST, side=SIDE)
        for _ in range(2)
    ]
    for model in models:
        model.tiles.copy_(game.model.tiles)
    own = Plan(6, 0.001, 0.01, 2, 2, 0)
    move(models[0], *both, own, tmp_path / "a.ckpt")
    draw, drawn = Practice.draw, []

    def killed(self, *args):
        drawn.append(1)
        if len(drawn) == 5:
            raise KeyboardInterrupt
        return draw(self, *args)

    monkeypatch.setattr(Practice, "draw", killed)
    with pytest.raises(KeyboardInterrupt):
        move(models[1], *both, own, tmp_path / "b.ckpt")
    # what it trains was found in time
    move(models[1], *both, own, tmp_path / "b.ckpt", Budget(0.0))
    for name, weight in models[0].mover.state_dict().items():
        assert torch.equal(weight, models[1].mover.state_dict()[name]), name


def test_what_is_not_found_in_time_is_no_mover(game, tmp_path, capsys):
    model = make_model(plain_layout(ROWS, COLUMNS), len(game.tiled.tiles), depth=PAST, side=SIDE)
    model.tiles.copy_(game.model.tiles)
    both = {"train": game.samples, "val": game.samples}, {"train": game.tokens, "val": game.tokens}
    assert move(model, *both, plan(2), tmp_path / "movers.ckpt", Budget(0.0)) == {}
    said = capsys.readouterr().out
    assert said.startswith(
        "The search for the things that move as one was left out, for searches may take 0 seconds"
    )
    assert said.count("\n") == 1
    table = find_kinds(
        game.tiled.tiles, game.tokens, game.split.index["frame"], game.split.transitions
    )
    trained = train.train_movers(
        *both, game.tiled.tiles, table, plan(2), tmp_path / "movers.ckpt", Budget(0.0)
    )
    assert trained is None
    assert "left out" in capsys.readouterr().out
    assert model.mover is None
    assert not list(tmp_path.iterdir())


class Fixed(Mover):
    """A mover whose chances are given."""

    def __init__(self, chances: list[float]) -> None:
        super().__init__(2, 1, len(chances) - 1, 2, len(BUTTONS))
        self.given = torch.tensor(chances)

    def chances(self, views):
        return self.given.repeat(len(views.kind), 1)


def dreaming(mover: Mover, table: Kinds, *shown: np.ndarray) -> tuple[TokenDynamics, Tiled]:
    """A model of cells that do nothing by themselves, with a mover, and the tiles of what is
    shown.
    """
    tiled = Tiled(*shown)
    model = make_model(plain_layout(ROWS, COLUMNS), len(tiled.tiles), depth=PAST, side=SIDE)
    model.tiles.copy_(torch.from_numpy(tiled.tiles))
    quiet(model)
    model.set_movers(table, mover.eval())
    return model, tiled


@torch.inference_mode()
def test_a_thing_goes_one_way_and_is_never_torn():
    """Two ways of even chance: at each temperature the ball is at one of two places, whole, and no
    longer where it was.
    """
    now, one, other = (picture((1, y, x, 2, 2)) for y, x in ((9, 9), (11, 12), (7, 12)))
    model, tiled = dreaming(
        Fixed([0.5, 0.5, 0.0]), kinds((1, 2, 2), ways=[[2, 3], [-2, 3]]), now, one, other
    )
    screens = torch.from_numpy(tiled(now))[None, None].repeat(40, PAST + 1, 1, 1)
    state = model.start(screens, torch.zeros(40, PAST, len(BUTTONS)))
    action = torch.zeros(40, len(BUTTONS))
    dream, _ = model.step(state, action, 1.0, torch.Generator().manual_seed(0))
    seen = {frame.tobytes() for frame in dream.numpy().astype(np.int64)}
    assert seen == {tiled(one).tobytes(), tiled(other).tobytes()}
    dream, _ = model.step(state, action)
    assert (dream.numpy() == tiled(one)).all()


def test_cells_are_held_to_what_they_must_show():
    """Whatever was decided for others since: the likeliest of the tokens that they may show."""
    logits = torch.tensor([[0.0, 1.0, 3.0, 2.0]])
    network = SimpleNamespace(tokens=lambda features, onward: logits.expand(len(features), -1))
    now = torch.zeros(2, 1, 2, dtype=torch.int16)
    believed = Beliefs(now, now[:, :0], torch.zeros(2, 1, 2), torch.zeros(2, 1, 2, 3))
    painted = torch.tensor([[[2, 2]], [[1, 0]]], dtype=torch.int16)
    may = torch.tensor(
        [[False, True, False, True], [False, True, False, True], [True, False, False, False]]
    )
    claimed = Claims(torch.tensor([0, 1, 1]), torch.tensor([1, 0, 1]), may)
    assert keep(network, painted, believed, claimed).tolist() == [[[2, 3]], [[1, 0]]]
    assert painted.tolist() == [[[2, 2]], [[1, 0]]]


@torch.inference_mode()
def test_the_truth_is_told_where_a_way_is_in_doubt():
    now, one, other = (picture((1, y, x, 2, 2)) for y, x in ((9, 9), (11, 12), (7, 12)))
    table = kinds((1, 2, 2), ways=[[2, 3], [-2, 3]])
    for chances, wanted in (([0.6, 0.4, 0.0], now), ([0.95, 0.05, 0.0], one)):
        model, tiled = dreaming(Fixed(chances), table, now, one, other)
        screens = torch.from_numpy(tiled(now))[None, None].repeat(1, PAST + 1, 1, 1)
        state = model.start(screens, torch.zeros(1, PAST, len(BUTTONS)))
        dream, _ = model.step(
            state, torch.zeros(1, len(BUTTONS)), oracle=torch.from_numpy(tiled(other))[None]
        )
        # cells that are sure of themselves stay as they are
        assert (dream[0].numpy() == tiled(wanted)).all()


@torch.inference_mode()
def test_what_comes_from_nowhere_comes_once():
    """Cells far apart each believe with a half that a ball comes to them: it comes to one of them,
    never to both or to none.
    """
    empty, one, other = picture(), picture((1, 5, 5, 2, 2)), picture((1, 13, 25, 2, 2))
    table = kinds((1, 2, 2), ways=[[0, 0]], births=[[0, 5, 5], [0, 13, 25]])
    model, tiled = dreaming(Fixed([1.0, 0.0]), table, empty, one, other)
    screens = torch.from_numpy(tiled(empty))[None, None].repeat(40, PAST + 1, 1, 1)
    state = model.start(screens, torch.zeros(40, PAST, len(BUTTONS)))

    def tokens(features, onward=None):
        return torch.full((len(features), len(tiled.tiles)), -30.0).index_fill(1, ball, 0.0)

    ball = torch.tensor(sorted({tiled(one)[1, 1], tiled(other)[3, 6]}))
    place = torch.full((ROWS * COLUMNS, 1), -20.0)
    place[[COLUMNS + 1, 3 * COLUMNS + 6]] = 0.0

    class Gate(torch.nn.Module):
        def forward(self, features):
            return place.view(1, ROWS, COLUMNS, 1).expand(len(features), -1, -1, -1)

    model.network.tokens, model.network.gate = tokens, Gate()
    dream, _ = model.step(
        state, torch.zeros(40, len(BUTTONS)), 1.0, torch.Generator().manual_seed(0)
    )
    seen = {frame.tobytes() for frame in dream.numpy().astype(np.int64)}
    assert seen == {tiled(one).tobytes(), tiled(other).tobytes()}


@torch.inference_mode()
def test_a_thing_may_jump_to_where_its_kind_comes_from_nowhere():
    """As Pong's enemy does at a serve: in the recording it is one of its choices, in play it is
    there, whole, and nowhere else.
    """
    near, far, other = (picture((1, y, x, 2, 2)) for y, x in ((4, 2), (13, 25), (4, 3)))
    table = kinds((1, 2, 2), ways=[[0, 1], [0, -1]], births=[[0, 5, 5], [0, 13, 25]])
    model, tiled = dreaming(Fixed([0.0, 0.0, 0.0, 1.0, 0.0]), table, near, far, other)
    shown = [near, other, near, other, near, far, far]
    quietly = np.zeros((len(shown) - 1, len(BUTTONS)), np.uint8)
    split, tokens = record([([tiled(one).astype(np.int16) for one in shown], quietly)] * 3)
    samples = Samples(split, tokens, model)
    went = things_of(samples, tokens, Finder(tiled.tiles, table), samples.changed)
    assert choices_of(table.numpy(), went).tolist() == [0, 1, 0, 1, 3] * 3
    screens = torch.from_numpy(tiled(near))[None, None].repeat(1, PAST + 1, 1, 1)
    state = model.start(screens, torch.zeros(1, PAST, len(BUTTONS)))
    dream, _ = model.step(state, torch.zeros(1, len(BUTTONS)))
    assert (dream[0].numpy() == tiled(far)).all()


@torch.inference_mode()
def test_what_is_due_comes_though_no_cell_believes_it():
    """And not a step before: nothing else in the game says that anything will happen."""
    empty, ball = picture(), picture((1, 5, 5, 2, 2))
    table = kinds((1, 2, 2), ways=[[0, 0]], births=[[0, 5, 5]])
    table.returns[0, PAST + 3] = 1.0
    model, tiled = dreaming(Fixed([1.0, 0.0]), table, empty, ball)
    torch.nn.init.constant_(model.network.event[2].bias, -20.0)
    screens = torch.from_numpy(tiled(empty))[None, None].repeat(2, PAST + 1, 1, 1)
    state = model.start(screens, torch.zeros(2, PAST, len(BUTTONS)))
    shown = []
    for _ in range(4):
        dream, state = model.step(
            state, torch.zeros(2, len(BUTTONS)), 1.0, torch.Generator().manual_seed(0)
        )
        shown.append((dream.numpy() == tiled(ball)).all())
    assert shown == [False, False, True, True]


@torch.inference_mode()
def test_an_older_model_with_movers_plays_without_looks():
    """Its file tells none: a ball in its own colour goes where it did."""
    now, then = picture((1, 9, 9, 2, 2)), picture((1, 11, 12, 2, 2))
    table = kinds((1, 2, 2), ways=[[2, 3]])
    bare = Kinds.empty(1, 2, 2, 1)
    for name in ("colours", "sizes", "masks", "ways"):
        getattr(bare, name)[:] = getattr(table, name)
    model, tiled = dreaming(Fixed([1.0, 0.0]), bare, now, then)
    assert {"kinds_masks", "kinds_returns"} & set(model.state_dict()) == {"kinds_masks"}
    assert model.kinds.fields.tolist() == [[0, 0, HEIGHT, WIDTH]]
    screens = torch.from_numpy(tiled(now))[None, None].repeat(1, PAST + 1, 1, 1)
    state = model.start(screens, torch.zeros(1, PAST, len(BUTTONS)))
    dream, _ = model.step(state, torch.zeros(1, len(BUTTONS)))
    assert (dream[0].numpy() == tiled(then)).all()
