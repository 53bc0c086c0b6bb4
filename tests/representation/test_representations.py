"""The learned families: shapes, what each promises by its source, resuming, and a dream of their
tokens from end to end.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from toys.synthetic import SEEN_AS, assert_sentence, make_params, make_processed, make_rows

from dreamcart.core.errors import UserError
from dreamcart.dynamics.base import save_dynamics
from dreamcart.dynamics.train import train_dynamics
from dreamcart.representation.base import Representation
from dreamcart.representation.encode import encode_frames
from dreamcart.representation.registry import (
    load_representation,
    make_representation,
    save_representation,
)
from dreamcart.representation.train import (
    judge_representation,
    representation_config,
    train_representation,
)
from dreamcart.representation.vae import kl
from dreamcart.representation.vq import DEAD, VectorQuantised
from dreamcart.world.model import load_world, save_world

FAMILIES = ["ae", "ae grid", "vae", "vae grid", "vq", "fsq"]
TOKENS = ["vq", "fsq"]


def family_config(family: str, shape=(16, 24, 3), **changes) -> dict:
    """The config of a small model; "ae grid" is ae with latent_dim 0."""
    kind, _, grid = family.partition(" ")
    own = {
        "kind": kind,
        "channels": [4, 8],
        "grid_channels": 6,
        "codes": 20,
        "code_size": 5,
        "levels": [3, 8],
    } | changes
    own = {f"representation__{name}": value for name, value in own.items()}
    return representation_config(
        make_params(latent_dim=0 if grid else 7, preprocess__tile=0, **own), shape
    )


def make(family: str, seed: int = 0, **changes) -> Representation:
    """A small model of a family, with a decoder that already draws something."""
    torch.manual_seed(seed)
    model = make_representation(family_config(family, **changes))
    nn.init.normal_(model.decoder[-1].weight, std=0.1)
    return model.to(memory_format=torch.channels_last)


def make_frames(count=6, shape=(16, 24, 3), seed=0) -> torch.Tensor:
    return torch.randint(
        0, 256, (count, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


# What all of them promise


@pytest.mark.parametrize("colors", [1, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_seams_shapes(family, colors):
    """uint8 in, latents of the shape and type it says, uint8 out; every weight learns from the
    loss.
    """
    shape = (16, 24, colors)
    model, frames = make(family, shape=shape), make_frames(shape=shape)
    loss = model.loss(frames)
    loss.backward()
    assert (loss.shape, bool(torch.isfinite(loss))) == ((), True)
    assert [
        name
        for name, weight in model.named_parameters()
        if weight.grad is None or not weight.grad.any()
    ] == []
    model.eval()
    latents = model.encode(frames)
    vector = (7,) if family in ("ae", "vae") else (6, 4, 6)
    assert model.latent_shape == ((4, 6) if family in TOKENS else vector)
    assert (latents.shape, latents.dtype) == ((6, *model.latent_shape), model.latent_dtype)
    decoded = model.decode(latents)
    assert (decoded.shape, decoded.dtype) == (frames.shape, torch.uint8)
    assert torch.equal(model.encode(frames), latents), "playing must not change the model, nor draw"


@pytest.mark.parametrize("family", FAMILIES)
def test_it_begins_as_the_median_frame(family):
    """The network spends itself on what differs from the median, so before any step it must show
    just that.
    """
    torch.manual_seed(0)
    model = make_representation(family_config(family)).eval()
    median = make_frames(1)[0]
    model.set_median(median)
    assert torch.equal(model.decode(model.encode(make_frames())), median.expand(6, -1, -1, -1))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_loads_as_it_was(tmp_path, family):
    """Running statistics, codebook and scale included: a file is enough."""
    model, frames = make(family), make_frames()
    for _ in range(3):
        model.loss(frames)
    model.eval()
    save_representation(tmp_path / "r.safetensors", model, family_config(family))
    loaded = load_representation(tmp_path / "r.safetensors")
    assert torch.equal(loaded.encode(frames), model.encode(frames))
    assert torch.equal(loaded.decode(loaded.encode(frames)), model.decode(model.encode(frames)))
    assert loaded.vocabulary == model.vocabulary == {"vq": 20, "fsq": 24}.get(family)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_size_that_the_convolutions_do_not_fill_is_refused(family):
    """A foreign size must not end in a traceback of shapes."""
    with pytest.raises(UserError, match="multiples of 4") as caught:
        make(family, shape=(16, 26, 3))
    assert_sentence(caught.value)
    assert "16 x 26" in str(caught.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_the_sum_of_its_weighted_terms(family):
    """Each weight scales its own term, and none is lost or counted twice."""
    none = {"l1_weight": 0.0, "mse_weight": 1e-30, "beta": 0.0, "commitment_weight": 0.0}

    def loss(**changes) -> float:
        model = make(family, **(none | changes)).eval()
        model.perceptual = lambda decoded, true: (decoded - true).abs().amax()
        if family == "vq":
            model.codebook.copy_(torch.randn(20, 5, generator=torch.Generator().manual_seed(1)))
        return model.loss(make_frames()).item()

    own = {"vae": {"beta": 0.5}, "vae grid": {"beta": 0.5}, "vq": {"commitment_weight": 0.5}}.get(
        family, {}
    )
    weights = {"l1_weight": 2.0, "mse_weight": 3.0, "perceptual_weight": 0.1, **own}
    parts = [loss(**{name: weight}) for name, weight in weights.items()]
    assert min(parts) > 1e-4
    assert loss(**weights) == pytest.approx(sum(parts), rel=1e-5)
    assert loss(l1_weight=4.0) == pytest.approx(2 * parts[0], rel=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_learns(family):
    """Ten frames by heart: the loss must fall well below that of the median frame."""
    frames = torch.zeros(10, 16, 24, 3, dtype=torch.uint8)
    for n in range(10):
        frames[n, n : n + 4, 2 * n : 2 * n + 4] = 200
    model = make(family, channels=[8, 16], beta=1e-5)
    before = model.loss(frames).item()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(80):
        optimizer.zero_grad()
        loss = model.loss(frames)
        loss.backward()
        optimizer.step()
    assert loss.item() < before / 3


# VAE


def test_kl_is_that_of_the_textbook():
    """Mean over all numbers, in nats, against torch's own."""
    mean, log_variance = torch.randn(4, 7), torch.randn(4, 7)
    normal = torch.distributions.Normal
    wanted = torch.distributions.kl_divergence(
        normal(mean, (0.5 * log_variance).exp()), normal(0.0, 1.0)
    ).mean()
    assert kl(mean, log_variance).item() == pytest.approx(wanted.item(), rel=1e-5)
    assert kl(torch.zeros(3, 2), torch.zeros(3, 2)) == 0


