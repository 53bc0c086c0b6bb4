"""Models and their training: resuming, refusing, and files of an earlier Dreamcart."""

import contextlib
import ctypes
import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from toys.synthetic import (
    BUTTONS,
    GOLDEN,
    SEEN_AS,
    assert_sentence,
    empty,
    foreign,
    garbage,
    make_frame,
    make_params,
    make_spec,
    make_split,
    truncate,
)

from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.data.processed import history
from dreamcart.dynamics.base import load_dynamics, make_dynamics, save_dynamics
from dreamcart.dynamics.train import dynamics_config
from dreamcart.representation.registry import (
    load_representation,
    make_representation,
    save_representation,
)
from dreamcart.representation.train import representation_config
from dreamcart.training.loop import MOST_WARM_UP, Plan, fit, learning_rate_at, step_rng
from dreamcart.training.muon import Muon, orthogonal
from dreamcart.world.model import load_world, save_world

WORLD_V1 = GOLDEN / "world_v1"
CPU = torch.device("cpu")
PLAN = Plan(
    steps=20, learning_rate=0.01, weight_decay=0.01, validate_every=4, checkpoint_every=3, seed=5
)

# The training loop


class KillError(Exception):
    """Stands for kill -9."""


def train(
    checkpoint: Path, plan: Plan = PLAN, die_at: int | None = None, muon: bool = False
) -> tuple[dict[str, torch.Tensor], list[dict]]:
    """Fit a small network whose loss uses the step's own and torch's random numbers, and what the
    steps before left.
    """
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 1))
    held_out = torch.from_numpy(np.random.default_rng(1).normal(size=(32, 4)).astype(np.float32))

    def loss_at(step):
        if step == die_at:
            raise KillError
        x = torch.from_numpy(step_rng(plan.seed, step).normal(size=(16, 4)).astype(np.float32))
        loss = (
            (model(x + 0.1 * torch.randn_like(x) + 0.1 * practice) - x.sum(1, keepdim=True))
            .square()
            .mean()
        )
        practice[step % 4] = loss.detach()
        return loss

    def validate():
        return float((model(held_out) - held_out.sum(1, keepdim=True)).square().mean())

    practice = torch.ones(4)
    matrices = (weight for weight in model.parameters() if muon and weight.dim() > 1)
    curve = fit(model, plan, loss_at, validate, checkpoint, "toy", {"practice": practice}, matrices)
    return model.state_dict(), curve


@pytest.mark.parametrize("muon", [False, True])
@pytest.mark.parametrize("die_at", [3, 7, 19])
def test_a_killed_run_ends_as_if_it_had_not_been(tmp_path, die_at, muon):
    """Killed after a checkpoint and run again: the same weights and the same curve, bit for bit,
    with either optimizer.
    """
    weights, curve = train(tmp_path / "whole.safetensors", muon=muon)
    with pytest.raises(KillError):
        train(tmp_path / "killed.safetensors", die_at=die_at, muon=muon)
    again, curve_again = train(tmp_path / "killed.safetensors", muon=muon)
    assert curve_again == curve
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_the_order_of_weights_in_memory_is_no_matter(tmp_path):
    """The autoencoder trains channels-last: its moments must come back to the weights that they
    belong to.
    """

    def train_convolution(name: str, die_at: int | None = None) -> torch.Tensor:
        torch.manual_seed(0)
        model = nn.Conv2d(3, 5, 3).to(memory_format=torch.channels_last)

        def loss_at(step):
            if step == die_at:
                raise KillError
            return model(torch.randn(2, 3, 6, 6)).square().mean()

        fit(model, PLAN, loss_at, lambda: 0.0, tmp_path / name, "toy")
        return load_file(tmp_path / name)["model.weight"]

    whole = train_convolution("whole")
    with pytest.raises(KillError):
        train_convolution("killed", die_at=7)
    assert torch.equal(train_convolution("killed"), whole)


