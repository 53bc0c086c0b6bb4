"""Every family of dynamics: the seam, what it says of itself, decoding, training modes, and that it
learns.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from toys.synthetic import BUTTONS, assert_sentence, make_params, make_spec

from dreamcart.core.errors import UserError
from dreamcart.data.processed import Split, index_dtype
from dreamcart.dynamics.base import load_dynamics, make_dynamics, save_dynamics
from dreamcart.dynamics.drafts import choose
from dreamcart.dynamics.gaussian import divergence
from dreamcart.dynamics.layout import find_layout
from dreamcart.dynamics.train import dynamics_config, train_dynamics
from dreamcart.dynamics.transformer import TransformerDynamics, streak
from dreamcart.dynamics.windows import Windows
from dreamcart.families import FAMILIES, fitting
from dreamcart.params import Params

CPU = torch.device("cpu")
SHAPES = {"vector": (6,), "grid": (3, 4, 4), "tokens": (5, 6)}
VOCABULARY = 7
CASES = [
    (kind, latents)
    for kind, family in FAMILIES.items()
    if kind != "cells"  # see test_cells.py
    for latents in family.latents
]
RANDOM = [case for case in CASES if FAMILIES[case[0]].random]


def small_params(kind: str, latents: str, **changes) -> Params:
    values = {
        "representation__kind": "tiles" if latents == "tokens" else "ae",
        "preprocess__tile": 8 if latents == "tokens" else 0,
        "latent_dim": 0 if latents == "grid" else 6,
        "dynamics__kind": kind,
        "dynamics__hidden": 32,
        "dynamics__channels": 16,
        "dynamics__units": 32,
        "dynamics__blocks": 2,
        "dynamics__heads": 2,
        "dynamics__dead_zone": 0.0,
        "dynamics__history_frames": 4,
        "dynamics__history_actions": 4,
    }
    return make_params(**values | {f"dynamics__{key}": value for key, value in changes.items()})


def make_model(kind: str, latents: str, loud: bool = True, **changes):
    """A small model;

    `loud` ones are not as they begin (nothing changes), so that there is something to see.
    """
    params = small_params(kind, latents, **changes)
    extra = {"vocabulary": VOCABULARY, "cells": 12, "backdrops": 2} if kind == "transformer" else {}
    torch.manual_seed(0)
    config = dynamics_config(params, SHAPES[latents], len(BUTTONS), **extra)
    model = make_dynamics(config)
    if loud:
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.1 if latents == "grid" else 0.3)
    if kind == "transformer":
        model.cells.copy_(torch.arange(9, 21))
        model.backdrops.copy_(torch.randint(0, VOCABULARY, model.backdrops.shape))
        if loud:
            nn.init.constant_(model.stay.bias, 1.0)
            nn.init.constant_(model.guess_stay.bias, 1.0)
    return model.eval(), config


def make_context(model, latents: str, batch: int = 3):
    """Latents [B, F, …] and buttons [B, A, n]."""
    shape = (batch, model.history_frames, *SHAPES[latents])
    rng = torch.Generator().manual_seed(1)
    if latents == "tokens":
        frames = model.backdrops[0].expand(shape).clone().flatten(2)
        frames[:, :, model.cells] = torch.randint(
            0, VOCABULARY, (batch, 1, 12), generator=rng, dtype=torch.int16
        )
        for step in range(1, shape[1]):  # a cell a step changes, and stays so
            frames[:, step:, model.cells[step]] = (frames[:, step, model.cells[step]] + 1)[
                :, None
            ] % VOCABULARY
        past = frames.view(shape)
    else:
        past = torch.randn(shape, generator=rng)
    actions = torch.randint(
        0, 2, (batch, model.history_actions, len(BUTTONS)), generator=rng
    ).float()
    return past, actions


def dream(
    model, latents: str, steps: int = 6, temperature: float = 0.0, seed: int = 0
) -> torch.Tensor:
    """Latents [B, steps, …] of a dream."""
    past, actions = make_context(model, latents)
    state = model.start(past, actions[:, :-1])
    generator = torch.Generator().manual_seed(seed)
    shown = []
    with torch.inference_mode():
        for number in range(steps):
            latent, state = model.step(
                state, torch.roll(actions[:, -1], number, 1), temperature, generator
            )
            shown.append(latent)
    return torch.stack(shown, 1)


# The seam


def test_the_registry_says_what_fits():
    """Each kind of latents has its default first, and every family can predict something."""
    kinds = (*SHAPES, "pixels")
    assert [fitting(latents)[0] for latents in kinds] == ["mlp", "conv", "transformer", "cells"]
    assert {kind for latents in kinds for kind in fitting(latents)} == set(FAMILIES)


@pytest.mark.parametrize(("kind", "latents"), CASES)
def test_families_keep_the_seam(kind, latents):
    """A step gives a latent of the promised shape and type; loss and error are a number a row, and
    can be minimised.
    """
    model, _ = make_model(kind, latents)
    past, actions = make_context(model, latents)
    shown = dream(model, latents)
    assert shown.shape == (3, 6, *SHAPES[latents])
    assert shown.dtype == (torch.int16 if latents == "tokens" else torch.float32)
    following = past[:, 0]
    loss = model.loss(past, actions, following)
    assert loss.shape == model.error(past, actions, following).shape == (3,)
    loss.sum().backward()
    without = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert without == []
    assert model.kind == kind
    assert model.random == FAMILIES[kind].random


@pytest.mark.parametrize(("kind", "latents"), CASES)
def test_a_dream_begins_as_training_saw(kind, latents):
    """The first step after `start` is what `forward`, and so the loss, says of the same window."""
    model, _ = make_model(kind, latents)
    past, actions = make_context(model, latents)
    latent, _ = model.step(model.start(past, actions[:, :-1]), actions[:, -1])
    torch.testing.assert_close(latent.float(), model(past, actions).float())


@pytest.mark.parametrize(("kind", "latents"), CASES)
def test_saved_families_load_as_they_were(tmp_path, kind, latents):
    """Config and weights travel together, and the loaded model dreams the same."""
    model, config = make_model(kind, latents)
    save_dynamics(tmp_path / "d.safetensors", model, config)
    loaded = load_dynamics(tmp_path / "d.safetensors")
    torch.testing.assert_close(dream(loaded, latents), dream(model, latents))
    assert (loaded.kind, loaded.random) == (kind, FAMILIES[kind].random)


@pytest.mark.parametrize(("kind", "latents"), CASES)
def test_a_batch_dreams_as_each_row_alone(kind, latents):
    """Rollouts are scored in batches and played one at a time."""
    model, _ = make_model(kind, latents)
    past, actions = make_context(model, latents)
    together, _ = model.step(model.start(past, actions[:, :-1]), actions[:, -1])
    for row in range(3):
        one = slice(row, row + 1)
        alone, _ = model.step(model.start(past[one], actions[one, :-1]), actions[one, -1])
        torch.testing.assert_close(alone, together[one])


@pytest.mark.parametrize(("kind", "latents"), CASES)
def test_every_button_and_the_whole_history_is_seen(kind, latents):
    """What a family ignored of the past would be worth nothing."""
    model, _ = make_model(kind, latents)
    past, actions = make_context(model, latents, 1)
    following = past[:, 0]

    def told(past, actions):
        torch.manual_seed(3)
        return (
            float(model.loss(past, actions, following))
            if kind == "flow"
            else model.loss_at_all(past, actions, following)
        )

    if kind == "transformer":
        model.loss_at_all = lambda *window: float(model._teach(*window)[0].sum())
    else:
        model.loss_at_all = lambda past, actions, following: float(
            model(past, actions).double().sum()
        )
    before = told(past, actions)
    for step, button in itertools.product(range(model.history_actions), range(len(BUTTONS))):
        changed = actions.clone()
        changed[0, step, button] = 1 - changed[0, step, button]
        assert told(past, changed) != before, (step, button)
    for step in range(model.history_frames):
        changed = past.clone()
        changed[0, step] = (
            (past[0, step] + 1) % VOCABULARY if latents == "tokens" else past[0, step] + 1
        )
        assert told(changed, actions) != before, step


# Chance


@pytest.mark.parametrize(("kind", "latents"), RANDOM)
def test_futures_are_drawn_by_seed_and_temperature(kind, latents):
    """One seed, one future; another seed, another one; at temperature 0 there is nothing to
    draw.
    """
    model, _ = make_model(kind, latents)
    torch.testing.assert_close(
        dream(model, latents, temperature=1.0, seed=1),
        dream(model, latents, temperature=1.0, seed=1),
    )
    assert not torch.equal(
        dream(model, latents, temperature=1.0, seed=1),
        dream(model, latents, temperature=1.0, seed=2),
    )
    assert torch.equal(dream(model, latents, seed=1), dream(model, latents, seed=2))


def test_the_gaussian_draws_as_it_believes():
    """The mean of many draws is the prediction at temperature 0, and their deviation temperature
    times its own.
    """
    model, _ = make_model("gaussian", "vector")
    past, actions = (part[:1].expand(20_000, -1, -1) for part in make_context(model, "vector", 1))
    with torch.inference_mode():
        mean, log_variance = (part[0] for part in model.beliefs(past[:1], actions[:1]))
        drawn = model(past, actions, 0.5, torch.Generator().manual_seed(0)) - past[:, -1]
    deviation = 0.5 * (log_variance / 2).exp()
    assert ((drawn.mean(0) - mean).abs() < 5 * deviation / 20_000**0.5 + 1e-5).all()
    torch.testing.assert_close(drawn.std(0), deviation, rtol=0.03, atol=1e-4)


def test_divergence_is_that_of_torch():
    """KL to N(0, 1), summed over a latent's numbers."""
    mean, log_variance = torch.randn(5, 6), torch.randn(5, 6)
    known = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (log_variance / 2).exp()),
        torch.distributions.Normal(0.0, 1.0),
    )
    torch.testing.assert_close(divergence(mean, log_variance), known.sum(1))