def test_vae_draws_in_training_only():
    """Training sees a draw from the posterior, play its mean."""
    model, frames = make("vae"), make_frames()
    model.train()
    assert model.loss(frames).item() != model.loss(frames).item()
    model.eval()
    assert model.loss(frames).item() == model.loss(frames).item()


@pytest.mark.parametrize("family", ["vae", "vae grid"])
def test_vae_latents_leave_at_unit_scale(family):
    """Dynamics and noise rely on it, whatever beta leaves of the scale; decoding undoes it."""
    model, frames = make(family), make_frames(32)
    model.encoder[-1].weight.data *= 30
    for _ in range(300):
        with torch.no_grad():
            model.loss(frames)
    model.eval()
    assert model.scale > 3
    assert model.encode(frames).square().mean().sqrt().item() == pytest.approx(1, abs=0.15)
    direct = (
        (model.draw(model.posterior(frames)[0]).clamp(0, 1) * 255)
        .round()
        .to(torch.uint8)
        .permute(0, 2, 3, 1)
    )
    assert (model.decode(model.encode(frames)).int() - direct.int()).abs().max() <= 1


# VQ


def test_vq_takes_the_nearest_code():
    """The short form of the distance and its chunks must choose as the plain one does."""
    model = make("vq")
    model.codebook.copy_(torch.randn(20, 5))
    cells = torch.randn(5000, 5)
    assert torch.equal(model.nearest(cells), torch.cdist(cells, model.codebook).argmin(1))
    assert torch.equal(model.nearest(model.pictures), torch.arange(20))


def test_vq_codes_follow_the_mean_of_their_cells():
    """The running averages of van den Oord et al.: two clusters, two codes, each at its cluster's
    mean.
    """
    torch.manual_seed(0)
    model = make("vq", codes=2)
    centres = torch.tensor([[3.0] * 5, [-3.0] * 5])
    for _ in range(1500):
        cells = centres[torch.randint(0, 2, (64,))] + 0.5 * torch.randn(64, 5)
        tokens = model.nearest(cells)
        model._learn(cells, tokens, model.vectors(tokens))
    found = model.codebook[model.codebook[:, 0].argsort(descending=True)]
    torch.testing.assert_close(found, centres, atol=0.3, rtol=0)