def test_a_killed_run_goes_on_and_does_not_begin_again(tmp_path):
    """After a checkpoint at step 6 nothing before step 6 is computed again."""
    with pytest.raises(KillError):
        train(tmp_path / "c.safetensors", die_at=7)
    train(tmp_path / "c.safetensors", die_at=5)


def test_a_finished_run_is_not_trained_again(tmp_path):
    """A kill between the last checkpoint and the writing of the outputs costs nothing."""
    weights, curve = train(tmp_path / "c.safetensors")
    again, curve_again = train(tmp_path / "c.safetensors", die_at=0)
    assert curve_again == curve
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_the_best_weights_by_validation_are_kept(tmp_path):
    """The last weights are not the best ones; those with the least validation loss are what is
    saved.
    """
    model, seen = nn.Linear(2, 1), []
    values = iter([3.0, 1.0, 2.0, 4.0, 5.0])

    def validate():
        seen.append(model.weight.detach().clone())
        return next(values)

    curve = fit(
        model,
        PLAN,
        lambda step: model(torch.ones(1, 2)).square().sum(),
        validate,
        tmp_path / "c",
        "toy",
    )
    assert [point["val"] for point in curve] == [3.0, 1.0, 2.0, 4.0, 5.0]
    assert torch.equal(model.weight, seen[1])
    assert not torch.equal(model.weight, seen[-1])


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    """A diverged run ends in one sentence with the way out, and its last good checkpoint stays
    good.
    """
    model = nn.Linear(2, 1)

    def loss_at(step):
        return model(torch.ones(1, 2)).sum() * (float("nan") if step == 4 else 1.0)

    with pytest.raises(UserError, match="learning_rate") as caught:
        fit(model, PLAN, loss_at, lambda: 0.0, tmp_path / "c.safetensors", "toy")
    assert_sentence(caught.value)
    assert all(
        torch.isfinite(tensor).all() for tensor in load_file(tmp_path / "c.safetensors").values()
    )


def test_a_gradient_that_is_no_number_spoils_no_checkpoint(tmp_path):
    """The loss can still be a number when its gradient is none: such a step must not reach the
    weights that are saved.
    """
    model = nn.Linear(2, 1)

    def loss_at(step):
        loss = model(torch.ones(1, 2)).sum()
        # value 0, slope 0 * inf
        return loss if step < 9 else loss + (model.weight.sum() * 0).abs().sqrt()

    with pytest.raises(UserError, match="gradient"):
        fit(model, PLAN, loss_at, lambda: 0.0, tmp_path / "c.safetensors", "toy")
    assert all(torch.isfinite(weight).all() for weight in model.parameters())


@pytest.mark.parametrize("size", [0, 100, -20])
def test_half_a_checkpoint_is_refused(tmp_path, size):
    """A damaged checkpoint must be named, so that it can be deleted; guessing its content would
    corrupt the run.
    """
    path = tmp_path / "c.safetensors"
    with pytest.raises(KillError):
        train(path, die_at=7)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match=r"c\.safetensors") as caught:
        train(path)
    assert_sentence(caught.value)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    """After a change of the code the checkpoint of a killed run may not fit; that is no crash."""
    path = tmp_path / "c.safetensors"
    with pytest.raises(KillError):
        train(path, die_at=7)
    model = nn.Linear(2, 1)
    with pytest.raises(UserError, match=r"c\.safetensors") as caught:
        fit(model, PLAN, lambda step: model(torch.ones(1, 2)).sum(), lambda: 0.0, path, "toy")
    assert_sentence(caught.value)


@pytest.mark.parametrize(
    "began_with_muon",
    [False, True],
)
def test_a_checkpoint_of_another_optimizer_is_refused(tmp_path, began_with_muon):
    """A run that began with AdamW alone holds no momentum for Muon: going on would not be the same
    run.
    """
    path = tmp_path / "c.safetensors"
    with pytest.raises(KillError):
        train(path, die_at=7, muon=began_with_muon)
    with pytest.raises(UserError, match=r"c\.safetensors") as caught:
        train(path, muon=not began_with_muon)
    assert_sentence(caught.value)


