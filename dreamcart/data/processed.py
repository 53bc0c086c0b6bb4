"""Processed data: every distinct frame of a split once, memory-mapped, and one index table of
transitions.

A split has

`cells.npy`   uint16 (or uint32) [U, H/t, W/t], its distinct frames as tile numbers (see `tiled`);
              or, with preprocess.tile 0, `frames.npy`, uint8 [U, H, W, C], as they are
`index.npy`   one record an observation, episodes one after another: episode, step, frame (row of
              the above) and action (multi-hot uint8; zeros in an episode's last record)
`lead.npy`    only in a split with branches (see `branches`): bool [N], which records are there as
              the past of later ones, and not to learn from

and both splits share

`tiles.npy`   uint8 [K, t, t, C], where frames are tiled: tiles of training frames first
`median.npy`  uint8 [H, W, C], per-pixel median of the training frames
`meta.json`   the game spec, the frame shape, for each start state the split and the row of its
              first frame, and where frames are tiled `train_tiles`, the number of tiles that
              training frames have
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dreamcart.core.errors import UserError
from dreamcart.core.files import read_array, read_json
from dreamcart.data.tiled import TiledFrames
from dreamcart.games.spec import GameSpec

LEAD = "lead.npy"


def index_dtype(buttons: int) -> np.dtype:
    """Record type of the index table."""
    return np.dtype(
        [("episode", "<i4"), ("step", "<i4"), ("frame", "<i4"), ("action", "u1", (buttons,))]
    )


@dataclass(frozen=True)
class Split:
    """One split ("train" or "val") of a processed dataset, mapped read-only."""

    frames: np.ndarray | TiledFrames  # uint8 [U, H, W, C]
    index: np.ndarray  # records, see `index_dtype`
    spec: GameSpec
    lead: np.ndarray | None = None  # bool [N], records that are the past of later ones alone

    @property
    def episode_start(self) -> np.ndarray:
        """int64 [N]: for every record, the record at which its episode begins."""
        first = self.index["step"] == 0
        return np.maximum.accumulate(np.where(first, np.arange(len(self.index)), 0))

    @property
    def transitions(self) -> np.ndarray:
        """int64 [T]: records that have a successor in their episode, i.e. a (frame, action, next
        frame), and are no lead.
        """
        followed = self.index["episode"][:-1] == self.index["episode"][1:]
        return np.flatnonzero(followed if self.lead is None else followed & ~self.lead[:-1])


def load_split(folder: Path, name: str) -> Split:
    """Open `folder`/`name`.

    Raises UserError where it is missing, damaged or does not fit together.
    """
    meta = read_meta(folder)
    spec = GameSpec.from_dict(meta["game"], f"{folder / 'meta.json'}: game")
    frames = open_frames(
        folder, name, "train_tiles" in meta, meta.get("train_tiles") if name == "train" else None
    )
    index = read_array(folder / name / "index.npy")
    fits = frames.shape[1:] == tuple(meta["shape"]) and index.dtype == index_dtype(
        len(spec.buttons)
    )
    rows = index["frame"] if fits and len(index) else np.array([-1])
    if rows.min() < 0 or rows.max() >= len(frames):
        raise _misfit(folder / name)
    lead = read_array(folder / name / LEAD) if (folder / name / LEAD).exists() else None
    if lead is not None and (lead.shape != index.shape or lead.dtype != bool):
        raise _misfit(folder / name)
    return Split(frames, index, spec, lead)


def read_meta(folder: Path) -> dict[str, Any]:
    """Read meta.json. Raises UserError where it is missing, or not as `preprocess` writes it."""
    meta = read_json(folder / "meta.json", "run `dvc repro -f preprocess`")
    try:
        starts = [
            split in ("train", "val") and type(row) is int for split, row in meta["starts"].values()
        ]
        numbers = [*meta["shape"], *meta["edge_cases"].values(), meta.get("train_tiles", 0)]
        fits = (
            all(starts)
            and all(type(number) is int for number in numbers)
            and len(meta["shape"]) == 3
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        fits = False
    if not fits or "game" not in meta:
        raise _misfit(folder)
    return meta


def open_frames(
    folder: Path, name: str, tiled: bool, train_tiles: int | None = None
) -> np.ndarray | TiledFrames:
    """The distinct frames of `folder`/`name`, uint8 [U, H, W, C], mapped read-only.

    Args:
        tiled: cells.npy and the folder's tiles.npy, not frames.npy.
        train_tiles: of the tiles, only so many may occur.

    Raises:
        UserError: a file is missing or damaged, or cells and tiles do not fit together.
    """
    if not tiled:
        frames = read_array(folder / name / "frames.npy")
        if frames.ndim != 4 or frames.dtype != np.uint8:
            raise _misfit(folder / name)
        return frames
    cells, tiles = read_array(folder / name / "cells.npy"), read_array(folder / "tiles.npy")
    fits = cells.ndim == 3 and cells.dtype in (np.uint16, np.uint32) and tiles.dtype == np.uint8
    if not fits or tiles.ndim != 4 or tiles.shape[1] != tiles.shape[2]:
        raise _misfit(folder / name)
    most = len(tiles) if train_tiles is None else min(train_tiles, len(tiles))
    if cells.max(initial=0) >= most:
        raise _misfit(folder / name)
    return TiledFrames(cells, tiles)


def start_frames(folder: Path, splits: dict[str, Split]) -> dict[str, np.ndarray]:
    """Start state → its first frame, uint8 [H, W, C], of the processed dataset in `folder`;

    `splits` are its two.
    """
    starts = read_meta(folder)["starts"]
    if any(not 0 <= row < len(splits[split].frames) for split, row in starts.values()):
        raise _misfit(folder)
    return {name: splits[split].frames[row] for name, (split, row) in starts.items()}


def _misfit(folder: Path) -> UserError:
    return UserError(
        f"{folder} does not fit together (foreign or half-written); run `dvc repro -f preprocess`."
    )


def history(
    index: np.ndarray, start: np.ndarray, at: np.ndarray, frames: int, actions: int
) -> tuple[np.ndarray, np.ndarray]:
    """What a dynamics model may see at the records `at`: past frames and buttons, oldest first.

    Before an episode's begin its first frame and no buttons are repeated.

    Args:
        index: the index table; start: `Split.episode_start`; at: int [B], records.
        frames, actions: how many of each, the current ones included.

    Returns:
        Rows of the distinct frames, int [B, frames], and multi-hot actions, uint8 [B, actions,
            buttons].
    """
    begin = start[at][:, None]
    past = at[:, None] - np.arange(frames)[::-1]
    rows = index["frame"][np.maximum(past, begin)]
    past = at[:, None] - np.arange(actions)[::-1]
    buttons = index["action"][np.maximum(past, begin)] * (past >= begin)[:, :, None].astype(
        np.uint8
    )
    return rows, buttons
