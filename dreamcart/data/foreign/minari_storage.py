"""Reads what Minari stores: an episode at a time, its pictures in blocks, as hdf5 or Arrow."""

import contextlib
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dreamcart.core.errors import UserError, shown
from dreamcart.core.files import read_json
from dreamcart.data.foreign.base import picture, png
from dreamcart.data.foreign.files import found, kept, named, natural
from dreamcart.data.foreign.hdf5 import MOST_FRAME, numbers, opened

MAIN, ABOUT = "main_data.hdf5", "metadata.json"
FIELDS = ("rewards", "terminations", "truncations")
USED = ("observations", "actions", *FIELDS, "infos")
MOST_SMALL = 2**28  # bytes of all that is no picture
BLOCK = 2**24  # bytes of pictures that are read at once
REMEDY = "fetch or export the dataset again"


@dataclass
class Stored:
    """An episode of `frames` pictures, and of one action and value of `fields` less.

    `infos` has a list of `frames` numbers each; `images` gives image files.
    """

    name: str
    frames: int
    actions: list[Any]
    fields: dict[str, list[Any]]
    images: Callable[[], Iterator[bytes]]
    infos: dict[str, list[Any]] = field(default_factory=dict)
    seed: int = 0
    ignored: list[str] = field(default_factory=list)


def of_hdf5(folder: Path, path: Path) -> Iterator[Stored]:
    """Yield the episodes of main_data.hdf5. Raises UserError where they are damaged."""
    file = kept(folder, path)
    with opened(file, path) as content:
        names = [key for key in content if re.fullmatch("episode_[0-9]+", key)]
        if not names:
            raise UserError(
                f"{path} holds {named(sorted(content)) or 'nothing'}, and not episode_0 as Minari's"
                f" files do; {REMEDY}."
            )
    for name in sorted(names, key=natural):
        with opened(file, path) as content:
            yield _of_group(_group(content, name, path), name, file, path)