@pytest.mark.parametrize("shape", [(3, 16, 48), (2, 48, 16), (1, 8, 8)])
def test_muon_makes_updates_orthogonal(shape):
    """Every direction of a gradient counts about the same: singular values near 1, along the
    gradient's own directions.
    """
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    turned = u.mT @ orthogonal(matrices) @ v.mT
    values = turned.diagonal(dim1=1, dim2=2)
    assert values.min() > 0.6
    assert values.max() < 1.3
    torch.testing.assert_close(turned, torch.diag_embed(values), atol=1e-4, rtol=0)
    torch.testing.assert_close(orthogonal(1000 * matrices), orthogonal(matrices), atol=1e-4, rtol=0)
    assert not orthogonal(0 * matrices).any()


def test_muon_trains_convolutions_as_matrices():
    """A kernel is [out, in x kernel]; equal shapes go together, and each weight gets its own
    update.
    """
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(8, 4, 3, 3)) for _ in range(2)] + [
        nn.Parameter(torch.randn(8, 36))
    ]
    weights.append(nn.Parameter(torch.randn(5, 5)))  # without a gradient: left alone
    before = [weight.detach().clone() for weight in weights]
    gradients = [torch.randn_like(weight) for weight in weights[:3]]
    for weight, gradient in zip(weights[:3], gradients, strict=True):
        weight.grad = gradient.clone()
    Muon(weights, lr=0.1, weight_decay=0.5).step()
    for weight, old, gradient in zip(weights[:3], before[:3], gradients, strict=True):
        update = 0.1 * 0.4 * 36**0.5 * orthogonal(gradient.flatten(1)[None])[0].view_as(old)
        torch.testing.assert_close(weight.detach(), 0.95 * old - update, atol=1e-5, rtol=1e-4)
    assert torch.equal(weights[3].detach(), before[3])


