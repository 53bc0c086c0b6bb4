"""From the raw dataset to arrays a model can read: resize, split by episode, store each distinct frame once."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import xxhash
from tqdm import tqdm

from dreamcart.config import PreprocessConfig
from dreamcart.data.images import decode_image
from dreamcart.data.processed import index_dtype, open_frames
from dreamcart.data.reader import count_rows, dataset_spec, read_episodes
from dreamcart.data.tiled import ArrayStream, TiledFrames, TiledWriter, write_tiles
from dreamcart.errors import UserError
from dreamcart.files import write_json
from dreamcart.games.spec import GameSpec

_RESIZE = {"area": cv2.INTER_AREA, "nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR}
MEDIAN_SAMPLE = 1000  # frames from which the median frame is made: a bound on memory


def process_frame(frame: np.ndarray, config: PreprocessConfig) -> np.ndarray:
    """uint8 [h, w, 3] as recorded → uint8 [H, W, C] as the model sees it.

    A side whose size is the game's own is cut to a whole number of tiles, evenly at both ends.
    """
    if config.color == "gray":
        frame = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    cuts = [0 if wanted else size % config.unit for wanted, size in zip(config.size, frame.shape, strict=False)]
    top, left = (cut // 2 for cut in cuts)
    frame = frame[top : frame.shape[0] - (cuts[0] - top), left : frame.shape[1] - (cuts[1] - left)]
    height, width = (wanted or size for wanted, size in zip(config.size, frame.shape, strict=False))
    if frame.shape[:2] != (height, width):
        frame = cv2.resize(frame, (width, height), interpolation=_RESIZE[config.resize])
    return frame.reshape(height, width, -1)


def split_episodes(count: int, val_share: float, seed: int) -> np.ndarray:
    """bool [count]: which episodes are for validation, at least one and never all. Raises UserError below 2."""
    if count < 2:
        raise UserError(f"The dataset has {count} episode, and a split into training and validation needs two at least.")
    chosen = np.zeros(count, bool)
    amount = min(max(1, round(count * val_share)), count - 1)
    chosen[np.random.default_rng(seed).permutation(count)[:amount]] = True
    return chosen


class SplitWriter:
    """Streams one split to disk. Memory grows by two hashes a distinct frame, not by frames."""

    def __init__(self, folder: Path, config: PreprocessConfig, buttons: list[str]) -> None:
        folder.mkdir(parents=True)
        self.folder, self.config, self.buttons = folder, config, buttons
        self.store: TiledWriter | ArrayStream | None = None  # made for the first frame's shape
        self.images: dict[bytes, int] = {}  # an image seen before need not be decoded again
        self.rows: dict[bytes, int] = {}  # distinct images may become the same frame
        self.index: list[np.ndarray] = []

    def row(self, content: bytes) -> int:
        """The row of a recorded image's frame, which is processed and stored where it is new."""
        image = xxhash.xxh3_128_digest(content)
        if image not in self.images:
            frame = np.ascontiguousarray(process_frame(_decode(content), self.config))
            key = xxhash.xxh3_128_digest(frame)
            if key not in self.rows:
                self.rows[key] = len(self.rows)
                self._store_for(frame.shape).append(frame)
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
                    f"Episode {row['episode_id']} has the action {action} at step {step}, where {len(self.buttons)} buttons "
                    f"({', '.join(self.buttons)}) were expected; correct the dataset or the game's buttons."
                )
        rows = [self.row(row["observations"]["bytes"]) for row in episode]
        table = np.zeros(len(rows), index_dtype(len(self.buttons)))
        table["episode"], table["step"], table["frame"] = number, np.arange(len(rows)), rows
        table["action"][:-1] = [row["actions"] for row in episode[:-1]]
        self.index.append(table)
        return rows

    def _store_for(self, shape: tuple[int, int, int]) -> TiledWriter | ArrayStream:
        if self.store is None:
            tile = self.config.tile
            cells, frames = self.folder / "cells.npy", self.folder / "frames.npy"
            self.store = TiledWriter(cells, shape, tile) if tile else ArrayStream(frames, shape, "|u1")
            self.shape = shape
        if shape != self.shape:
            raise UserError(
                f"The recordings have frames of different sizes ({self.shape[0]} x {self.shape[1]} and {shape[0]} x {shape[1]}); "
                "give preprocess.height and preprocess.width."
            )
        return self.store

    def close(self) -> np.ndarray:
        """Finish the files; returns the index."""
        self.store.close()
        index = np.concatenate(self.index)
        np.save(self.folder / "index.npy", index)
        return index


