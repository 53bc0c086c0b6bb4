"""Datasets as other tools write them, of the frames of `make_frame` and the buttons of PRESSED."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from toys.synthetic import BUTTONS, make_frame

PRESSED = [{"RIGHT"}, {"A", "RIGHT"}, set(), {"LEFT"}]
SEED = 7
ACTION = {"dtype": "float32", "shape": [3], "names": ["A", "LEFT", "RIGHT"]}
PICTURE = "observation.images.screen"


def pressed_at(number: int) -> set[str]:
    return PRESSED[number % len(PRESSED)]


def write_csv(path: Path, header: list[str], rows: list[list]) -> None:
    with open(path, "w", newline="") as handle:
        csv.writer(handle).writerows([header, *rows])


def columns_csv(path: Path, count: int, names: tuple[str, ...] = ("A", "LEFT", "RIGHT")) -> None:
    rows = [[int(name in pressed_at(n)) for name in names] for n in range(count)]
    write_csv(path, list(names), rows)


def write_frames(folder: Path, count: int, first: int = 0) -> Path:
    """Frames 1.png to COUNT.png: as text, 10 would come before 2."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(make_frame(first + number)).save(folder / f"{number + 1}.png")
    return folder


def write_diamond(path: Path, count: int, first: int = 0, actions=None) -> Path:
    """As DIAMOND reads it: pictures blue first, here the eight buttons of the game at a frame."""
    h5py = pytest.importorskip("h5py")
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for n in range(count):
            held = [float(name in pressed_at(n)) for name in BUTTONS]
            file[f"frame_{n}_x"] = make_frame(first + n)[:, :, ::-1]
            file[f"frame_{n}_y"] = np.array(actions[n] if actions else held, np.float32)
            file[f"frame_{n}_xaux"] = np.zeros(3)
    return path


def write_minari(path: Path, pictures: list[np.ndarray], actions, **more) -> Path:
    """main_data.hdf5 as Minari's storage lays it out."""
    h5py = pytest.importorskip("h5py")
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "a") as file:
        group = file.create_group(f"episode_{len(file)}")
        group.attrs["seed"] = SEED
        steps = len(actions)
        group.create_dataset("observations", data=np.stack(pictures), chunks=True)
        group.create_dataset("actions", data=np.array(actions))
        group["rewards"] = more.get("rewards", np.arange(steps) * 0.5)
        group["terminations"] = np.zeros(steps, bool)
        group["truncations"] = np.arange(steps) == steps - 1
        group.create_group("infos")["x"] = np.arange(steps + 1)
    return path


def held_list(count: int) -> list[list[int]]:
    return [[int(name in pressed_at(n)) for name in BUTTONS] for n in range(count)]


def write_arrow(folder: Path, shape: list[int], size: int | None = None) -> Path:
    """Minari's Arrow format, without Minari."""
    place = folder / "data" / "0"
    place.mkdir(parents=True)
    pictures = np.stack([make_frame(step) for step in range(4)]).reshape(4, -1)[:, :size]
    kind = pa.list_(pa.uint8(), pictures.shape[1])
    held = [*held_list(3), [0] * 8]
    table = pa.table(
        {
            "observations": pa.FixedSizeListArray.from_arrays(pictures.reshape(-1), type=kind),
            "actions": pa.array(held, pa.list_(pa.int8(), 8)),
            "rewards": [0.0] * 4,
            "terminations": [False] * 4,
            "truncations": [False, False, True, False],
        }
    )
    with (
        pa.OSFile(str(place / "part-0.arrow"), "wb") as file,
        pa.ipc.new_file(file, table.schema) as writer,
    ):
        writer.write_table(table)
    space = json.dumps({"type": "Box", "dtype": "uint8", "shape": shape})
    (folder / "data" / "metadata.json").write_text(json.dumps({"observation_space": space}))
    return place / "part-0.arrow"


def write_video(
    path: Path, count: int, codec: str = "libx264", size=(96, 128), numbers=None, first=0, **options
) -> Path:
    """A video, with a CSV of its name; frames are large enough for the codec to lose something."""
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = {"ffv1": "bgr0", "libx264rgb": "rgb24"}.get(codec, "yuv420p")
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=30)
        stream.height, stream.width = size
        stream.pix_fmt = pixels
        stream.options = {"qp": "0"} if codec == "libx264rgb" else {}
        for number in numbers or range(first, first + count):
            picture = av.VideoFrame.from_ndarray(make_frame(number, *size), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    columns_csv(path.with_suffix(".csv"), count)
    return path


def write_lerobot(folder: Path, version: str, kind: str, counts=(4, 5), action=ACTION) -> Path:
    """A dataset as LeRobot lays it out: version 2 or 3, pictures as images or video."""
    joint, rows = version == "v3.0", []
    for number, count in enumerate(counts):
        for step in range(count):
            held = [float(name in pressed_at(step)) for name in ("A", "LEFT", "RIGHT")]
            row = {"action": held, "episode_index": number, "frame_index": step}
            row |= {"next.reward": 1.0 * step, "timestamp": step / 10}
            if kind == "image":
                buffer = io.BytesIO()
                Image.fromarray(make_frame(number + step)).save(buffer, "PNG")
                row[PICTURE] = {"bytes": buffer.getvalue(), "path": None}
            rows.append(row)
    info = {"codebase_version": version, "fps": 10, "data_path": "../../{x}", "features": {}}
    info["features"] = {"action": action, PICTURE: {"dtype": kind, "shape": [24, 32, 3]}}
    info["features"] |= {name: {"dtype": "float32"} for name in ("next.reward", "timestamp")}
    for place in ("meta/episodes/chunk-000", "data/chunk-000", "videos"):
        (folder / place).mkdir(parents=True)
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    data = folder / "data" / "chunk-000"
    if joint:
        pq.write_table(pa.Table.from_pylist(rows), data / "file-000.parquet", row_group_size=3)
    else:
        for number in range(len(counts)):
            part = [row for row in rows if row["episode_index"] == number]
            pq.write_table(pa.Table.from_pylist(part), data / f"episode_{number:06d}.parquet")
    if kind == "video":
        write_lerobot_videos(folder, joint, counts)
    return folder


def write_lerobot_videos(folder: Path, joint: bool, counts: tuple[int, ...]) -> None:
    if not joint:
        for number, count in enumerate(counts):
            path = folder / "videos" / "chunk-000" / PICTURE / f"episode_{number:06d}.mp4"
            write_video(path, count, "libx264rgb", (24, 32), first=number)
        return
    path = folder / "videos" / PICTURE / "chunk-000" / "file-000.mp4"
    numbers = [number + step for number, count in enumerate(counts) for step in range(count)]
    write_video(path, len(numbers), "libx264rgb", (24, 32), numbers=numbers)
    rows = [
        {
            "episode_index": number,
            f"videos/{PICTURE}/chunk_index": 0,
            f"videos/{PICTURE}/file_index": 0,
            f"videos/{PICTURE}/from_timestamp": sum(counts[:number]) / 10,
        }
        for number in range(len(counts))
    ]
    place = folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    pq.write_table(pa.Table.from_pylist(rows), place)