HELD = """
import ctypes, sys
import torch
from dreamcart.training.device import keep_memory
NAMES = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
class Held(ctypes.Structure):  # struct mallinfo2 of glibc
    _fields_ = [(name, ctypes.c_size_t) for name in NAMES.split()]
ask = ctypes.CDLL(None).mallinfo2
ask.restype = Held
held = lambda: ask().arena + ask().hblkhd  # bytes taken from the system, used or not
if sys.argv[1] == "keep":
    keep_memory()
parts = [torch.ones(4_000_000) for _ in range(6)]
during = held()
parts.clear()
print(during - held())
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="the C library is not glibc 2.33 or newer"
)
def test_freed_memory_serves_the_next_step():
    """Fresh pages for every tensor of a step would cost more than what is computed in them. What
    the C library says it holds is asked, not the pages that the system hands out: how large these
    are differs by machine.
    """
    given_back, kept = (
        int(
            subprocess.run(
                [sys.executable, "-c", HELD, how],
                cwd=ROOT,
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for how in ("give back", "keep")
    )
    assert given_back > 90e6  # of six times 16 MB
    assert kept == 0


def test_the_learning_rate_rises_then_falls():
    """One cycle: up within the first tenth, the peak as asked, and about nothing at the end."""
    plan = Plan(100, 0.5, 0, 1, 1, 0)
    rates = [learning_rate_at(plan, step) for step in range(100)]
    assert max(rates) == pytest.approx(0.5)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[0] < 0.1
    assert rates[-1] < 0.001


def test_a_long_run_warms_up_no_longer_than_it_must():
    """A tenth of 20,000 steps would be wasted on small ones."""
    plan = Plan(20_000, 0.5, 0, 1, 1, 0)
    assert learning_rate_at(plan, MOST_WARM_UP) == pytest.approx(0.5)


# Representations


def make_ae(latent_dim=0, channels=(4, 8, 8), colors=1, size=32):
    params = make_params(
        latent_dim=latent_dim,
        representation__channels=list(channels),
        preprocess__height=size,
        preprocess__width=size,
    )
    torch.manual_seed(0)
    return make_representation(representation_config(params, (size, size, colors)))


@pytest.mark.parametrize("latent_dim", [0, 32])
@pytest.mark.parametrize("channels", [(4, 8, 8), (4, 8, 8, 16)])
@pytest.mark.parametrize("colors", [1, 3])
def test_autoencoder_keeps_the_seams_shapes(latent_dim, channels, colors):
    """uint8 frames in, float latents of the shape it says, uint8 frames out, and a loss to
    minimise.
    """
    model = make_ae(latent_dim, channels, colors)
    frames = torch.randint(0, 256, (3, 32, 32, colors), dtype=torch.uint8)
    side = 32 // 2 ** len(channels)
    assert model.latent_shape == ((32,) if latent_dim else (16, side, side))
    loss = model.loss(frames)
    assert (loss.shape, bool(torch.isfinite(loss))) == ((), True)
    model.eval()
    latents = model.encode(frames)
    assert (latents.shape, latents.dtype) == ((3, *model.latent_shape), torch.float32)
    decoded = model.decode(latents)
    assert (decoded.shape, decoded.dtype) == (frames.shape, torch.uint8)


@pytest.mark.parametrize("latent_dim", [0, 32])
def test_autoencoder_begins_as_the_median_frame(latent_dim):
    """The network spends itself on what differs from the median, so before any step it must show
    just that.
    """
    model = make_ae(latent_dim).eval()
    median = torch.randint(0, 256, (32, 32, 1), dtype=torch.uint8)
    model.set_median(median)
    frames = torch.randint(0, 256, (2, 32, 32, 1), dtype=torch.uint8)
    assert torch.equal(model.decode(model.encode(frames)), median.expand(2, -1, -1, -1))


def test_latents_have_unit_scale_in_training():
    """Noise and dynamics rely on it: in training every number of a latent has mean 0 and deviation
    1.
    """
    latents = make_ae(32).encode(torch.randint(0, 256, (64, 32, 32, 1), dtype=torch.uint8))
    torch.testing.assert_close(latents.mean(0), torch.zeros(32), atol=1e-3, rtol=0)
    torch.testing.assert_close(latents.std(0, unbiased=False), torch.ones(32), atol=0.05, rtol=0)


# Dynamics


def make_model(kind: str, frames=3, actions=5, latent=4):
    params = make_params(
        latent_dim=latent if kind == "mlp" else 0,
        dynamics__hidden=16,
        dynamics__history_frames=frames,
        dynamics__history_actions=actions,
    )
    torch.manual_seed(0)
    model = make_dynamics(
        dynamics_config(params, (latent,) if kind == "mlp" else (latent, 2, 2), len(BUTTONS))
    )
    # the last layer begins at zero, and then nothing could be seen
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.mark.parametrize(("frames", "actions"), [(3, 5), (5, 3), (1, 1)])
def test_a_dream_starts_from_what_training_saw(frames, actions):
    """`Dynamics.start` fills a short context exactly as `data.processed.history` does in
    training.
    """
    split = make_split([9, 9])
    latents = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    model = make_model("mlp", frames, actions)
    for record in split.transitions:
        begin = split.episode_start[record]
        rows, buttons = history(
            split.index, split.episode_start, np.array([record]), frames, actions
        )
        context = torch.from_numpy(latents[split.index["frame"][begin : record + 1]])[None]
        state = model.start(
            context, torch.from_numpy(split.index["action"][begin:record].copy())[None]
        )
        np.testing.assert_array_equal(state.latents.numpy(), latents[rows])
        np.testing.assert_array_equal(state.actions.numpy(), buttons[:, :-1])


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_a_step_has_the_seams_shapes_and_moves_the_history(kind):
    """The newest latent enters the history and the oldest leaves it, and so do the buttons."""
    model = make_model(kind)
    shape = (4,) if kind == "mlp" else (4, 2, 2)
    state = model.start(torch.randn(2, 3, *shape), torch.ones(2, 2, 8))
    action = torch.eye(8)[:2]
    latent, after = model.step(state, action)
    assert (latent.shape, latent.dtype) == ((2, *shape), torch.float32)
    assert torch.equal(after.latents, torch.cat([state.latents[:, 1:], latent[:, None]], 1))
    assert torch.equal(after.actions, torch.cat([state.actions[:, 1:], action[:, None]], 1))


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_every_button_and_past_frame_is_seen(kind):
    """A history that the model ignored would be worth nothing."""
    model = make_model(kind)
    shape = (4,) if kind == "mlp" else (4, 2, 2)
    latents, actions = (
        torch.randn(1, 3, *shape, requires_grad=True),
        torch.rand(1, 5, 8, requires_grad=True),
    )
    model(latents, actions).square().sum().backward()
    assert (latents.grad != 0).all()
    assert (actions.grad != 0).all()


# Files


def golden_world():
    """A small dream whose untrained layers are made loud, so that its picture changes with every
    step.
    """
    params = make_params(
        latent_dim=4,
        representation__channels=[6, 8],
        preprocess__height=16,
        preprocess__width=16,
        dynamics__hidden=16,
        dynamics__history_frames=3,
        dynamics__history_actions=3,
    )
    torch.manual_seed(0)
    ae_config = representation_config(params, (16, 16, 1))
    ae = make_representation(ae_config)
    config = dynamics_config(params, ae.latent_shape, len(BUTTONS))
    dynamics = make_dynamics(config)
    nn.init.normal_(ae.decoder[-1].weight, std=0.1)
    nn.init.normal_(dynamics.net[-1].weight, std=0.3)
    return ae, ae_config, dynamics, config


def golden_start() -> np.ndarray:
    return make_frame(7, 16, 16)[:, :, :1].copy()


def play_five(folder: Path) -> np.ndarray:
    """uint8 [5, 16, 16, 1]: five steps of the dream in `folder`, with a button more every step."""
    world = load_world(folder, CPU)
    state = world.start(world.starts["Begin"][None, None], np.zeros((1, 0, len(BUTTONS)), np.uint8))
    frames = []
    for step in range(5):
        shown, state = world.step(
            state, np.array([[int(b <= step) for b in range(len(BUTTONS))]], np.uint8)
        )
        frames.append(shown[0])
    return np.stack(frames)


def make_golden() -> None:
    """Write the golden world again (PYTHONPATH=.:tests python tests/training/test_training.py),
    after a change of the format.
    """
    ae, ae_config, dynamics, config = golden_world()
    ae.set_median(torch.from_numpy(make_frame(3, 16, 16)[:, :, :1].copy()))
    save_representation(WORLD_V1 / "representation.safetensors", ae, ae_config)
    save_dynamics(WORLD_V1 / "dynamics.safetensors", dynamics, config)
    median = make_frame(3, 16, 16)[:, :, :1].copy()
    save_world(
        WORLD_V1 / "world.safetensors", make_spec(), {"Begin": golden_start()}, median, SEEN_AS
    )
    with full_precision():
        np.save(WORLD_V1 / "frames.npy", play_five(WORLD_V1))


@contextlib.contextmanager
def full_precision():
    """No bfloat16, which only some machines compute in: the golden frames must be the same on
    all.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dreamcart.world.model.autocast", lambda device: contextlib.nullcontext())
        yield


