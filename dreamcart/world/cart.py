"""A cart: one safetensors file a game, from which the dream plays anywhere. No emulator, no ROM, no
GPU.

It holds the game spec, both networks with the configs that rebuild them, the start frames, the
metrics that it was measured at, and a fingerprint over all of it. A cart of another format, a
damaged and a hand-edited one are refused.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dreamcart.core.errors import UserError
from dreamcart.core.files import fingerprint
from dreamcart.core.paths import ROOT
from dreamcart.core.provenance import stamp
from dreamcart.core.tensors import file_size, load_tensors, save_tensors
from dreamcart.dynamics.base import Trained
from dreamcart.params import Params
from dreamcart.representation.base import Representation
from dreamcart.world.cart_pin import check_start
from dreamcart.world.model import FOREIGN, PARTS, WorldModel, assemble

# The format that is written, and the oldest that is read.
FORMAT = 8
OLDEST = 8
MOST_BYTES = 8_000_000
FOLDER = ROOT / "carts"
REMEDY = "fetch it again, or another one"


def model_print(folder: Path, dynamics: str = "dynamics") -> str:
    """Which trained model lies in `folder`: a hash of its two networks, by which its metrics are
    known to be its own. `dynamics` is as in `load_world`.
    """
    files = [folder / f"{part}.safetensors" for part in ("representation", dynamics)]
    return fingerprint(*files) if all(file.is_file() for file in files) else ""


def save_cart(path: Path, folder: Path, metrics: dict[str, Any]) -> None:
    """Write the trained model in `folder` (see `world_model`), with its metrics, as a cart.

    It holds its recipe as well: the settings that made it, the code and the date.

    Raises:
        UserError: a part is missing or damaged, or the cart would exceed MOST_BYTES.
    """
    tensors, world = load_tensors(folder / "world.safetensors")
    meta = {"game": world["game"], "starts": world["starts"], "metrics": metrics}
    # older models do not say
    meta |= {name: world[name] for name in ("preprocess", "recipe") if name in world}
    meta["made"] = stamp(model_print(folder))
    for part in PARTS:
        weights, own = load_tensors(folder / f"{part}.safetensors")
        tensors |= {f"{part}.{name}": weight for name, weight in weights.items()}
        meta[part] = own["config"]
        if "refine" in own:  # it came after what world.safetensors knows of
            meta["recipe"] = meta.get("recipe", {}) | {"refine": own["refine"]}
    write_cart(path, tensors, meta)


def write_cart(path: Path, tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    """Write tensors and metadata as a cart of the newest format, signed.

    Raises UserError where it would exceed MOST_BYTES.
    """
    meta = meta | {"cart": FORMAT}
    signed = meta | {"fingerprint": fingerprint_of(tensors, meta)}
    size = file_size(tensors, signed)
    if size > MOST_BYTES:
        said = f"This model takes {size / 1e6:.1f} MB, and a cart holds {MOST_BYTES / 1e6:g}"
        raise UserError(
            f"{said}; make it smaller (by the settings of dynamics.{meta['dynamics']['kind']})."
        )
    save_tensors(path, tensors, signed)


def fingerprint_of(tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> str:
    """SHA-256 over every tensor (name, type, shape, bytes) and the metadata."""
    digest = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())  # NumPy has no bfloat16
    return digest.hexdigest()


def load_cart(path: Path, device: torch.device) -> tuple[WorldModel, dict[str, Any]]:
    """The dream in a cart, and its metadata ("game", "metrics", …).

    Raises:
        UserError: the file is missing, truncated, foreign, of another format, or was changed by
            hand.
    """
    if not path.is_file():
        raise UserError(
            f"There is no cart {path}; `python stages/play.py --list` shows those that there are."
        )
    if path.stat().st_size > MOST_BYTES:
        raise UserError(
            f"{path} is no cart: it has {path.stat().st_size / 1e6:.0f} MB, and a cart has 8 at"
            " most."
        )
    tensors, meta = load_tensors(
        path, "fetch it again with `git checkout carts`, or make it with `python stages/cart.py`"
    )
    version = meta.get("cart")
    if type(version) is not int:
        raise UserError(
            f"{path} is no cart; make one from a trained model with `python stages/cart.py`."
        )
    if version > FORMAT:
        raise UserError(
            f"{path} is a cart of format {version}, and this Dreamcart reads up to {FORMAT}; update"
            " Dreamcart."
        )
    if version < OLDEST:
        raise UserError(
            f"{path} is a cart of format {version}, for an older Dreamcart; train it again, or"
            " fetch a newer one."
        )
    told = meta.pop("fingerprint", None)
    if told != fingerprint_of(tensors, meta):
        raise UserError(
            f"{path} was changed after it was made (its fingerprint does not fit); fetch it again."
        )
    if not isinstance(meta.get("metrics", {}), dict):
        raise UserError(f"{path} has metrics that are none; {REMEDY}.")
    world = assemble(tensors, meta, device, str(path), REMEDY)
    _try(world, path)
    return world, meta


def _try(world: WorldModel, path: Path) -> None:
    """Play one step: tensors of the right shapes may still point at tiles that are not there.

    Raises UserError.
    """
    first = world.starts[world.first_start][None, None]
    nothing = np.zeros((1, len(world.spec.buttons)), np.uint8)
    try:
        world.step(world.start(first, nothing[:, None][:, :0]), nothing)
    except FOREIGN:
        raise UserError(
            f"{path} cannot be played: its parts do not fit together; {REMEDY}."
        ) from None


def load_start(params: Params, representation: Representation) -> Trained | None:
    """Open the cart of dynamics.init_from; None where training begins from nothing.

    Raises UserError where it cannot be played, or was trained on another representation than the
    new recordings have.
    """
    path = params.dynamics.start_cart
    if path is None:
        return None
    check_start(params)
    world, meta = load_cart(path, torch.device("cpu"))
    known, own = world.representation.state_dict(), representation.state_dict()
    if known.keys() != own.keys() or not all(torch.equal(known[k], own[k]) for k in own):
        raise UserError(
            f"{path} was trained on frames of other colours or another size than these recordings"
            " have; choose another cart, or leave dynamics.init_from empty."
        )
    return Trained(str(path), world.dynamics, meta["dynamics"], list(world.spec.buttons))


def carts() -> dict[str, Path]:
    """The carts that are here, by game."""
    return {
        path.relative_to(FOLDER).with_suffix("").as_posix(): path
        for path in sorted(FOLDER.rglob("*.cart"))
    }