def _decode(content: bytes) -> np.ndarray:
    """As `decode_image`. Lossless WebP, as recorded, goes through OpenCV: the same pixels in two thirds of the time."""
    if content[8:16] == b"WEBPVP8L":
        frame = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
        if frame is not None:
            return frame
    return decode_image(content)


def preprocess(raw: Path, out: Path, config: PreprocessConfig, seed: int) -> dict[str, Any]:
    """Process the raw dataset in `raw` into `out` (see `processed`), plus the training frames' median.

    Returns the number of episodes, transitions, distinct frames and (where frames are tiled) distinct tiles of
    each split. Raises UserError on data that is damaged, foreign, too small or not drawn from tiles.
    """
    spec = dataset_spec(raw)
    episodes = sum(1 for _ in read_episodes(raw, ["step"]))
    is_val = split_episodes(episodes, config.val_share, seed)
    shutil.rmtree(out, ignore_errors=True)
    writers = {name: SplitWriter(out / name, config, spec.buttons) for name in ("train", "val")}
    starts: dict[str, tuple[str, int]] = {}
    cases = EdgeCases(spec)
    columns = ["observations", "actions", "infos"]
    with tqdm(total=count_rows(raw), unit="frame", desc="preprocess") as bar:
        for number, episode in enumerate(read_episodes(raw, columns)):
            split = "val" if is_val[number] else "train"
            rows = writers[split].add(number, episode)
            starts.setdefault(json.loads(episode[0]["infos"] or "{}").get("start_state", "Start"), (split, int(rows[0])))
            if split == "train":
                cases.look(episode, rows)
            bar.update(len(episode))
    report, index = {}, {}
    for name, writer in writers.items():
        index[name] = writer.close()
        count = int((is_val if name == "val" else ~is_val).sum())
        report[name] = {"episodes": count, "transitions": len(index[name]) - count, "distinct_frames": len(writer.rows)}
        if config.tile:
            report[name]["distinct_tiles"] = len(writer.store.tiles)
    meta = {"game": spec.to_dict(), "shape": writers["train"].shape, "starts": starts, "edge_cases": cases.rows}
    if config.tile:
        meta["train_tiles"] = write_tiles(out / "tiles.npy", *(writer.store for writer in writers.values()))
    np.save(out / "median.npy", _median(open_frames(out, "train", config.tile > 0), index["train"]))
    write_json(out / "meta.json", meta)
    return report


class EdgeCases:
    """Finds a frame for each of the game's named edge cases (`GameSpec.edge_cases`) by its RAM variables."""

    def __init__(self, spec: GameSpec) -> None:
        self.wanted = spec.edge_cases
        self.rows: dict[str, int] = {}
        self.most: dict[str, int] = {}

    def look(self, episode: list[dict[str, Any]], rows: list[int]) -> None:
        """Note the frames of an episode (given by their rows) that show an edge case not seen yet."""
        if not self.wanted:
            return
        for row, frame in zip(episode, rows, strict=True):
            variables = json.loads(row["infos"] or "{}")
            for name, condition in self.wanted.items():
                if condition.startswith("most "):
                    count = np.count_nonzero(variables.get(condition.removeprefix("most "), 0))
                    if count > self.most.get(name, 0):
                        self.most[name], self.rows[name] = count, frame
                elif name not in self.rows:
                    variable, value = condition.split(" = ")
                    if str(variables.get(variable)) == value:
                        self.rows[name] = frame


def _median(frames: np.ndarray | TiledFrames, index: np.ndarray) -> np.ndarray:
    """uint8 [H, W, C]: per-pixel median of frames spread evenly over the split (repeats count)."""
    chosen = index["frame"][np.linspace(0, len(index) - 1, min(MEDIAN_SAMPLE, len(index))).astype(int)]
    sample = frames[np.sort(chosen)]
    bands = [np.median(sample[:, y : y + 8], axis=0) for y in range(0, sample.shape[1], 8)]  # its copies stay small
    return np.concatenate(bands).astype(np.uint8)