def test_golden_world_still_dreams_the_same():
    """A model saved by an earlier Dreamcart loads, and shows the frames it showed then."""
    expected = np.load(WORLD_V1 / "frames.npy")
    assert all((one != other).any() for one, other in itertools.pairwise(expected))
    with full_precision():
        np.testing.assert_allclose(play_five(WORLD_V1).astype(int), expected, atol=1, rtol=0)
    assert load_world(WORLD_V1, CPU).spec == make_spec()


def test_a_batch_dreams_as_each_alone():
    """Rollouts are scored in batches and played one at a time: it must be the same dream."""
    world = load_world(WORLD_V1, CPU)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 2, 16, 16, 1), np.uint8)
    before, pressed = rng.integers(0, 2, (3, 1, 8), np.uint8), rng.integers(0, 2, (3, 8), np.uint8)
    with full_precision():
        together, _ = world.step(world.start(frames, before), pressed)
        for i in range(3):
            alone, _ = world.step(
                world.start(frames[i : i + 1], before[i : i + 1]), pressed[i : i + 1]
            )
            np.testing.assert_allclose(alone[0].astype(int), together[i], atol=1, rtol=0)


def rewrite(path: Path, change) -> None:
    """Change the tensors of a safetensors file and keep its metadata."""
    with safe_open(path, framework="pt") as handle:
        metadata = handle.metadata()
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata)