def _of_group(group: Any, name: str, file: Path, path: Path) -> Stored:
    where = _picture_in(group, path, name)
    frames = numbers(group, where, path).shape[0]
    infos = {}
    if "infos" in group and hasattr(group["infos"], "keys"):
        inner = _group(group, "infos", path)
        for key in inner:
            if getattr(inner[key], "shape", None) == (frames,) and inner[key].dtype.kind in "uifb":
                infos[key] = numbers(inner, key, path, MOST_SMALL)[()].tolist()

    def images() -> Iterator[bytes]:
        with opened(file, path) as content:
            source = numbers(content[name], where, path)
            size = max(1, source.dtype.itemsize * math.prod(source.shape[1:]))
            if size > MOST_FRAME:
                raise UserError(f"The pictures of {name} of {path} are too large; leave it out.")
            step = max(1, BLOCK // size)
            for first in range(0, frames, step):
                for offset, frame in enumerate(source[first : first + step]):
                    yield _image(frame, f"Picture {first + offset} of {name} of {path}")

    seed = group.attrs.get("seed")
    return Stored(
        f"{name} of {path}",
        frames,
        numbers(group, "actions", path, MOST_SMALL)[()].tolist(),
        {key: numbers(group, key, path, MOST_SMALL)[()].tolist() for key in FIELDS},
        images,
        infos,
        int(seed) if isinstance(seed, (int, np.integer)) else 0,
        [named([key]) for key in group if key not in USED],
    )


def _group(parent: Any, name: str, path: Path) -> Any:
    """A group in this very file. Raises UserError."""
    import h5py

    if name in parent and type(parent.get(name, getlink=True)) is h5py.HardLink:
        group = parent[name]
        if isinstance(group, h5py.Group):
            return group
    raise UserError(f"{path} has no group {shown(name)} of its own; {REMEDY}.")


def _picture_in(group: Any, path: Path, name: str) -> str:
    """Name the observations that are pictures: themselves, or one of their parts."""
    what = group.get("observations")
    if what is not None and not hasattr(what, "keys"):
        return "observations"
    parts = [key for key, part in (what or {}).items() if len(getattr(part, "shape", ())) in (3, 4)]
    if len(parts) != 1:
        raise UserError(
            f"{name} of {path} has {len(parts)} observations that could be pictures"
            f" ({named(sorted(what or group))}); Dreamcart needs one."
        )
    return f"observations/{parts[0]}"


def of_arrow(folder: Path, place: Path, space: Any) -> Iterator[Stored]:
    """Yield the episodes of the numbered folders of `place`.

    `space` is Minari's JSON of the observations: Arrow has pictures as rows of numbers.

    Raises:
        UserError: they are damaged, or no pictures.
    """
    shape = tuple(space["shape"]) if isinstance(space, dict) and space.get("shape") else ()
    if not shape or not all(type(side) is int and 0 < side <= 2**16 for side in shape):
        raise UserError(
            f"{place / ABOUT} does not say that its observations are one picture a step (a Box);"
            " Dreamcart reads no others."
        )
    for number in numbered(place):
        files = found(number, (".arrow",), deep=False)
        if len(files) != 1:
            raise UserError(f"{number} holds {len(files)} Arrow files, and needs one; {REMEDY}.")
        about = {}
        if (number / ABOUT).is_file():
            about = read_json(kept(folder, number / ABOUT), REMEDY)
        seed = about.get("seed") if isinstance(about, dict) else None
        yield _of_file(kept(folder, files[0]), files[0], shape, seed if type(seed) is int else 0)


def numbered(place: Path) -> list[Path]:
    """List the folders of Arrow files in order."""
    inside = (path for path in place.iterdir() if re.fullmatch("[0-9]{1,9}", path.name))
    return sorted(
        (path for path in inside if path.is_dir() and any(path.glob("*.arrow"))),
        key=lambda path: int(path.name),
    )


def _of_file(file: Path, path: Path, shape: tuple[int, ...], seed: int) -> Stored:
    def images() -> Iterator[bytes]:
        with _table(file, path) as batches:
            for batch in batches:
                column = batch["observations"]
                for row in range(len(column)):
                    frame = column[row]
                    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
                        yield frame.as_py()
                        continue
                    values = frame.values.to_numpy(zero_copy_only=False)
                    if values.size != math.prod(shape):
                        raise UserError(
                            f"{path} has pictures of {values.size} numbers, and {ABOUT} says"
                            f" {shown(list(shape))}; {REMEDY}."
                        )
                    yield _image(values.reshape(shape), f"Picture {row} of {path}")

    with _table(file, path) as batches:
        names = batches[0].schema.names
        lacking = next((key for key in USED[:-1] if key not in names), None)
        if lacking is not None:
            raise UserError(f"{path} lacks {lacking}; it holds {named(names)}: {REMEDY}.")
        columns: dict[str, list[Any]] = {key: [] for key in USED if key in names}
        for batch in batches:
            for key, column in columns.items():
                column += batch[key].to_pylist() if key != "observations" else [None] * len(batch)
    infos = columns.pop("infos", [])
    frames = len(columns.pop("observations"))
    plain = [step if isinstance(step, dict) else {} for step in infos]
    return Stored(
        str(path),
        frames,
        columns["actions"][:-1],  # padded to the number of pictures
        {key: columns[key][:-1] for key in FIELDS},
        images,
        {
            key: [step[key] for step in plain]
            for key in (plain[0] if plain else {})
            if all(isinstance(step.get(key), (bool, int, float)) for step in plain)
        },
        seed,
        [named([key]) for key in names if key not in (*USED, "episode_id")],
    )


@contextlib.contextmanager
def _table(file: Path, path: Path) -> Iterator[list[pa.RecordBatch]]:
    """The batches of an Arrow file, checked and mapped into memory: pages are read when needed."""
    try:
        with pa.memory_map(str(file)) as mapped, pa.ipc.open_file(mapped) as table:
            batches = [table.get_batch(number) for number in range(table.num_record_batches)]
            for batch in batches:
                batch.validate(full=True)  # offsets out of the file would end the process
            if not sum(map(len, batches)):
                raise UserError(f"{path} has no rows; {REMEDY}.")
            yield batches
    except (pa.ArrowException, OSError, ValueError, AttributeError) as problem:
        raise UserError(
            f"{path} is damaged ({shown(str(problem))[1:-1]}), or of another kind; {REMEDY}."
        ) from None


def _image(frame: np.ndarray, what: str) -> bytes:
    """Of a stored picture an image file: JPEG as it is (a row of bytes), others as PNG."""
    if frame.ndim == 1 and frame.dtype == np.uint8 and frame[:2].tobytes() == b"\xff\xd8":
        return frame.tobytes()
    return png(picture(frame, what))