def test_flow_steps_end_on_a_prediction():
    """With one step the dream is the network's prediction from noise."""
    model, _ = make_model("flow", "vector", flow_steps=1)
    past, actions = make_context(model, "vector")
    with torch.inference_mode():
        noise = torch.randn((3, 6), generator=torch.Generator().manual_seed(4))
        expected = past[:, -1] + model.predict(
            past.flatten(1), actions.flatten(1), noise, torch.zeros(3)
        )
        torch.testing.assert_close(
            model(past, actions, 1.0, torch.Generator().manual_seed(4)), expected
        )


def test_more_flow_steps_lie_on_a_line_to_each_prediction(monkeypatch):
    """Euler's steps: the n-th of N goes 1 / (N - n + 1) of the way to what is predicted there, and
    the last all of it.
    """
    model, _ = make_model("flow", "vector", flow_steps=4)
    past, actions = make_context(model, "vector")
    seen = []
    predict = model.predict

    def watched(past, buttons, x, time):
        seen.append((x, time, predict(past, buttons, x, time)))
        return seen[-1][2]

    monkeypatch.setattr(model, "predict", watched)
    with torch.inference_mode():
        came = model(past, actions, 1.0, torch.Generator().manual_seed(4))
    assert [round(float(time[0]), 4) for _, time, _ in seen] == [0, 0.25, 0.5, 0.75]
    for number, ((x, _, goal), (following, _, _)) in enumerate(itertools.pairwise(seen)):
        torch.testing.assert_close(following, x + (goal - x) / (4 - number))
    torch.testing.assert_close(came, past[:, -1] + seen[-1][2])