def spoil(path):
    def put_nan(tensors):
        tensor = next(t for t in tensors.values() if t.is_floating_point() and t.numel() > 1)
        tensor.view(-1)[0] = float("nan")

    rewrite(path, put_nan)


def lose_tensor(path):
    rewrite(path, lambda tensors: tensors.pop(sorted(tensors)[-1]))


def remove(path):
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        *itertools.product(
            [truncate, empty, garbage, foreign, lose_tensor, remove],
            ["representation", "dynamics", "world"],
        ),
        (spoil, "representation"),
        (spoil, "dynamics"),
    ],
)
def test_a_bad_model_is_refused_in_one_sentence(tmp_path, damage, part):
    """Whatever happened to a model's files, a person is told which one it is, and no dream of noise
    begins.
    """
    folder = Path(shutil.copytree(WORLD_V1, tmp_path / "world"))
    path = folder / f"{part}.safetensors"
    damage(path)
    with pytest.raises(UserError) as caught:
        load_world(folder, CPU)
    assert_sentence(caught.value)
    assert str(folder) in str(caught.value)


def test_parts_of_two_models_are_refused(tmp_path):
    """A dynamics for other latents than the representation's must not crash in the middle of
    play.
    """
    folder = Path(shutil.copytree(WORLD_V1, tmp_path / "world"))
    params = make_params(latent_dim=8, dynamics__hidden=16)
    config = dynamics_config(params, (8,), len(BUTTONS))
    save_dynamics(folder / "dynamics.safetensors", make_dynamics(config), config)
    with pytest.raises(UserError) as caught:
        load_world(folder, CPU)
    assert_sentence(caught.value)


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_saved_dynamics_load_as_they_were(tmp_path, kind):
    """Config and weights travel together: a file is enough."""
    shape = [4] if kind == "mlp" else [4, 2, 2]
    config = {
        "kind": kind,
        "latent_shape": shape,
        "buttons": 8,
        "history_frames": 2,
        "history_actions": 2,
    }
    config |= {"hidden": 8} if kind == "mlp" else {"channels": 8, "dead_zone": 0.1}
    model = make_dynamics(config)
    save_dynamics(tmp_path / "d.safetensors", model, config)
    loaded = load_dynamics(tmp_path / "d.safetensors")
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("latent_dim", [0, 4])
def test_a_saved_representation_loads_as_it_was(tmp_path, latent_dim):
    """The loaded model encodes as the saved one did, running statistics included."""
    model = make_ae(latent_dim)
    frames = torch.randint(0, 256, (4, 32, 32, 1), dtype=torch.uint8)
    model.loss(frames)  # moves the running statistics
    config = representation_config(
        make_params(latent_dim=latent_dim, representation__channels=[4, 8, 8]), (32, 32, 1)
    )
    save_representation(tmp_path / "r.safetensors", model, config)
    loaded = load_representation(tmp_path / "r.safetensors")
    torch.testing.assert_close(loaded.encode(frames), model.eval().encode(frames))


if __name__ == "__main__":
    make_golden()
