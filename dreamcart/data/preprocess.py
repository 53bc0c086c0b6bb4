"""From the raw dataset to arrays a model can read: resize, split by episode, store each distinct
frame once.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import xxhash
from tqdm import tqdm

from dreamcart.core.errors import UserError, shown
from dreamcart.core.files import save_array, write_json
from dreamcart.data.images import decode_image
from dreamcart.data.infos import parse_infos, start_state
from dreamcart.data.processed import index_dtype, open_frames
from dreamcart.data.reader import count_rows, dataset_spec, read_episodes
from dreamcart.data.tiled import ArrayStream, TiledFrames, TiledWriter, write_tiles
from dreamcart.data.whole import fresh
from dreamcart.games.spec import GameSpec
from dreamcart.params import PreprocessConfig

_RESIZE = {"area": cv2.INTER_AREA, "nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR}
MEDIAN_SAMPLE = 1000  # frames from which the median frame is made: a bound on memory


def process_frame(frame: np.ndarray, config: PreprocessConfig) -> np.ndarray:
    """uint8 [h, w, 3] as recorded → uint8 [H, W, C] as the model sees it.

    A side whose size is the game's own is cut to a whole number of tiles, evenly at both ends.
    """
    if config.color == "gray":
        frame = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    cuts = [
        0 if wanted else size % config.unit
        for wanted, size in zip(config.size, frame.shape, strict=False)
    ]
    if any(cut == size for cut, size in zip(cuts, frame.shape, strict=False)):
        raise UserError(
            f"The recordings have frames of {frame.shape[0]} x {frame.shape[1]}, less than a tile"
            f" of {config.unit} pixels; give preprocess.height and preprocess.width."
        )
    top, left = (cut // 2 for cut in cuts)
    frame = frame[top : frame.shape[0] - (cuts[0] - top), left : frame.shape[1] - (cuts[1] - left)]
    height, width = (wanted or size for wanted, size in zip(config.size, frame.shape, strict=False))
    if frame.shape[:2] != (height, width):
        frame = cv2.resize(frame, (width, height), interpolation=_RESIZE[config.resize])
    return frame.reshape(height, width, -1)


def split_episodes(count: int, val_share: float, seed: int) -> np.ndarray:
    """bool [count]: which episodes are for validation, at least one and never all.

    Raises UserError below 2.
    """
    if count < 2:
        raise UserError(
            f"The dataset has {count} episode, and a split into training and validation needs two"
            " at least."
        )
    chosen = np.zeros(count, bool)
    amount = min(max(1, round(count * val_share)), count - 1)
    chosen[np.random.default_rng(seed).permutation(count)[:amount]] = True
    return chosen


class SplitWriter:
    """Streams one split to disk. Memory grows by two hashes a distinct frame, not by frames.

    A context manager: left by an exception it leaves no half-written file.
    """

    def __init__(
        self,
        folder: Path,
        config: PreprocessConfig,
        buttons: list[str],
        source: str = "the recordings",
    ) -> None:
        """`folder` is made; `source` says in messages where the episodes come from."""
        folder.mkdir(parents=True)
        self.folder, self.config, self.buttons, self.source = folder, config, buttons, source
        self.store: TiledWriter | ArrayStream | None = None  # made for the first frame's shape
        self.images: dict[bytes, int] = {}  # an image seen before need not be decoded again
        self.rows: dict[bytes, int] = {}  # distinct images may become the same frame
        self.index: list[np.ndarray] = []

    def __enter__(self) -> "SplitWriter":
        return self

    def __exit__(self, *failure: Any) -> None:
        if failure[0] is not None and self.store is not None:
            self.store.__exit__(*failure)

    def row(self, content: bytes, what: str = "A recorded image") -> int:
        """Return the row of a recorded image's frame, which is stored where it is new.

        `what` is what a message calls the image.
        """
        image = xxhash.xxh3_128_digest(content)
        if image not in self.images:
            frame = np.ascontiguousarray(process_frame(decode_image(content, what), self.config))
            key = xxhash.xxh3_128_digest(frame)
            if key not in self.rows:
                self._store_for(frame.shape).append(frame)
                self.rows[key] = len(self.rows)
            self.images[image] = self.rows[key]
        return self.images[image]

    def add(self, number: int, episode: list[dict[str, Any]]) -> list[int]:
        """Append an episode under this number; returns the rows of its frames.

        Raises UserError where an action does not fit the buttons, or an image is damaged.
        """
        for step, row in enumerate(episode[:-1]):
            action = row["actions"]
            if action is None or len(action) != len(self.buttons) or not set(action) <= {0, 1}:
                raise UserError(
                    f"Episode {row['episode_id']} of {self.source} has the action {shown(action)}"
                    f" at step {step}, where {len(self.buttons)} buttons"
                    f" ({', '.join(self.buttons)}) were expected; correct the dataset or the game's"
                    " buttons."
                )
        what = f"of episode {episode[0]['episode_id']} of {self.source}"
        rows = [
            self.row(row["observations"]["bytes"], f"The image at step {step} {what}")
            for step, row in enumerate(episode)
        ]
        table = np.zeros(len(rows), index_dtype(len(self.buttons)))
        table["episode"], table["step"], table["frame"] = number, np.arange(len(rows)), rows
        table["action"][:-1] = [row["actions"] for row in episode[:-1]]
        self.index.append(table)
        return rows

    def _store_for(self, shape: tuple[int, int, int]) -> TiledWriter | ArrayStream:
        if self.store is None:
            tile = self.config.tile
            cells, frames = self.folder / "cells.npy", self.folder / "frames.npy"
            self.store = (
                TiledWriter(cells, shape, tile) if tile else ArrayStream(frames, shape, "|u1")
            )
            self.shape = shape
        if shape != self.shape:
            raise UserError(
                f"The recordings have frames of different sizes ({self.shape[0]} x {self.shape[1]}"
                f" and {shape[0]} x {shape[1]}); give preprocess.height and preprocess.width."
            )
        return self.store

    def close(self) -> np.ndarray:
        """Finish the files; returns the index."""
        self.store.close()
        index = np.concatenate(self.index)
        save_array(self.folder / "index.npy", index)
        return index


def preprocess(raw: Path, out: Path, config: PreprocessConfig, seed: int) -> dict[str, Any]:
    """Process the raw dataset in `raw` into `out` (see `processed`), plus the training frames'
    median.

    Returns the number of episodes, transitions, distinct frames and (where frames are tiled)
    distinct tiles of each split. Raises UserError on data that is damaged, foreign, too small or
    not drawn from tiles; `out` is gone then.
    """
    spec = dataset_spec(raw)
    episodes = sum(1 for _ in read_episodes(raw, ["step"]))
    is_val = split_episodes(episodes, config.val_share, seed)
    with (
        fresh(out),
        SplitWriter(out / "train", config, spec.buttons, str(raw)) as train,
        SplitWriter(out / "val", config, spec.buttons, str(raw)) as val,
    ):
        starts: dict[str, tuple[str, int]] = {}
        cases = EdgeCases(spec)
        columns = ["observations", "actions", "infos"]
        with tqdm(total=count_rows(raw), unit="frame", desc="preprocess") as bar:
            for number, episode in enumerate(read_episodes(raw, columns)):
                rows = (val if is_val[number] else train).add(number, episode)
                state = start_state(
                    parse_infos(episode[0]["infos"]) or {},
                    f"Episode {episode[0]['episode_id']} of {raw}",
                )
                starts.setdefault(state, ("val" if is_val[number] else "train", int(rows[0])))
                if not is_val[number]:
                    cases.look(episode, rows)
                bar.update(len(episode))
        meta = {
            "game": spec.to_dict(),
            "shape": train.shape,
            "starts": starts,
            "edge_cases": cases.rows,
        }
        return _finish(out, {"train": train, "val": val}, meta, is_val, config)


def _finish(
    out: Path,
    writers: dict[str, SplitWriter],
    meta: dict[str, Any],
    is_val: np.ndarray,
    config: PreprocessConfig,
) -> dict[str, Any]:
    """Write what is made of both splits and return the report.

    meta.json comes last: without it there is no processed dataset.
    """
    report, index = {}, {}
    for name, writer in writers.items():
        index[name] = writer.close()
        count = int((is_val if name == "val" else ~is_val).sum())
        report[name] = {
            "episodes": count,
            "transitions": len(index[name]) - count,
            "distinct_frames": len(writer.rows),
        }
        if config.tile:
            report[name]["distinct_tiles"] = len(writer.store.tiles)
    if config.tile:
        meta["train_tiles"] = write_tiles(
            out / "tiles.npy", *(writer.store for writer in writers.values())
        )
    save_array(
        out / "median.npy", _median(open_frames(out, "train", config.tile > 0), index["train"])
    )
    write_json(out / "meta.json", meta)
    return report


class EdgeCases:
    """Finds a frame for each of the game's named edge cases (`GameSpec.edge_cases`) by its RAM
    variables.
    """

    def __init__(self, spec: GameSpec) -> None:
        self.wanted = spec.edge_cases
        self.rows: dict[str, int] = {}
        self.most: dict[str, int] = {}

    def look(self, episode: list[dict[str, Any]], rows: list[int]) -> None:
        """Note the frames of an episode (given by their rows) that show an edge case not seen
        yet.
        """
        if not self.wanted:
            return
        for row, frame in zip(episode, rows, strict=True):
            variables = parse_infos(row["infos"]) or {}
            for name, condition in self.wanted.items():
                if condition.startswith("most "):
                    count = _non_zero(variables.get(condition.removeprefix("most ")))
                    if count > self.most.get(name, 0):
                        self.most[name], self.rows[name] = count, frame
                elif name not in self.rows:
                    variable, _, value = condition.partition(" = ")
                    if variable in variables and str(variables[variable]) == value:
                        self.rows[name] = frame


def _non_zero(value: Any) -> int:
    """Count the entries of a variable that are not 0: of a number, a list, or lists in a list."""
    if isinstance(value, list):
        return sum(map(_non_zero, value))
    return int(isinstance(value, (int, float)) and value != 0)


def _median(frames: np.ndarray | TiledFrames, index: np.ndarray) -> np.ndarray:
    """uint8 [H, W, C]: per-pixel median of frames spread evenly over the split (repeats count)."""
    chosen = index["frame"][
        np.linspace(0, len(index) - 1, min(MEDIAN_SAMPLE, len(index))).astype(int)
    ]
    sample = frames[np.sort(chosen)]
    # its copies stay small
    bands = [np.median(sample[:, y : y + 8], axis=0) for y in range(0, sample.shape[1], 8)]
    return np.concatenate(bands).astype(np.uint8)
