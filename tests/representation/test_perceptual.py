"""The perceptual term: which network it looks through, and that it sees what pixels do not."""

import numpy as np
import pytest
import torch
from toys.synthetic import make_processed, make_rows

from dreamcart.core import pretrained
from dreamcart.representation import perceptual
from dreamcart.representation.perceptual import LightNetwork, Perceptual, make_perceptual


@pytest.fixture
def no_vgg16(monkeypatch, tmp_path):
    """A machine without VGG16's weights, and few steps for the light network."""
    monkeypatch.setattr(perceptual, "STEPS", 12)
    monkeypatch.setattr(perceptual, "BATCH", 4)
    monkeypatch.setattr(pretrained, "HOME", tmp_path / "home")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def recorded(folder, infos=True):
    rows = [make_rows(n, 40, first=3 * n) for n in range(4)]
    for row in (row for episode in rows for row in episode):
        row["infos"] = {"low": int(row["observations"][12:].max() > 100)} if infos else {}
    return make_processed(folder, rows)["train"]


def made(folder, train, seed=0):
    return make_perceptual(
        seed,
        train,
        folder / "raw",
        folder / "perceptual",
        lambda name, key: folder / f"{name}-{key}",
    )


def weights(network: Perceptual) -> torch.Tensor:
    return torch.cat(
        [weight.flatten() for stage in network.stages for weight in stage.state_dict().values()]
    )


@pytest.mark.usefixtures("no_vgg16")
@pytest.mark.parametrize(("infos", "name"), [(True, "own_variables"), (False, "own_buttons")])
def test_the_light_network_is_the_same_for_the_same_seed_and_data(tmp_path, infos, name):
    """Trained on RAM where there is any, on buttons elsewhere; from the cache it comes back as it
    was; another seed differs.
    """
    train = recorded(tmp_path, infos)
    first = made(tmp_path, train)
    assert first.name == name
    (tmp_path / "perceptual").rename(tmp_path / "kept")
    assert torch.equal(weights(made(tmp_path, train)), weights(first))
    assert (tmp_path / "perceptual").read_bytes() == (tmp_path / "kept").read_bytes()
    assert not torch.equal(weights(made(tmp_path, train, seed=1)), weights(first))
    assert list(tmp_path.glob("perceptual-*")) == [], "a checkpoint was left"


@pytest.mark.usefixtures("no_vgg16")
def test_the_cache_is_used_and_only_for_its_own_data(tmp_path, monkeypatch):
    """Training again would cost what the cache is there to save; but a cache of other recordings is
    none.
    """
    train = recorded(tmp_path)
    first = made(tmp_path, train)
    trained = []
    monkeypatch.setattr(perceptual, "_train", lambda *arguments: trained.append(arguments))
    assert torch.equal(weights(made(tmp_path, train)), weights(first))
    assert trained == []
    other = tmp_path / "other"
    make_processed(other, [make_rows(n, 30, first=5 * n) for n in range(4)])
    made(tmp_path, perceptual.Split(train.frames, train.index[:-1], train.spec))
    assert len(trained) == 1


@pytest.mark.usefixtures("no_vgg16")
def test_the_light_network_learns_its_task(tmp_path, monkeypatch):
    """Features of a network that has learnt nothing would be no better than pixels."""
    monkeypatch.setattr(perceptual, "STEPS", 80)
    monkeypatch.setattr(perceptual, "BATCH", 16)
    curves = []
    plain = perceptual.fit
    monkeypatch.setattr(perceptual, "fit", lambda *arguments: curves.append(plain(*arguments)))
    made(tmp_path, recorded(tmp_path))
    (curve,) = curves
    assert curve[-1]["train"] < 0.6 * curve[0]["train"]


def light(colors=1) -> Perceptual:
    torch.manual_seed(0)
    network = LightNetwork((16, 16, colors), 1, 3).eval()
    return Perceptual("own_variables", list(network.stages[:3]), False, torch.device("cpu"))


def test_equal_pictures_are_no_distance_apart():
    """And others are, by at most 4, with a gradient for the decoder and none for the network."""
    distance = light()
    true, decoded = torch.rand(3, 1, 16, 16), torch.rand(3, 1, 16, 16, requires_grad=True)
    assert distance(true, true) == 0
    value = distance(decoded, true)
    assert 0 < value.item() < 4
    value.backward()
    assert decoded.grad.abs().sum() > 0
    assert all(weight.grad is None for stage in distance.stages for weight in stage.parameters())


def test_vgg16_is_the_default(tmp_path):
    """No recordings are needed for it, and grey frames go as well as coloured ones: its features at
    three depths."""
    network = make_perceptual(0, None, tmp_path, tmp_path / "cache", lambda *_: tmp_path)
    assert network.name == "vgg16"
    whole = pretrained.load_features("vgg16")
    for colors in (1, 3):
        picture = torch.rand(1, colors, 16, 16)
        found = network.features(picture)
        assert [tuple(f.shape[1:]) for f in found] == [(64, 16, 16), (128, 8, 8), (256, 4, 4)]
        scaled = (picture.expand(-1, 3, -1, -1) - network.mean) / network.deviation
        with torch.inference_mode():
            wanted = torch.nn.functional.normalize(whole[:16](scaled), dim=1, eps=1e-3)
        np.testing.assert_allclose(found[2].numpy(), wanted.numpy(), atol=1e-5)
    assert not (tmp_path / "cache").exists()


def test_vgg16_looks_at_some_frames_of_a_batch_on_a_cpu(tmp_path, monkeypatch):
    """A batch would take minutes: as many frames as it has time for, drawn anew in each step, one
    at least."""
    network = make_perceptual(0, None, tmp_path, tmp_path / "cache", lambda *_: tmp_path)
    assert network.most == perceptual.VGG_PIXELS
    looked = []
    plain = network.features
    monkeypatch.setattr(network, "features", lambda planes: looked.append(planes) or plain(planes))
    frames = torch.arange(12).view(12, 1, 1, 1).expand(12, 1, 16, 16) / 12
    for most, count in ((None, 12), (12 * 256, 12), (5 * 256, 5), (100, 1)):
        looked.clear()
        network.most = most
        torch.manual_seed(0)
        network(1 - frames, frames)
        true, decoded = looked
        assert len(true) == len(decoded) == count
        torch.testing.assert_close(decoded, 1 - true)  # of the same frames
    seen = set()
    for step in range(30):
        torch.manual_seed(step)
        network(1 - frames, frames)
        seen.add(looked[-2].flatten()[0].item())
    assert len(seen) > 6


def test_what_is_off_counts_as_much_whatever_its_brightness():
    """Features have unit length: a faint figure that is missing weighs as a bright one does, where
    pixels would not say so.
    """
    distance = light()
    missing = []
    for brightness in (0.1, 1.0):
        true = torch.zeros(1, 1, 16, 16)
        true[:, :, 4:12, 4:12] = brightness
        missing.append((distance(torch.zeros_like(true), true).item(), true.square().mean().item()))
    (faint, faint_pixels), (bright, bright_pixels) = missing
    assert faint / bright > 3 * faint_pixels / bright_pixels
    assert np.isfinite(faint)