# The transformer's decoding


def one_by_one(model, past, actions, temperature: float, seed: int) -> torch.Tensor:
    """The next frames, each token decided after the one before it, and nothing cached: the whole
    sequence every time.
    """
    now, cells, condition, _ = model.look_back(past, actions)
    noise = 0.0
    if temperature:
        even = torch.rand(*now.shape, VOCABULARY, generator=torch.Generator().manual_seed(seed))
        noise = -(-even.clamp(1e-10, 1 - 1e-7).log()).log() * temperature
    tokens = torch.zeros_like(now)
    for cell in range(now.shape[1]):
        scene, _, caches = model.read(now, cells, condition)
        logits, _ = model.write(now, cells, condition, tokens, caches)
        best, drawn = logits.argmax(2), (logits + noise).argmax(2)
        tokens[:, cell] = torch.where(logits.softmax(2).amax(2) >= 0.9, best, drawn)[:, cell]
    return model.layout.compose(tokens[:, None], scene.argmax(1))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_drafts_decode_as_one_by_one(temperature):
    """Deciding many tokens in a pass, on cached keys and values, gives the frame that deciding each
    in turn would.
    """
    model, _ = make_model("transformer", "tokens")
    past, actions = make_context(model, "tokens", 8)
    with torch.inference_mode():
        expected = one_by_one(model, past, actions, temperature, seed=5)
        shown = model(past, actions, temperature, torch.Generator().manual_seed(5))
    assert torch.equal(shown, expected)
    assert (shown != past[:, -1]).flatten(1).any(1).all(), "nothing was decided"