def test_vq_begins_on_cells_of_the_first_batch():
    """None is left at zero, where no cell would ever find it, and the decoder sees different cells
    from the first step on.
    """
    model, frames = make("vq"), make_frames()
    seen = []
    model.decoder.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].permute(0, 2, 3, 1).flatten(0, 2))
    )
    model.loss(frames)
    cells = model.cells(frames).flatten(0, 2)
    far = (seen[0][:, None] - cells).abs().sum(2).min(1).values
    assert far.max() < 1e-4
    # up to the rounding of the straight-through sum
    assert len((1000 * seen[0]).round().unique(dim=0)) == 20
    assert (model.count > 0).all()


def test_vq_revives_a_dead_code_where_it_is_needed():
    """A code that nobody chooses moves onto a cell without a near code; those in use stay where
    they are.
    """
    torch.manual_seed(0)
    model = make("vq", codes=3)
    model.codebook.copy_(torch.tensor([[1.0] * 5, [-1.0] * 5, [50.0] * 5]))
    model.count.copy_(torch.tensor([10.0, 10.0, DEAD * 1.02]))
    model.total.copy_(model.codebook * model.count[:, None])
    cells = torch.cat([torch.ones(20, 5), -torch.ones(20, 5), torch.full((1, 5), 9.0)])
    revived_after = None
    for step in range(10):
        tokens = model.nearest(cells)
        model._learn(cells, tokens, model.vectors(tokens))
        if revived_after is None and model.codebook[2, 0] != pytest.approx(50, abs=1e-3):
            revived_after = step
    assert revived_after == math.ceil(math.log(1 / 1.02) / math.log(0.99)) - 1
    assert model.codebook[2, 0].item() == pytest.approx(9, abs=0.01)
    assert (model.codebook[:2, 0] - torch.tensor([1.0, -1.0])).abs().max() < 0.7
    assert len(model.nearest(cells).unique()) == 3


def test_vq_uses_its_codes_where_there_is_enough_to_tell():
    """Random cells: after some steps at most a few of the codes are unused, where without revival
    most would be.
    """
    torch.manual_seed(0)
    model = make("vq", codes=64, code_size=4)
    for _ in range(300):
        cells = torch.randn(512, 4)
        tokens = model.nearest(cells)
        model._learn(cells, tokens, model.vectors(tokens))
    assert len(model.nearest(torch.randn(4096, 4)).unique()) >= 60


# FSQ


