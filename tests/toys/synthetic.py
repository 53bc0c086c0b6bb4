"""A made-up game, its recordings and its params, which the tests share."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from dreamcart.core.files import write_json
from dreamcart.core.paths import ROOT
from dreamcart.data.preprocess import preprocess
from dreamcart.data.processed import Split, index_dtype, load_split
from dreamcart.data.schema import INFO_NAME, SCHEMA_VERSION, ShardWriter
from dreamcart.dynamics.base import make_dynamics, save_dynamics
from dreamcart.families import FAMILIES
from dreamcart.games.spec import GameSpec
from dreamcart.params import Params, PreprocessConfig, build
from dreamcart.representation.registry import make_representation, save_representation
from dreamcart.representation.train import representation_config
from dreamcart.world.model import save_world

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
BUTTONS = ["A", "B", "SELECT", "START", "UP", "DOWN", "LEFT", "RIGHT"]
SEEN_AS = PreprocessConfig(height=16, width=16, color="gray", resize="area", val_share=0.25, tile=0)


def make_spec(**changes: Any) -> GameSpec:
    """The game "toy": the NES's eight buttons, ten model steps a second."""
    values = {
        "name": "toy",
        "title": "Toy",
        "backend": "retro",
        "env": "Toy-Nes-v0",
        "buttons": BUTTONS,
        "keys": {"A": "x", "LEFT": "left", "RIGHT": "right"},
        "fps": 20.0,
        "frame_skip": 2,
        "scripts": [{"policy": "held", "state": "Begin", "share": 1.0}],
        "start_states": ["Begin"],
    }
    return GameSpec.from_dict(values | changes)


def make_params(**changes: Any) -> Params:
    """The repository's params.yaml with some values changed; `representation__steps` is
    representation.steps.

    A setting of families is changed in all that have it. Unless told otherwise it is the
    autoencoder on a grid, whose frames need be of no size in particular.
    """
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["latent_dim"], values["representation"]["kind"], values["preprocess"]["tile"] = (
        0,
        "ae",
        0,
    )
    for name, value in changes.items():
        *section, key = name.split("__")
        place = values[section[0]] if section else values
        inner = (
            [part for part in place.values() if isinstance(part, dict) and key in part]
            if key not in place
            else []
        )
        for part in inner or [place]:
            part[key] = value
    return build(Params, values, "")