def test_a_learned_game_takes_one_pass_a_frame(tmp_path, monkeypatch):
    """Where nothing is left to chance the first draft is right: speed in play hangs on it."""
    (model, *_), val, pictures = fit_game(tmp_path, "transformer", "tokens", **LEARN["tokens"])
    windows = Windows(val, pictures, model.history_frames, model.history_actions)
    passes, write = [], type(model).write
    monkeypatch.setattr(
        type(model), "write", lambda self, *given: passes.append(1) or write(self, *given)
    )
    with torch.inference_mode():
        for at in val.transitions[:20]:
            past, actions, _ = windows.get(at[None], CPU)
            model(past, actions)
    assert len(passes) <= 1.2 * 20


def test_cached_attention_is_uncached():
    """Logits from the middle on, given cached keys and values of what lies before, are those of the
    whole sequence.
    """
    model, _ = make_model("transformer", "tokens")
    past, actions = make_context(model, "tokens")
    now, cells, condition, _ = model.look_back(past, actions)
    _, _, caches = model.read(now, cells, condition)
    draft = torch.randint(0, VOCABULARY, now.shape)
    whole, after = model.write(now, cells, condition, draft, caches)
    first = [(key[:, :, : 12 + 5], value[:, :, : 12 + 5]) for key, value in after]
    rest, _ = model.write(now, cells, condition, draft, first, first=5)
    torch.testing.assert_close(rest, whole[:, 5:])


def test_no_token_sees_itself_or_what_comes_after():
    """Causal: a changed token may change the beliefs about later cells only."""
    model, _ = make_model("transformer", "tokens")
    for block in model.blocks:  # so loud, attention would pick a single cell
        block.attention.read.weight.data.mul_(0.2)
    past, actions = make_context(model, "tokens", 1)
    now, cells, condition, _ = model.look_back(past, actions)
    draft = torch.zeros_like(now)
    logits, _ = model.write(now, cells, condition, draft, model.read(now, cells, condition)[2])
    draft[0, 6] = 3
    other, _ = model.write(now, cells, condition, draft, model.read(now, cells, condition)[2])
    torch.testing.assert_close(other[:, :7], logits[:, :7])
    assert ((other - logits)[0, 7:] != 0).any(1).all()


def test_the_oracle_tells_only_what_is_in_doubt():
    """Sure cells stay as decided, others are as told."""
    logits = torch.tensor([[[9.0, 0.0], [0.1, 0.0]]])
    assert choose(logits, None, torch.tensor([[1, 1]])).tolist() == [[0, 1]]
    assert choose(logits, None, torch.tensor([[-1, -1]])).tolist() == [[0, 0]]
    assert choose(logits, None, None).tolist() == [[0, 0]]


def test_streaks_are_counted_from_the_end():
    """How long a button has been held: the run that reaches the present."""
    same = torch.tensor([[[1, 0], [0, 0], [1, 1], [1, 0]]], dtype=torch.bool)
    assert streak(same).tolist() == [[2, 0]]


# Training


