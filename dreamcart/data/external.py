"""Recordings made elsewhere as the source of a run: a Hugging Face dataset, from the Hub or from a folder.

Two column styles are read: Dreamcart's own (see `schema`) and the gymnasium-recorder's
(`episode_id, timestamp, image, step, action`). Both become the canonical raw dataset.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dreamcart.config import CollectConfig
from dreamcart.data.schema import INFO_NAME, SCHEMA_VERSION, ShardWriter, decode_image
from dreamcart.errors import UserError
from dreamcart.files import write_json
from dreamcart.games.spec import GameSpec

# stable-retro's order on the NES; its second place is no button.
NES_ORDER = ["B", None, "SELECT", "START", "UP", "DOWN", "LEFT", "RIGHT", "A"]


def import_recordings(spec: GameSpec, config: CollectConfig, play: Path, test: Path) -> dict[str, Any]:
    """Convert `config.source` into the raw datasets `play` and `test`.

    The last `test_episodes` episodes (at most a fifth of them) become the test. Returns a report.

    Raises:
        UserError: the source cannot be had, lacks columns, or has actions that do not fit the game.
    """
    episodes = _episode_count(config)
    held_out = min(config.test_episodes, max(1, episodes // 5))
    report = {"source": config.source, "revision": config.revision, "episodes": episodes, "test_episodes": held_out}
    writers = {}
    for folder in (play, test):
        shutil.rmtree(folder, ignore_errors=True)
        writers[folder] = ShardWriter(folder / "play-00000.parquet")
    rows = 0
    for number, episode in enumerate(tqdm(_episodes(config), total=episodes, unit="episode", desc=f"import {config.source}")):
        writer = writers[test if number >= episodes - held_out else play]
        for row in _canonical(episode, number, spec):
            writer.add(row)
            rows += 1
    for folder, writer in writers.items():
        writer.close()
        info = {"schema_version": SCHEMA_VERSION, "game": spec.to_dict(), "source": config.source, "revision": config.revision}
        write_json(folder / INFO_NAME, info)
    return report | {"frames": rows}


def _open(config: CollectConfig) -> Any:
    """The source as a streaming `datasets` iterable with undecoded images."""
    import datasets

    source = Path(config.source).expanduser()
    try:
        if source.is_dir():
            files = sorted(str(path) for path in source.rglob("*.parquet"))
            if files:
                data = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
            else:
                data = datasets.load_from_disk(str(source))
                data = data["train"] if isinstance(data, datasets.DatasetDict) else data
                data = data.to_iterable_dataset()
        else:
            if not config.revision:
                raise UserError(
                    f"collect.source is the Hub dataset {config.source!r}, so collect.revision must pin one of its commits "
                    "(a branch moves, and the run could not be repeated)."
                )
            data = datasets.load_dataset(config.source, revision=config.revision, split="train", streaming=True)
        columns = data.column_names or list(next(iter(data)))
    except UserError:
        raise
    except StopIteration:
        raise UserError(f"The dataset {config.source} has no rows.") from None
    except Exception as problem:  # the Hub's and Arrow's errors share no base class
        raise UserError(
            f"Cannot read the dataset {config.source}: {type(problem).__name__}: {str(problem).splitlines()[0][:200]}; "
            "check its name, revision, files and the network."
        ) from None
    image, action = ("image", "action") if "image" in columns else ("observations", "actions")
    for needed in ("episode_id", image, action):
        if needed not in columns:
            raise UserError(
                f"The dataset {config.source} lacks the column {needed!r}; it must have episode_id with observations and "
                "actions, or with image and action (gymnasium-recorder)."
            )
    return data.cast_column(image, datasets.Image(decode=False)), image, action


def _episodes(config: CollectConfig) -> Iterator[list[dict[str, Any]]]:
    data, image, action = _open(config)
    episode: list[dict[str, Any]] = []
    for row in data:
        row = {**row, "_image": row[image], "_action": row[action]}
        if episode and row["episode_id"] != episode[0]["episode_id"]:
            yield episode
            episode = []
        episode.append(row)
    if episode:
        yield episode


def _episode_count(config: CollectConfig) -> int:
    data, _, _ = _open(config)
    count, last = 0, object()
    for row in data.select_columns(["episode_id"]):
        count += row["episode_id"] != last
        last = row["episode_id"]
    if count < 3:
        raise UserError(f"The dataset {config.source} has {count} episodes; training, validation and test need three at least.")
    return count


def _canonical(episode: list[dict[str, Any]], number: int, spec: GameSpec) -> Iterator[dict[str, Any]]:
    """Rows of one episode in the canonical schema.

    Where the last row still holds an action its successor was never recorded: the action is dropped and the
    frame becomes the final observation.
    """
    if len(episode) < 2:
        raise UserError(f"Episode {episode[0]['episode_id']} of the dataset has a single observation; leave it out.")
    steps = [row.get("step", step) for step, row in enumerate(episode)]
    if [int(step) - int(steps[0]) for step in steps] != list(range(len(episode))):
        raise UserError(
            f"Episode {episode[0]['episode_id']} of the dataset has steps missing or out of order; sort it or leave it out."
        )
    for step, row in enumerate(episode):
        content = _image_bytes(row["_image"])
        last = step == len(episode) - 1
        before_last = step == len(episode) - 2
        terminated = bool(row.get("terminations", False))
        yield {
            "episode_id": number,
            "step": step,
            "seed": int(row.get("seed") or 0),
            "observations": decode_image(content),
            "actions": None if last else to_buttons(row["_action"], spec),
            "rewards": float(row.get("rewards") or 0.0),
            "terminations": terminated,
            "truncations": before_last and not terminated,
            "infos": _infos(row.get("infos")),
        }


def _image_bytes(image: dict[str, Any]) -> bytes:
    if image["bytes"] is not None:
        return image["bytes"]
    try:
        return Path(image["path"]).read_bytes()
    except (OSError, TypeError):
        raise UserError(f"The dataset's image file {image['path']} is missing; copy the images along with it.") from None


def _infos(value: Any) -> dict[str, Any]:
    """Emulator variables, where the recording has them as a JSON object or a mapping."""
    try:
        value = json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {}


def to_buttons(action: Any, spec: GameSpec) -> list[int]:
    """A recorded action → multi-hot in the game's button order.

    Lists as long as the game has buttons are taken as they are; nine entries for a retro game are
    stable-retro's NES order with its null button. Raises UserError on anything else.
    """
    values = list(np.asarray(action).reshape(-1)) if action is not None else []
    if any(v not in (0, 1) for v in values):
        raise UserError(f"The dataset has the action {action!r}, which is no list of 0 and 1 for {', '.join(spec.buttons)}.")
    values = [int(v) for v in values]
    if len(values) == len(spec.buttons):
        return values
    if spec.backend == "retro" and len(values) == len(NES_ORDER):
        return [values[NES_ORDER.index(name)] if name in NES_ORDER else 0 for name in spec.buttons]
    raise UserError(
        f"The dataset has the action {action!r} with {len(values)} entries, and {spec.title} has {len(spec.buttons)} "
        f"buttons ({', '.join(spec.buttons)}); name the right game in params.yaml."
    )