@pytest.mark.parametrize("levels", [[3, 4, 6], [8, 5, 5, 5], [3], [7, 5, 5, 5, 5]])
def test_fsq_numbers_every_combination_of_levels_once(levels):
    """Tokens are 0 to their number, each reached, and its vector is that of the rounded cell."""
    model = make("fsq", levels=levels)
    assert model.vocabulary == math.prod(levels)
    assert len(model.pictures.unique(dim=0)) == model.vocabulary
    cells = 2.5 * torch.randn(400_000 if model.vocabulary > 2000 else 40_000, len(levels))
    tokens = model.nearest(cells)
    assert (tokens.min(), tokens.max()) == (0, model.vocabulary - 1)
    assert len(tokens.unique()) > 0.98 * model.vocabulary
    rounded = model.squash(cells).round() / (model.levels // 2)
    torch.testing.assert_close(model.vectors(tokens), rounded)
    assert model.pictures.abs().max() <= 1
    corners = model.nearest(torch.tensor([[-100.0] * len(levels), [100.0] * len(levels)]))
    assert corners.tolist() == [0, model.vocabulary - 1]


def test_fsq_trains_on_what_it_plays():
    """The decoder must see in training exactly the vectors that tokens stand for."""
    model, frames = make("fsq").eval(), make_frames()
    seen = []
    model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.loss(frames)
    model.decode(model.encode(frames))
    torch.testing.assert_close(*seen)


# Training and playing


class KillError(Exception):
    """Stands for kill -9."""


def toy_params(kind: str, **changes):
    small = {
        "channels": [4, 8],
        "codes": 12,
        "code_size": 4,
        "levels": [4, 3],
        "steps": 30,
        "batch_size": 8,
    }
    small |= {"validate_every": 10, "checkpoint_every": 7}
    dynamics = {
        "steps": 12,
        "channels": 4,
        "blocks": 1,
        "memory": 8,
        "history_frames": 3,
        "batch_size": 8,
    }
    dynamics |= {"validate_every": 6, "checkpoint_every": 6}
    values = {f"representation__{name}": value for name, value in small.items()}
    values |= {f"dynamics__{name}": value for name, value in dynamics.items()}
    return make_params(representation__kind=kind, **values | changes)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Four episodes of the toy game as 16 x 16 grey frames, and their median."""
    folder = tmp_path_factory.mktemp("recorded")
    splits = make_processed(folder, [make_rows(n, 14, first=3 * n) for n in range(4)])
    return splits, np.load(folder / "processed" / "median.npy")


@pytest.mark.parametrize("die_at", [3, 9, 29])
@pytest.mark.parametrize("kind", ["vae", "vq", "fsq"])
def test_a_killed_training_ends_as_an_undisturbed_one(
    tmp_path, monkeypatch, recorded, kind, die_at
):
    """Codebook, its running averages and the scale come back from the checkpoint: bit for bit the
    same model.
    """
    splits, median = recorded
    params = toy_params(kind)

    def train(name: str) -> tuple[dict[str, torch.Tensor], list]:
        model, _, curve = train_representation(
            params, splits["train"], splits["val"], median, tmp_path / name
        )
        return model.state_dict(), curve

    whole, curve = train("whole")
    family = type(make_representation(representation_config(params, (16, 16, 1))))
    plain, calls = family.loss, []

    def mortal(self, frames):
        calls.append(frames)
        if len(calls) > die_at:
            raise KillError
        return plain(self, frames)

    monkeypatch.setattr(family, "loss", mortal)
    with pytest.raises(KillError):
        train("killed")
    monkeypatch.setattr(family, "loss", plain)
    again, curve_again = train("killed")
    assert curve_again == curve
    assert [name for name in whole if not torch.equal(whole[name], again[name])] == []


def dream(folder: Path, frames: np.ndarray, steps: int = 5) -> np.ndarray:
    """What the saved model makes of some button presses, uint8 [steps, 1, H, W, C]."""
    world = load_world(folder, torch.device("cpu"))
    state = world.start(frames[None], np.zeros((1, len(frames) - 1, 8), np.uint8))
    shown = []
    for step in range(steps):
        action = np.zeros((1, 8), np.uint8)
        action[0, step % 8] = 1
        picture, state = world.step(state, action, 1.0, torch.Generator().manual_seed(step))
        shown.append(picture)
    return np.stack(shown)


@pytest.mark.parametrize("kind", TOKENS)
def test_learned_tokens_go_through_the_dynamics_of_tokens(tmp_path, recorded, kind):
    """From frames to tokens to a dream, on disk in between: the seam takes learned tokens as it
    takes tiles.
    """
    splits, median = recorded
    params = toy_params(kind, representation__steps=60)
    assert params.dynamics_kind == "transformer"
    model, config, curve = train_representation(
        params, splits["train"], splits["val"], median, tmp_path / "checkpoint"
    )
    report = judge_representation(model, splits["val"], median)
    assert len(curve) == 6
    assert report["l1"] == pytest.approx(min(point["val"] for point in curve), abs=2e-3)
    save_representation(tmp_path / "representation.safetensors", model, config)
    loaded = load_representation(tmp_path / "representation.safetensors")
    tokens = {}
    for name, split in splits.items():
        encode_frames(loaded, split.frames, tmp_path / f"{name}.npy", name)
        tokens[name] = np.load(tmp_path / f"{name}.npy")
    assert (tokens["train"].dtype, tokens["train"].shape[1:]) == (np.int16, (4, 4))
    assert 0 <= tokens["train"].min() <= tokens["train"].max() < loaded.vocabulary
    (tmp_path / "checkpoint").unlink()
    dynamics, config, _ = train_dynamics(
        params, splits["train"], splits["val"], tokens, loaded.pictures, tmp_path / "checkpoint"
    )
    save_dynamics(tmp_path / "dynamics.safetensors", dynamics, config)
    train = splits["train"]
    save_world(
        tmp_path / "world.safetensors", train.spec, {"Begin": train.frames[0]}, median, SEEN_AS
    )
    frames = train.frames[train.index["frame"][:4]]
    shown = dream(tmp_path, frames)
    assert (shown.shape, shown.dtype) == ((5, 1, 16, 16, 1), np.uint8)
    np.testing.assert_array_equal(shown, dream(tmp_path, frames))


def test_every_family_is_reached_through_the_params():
    """representation.kind names each family, with the settings that params.yaml has for it."""
    kinds = {
        kind: type(make_representation(family_config(kind))) for kind in ("ae", "vae", "vq", "fsq")
    }
    assert len(set(kinds.values())) == 4
    assert kinds["vq"] is VectorQuantised
    assert make("vae", beta=0.25).beta == 0.25
    assert make("vq", commitment_weight=0.5).commitment_weight == 0.5
