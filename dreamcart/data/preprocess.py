"""From the raw dataset to arrays a model can read: resize, split by episode, store each distinct frame once."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from dreamcart.config import PreprocessConfig
from dreamcart.data.processed import index_dtype
from dreamcart.data.reader import count_rows, dataset_spec, read_episodes
from dreamcart.data.schema import decode_image
from dreamcart.errors import UserError
from dreamcart.files import write_json
from dreamcart.games.spec import GameSpec

_RESIZE = {"area": cv2.INTER_AREA, "nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR}
MEDIAN_SAMPLE = 1000  # frames from which the median frame is made: a bound on memory


def process_frame(frame: np.ndarray, config: PreprocessConfig) -> np.ndarray:
    """uint8 [h, w, 3] as recorded → uint8 [H, W, C] as the model sees it."""
    if config.color == "gray":
        frame = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    if frame.shape[:2] != (config.height, config.width):
        frame = cv2.resize(frame, (config.width, config.height), interpolation=_RESIZE[config.resize])
    return frame.reshape(config.height, config.width, -1)


def split_episodes(count: int, val_share: float, seed: int) -> np.ndarray:
    """bool [count]: which episodes are for validation, at least one and never all. Raises UserError below 2."""
    if count < 2:
        raise UserError(f"The dataset has {count} episode, and a split into training and validation needs two at least.")
    chosen = np.zeros(count, bool)
    amount = min(max(1, round(count * val_share)), count - 1)
    chosen[np.random.default_rng(seed).permutation(count)[:amount]] = True
    return chosen


class SplitWriter:
    """Streams one split to disk. Memory grows by a hash a distinct frame, not by frames."""

    def __init__(self, folder: Path, shape: tuple[int, ...], buttons: int) -> None:
        folder.mkdir(parents=True)
        self.shape, self.folder = shape, folder
        self.frames = open(folder / "frames.npy", "w+b")  # noqa: SIM115 - open for the writer's life
        self.dtype = index_dtype(buttons)
        self.rows: dict[bytes, int] = {}
        self.index: list[np.ndarray] = []
        self._header()

    def row(self, frame: np.ndarray) -> int:
        """The row of `frame` in frames.npy, which it is appended to when new."""
        content = frame.tobytes()
        key = hashlib.blake2b(content, digest_size=16).digest()
        if key not in self.rows:
            self.rows[key] = len(self.rows)
            self.frames.write(content)
        return self.rows[key]

    def add(self, number: int, rows: list[int], actions: list[list[int]]) -> None:
        """Append an episode: its frames' rows and its actions, one fewer."""
        table = np.zeros(len(rows), self.dtype)
        table["episode"], table["step"], table["frame"] = number, np.arange(len(rows)), rows
        table["action"][:-1] = actions
        self.index.append(table)

    def close(self) -> np.ndarray:
        """Finish the files; returns the index."""
        self.frames.seek(0)
        self._header()
        self.frames.close()
        index = np.concatenate(self.index)
        np.save(self.folder / "index.npy", index)
        return index

    def _header(self) -> None:
        # NumPy pads the header so that the first axis may grow: it can be written again over itself.
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(self.rows), *self.shape)}
        np.lib.format.write_array_header_1_0(self.frames, header)


def preprocess(raw: Path, out: Path, config: PreprocessConfig, seed: int) -> dict[str, Any]:
    """Process the raw dataset in `raw` into `out` (see `processed`), plus the training frames' median.

    Returns the number of episodes, transitions and distinct frames of each split. Raises UserError on data
    that is damaged, foreign or too small.
    """
    spec = dataset_spec(raw)
    shape = (config.height, config.width, 1 if config.color == "gray" else 3)
    episodes = sum(1 for _ in read_episodes(raw, ["step"]))
    is_val = split_episodes(episodes, config.val_share, seed)
    shutil.rmtree(out, ignore_errors=True)
    writers = {name: SplitWriter(out / name, shape, len(spec.buttons)) for name in ("train", "val")}
    starts: dict[str, int] = {}
    cases = EdgeCases(spec)
    columns = ["observations", "actions", "infos"]
    with tqdm(total=count_rows(raw), unit="frame", desc="preprocess") as bar:
        for number, episode in enumerate(read_episodes(raw, columns)):
            writer = writers["val" if is_val[number] else "train"]
            rows, actions = process_episode(episode, config, spec.buttons, writer.row)
            writer.add(number, rows, actions)
            if not is_val[number]:
                starts.setdefault(json.loads(episode[0]["infos"] or "{}").get("start_state", "Start"), rows[0])
                cases.look(episode, rows)
            bar.update(len(episode))
    report = {}
    for name, writer in writers.items():
        index = writer.close()
        count = int((is_val if name == "val" else ~is_val).sum())
        report[name] = {"episodes": count, "transitions": len(index) - count, "distinct_frames": len(writer.rows)}
        if name == "train":
            np.save(out / "median.npy", _median(out / "train" / "frames.npy", index))
    write_json(out / "meta.json", {"game": spec.to_dict(), "shape": shape, "starts": starts, "edge_cases": cases.rows})
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


def process_episode(
    episode: list[dict[str, Any]], config: PreprocessConfig, buttons: list[str], store: Any
) -> tuple[list[Any], list[list[int]]]:
    """An episode's processed frames, each passed through `store`, and its actions.

    Frames that repeat are decoded once. Raises UserError where an action does not fit the buttons.
    """
    stored, previous, kept = [], None, None
    for row in episode:
        content = row["observations"]["bytes"]
        if content != previous:
            previous, kept = content, store(process_frame(decode_image(content), config))
        stored.append(kept)
    actions = [row["actions"] for row in episode[:-1]]
    for step, action in enumerate(actions):
        if action is None or len(action) != len(buttons) or not set(action) <= {0, 1}:
            raise UserError(
                f"Episode {episode[0]['episode_id']} has the action {action} at step {step}, where "
                f"{len(buttons)} buttons ({', '.join(buttons)}) were expected; correct the dataset or the game's buttons."
            )
    return stored, actions


def _median(frames_file: Path, index: np.ndarray) -> np.ndarray:
    """uint8 [H, W, C]: per-pixel median of frames spread evenly over the split (repeats count)."""
    frames = np.load(frames_file, mmap_mode="r")
    chosen = index["frame"][np.linspace(0, len(index) - 1, min(MEDIAN_SAMPLE, len(index))).astype(int)]
    return np.median(frames[np.sort(chosen)], axis=0).astype(np.uint8)
