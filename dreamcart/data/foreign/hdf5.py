"""DIAMOND's hdf5 files, an episode each: frame_0_x is a picture, frame_0_y what was held then.

h5py is optional. Only plain numbers of the file itself are read: no Python objects, and nothing
that a file says lies in another.
"""

import contextlib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from dreamcart.core.errors import UserError, shown
from dreamcart.data.foreign.base import Episode, ForeignDataset, picture, png
from dreamcart.data.foreign.files import found, kept, named

SUFFIXES = (".hdf5", ".h5")
INSTALL = "pip install h5py"
FRAME = re.compile(r"frame_([0-9]{1,9})_(\w+)", re.ASCII)
USED = {"frame_i_x", "frame_i_y"}
MOST_FRAME = 2**26  # bytes: more than the largest picture has
MOST_CHUNK = 2**28  # bytes that hdf5 unpacks at once
# What 51 entries are: keys and clicks, then where the mouse went, one of 23 ways across and one of
# 15 up or down; the middle one is no movement.
KEYS = [
    *("w", "a", "s", "d", "space", "left ctrl", "left shift", "1", "2", "3", "r"),
    *("left click", "right click"),
]
ACROSS, UPWARD = 23, 15


class Hdf5Folder(ForeignDataset):
    """hdf5 files with frame_i_x and frame_i_y. Raises UserError for others, and damaged ones."""

    strict = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import_h5py()
        self.columns = {"observations": "frame_i_x", "actions": "frame_i_y"}
        self.notes.append("pictures were taken as blue, green, red, as DIAMOND takes them")

    def episodes(self) -> Iterator[Episode]:
        """Yield an episode a file."""
        for path in found(self.folder, SUFFIXES):
            yield self._episode(kept(self.folder, path), path)

    def _episode(self, file: Path, path: Path) -> Episode:
        with opened(file, path) as content:
            keys = list(content)
            parts = [match for key in keys if (match := FRAME.fullmatch(key))]
            steps = sorted(int(match[1]) for match in parts if match[2] == "x")
            if not steps or steps[0] != 0:
                raise UserError(
                    f"{path} holds {named(sorted(keys)) or 'nothing'}, and not frame_0_x and"
                    " frame_0_y as DIAMOND's files do; leave it out."
                )
            if steps != list(range(len(steps))):
                missing = next(i for i, step in enumerate(steps) if i != step)
                raise UserError(f"{path} lacks frame_{missing}_x; get a whole copy.")
            rows = [{"actions": self._action(content, step, path)} for step in steps]
        self.ignored += sorted({f"frame_i_{match[2]}" for match in parts} - USED)
        self.ignored += [named([key]) for key in sorted(keys) if not FRAME.fullmatch(key)][:8]

        def images() -> Iterator[bytes]:
            with opened(file, path) as content:
                for step in range(len(rows)):
                    name = f"frame_{step}_x"
                    frame = numbers(content, name, path, largest=MOST_FRAME)[()]
                    yield png(picture(frame, f"{name} of {path}")[:, :, ::-1])

        return Episode(str(path), rows, images)

    def _action(self, content: Any, step: int, path: Path) -> Any:
        """What one frame_i_y means: a list or a number, or buttons beside a mouse."""
        values = numbers(content, f"frame_{step}_y", path, largest=2**16)[()]
        if values.shape != (len(KEYS) + ACROSS + UPWARD,):
            return values.tolist()
        self.recorded_as = KEYS
        mouse = values[len(KEYS) :]
        moved = [
            float(np.argmax(part) != len(part) // 2 and part.any())
            for part in (mouse[:ACROSS], mouse[ACROSS:])
        ]
        return {"binary": values[: len(KEYS)].tolist(), "continuous": moved}


def import_h5py() -> ModuleType:
    """Import h5py. Raises UserError where it is not installed."""
    try:
        import h5py
    except ImportError as problem:
        raise UserError(
            f"hdf5 files need h5py, which cannot be imported ({problem}); install it with"
            f" `{INSTALL}`."
        ) from None
    return h5py


@contextlib.contextmanager
def opened(file: Path, path: Path) -> Iterator[Any]:
    """Open an hdf5 file to be read; `path` is what messages call it.

    Raises UserError where it is none, or damaged, also in what is read within the block.
    """
    h5py = import_h5py()
    try:
        with h5py.File(file, "r", locking=False) as content:
            yield content
    except UserError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as problem:
        raise UserError(
            f"{path} is no hdf5 file, or a damaged one ({shown(str(problem))[1:-1]}); get a whole"
            " copy."
        ) from None


def numbers(group: Any, name: str, path: Path, largest: int = 2**40) -> Any:
    """The h5py dataset `name` of a group, which holds plain numbers in this very file.

    Args:
        path: what messages call the file; largest: bytes that it may have.

    Raises:
        UserError: it is not there, of another kind, elsewhere, or too large.
    """
    h5py = import_h5py()
    link = group.get(name, getlink=True) if name in group else None
    what = None if type(link) is not h5py.HardLink else group[name]
    if not isinstance(what, h5py.Dataset):
        why = "is a link" if link is not None and what is None else "is not there as numbers"
        raise UserError(f"{name} of {path} {why}; get a whole copy, or leave the file out.")
    if what.external or what.is_virtual:
        raise UserError(f"{name} of {path} lies in another file; leave it out.")
    texts = h5py.check_vlen_dtype(what.dtype) == np.uint8
    if what.dtype.kind not in "uifb" and not texts:
        raise UserError(f"{name} of {path} holds {what.dtype} and no plain numbers; leave it out.")
    chunk = math.prod(what.chunks or (0,)) * what.dtype.itemsize
    if what.nbytes > largest or chunk > MOST_CHUNK:
        raise UserError(f"{name} of {path} is too large to be read; leave it out.")
    return what
