"""What is remembered of things that move: the same in training and in play, and of use where a few
screens do not tell.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toys.batches import quiet, small_batches
from toys.flight import COLUMNS, ROWS, SIDE, WIDTH, Tiled, picture
from toys.flight_kinds import kinds
from toys.synthetic import BUTTONS
from toys.walk import make_model, plain_layout, record, start_at

from dreamcart.dynamics.tokens.inertia import FAR
from dreamcart.dynamics.tokens.movers.clocks import Deeds, clock_of, told_by_deeds, weights
from dreamcart.dynamics.tokens.movers.finder import Finder
from dreamcart.dynamics.tokens.movers.kinds import PAST, UNSEEN
from dreamcart.dynamics.tokens.movers.memory import LONG, lately, scaled, ways_of
from dreamcart.dynamics.tokens.movers.recorded import things_of
from dreamcart.dynamics.tokens.movers.train import Practice, train_movers
from dreamcart.dynamics.tokens.samples import Samples
from dreamcart.training.loop import Plan

EVERY = PAST + 2  # steps: a longer while than a thing's past ways tell


def test_what_is_seen_is_told_in_numbers():
    nowhere = [float("nan")] * 2
    before = torch.tensor([[[4.0, 8.0], nowhere, [0.0, 0.0], [9.0, 9.0]]])
    now = torch.tensor([[[6.0, 5.6], [1.0, 1.0], [0.0, FAR + 1.0], nowhere]])
    assert ways_of(before, now)[0].tolist() == [[FAR + 2, FAR - 2], *[[UNSEEN] * 2] * 3]
    there, places = scaled(now, (12, 8))
    assert there[0].tolist() == [1, 1, 1, 0]
    torch.testing.assert_close(places[0, [0, 3]], torch.tensor([[0.5, 0.7], [0.0, 0.0]]))
    assert lately(torch.tensor([0, LONG // 2, LONG, 9 * LONG])).tolist() == [0, 0.5, 1, 1]


def walk(seed: int, episodes: int, length: int = 70):
    """A ball that goes to and fro and stands still in every EVERYth step, in which, differs by
    episode; and one that never does. Pictures.
    """
    rng = np.random.default_rng(seed)
    for phase in rng.integers(EVERY, size=episodes):
        at, way, shown = int(rng.integers(4, 20)), 2, []
        for step in range(length):
            shown.append(picture((1, 9, at, 2, 2), (2, 20, step % 20, 2, 2)))
            way = way if 0 <= at + way <= WIDTH - 2 else -way
            at += way * (step % EVERY != phase)
        yield shown


@pytest.fixture(scope="module")
def game(tmp_path_factory):
    """Taught to walk so: its model, and practice on other episodes."""
    played, others = (list(walk(seed, count)) for seed, count in ((0, 40), (1, 6)))
    tiled = Tiled(*(one for shown in played + others for one in shown))
    quietly = np.zeros((len(played[0]) - 1, len(BUTTONS)), np.uint8)
    model = make_model(plain_layout(ROWS, COLUMNS), len(tiled.tiles), depth=PAST, side=SIDE)
    model.tiles.copy_(torch.from_numpy(tiled.tiles))
    splits = {
        name: record([([tiled(one).astype(np.int16) for one in shown], quietly) for shown in some])
        for name, some in (("train", played), ("val", others))
    }
    samples = {name: Samples(*split, model) for name, split in splits.items()}
    tokens = {name: split[1] for name, split in splits.items()}
    plan = Plan(400, 0.003, 0.01, 200, 400, 0)
    checkpoint = tmp_path_factory.mktemp("movers") / "movers.ckpt"
    with pytest.MonkeyPatch.context() as patch:
        small_batches(patch)
        table, mover, sizes = train_movers(
            samples, tokens, tiled.tiles, kinds((1, 2, 2), (2, 2, 2)), plan, checkpoint
        )
    config = {"movers": {"shape": table.shape, "network": sizes}}
    twin = make_model(
        plain_layout(ROWS, COLUMNS), len(tiled.tiles), depth=PAST, side=SIDE, **config
    )
    model.set_movers(table, mover.eval())
    twin.load_state_dict(model.state_dict())
    quiet(twin)
    return SimpleNamespace(model=twin, split=splits["val"][0], tokens=tokens["val"], tiled=tiled)


@torch.inference_mode()
def test_playing_remembers_what_training_did(game):
    """After each step of an episode, the context padded before its begin or not."""
    model, split, tokens = game.model, game.split, game.tokens
    samples = Samples(split, tokens, model)
    went = things_of(samples, tokens, Finder(game.tiled.tiles, model.kinds), samples.changed)
    practice = Practice(samples, tokens, game.tiled.tiles, model.kinds, went)
    at = split.transitions[split.transitions < len(practice.start)][::7]
    known = start_at(split, tokens, model, at)
    assert known.recalled.std() > 0.1
    torch.testing.assert_close(known.recalled, practice.recall(model.mover.memory, at))
    np.testing.assert_array_equal(known.placed, practice.places[at])
    assert known.beat.tolist() == (split.index["step"][at] + 1).tolist()
    assert model.kinds.ticks.shape == (EVERY, 2, len(model.kinds.ways) + 1)  # its clock was found
    # and where it stands is soon known
    assert (known.phases.sort(1).values[known.beat > 30, -2] < -2).all()
    following = model.step(known, torch.zeros(len(at), len(BUTTONS)))[1]
    assert following.recalled.shape == known.recalled.shape
    assert not torch.equal(following.recalled, known.recalled)


def test_a_clock_is_found_only_where_one_tells_something():
    rng = np.random.default_rng(0)
    episode, step = np.repeat(np.arange(30), 80), np.tile(np.arange(80), 30)
    phase = rng.integers(4, size=30)[episode]
    rests = (step + phase) % 4 == 0
    told = clock_of(
        Deeds(
            episode, step, np.zeros_like(step), np.where(rests, 0, rng.integers(1, 3, len(step)))
        ),
        1,
        4,
    )
    assert told.shape == (4, 1, 4)  # no longer one: it tells the same
    at = told[:, 0, 0].argmax()
    assert (np.delete(told[:, 0, 0], at) < -1).all()
    assert (told[at, 0, 1:3] < -1).all()
    rested = told_by_deeds(told, np.array([6, 6]), np.array([[0], [-1]]))
    assert rested[0].argmax() == (at - 6) % 4  # a thing that rests in an episode's seventh step
    assert not rested[1].any()
    likelier = weights(
        told,
        np.array([[0.0] * 4, np.where(np.arange(4) == 1, 0, -12)]),
        np.array([(at - 1) % 4] * 2),
    )
    # it is known to be the step at which things rest
    assert likelier[1, 0, 0] > 2 > likelier[0, 0, 0]
    chance = Deeds(episode, step, np.zeros_like(step), rng.integers(0, 3, len(step)))
    nothing = Deeds(*np.zeros((4, 0), int))
    assert clock_of(chance, 1, 4).shape == clock_of(nothing, 1, 4).shape == (0, 1, 4)


@torch.inference_mode()
def test_a_dream_knows_when_a_thing_will_stand_still(game):
    """Forty steps on, each as it was: its last six ways do not tell when it stood still before."""
    real = torch.from_numpy(game.tokens[game.split.index["frame"]]).view(6, -1, ROWS, COLUMNS)
    state = game.model.start(real[:, :25], torch.zeros(len(real), 24, len(BUTTONS)))
    right = []
    for step in range(25, 65):
        frames, state = game.model.step(state, torch.zeros(len(real), len(BUTTONS)))
        right.append((frames == real[:, step]).flatten(1).all(1).float().mean().item())
    assert np.mean(right) > 0.95