def make_frame(number: int, height: int = 24, width: int = 32) -> np.ndarray:
    """uint8 [height, width, 3]: a bright block on a dark ground, at another place for each of 20
    numbers.
    """
    frame = np.full((height, width, 3), (10, 20, 40), np.uint8)
    y, x = 4 * (number // 5 % 4), 5 * (number % 5)
    frame[y : y + 6, x : x + 6] = (250, 200 - 8 * (number % 20), 90)
    return frame


def make_rows(
    episode: int, length: int, first: int = 0, shape: tuple[int, int] = (24, 32)
) -> list[dict[str, Any]]:
    """The `length` rows of an episode whose picture moves every second step."""
    return [
        {
            "episode_id": episode,
            "step": step,
            "seed": 100 + episode,
            "observations": make_frame(first + step // 2, *shape),
            "actions": (
                [int((step + episode) % 8 == b) for b in range(8)] if step < length - 1 else None
            ),
            "rewards": 0.5 * step,
            "terminations": False,
            "truncations": step == length - 2,
            "infos": (
                {"x": step, "board": np.array([0, step], np.uint8)}
                | ({"start_state": "Begin"} if step == 0 else {})
            ),
        }
        for step in range(length)
    ]


def write_raw(
    folder: Path, episodes: list[list[dict[str, Any]]], spec: GameSpec | None = None
) -> Path:
    """Write episodes as a raw dataset of one shard."""
    writer = ShardWriter(folder / "play-00000.parquet", "png")
    for row in (row for episode in episodes for row in episode):
        writer.add(row)
    writer.close()
    write_json(
        folder / INFO_NAME,
        {"schema_version": SCHEMA_VERSION, "game": (spec or make_spec()).to_dict()},
    )
    return folder


def make_processed(
    folder: Path, episodes: list[list[dict[str, Any]]], config: PreprocessConfig = SEEN_AS
) -> dict[str, Split]:
    """Record, preprocess and open: {"train": …, "val": …}.

    The raw dataset stays in `folder`/raw.
    """
    preprocess(write_raw(folder / "raw", episodes), folder / "processed", config, seed=0)
    return {name: load_split(folder / "processed", name) for name in ("train", "val")}


def make_split(
    lengths: list[int], shape: tuple[int, int, int] = (16, 16, 1), seed: int = 0
) -> Split:
    """Episodes of these many observations with random frames and buttons, straight into memory."""
    rng = np.random.default_rng(seed)
    index = np.zeros(sum(lengths), index_dtype(len(BUTTONS)))
    index["episode"] = np.repeat(np.arange(len(lengths)), lengths)
    index["step"] = np.concatenate([np.arange(n) for n in lengths])
    index["frame"] = rng.integers(0, 12, len(index))
    index["action"] = rng.integers(0, 2, (len(index), len(BUTTONS)))
    index["action"][np.cumsum(lengths) - 1] = 0
    return Split(rng.integers(0, 256, (12, *shape), np.uint8), index, make_spec())


def make_tiles_world(folder: Path) -> Path:
    """A model of tiles and a transformer, untrained and in doubt about everything: drawn from, each
    of its frames is another.

    Its frames are 32 x 32 in colour, of 8 x 8 tiles.
    """
    spec = make_spec()
    torch.manual_seed(0)
    tiles = {"kind": "tiles", "shape": [32, 32, 3], "tile": 8, "vocabulary": 6}
    representation = make_representation(tiles)
    representation.tiles.copy_(torch.randint(0, 256, representation.tiles.shape, dtype=torch.uint8))
    config = {
        "kind": "transformer",
        "latent_shape": [4, 4],
        "buttons": len(spec.buttons),
        "vocabulary": 6,
        "cells": 16,
        "backdrops": 1,
    }
    config |= {"hidden": 16, "blocks": 1, "heads": 2, "history_frames": 3}
    dynamics = make_dynamics(config)
    dynamics.cells.copy_(torch.arange(16))
    nn.init.zeros_(dynamics.stay.bias)  # untrained, every cell would stay
    save_representation(folder / "representation.safetensors", representation, tiles)
    save_dynamics(folder / "dynamics.safetensors", dynamics, config)
    first, median = representation.decode(torch.randint(0, 6, (2, 4, 4))).numpy()
    seen_as = PreprocessConfig(
        height=32, width=32, color="rgb", resize="nearest", val_share=0.2, tile=8
    )
    save_world(folder / "world.safetensors", spec, {"Begin": first}, median, seen_as)
    return folder


def make_world_of_cells(folder: Path, spec: GameSpec | None = None, seed: int = 0) -> Path:
    """A model of cells over a palette, untrained and loud: drawn from, each of its frames is
    another. Its frames are 32 x 40 in colour.
    """
    spec = spec or make_spec()
    torch.manual_seed(seed)
    palette = {"kind": "palette", "shape": [32, 40, 3], "colours": 5}
    representation = make_representation(palette)
    shades = torch.tensor([0, 60, 120, 180, 240], dtype=torch.uint8)
    representation.colours.copy_(shades[:, None].expand(-1, 3))
    config = {
        "kind": "cells",
        "latent_shape": [32, 40],
        "buttons": len(spec.buttons),
        "side": 8,
        "window": [3, 4],
        "outside": 8,
        "backdrops": 2,
        "colours": 5,
        "known": 6,
        "most": 4,
        "depth": 5,
        "deed": 4,
        "channels": 8,
        "blocks": 2,
        "memory": 12,
    }
    dynamics = make_dynamics(config)
    network = dynamics.network
    with torch.no_grad():  # in doubt about everything, and everything matters
        network.choose.weight.mul_(2.0)
        network.surprise.weight.mul_(6.0)
        network.hint.mul_(6.0)
        network.key.normal_(std=2.0)
        network.place.mul_(4.0)
        network.age.weight.mul_(4.0)
        for block in network.blocks:  # which begin as nothing at all
            block.tell.weight.normal_()
            block.press.normal_()
        network.event[2].bias.copy_(torch.tensor([2.0, 0.0, 0.0]))
        network.gate.bias.fill_(1.0)
    screen = dynamics.screen
    screen.cells.copy_(torch.arange(12).view(3, 4))
    screen.mask.fill_(True)
    screen.outside.copy_(torch.arange(12, 20))
    screen.source.copy_(torch.arange(20))
    screen.backdrops.copy_(torch.randint(0, 5, screen.backdrops.shape))
    dynamics.tiles.copy_(torch.randint(0, 5, dynamics.tiles.shape))
    save_representation(folder / "representation.safetensors", representation, palette)
    save_dynamics(folder / "dynamics.safetensors", dynamics, config)
    first, median = representation.decode(torch.randint(0, 5, (2, 32, 40))).numpy()
    seen_as = PreprocessConfig(
        height=32, width=40, color="rgb", resize="nearest", val_share=0.2, tile=8
    )
    save_world(folder / "world.safetensors", spec, {"Begin": first}, median, seen_as)
    return folder


def make_random_world(folder: Path, kind: str) -> Path:
    """A model of a family of dynamics that draws, untrained and loud: each of its frames is
    another.
    """
    if kind == "cells":
        return make_world_of_cells(folder)
    if kind == "transformer":
        return make_tiles_world(folder)
    params = make_params(
        latent_dim=4,
        representation__channels=[6, 8],
        preprocess__height=16,
        preprocess__width=16,
    )
    torch.manual_seed(0)
    frame = make_frame(7, 16, 16)[:, :, :1].copy()
    config = representation_config(params, frame.shape)
    representation = make_representation(config)
    nn.init.normal_(representation.decoder[-1].weight, std=0.3)
    save_representation(folder / "representation.safetensors", representation, config)
    save_world(
        folder / "world.safetensors",
        make_spec(),
        {"Begin": frame},
        np.full_like(frame, 20),
        SEEN_AS,
    )
    config = {"kind": kind, "latent_shape": [4], "buttons": len(BUTTONS)}
    values = {"hidden": 16, "channels": 8, "dead_zone": 0.0, "flow_steps": 4, "beta": 0.001}
    values |= {"history_frames": 2, "history_actions": 2}
    settings = (*FAMILIES[kind].settings, *asdict(getattr(params.dynamics, kind)))
    config |= {name: values[name] for name in settings}
    dynamics = make_dynamics(config)
    if kind == "flow":
        nn.init.normal_(dynamics.net.last.weight, std=0.5)  # untrained, nothing would change
    save_dynamics(folder / "dynamics.safetensors", dynamics, config)
    return folder


def copy_checkout(to: Path) -> Path:
    """The code, the games and params.yaml of this checkout: enough to run a stage by hand."""
    for name in ("dreamcart", "stages", "games"):
        shutil.copytree(
            ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "build")
        )
    shutil.copy(ROOT / "params.yaml", to)
    return to


def assert_sentence(problem: BaseException) -> None:
    """A message for a person: one line, one full stop at its end, no Python in it."""
    text = str(problem)
    assert "\n" not in text, text
    assert text.endswith("."), text
    assert "Traceback" not in text, text


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(b"\x80\x04 no safetensors at all " * 50)


def foreign(path: Path) -> None:
    """A safetensors file of something else."""
    save_file({"x": torch.zeros(3)}, path)
