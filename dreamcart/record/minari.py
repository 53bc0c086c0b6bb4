"""Export to Minari, the Farama Foundation's format for offline reinforcement learning.

Observations are stored as they are (Minari's default would make them JPEG). Minari is optional.
"""

import argparse
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dreamcart.core.arguments import text
from dreamcart.core.errors import UserError
from dreamcart.data.images import decode_image
from dreamcart.data.infos import parse_infos
from dreamcart.data.reader import dataset_spec, read_episodes
from dreamcart.record.folders import dataset_folder

INSTALL = 'pip install "minari[arrow]>=0.5.4"'


def add(parser: argparse.ArgumentParser) -> None:
    words = "a folder, or a game whose recordings are in data/"
    parser.add_argument("dataset", type=text, help=words)
    parser.add_argument("--id", type=text, help="Minari's name for it (default: dreamcart/GAME-v0)")


def run(args: argparse.Namespace) -> None:
    dataset = export(dataset_folder(args.dataset), args.id)
    print(
        f"{dataset.total_episodes} episodes, {dataset.total_steps} steps:"
        f" minari.load_dataset({dataset.spec.dataset_id!r})"
    )


def export(folder: Path, name: str | None = None) -> Any:
    """Write the dataset `folder` into Minari's local datasets, episode by episode. Returns the
    MinariDataset.

    Observations are Box uint8 [H, W, 3], actions MultiBinary in the game's button order; the
    emulator's numeric variables that every step has become infos.

    Raises:
        UserError: Minari is missing, the name is taken or none of Minari's, or a frame does not fit
            the others.
    """
    try:
        import minari
        from minari.storage.datasets_root_dir import get_dataset_path
    except ImportError as problem:
        raise UserError(
            f"The export needs Minari, which cannot be imported ({problem}); install it with"
            f" `{INSTALL}`."
        ) from None
    import gymnasium

    spec = dataset_spec(folder)
    name = name or f"dreamcart/{re.sub(r'[^A-Za-z0-9_]', '-', spec.name)}-v0"
    if not re.fullmatch(r"([\w-]{2,}/)*[\w-]+-v\d+", name):
        raise UserError(
            f"{name!r} is no Minari name; write [GROUP/]NAME-vNUMBER, a group of two letters or"
            f" more: dreamcart/{spec.name}-v0."
        )
    path = get_dataset_path(name)
    if path.exists():
        raise UserError(
            f"Minari has a dataset {name} already ({path}); choose another with --id, or `minari"
            f" delete {name}`."
        )
    first = decode_image(
        next(read_episodes(folder, ["observations"]))[0]["observations"]["bytes"],
        f"The first image of {folder}",
    )
    observations = gymnasium.spaces.Box(0, 255, first.shape, np.uint8)
    actions = gymnasium.spaces.MultiBinary(len(spec.buttons))
    try:
        return minari.create_dataset_from_buffers(
            name,
            _episodes(folder, observations, actions, minari.data_collector.EpisodeBuffer),
            observation_space=observations,
            action_space=actions,
            description=(
                f"{spec.title} ({spec.env}), recorded with Dreamcart. Buttons:"
                f" {', '.join(spec.buttons)}."
            ),
            data_format="arrow",  # needs nothing that Dreamcart has not
            jpeg_encoding=False,
        )
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)  # half a dataset would look like one
        raise


def _episodes(folder: Path, observations: Any, actions: Any, buffer: Any) -> Iterator[Any]:
    """Minari's buffers, one at a time, each checked against the spaces."""
    for number, rows in enumerate(
        tqdm(read_episodes(folder), unit="episode", desc="export", delay=2)
    ):
        what = f"of episode {rows[0]['episode_id']} of {folder}"
        frames = [
            decode_image(row["observations"]["bytes"], f"The image at step {row['step']} {what}")
            for row in rows
        ]
        held = [np.array(row["actions"], np.int8) for row in rows[:-1]]
        if not all(map(observations.contains, frames)) or not all(map(actions.contains, held)):
            raise UserError(
                f"Episode {rows[0]['episode_id']} of {folder} has a frame or an action of another"
                " shape; leave it out."
            )
        yield buffer(
            id=number,
            seed=rows[0]["seed"],
            observations=frames,
            actions=held,
            rewards=[row["rewards"] for row in rows[:-1]],
            terminations=[row["terminations"] for row in rows[:-1]],
            truncations=[row["truncations"] for row in rows[:-1]],
            infos=_infos(rows),
        )


def _infos(rows: list[dict[str, Any]]) -> dict[str, list[Any]] | None:
    """The numeric variables that every step has, a list each:

    Minari cannot read back arrays of plain numbers.
    """
    steps = [parse_infos(row["infos"]) or {} for row in rows]
    names = [name for name in steps[-1] if all(_is_plain(step.get(name)) for step in steps)]
    return {name: [step[name] for step in steps] for name in names} or None


def _is_plain(value: Any) -> bool:
    """Whether a variable is a number that an array of any program holds."""
    return type(value) in (int, float, bool) and abs(value) <= 2**53
