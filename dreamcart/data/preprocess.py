"""From the raw dataset to arrays a model can read: resize, split by episode, store each distinct
frame once.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import xxhash
from tqdm import tqdm

from dreamcart.core.errors import UserError, shown
from dreamcart.core.files import save_array, write_json
from dreamcart.data.edge_cases import EdgeCases
from dreamcart.data.images import decode_image
from dreamcart.data.infos import parse_infos, start_state
from dreamcart.data.processed import LEAD, index_dtype, open_frames
from dreamcart.data.reader import count_rows, dataset_spec, read_episodes
from dreamcart.data.tiled import ArrayStream, TiledFrames, TiledWriter, write_tiles
from dreamcart.data.whole import fresh
from dreamcart.params import PreprocessConfig

_RESIZE = {"area": cv2.INTER_AREA, "nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR}
LEAD_INFO = "lead"  # in an episode's first infos, see `SplitWriter.extend`
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
        self.lead: list[np.ndarray] = []  # of the last episodes, those of `extend`

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

    def extend(self, raw: Path, first: int) -> Iterator[list[dict[str, Any]]]:
        """Append the episodes of another raw dataset, numbered from `first` on, and yield each.

        How many of an episode's first steps are no more than the past of the others, its first
        infos say (`branches`). Raises UserError as `add` does.
        """
        self.source = str(raw)
        for number, episode in enumerate(
            read_episodes(raw, ["observations", "actions", "infos"]), first
        ):
            infos = parse_infos(episode[0]["infos"]) or {}
            self.add(number, episode)
            self.lead.append(np.arange(len(episode)) < infos.get(LEAD_INFO, 0))
            yield episode

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
        if self.lead:
            known = np.concatenate(self.lead)
            save_array(self.folder / LEAD, np.pad(known, (len(index) - len(known), 0)))
        return index


def preprocess(
    raw: Path, out: Path, config: PreprocessConfig, seed: int, more: Sequence[Path] = ()
) -> dict[str, Any]:
    """Process the raw dataset in `raw` into `out` (see `processed`), plus the training frames'
    median.

    The episodes of the raw datasets in `more` join the training split; how that in `raw` is split
    does not depend on them, nor do start states and edge cases.

    Returns the number of episodes, transitions to learn from, distinct frames and (where frames are
    tiled) distinct tiles of each split. Raises UserError on data that is damaged, foreign, too
    small or not drawn from tiles; `out` is gone then.
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
        total = sum(map(count_rows, (raw, *more)))
        with tqdm(total=total, unit="frame", desc="preprocess") as bar:
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
            for folder in more:
                for episode in train.extend(folder, episodes):
                    is_val = np.append(is_val, False)
                    episodes += 1
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
            "transitions": len(index[name]) - count - sum(int(lead.sum()) for lead in writer.lead),
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


def _median(frames: np.ndarray | TiledFrames, index: np.ndarray) -> np.ndarray:
    """uint8 [H, W, C]: per-pixel median of frames spread evenly over the split (repeats count)."""
    chosen = index["frame"][
        np.linspace(0, len(index) - 1, min(MEDIAN_SAMPLE, len(index))).astype(int)
    ]
    sample = frames[np.sort(chosen)]
    # its copies stay small
    bands = [np.median(sample[:, y : y + 8], axis=0) for y in range(0, sample.shape[1], 8)]
    return np.concatenate(bands).astype(np.uint8)
