"""Processed data: one memory-mapped uint8 array of frames a split, and one index table of transitions.

`frames.npy`   uint8 [U, H, W, C], every distinct frame of the split once
`index.npy`    one record an observation, episodes one after another: episode, step, frame (row of
               frames.npy) and action (multi-hot uint8; zeros in an episode's last record)
`median.npy`   uint8 [H, W, C], per-pixel median of the training frames
`meta.json`    the game spec, the frame shape, and for each start state its first frame's row in train/frames.npy
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dreamcart.errors import UserError
from dreamcart.files import read_array, read_json
from dreamcart.games.spec import GameSpec


def index_dtype(buttons: int) -> np.dtype:
    """Record type of the index table."""
    return np.dtype([("episode", "<i4"), ("step", "<i4"), ("frame", "<i4"), ("action", "u1", (buttons,))])


@dataclass(frozen=True)
class Split:
    """One split ("train" or "val") of a processed dataset, mapped read-only."""

    frames: np.ndarray  # uint8 [U, H, W, C]
    index: np.ndarray  # records, see `index_dtype`
    spec: GameSpec

    @property
    def episode_start(self) -> np.ndarray:
        """int64 [N]: for every record, the record at which its episode begins."""
        first = self.index["step"] == 0
        return np.maximum.accumulate(np.where(first, np.arange(len(self.index)), 0))

    @property
    def transitions(self) -> np.ndarray:
        """int64 [T]: records that have a successor in their episode, i.e. a (frame, action, next frame)."""
        return np.flatnonzero(self.index["episode"][:-1] == self.index["episode"][1:])


def load_split(folder: Path, name: str) -> Split:
    """Open `folder`/`name`. Raises UserError where it is missing, damaged or does not fit together."""
    frames = read_array(folder / name / "frames.npy")
    index = read_array(folder / name / "index.npy")
    spec = GameSpec.from_dict(read_json(folder / "meta.json")["game"])
    fits = frames.ndim == 4 and frames.dtype == np.uint8 and index.dtype == index_dtype(len(spec.buttons))
    if not fits or len(index) == 0 or index["frame"].max() >= len(frames):
        raise UserError(f"{folder / name} does not fit together (foreign or half-written); run `dvc repro -f preprocess`.")
    return Split(frames, index, spec)


def history(index: np.ndarray, start: np.ndarray, at: np.ndarray, frames: int, actions: int) -> tuple[np.ndarray, np.ndarray]:
    """What a dynamics model may see at the records `at`: past frames and buttons, oldest first.

    Before an episode's begin its first frame and no buttons are repeated.

    Args:
        index: the index table; start: `Split.episode_start`; at: int [B], records.
        frames, actions: how many of each, the current ones included.

    Returns:
        Rows of frames.npy, int [B, frames], and multi-hot actions, uint8 [B, actions, buttons].
    """
    begin = start[at][:, None]
    past = at[:, None] - np.arange(frames)[::-1]
    rows = index["frame"][np.maximum(past, begin)]
    past = at[:, None] - np.arange(actions)[::-1]
    buttons = index["action"][np.maximum(past, begin)] * (past >= begin)[:, :, None].astype(np.uint8)
    return rows, buttons
