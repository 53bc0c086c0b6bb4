"""The budget of the searches in recordings, and what is left out in a game of many things."""

from pathlib import Path

import numpy as np
import pytest
import torch
from toys.synthetic import BUTTONS, make_params
from toys.walk import learn, record, start_at, walk

from dreamcart.data.processed import Split
from dreamcart.dynamics.tokens import budget
from dreamcart.dynamics.tokens.budget import (
    LEAST,
    LEAST_STEP,
    SHARE,
    Budget,
    LeftOutError,
    Stopwatch,
    along,
    check,
)
from dreamcart.dynamics.tokens.model import TokenDynamics
from dreamcart.dynamics.tokens.train import keep_to, train_tokens

ROWS, COLUMNS, SIDE = 32, 40, 4
SPRITES, LENGTH = 40, 100


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The time in seconds, which stands still until a test changes it."""
    now = [100.0]
    monkeypatch.setattr(budget, "monotonic", lambda: now[0])
    return now


def hours(clock: list[float], items: int, each: float) -> list[int]:
    """A search of so many items, each of which takes so long."""
    found = []
    for item in along(range(items), "hours"):
        clock[0] += each
        found.append(item)
    return found


def test_all_searches_share_one_budget(clock, capsys):
    own = Budget(10.0)
    assert own.search("one", "never mind", [], hours, clock, 4, 1.0) == [0, 1, 2, 3]
    assert own.search("another", "never mind", [], hours, clock, 5, 1.0) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().out == ""
    assert own.search("a third", "the dream lacks it", None, hours, clock, 1000, 1.0) is None
    # the second that was left, and the item that was begun in it
    assert own.used == pytest.approx(11.0)
    assert own.search("a fourth", "the dream lacks that too", [7], hours, clock, 1, 1.0) == [7]
    assert capsys.readouterr().out.splitlines() == [
        (
            "The search for a third was left out, for searches may take 10 seconds together after"
            " such a training; the dream lacks it."
        ),
        (
            "The search for a fourth was left out, for searches may take 10 seconds together after"
            " such a training; the dream lacks that too."
        ),
    ]


def test_a_search_without_a_budget_takes_as_long_as_it_needs(clock):
    assert len(hours(clock, 1000, 1000.0)) == 1000
    assert len(Budget().search("all", "nothing", [], hours, clock, 1000, 1000.0)) == 1000
    check()


def test_a_search_that_fails_otherwise_fails():
    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Budget(0.0).search("all", "nothing", None, broken)
    check()  # and no budget is left behind


def test_a_budget_is_a_share_of_the_training_or_what_a_game_of_a_few_things_needs():
    assert Budget.after(10_000.0, 100).seconds == SHARE * 10_000.0
    assert Budget.after(1.0, 80_000).seconds == LEAST + LEAST_STEP * 80_000


def test_a_search_is_shown_if_it_takes_long(monkeypatch, capsys):
    assert list(along(range(3), "quick")) == [0, 1, 2]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(budget, "SHOWN_AFTER", 0)
    assert list(along(range(3), "slow", "screen")) == [0, 1, 2]
    shown = capsys.readouterr().err
    assert "slow: 100%" in shown
    assert "screen/s" in shown


def test_the_time_of_a_training_is_counted(clock):
    watch = Stopwatch()
    for _ in range(3):
        clock[0] += 2.0
        watch.tick()
    assert watch.seconds.tolist() == [6.0]


def test_a_finished_training_has_the_budget_of_one_that_ran_through(tmp_path, monkeypatch):
    """Its checkpoint knows how long it took, also where it was broken off on the way."""
    given = []
    monkeypatch.setattr(
        Budget,
        "after",
        staticmethod(lambda trained, steps: given.append((trained, steps)) or Budget()),
    )
    recorded, small = (
        (walk(4, 30, 0), walk(2, 30, 1)),
        {
            "batch_size": 8,
            "channels": 4,
            "memory": 8,
            "checkpoint_every": 4,
        },
    )
    tick, ticks = Stopwatch.tick, []

    def dying(self: Stopwatch) -> None:
        self.last -= 60.0  # each step takes a minute
        ticks.append(None)
        if len(ticks) == 7:
            raise KeyboardInterrupt
        tick(self)

    monkeypatch.setattr(Stopwatch, "tick", dying)
    with pytest.raises(KeyboardInterrupt):
        learn(*recorded, tmp_path, 12, **small)
    for _ in range(2):
        learn(*recorded, tmp_path, 12, **small)
    assert len(ticks) == 7 + 8  # the second time nothing is trained
    (first, steps), (again, _) = given
    assert first == pytest.approx(12 * 60, abs=20)
    assert again == first
    assert steps == len(recorded[0][0].transitions)


def crowd(sprites: int, length: int) -> tuple[Split, np.ndarray, np.ndarray]:
    """A game of small things of all colours and shapes, and its tiles uint8 [V, t, t]."""
    rng = np.random.default_rng(0)
    height, width = ROWS * SIDE, COLUMNS * SIDE
    size, place = rng.integers(2, 6, (sprites, 2)), rng.integers(0, (height, width), (sprites, 2))
    way, colour = rng.choice([-2, -1, 1, 2], (sprites, 2)), rng.integers(1, 7, sprites)
    screens = np.zeros((length, height, width), np.uint8)
    for step, screen in enumerate(screens):
        for thing in range(sprites):
            y, x = (place[thing] + step * way[thing]) % (height, width)
            screen[y : y + size[thing, 0], x : x + size[thing, 1]] = colour[thing]
    cut = (
        screens.reshape(length, ROWS, SIDE, COLUMNS, SIDE)
        .transpose(0, 1, 3, 2, 4)
        .reshape(-1, SIDE * SIDE)
    )
    tiles, number = np.unique(cut, axis=0, return_inverse=True)
    frames = number.reshape(length, ROWS, COLUMNS).astype(np.int16)
    split, tokens = record([(list(frames), np.zeros((length - 1, len(BUTTONS)), int))])
    return split, tokens, tiles.reshape(-1, SIDE, SIDE)


def train_on(
    split: Split, tokens: np.ndarray, tiles: np.ndarray, checkpoint: Path
) -> tuple[TokenDynamics, dict]:
    """The real training, at a size of toys."""
    size = {
        "channels": 8,
        "blocks": 1,
        "memory": 16,
        "history_frames": 8,
        "batch_size": 4,
        "steps": 12,
    }
    values = {f"dynamics__{key}": value for key, value in size.items()}
    params = make_params(representation__kind="tiles", preprocess__tile=8, **values)
    pictures = torch.from_numpy(tiles)[..., None] * 30
    both = {"train": tokens, "val": tokens[:10]}
    few = Split(split.frames[:10], split.index[:10], split.spec)
    model, config, _ = train_tokens(params, split, few, both, pictures, checkpoint)
    return model, config


@torch.inference_mode()
def plays(model: TokenDynamics, config: dict, split: Split, tokens: np.ndarray) -> None:
    """A dream of some steps, by the model and by another one made from its file."""
    twin = TokenDynamics(**{key: value for key, value in config.items() if key != "kind"})
    twin.load_state_dict(model.state_dict())
    action = torch.zeros(1, len(BUTTONS))
    frames = []
    for one in (model, twin.eval()):
        state = start_at(split, tokens, one, split.transitions[5:6])
        for _ in range(3):
            frame, state = one.step(state, action, 1.0, torch.Generator().manual_seed(0))
        assert frame.shape == (1, *tokens.shape[1:])
        frames.append(frame)
    assert torch.equal(*frames)


def test_a_game_of_forty_moving_things_has_no_movers_and_ends(tmp_path, monkeypatch, capsys):
    """On every machine: a sample of the steps tells that more move than a screen has room for."""
    monkeypatch.setattr(budget, "LEAST", 120.0)  # seconds: the clock is another test's
    game = crowd(SPRITES, LENGTH)
    spent = []
    after = Budget.after
    monkeypatch.setattr(
        Budget, "after", staticmethod(lambda *given: spent.append(after(*given)) or spent[0])
    )
    with torch.inference_mode(False):
        model, config = train_on(*game, tmp_path / "checkpoint")
    (said,) = capsys.readouterr().out.splitlines()
    assert said.startswith("The search for the things that move as one was left out, for ")
    assert "screen has room for 8; the dream decides them cell by cell" in said
    assert model.mover is None
    assert "movers" not in config
    assert 0 < spent[0].used < spent[0].seconds
    plays(model, config, *game[:2])


def test_what_was_not_found_in_time_is_left_out_and_the_model_plays(tmp_path, monkeypatch, capsys):
    """By the clock: with no time at all."""
    for name in ("SHARE", "LEAST", "LEAST_STEP"):
        monkeypatch.setattr(budget, name, 0.0)
    game = crowd(3, 60)
    model, config = train_on(*game, tmp_path / "checkpoint")
    said = capsys.readouterr().out.splitlines()
    reason = " was left out, for searches may take 0 seconds together"
    assert [line.split(reason)[0].removeprefix("The search for ") for line in said] == [
        "parts of the screen that show few pictures",
        "all that a step may change",
        "parts of the screen that change in a fixed order",
        "the order of the scenes",
        "the one thing that moves and falls",
        "the things that move as one",
    ]
    assert model.mover is None
    plays(model, config, *game[:2])


def test_within_the_budget_a_model_knows_what_it_knows_without_one(tmp_path):
    train_split, val = walk(6, 40, 0), walk(2, 30, 1)
    model, *_ = learn(train_split, val, tmp_path, 5)
    told = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    keep_to(model, train_split[1], train_split[0])
    assert told.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, told[name]) for name, tensor in model.state_dict().items())


def test_a_limit_within_a_search_is_said(capsys):
    def limited() -> int:
        raise LeftOutError("there are 50 of them")

    assert Budget().search("them", "the dream has none", 3, limited) == 3
    assert (
        capsys.readouterr().out
        == "The search for them was left out, for there are 50 of them; the dream has none.\n"
    )