def make_game(
    latents: str, episodes: int = 6, length: int = 60, seed: int = 0
) -> tuple[Split, np.ndarray]:
    """A dot on a ring of eight places that RIGHT and LEFT move; the latents of its eight
    pictures.
    """
    rng = np.random.default_rng(seed)
    index = np.zeros(episodes * length, index_dtype(len(BUTTONS)))
    index["episode"] = np.repeat(np.arange(episodes), length)
    index["step"] = np.tile(np.arange(length), episodes)
    left, right = BUTTONS.index("LEFT"), BUTTONS.index("RIGHT")
    place = 0
    for record in index:
        place = int(rng.integers(8)) if record["step"] == 0 else place
        record["frame"] = place
        if record["step"] < length - 1:
            pressed = rng.choice([0, left, right])
            if pressed:
                record["action"][pressed] = 1
                place = (place + (1 if pressed == right else -1)) % 8
    frames = np.zeros((8, 16, 16, 1), np.uint8)
    for place in range(8):
        frames[place, place % 4 * 4, place // 4 * 8] = 255
    if latents == "tokens":
        pictures = np.ones((8, 5, 6), np.int16)
        pictures.reshape(8, -1)[np.arange(8), 9 + np.arange(8)] = 3
    else:
        angles = np.arange(8)[:, None] * [1, 2, 3] * np.pi / 4
        pictures = np.concatenate([np.cos(angles), np.sin(angles)], 1).astype(np.float32) * 2**0.5
        if latents == "grid":
            pictures = np.repeat(pictures.reshape(8, 3, 2, 1), 4, 3).repeat(2, 2)
    return Split(frames, index, make_spec()), pictures


def fit_game(folder: Path, kind: str, latents: str, steps: int, **changes):
    (train, pictures), (val, _) = make_game(latents), make_game(latents, 2, seed=1)
    settings = {
        "steps": steps,
        "batch_size": 32,
        "validate_every": steps // 2,
        "checkpoint_every": 10,
        "learning_rate": 0.005,
    }
    params = small_params(
        kind, latents, **settings | {"history_frames": 2, "history_actions": 2} | changes
    )
    both = {"train": pictures, "val": pictures}
    return (
        train_dynamics(
            params, train, val, both, torch.zeros(VOCABULARY, 1), folder / "checkpoint.safetensors"
        ),
        val,
        pictures,
    )


LEARN = {
    "vector": {"steps": 300, "hidden": 64, "units": 64, "learning_rate": 0.01},
    "grid": {"steps": 250},
    "tokens": {"steps": 160},
}


@pytest.mark.parametrize(("kind", "latents"), CASES)
def test_families_learn_a_game(tmp_path, kind, latents):
    """In seconds a family learns what LEFT and RIGHT do: a dream of five steps shows the right
    places.
    """
    (model, _, curve), val, pictures = fit_game(
        tmp_path, kind, latents, **LEARN[latents] | ({"history_frames": 8} if kind == "gru" else {})
    )
    assert curve[-1]["train"] < curve[0]["train"]
    windows = Windows(val, pictures, model.history_frames, model.history_actions)
    at = val.transitions[val.index["step"][val.transitions] < 40][::11]
    past, actions, _ = windows.get(at, CPU)
    state = model.start(past, actions[:, :-1])
    with torch.inference_mode():
        for step in range(5):
            latent, state = model.step(
                state, torch.from_numpy(val.index["action"][at + step].copy())
            )
    shown = torch.cdist(
        latent.flatten(1).float(), torch.from_numpy(pictures).flatten(1).float()
    ).argmin(1)
    right = (shown.numpy() == val.index["frame"][at + 5]).mean()
    assert right > 0.9, right


@pytest.mark.parametrize(
    ("kind", "latents", "mode"),
    [
        *(
            (kind, latents, mode)
            for kind, latents in CASES
            if latents != "tokens"
            for mode in ("teacher", "self_fed", "k_step")
        ),
        ("transformer", "tokens", "self_fed"),
    ],
)
def test_killed_training_ends_as_undisturbed(tmp_path, monkeypatch, kind, latents, mode):
    """Every family in every mode: killed after a checkpoint and run again, it has the same weights,
    bit for bit.
    """
    options = {
        "training": mode,
        "rollout_steps": 3,
        "self_fed_probability": 0.5,
        "input_noise": 0.0 if latents == "tokens" else 0.1,
    }
    (whole, _, curve), *_ = fit_game(tmp_path / "whole", kind, latents, 20, **options)

    class KillError(Exception):
        pass

    draw, count = Windows.draw, itertools.count()

    def die(self, *arguments):
        if next(count) == 15:
            raise KillError
        return draw(self, *arguments)

    monkeypatch.setattr(Windows, "draw", die)
    with pytest.raises(KillError):
        fit_game(tmp_path / "killed", kind, latents, 20, **options)
    (again, _, curve_again), *_ = fit_game(tmp_path / "killed", kind, latents, 20, **options)
    assert curve_again == curve
    assert all(
        torch.equal(one, other)
        for one, other in zip(whole.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_modes_are_different_trainings(tmp_path):
    """Each way of training leaves other weights behind: none of them is another by a new name."""
    weights = []
    for mode, probability in (
        ("teacher", 1.0),
        ("self_fed", 1.0),
        ("self_fed", 0.5),
        ("self_fed", 0.0),
        ("k_step", 1.0),
    ):
        options = {"training": mode, "self_fed_probability": probability, "rollout_steps": 4}
        (model, *_), *_ = fit_game(
            tmp_path / f"{mode}{probability}", "mlp", "vector", 20, **options
        )
        weights.append(model.net[1].weight)
    assert all((one != other).any() for one, other in itertools.combinations(weights, 2))


def test_a_dreamed_loss_is_that_of_a_rollout():
    """k_step: the mean error of k steps, each from the model's own prediction, with gradients
    through all of them.
    """
    split, pictures = make_game("vector")
    model, _ = make_model("mlp", "vector")
    windows = Windows(split, pictures, 4, 4)
    at = np.array([20, 33])
    loss = windows.dreamed(model, at, 3, 0.0, CPU)
    past, actions, _ = windows.get(at - 2, CPU)
    state, errors = model.start(past, actions[:, :-1]), []
    for step in (2, 1, 0):
        latent, state = model.step(state, torch.from_numpy(split.index["action"][at - step].copy()))
        true = torch.from_numpy(pictures[split.index["frame"][at - step + 1]])
        errors.append((latent - true).square().mean(1))
    torch.testing.assert_close(loss, torch.stack(errors).mean(0))
    short = windows.dreamed(model, at, 1, 0.0, CPU)
    torch.testing.assert_close(short, model.loss(*windows.get(at, CPU)))


@pytest.mark.parametrize("way", ["self_fed", "noisy", "k_step"])
def test_a_recurrent_model_learns_what_really_came(way):
    """The GRU has targets inside its window too: they are the real latents, also where the window
    holds its own.
    """
    split, pictures = make_game("vector")
    model, _ = make_model("gru", "vector")
    windows = Windows(split, pictures, 4, 4)
    at = np.array([20, 33])
    real, buttons, following = windows.get(at, CPU)
    if way == "k_step":
        past, pressed, came = windows.get(at - 1, CPU)
        first, predicted = model.loss_and_next(past, pressed, came)
        fed = torch.cat([past[:, 1:], predicted[:, None]], 1)
        wanted = (
            first
            + (
                (model.unroll(fed, buttons)[0] - torch.cat([real[:, 1:], following[:, None]], 1))
                ** 2
            )
            .mean(2)
            .matmul(torch.tensor([0.25, 0.25, 0.25, 1.25]))
        ) / 2
        torch.testing.assert_close(windows.dreamed(model, at, 2, 0.0, CPU), wanted)
        return
    fed = windows.self_fed(model, at, 2, CPU) if way == "self_fed" else real + 0.1
    error = (
        (model.unroll(fed, buttons)[0] - torch.cat([real[:, 1:], following[:, None]], 1))
        .square()
        .mean(2)
    )
    torch.testing.assert_close(
        model.loss(fed, buttons, following, real), error[:, -1] + error.mean(1)
    )
    assert (
        model.loss(fed, buttons, following) - model.loss(fed, buttons, following, real)
    ).abs().min() > 1e-6


def test_half_fed_windows_mix_real_and_own():
    """With a probability of one half some steps are the model's own, and the others are as they
    were.
    """
    split, pictures = make_game("vector")
    model, _ = make_model("mlp", "vector")
    windows = Windows(split, pictures, 4, 4)
    at = np.array([20, 33, 40])
    own = np.array([[True, False], [False, True], [False, False]])
    fed, real = windows.self_fed(model, at, 2, CPU, own), windows.get(at, CPU)[0]
    same = torch.isclose(fed, real).all(2)
    assert same.tolist() == [
        [True, True, False, True],
        [True, True, True, False],
        [True, True, True, True],
    ]


def test_the_layouts_sizes_make_a_model():
    """What the data says of a game's screen is all that a transformer needs beside the params."""
    split, pictures = make_game("tokens")
    layout = find_layout(pictures, split.index["frame"], split.transitions)
    sizes, buffers = TransformerDynamics.survey(
        pictures, split.index["frame"], split.transitions, VOCABULARY
    )
    assert sizes == {"vocabulary": VOCABULARY, "cells": 8, "backdrops": 1}
    assert torch.equal(buffers["cells"], layout.cells[layout.mask])
    assert torch.equal(buffers["backdrops"], layout.backdrops)


def test_a_foreign_family_is_refused():
    """A model of a Dreamcart that knows more families is a sentence, not a crash."""
    with pytest.raises(UserError) as caught:
        make_dynamics({"kind": "diffusion"})
    assert_sentence(caught.value)
