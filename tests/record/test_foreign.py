"""`record.py convert` reads what other tools write: every pixel and button of it, or a sentence.

The files are written here by h5py, PyAV, Pillow and Minari themselves, where they are installed.
"""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys.foreign import (
    ACTION,
    SEED,
    columns_csv,
    held_list,
    pressed_at,
    write_arrow,
    write_csv,
    write_diamond,
    write_frames,
    write_lerobot,
    write_minari,
    write_video,
)
from toys.synthetic import (
    BUTTONS,
    assert_sentence,
    make_frame,
    make_rows,
    make_spec,
    truncate,
    write_raw,
)

from dreamcart.core.errors import UserError
from dreamcart.core.files import read_json
from dreamcart.core.paths import ROOT
from dreamcart.data.external import ExternalDataset
from dreamcart.data.images import decode_image
from dreamcart.data.imports import report_lines
from dreamcart.data.reader import dataset_spec, read_episodes
from dreamcart.data.schema import INFO_NAME
from dreamcart.games.catalog import load_game
from dreamcart.record.convert import convert


def recorded(out: Path) -> list[list[tuple[np.ndarray, set[str] | None]]]:
    """Each episode's frames, and the buttons held at them."""
    buttons = dataset_spec(out).buttons
    return [
        [
            (
                decode_image(row["observations"]["bytes"]),
                None
                if row["actions"] is None
                else {name for name, held in zip(buttons, row["actions"], strict=True) if held},
            )
            for row in episode
        ]
        for episode in read_episodes(out)
    ]


def assert_recorded(out: Path, counts: list[int]) -> None:
    """The frames are those of make_frame, from the episode's number on; buttons those of PRESSED,
    and the last frame has none.
    """
    episodes = recorded(out)
    assert [len(episode) for episode in episodes] == counts
    for number, episode in enumerate(episodes):
        for step, (frame, held) in enumerate(episode):
            np.testing.assert_array_equal(frame, make_frame(number + step))
            assert held == (pressed_at(step) if step < len(episode) - 1 else None)


def refused(source: Path, out: Path, match: str, actions: str = "auto", **changes) -> None:
    """Nothing half-made is left, and what is said is a sentence."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(UserError, match=match) as caught:
        convert(str(source), "", out, make_spec(**changes), actions=actions)
    assert_sentence(caught.value)
    assert sorted(out.parent.iterdir()) == before


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "made").mkdir()
    return tmp_path / "made" / "out"


def test_frames_and_a_csv_become_a_dataset_by_one_command(tmp_path, out):
    """A column a button in any case and order; what is no button is left out, and reported."""
    source = write_frames(tmp_path / "play", 12)
    (source / "notes.txt").write_text("mine")
    rows = [[n, int("RIGHT" in pressed_at(n)), int("A" in pressed_at(n)), n] for n in range(12)]
    for row, number in zip(rows, itertools.count()):
        row.append(int("LEFT" in pressed_at(number)))
    write_csv(source / "buttons.csv", ["frame", "right", "A", "reward", "Left"], rows)
    line = [sys.executable, str(ROOT / "stages" / "record.py"), "convert", str(source), str(out)]
    done = subprocess.run([*line, "--game", "blockfall"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_recorded(out, [12])
    assert dataset_spec(out) == load_game("blockfall")
    for said in ("1 episodes, 12 frames", "not used: frame, *.txt", "12 PNG", "RIGHT"):
        assert said in done.stdout, done.stdout
    rows = next(read_episodes(out))
    assert [row["rewards"] for row in rows[:-1]] == list(range(11))
    assert read_json(out / INFO_NAME)["lossy"] == []


def test_a_sub_folder_is_an_episode_and_actions_are_names(tmp_path, out):
    for number in (0, 1, 2):
        place = write_frames(tmp_path / "play" / f"run {number + 9}", 4 + number, number)
        rows = [["+".join(sorted(pressed_at(n))) or "noop"] for n in range(4 + number)]
        write_csv(place / "any.csv", ["actions"], rows)
    (tmp_path / "play" / "empty").mkdir()
    report = convert(str(tmp_path / "play"), "", out, make_spec())
    assert_recorded(out, [4, 5, 6])
    assert report["ignored"] == ["empty/"]
    assert ExternalDataset(str(out)).survey.episodes == 3  # what collect.source reads
    assert report["held"]["RIGHT"] == 2 + 2 + 3
    assert "named by the dataset (RIGHT, A, LEFT)" in "\n".join(report_lines(report))


def test_numbers_mean_what_a_person_says(tmp_path, out):
    source = write_frames(tmp_path / "play", 4)
    write_csv(source / "a.csv", ["step", "action"], [[n, n % 3] for n in range(4)])
    refused(source, out, "actions with 1 entries")
    convert(str(source), "", out, make_spec(), actions="none,A,RIGHT")
    assert [held for _, held in recorded(out)[0]] == [set(), {"A"}, {"RIGHT"}, None]


def test_a_jpeg_among_frames_is_reported(tmp_path, out):
    source = write_frames(tmp_path / "play", 2)
    Image.fromarray(make_frame(2)).save(source / "3.jpg")
    columns_csv(source / "a.csv", 3)
    report = convert(str(source), "", out, make_spec())
    assert report["lossy"] == read_json(out / INFO_NAME)["lossy"] == ["JPEG"]


def lose_frames(folder: Path) -> None:
    for path in folder.glob("*.png"):
        path.unlink()


def of_another_size(folder: Path) -> None:
    Image.fromarray(make_frame(0, 16, 16)).save(folder / "3.png")


def wide(folder: Path) -> None:
    Image.new("1", (4097, 2)).save(folder / "3.png")


def rewrite(*lines: str):
    return lambda folder: (folder / "a.csv").write_text("\n".join(lines))


FAULTS = {
    "no frames": (lose_frames, "a CSV and no frames"),
    "no buttons": (lambda folder: (folder / "a.csv").unlink(), "no CSV"),
    "two CSVs": (lambda folder: columns_csv(folder / "b.csv", 4), r"2 CSV files \(a.csv, b.csv\)"),
    "a frame less": (lambda folder: (folder / "2.png").unlink(), "3 frames and 4 rows"),
    "two sizes": (of_another_size, "16 x 16, and those before are 24 x 32"),
    "too large": (wide, "too large"),
    "damaged": (lambda folder: truncate(folder / "3.png"), "damaged"),
    "another button": (rewrite("A,JUMP", *["0,1"] * 4), "the button 'JUMP'"),
    "another name": (rewrite("action", "A", "A+FLY", "A", "B"), "the button 'FLY'"),
    "no button": (rewrite("A,x", *["0,0.3"] * 4), "'0.3' in the column 'x' of row 1"),
    "a short line": (rewrite("A,B", "0,1", "1", "0,1", "0,1"), "1 values in line 3"),
    "a column twice": (rewrite("A,A", *["0,1"] * 4), "'A' twice"),
    "no columns": (rewrite("frame,time", *["0,1"] * 4), "no column of a button"),
    "an empty CSV": (rewrite(""), "no rows of buttons"),
    "no reward": (rewrite("A,reward", *["0,x"] * 4), "no number"),
    "no text": (lambda folder: (folder / "a.csv").write_bytes(b"A\n\xff\xfe\n"), "no CSV in UTF-8"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_frames_and_buttons_are_refused(tmp_path, out, fault):
    source = write_frames(tmp_path / "play", 4)
    columns_csv(source / "a.csv", 4)
    spoil, said = FAULTS[fault]
    spoil(source)
    refused(source, out, said)


def test_a_link_out_of_the_folder_is_refused(tmp_path, out):
    """A frame, a table, an episode."""
    write_frames(tmp_path / "theirs", 4)
    columns_csv(tmp_path / "theirs" / "a.csv", 4)
    frame, table = (write_frames(tmp_path / name, 4) for name in ("frame", "table"))
    columns_csv(frame / "a.csv", 4)
    (frame / "2.png").unlink()
    (frame / "2.png").symlink_to(tmp_path / "theirs" / "2.png")
    (table / "a.csv").symlink_to(tmp_path / "theirs" / "a.csv")
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "one").symlink_to(tmp_path / "theirs")
    for source in (frame, table, tmp_path / "whole"):
        refused(source, out, "does not stay inside")


def test_a_pipe_is_not_waited_for(tmp_path, out):
    source = write_frames(tmp_path / "play", 4)
    os.mkfifo(source / "a.csv")
    refused(source, out, "is no file")


@pytest.mark.parametrize("name", ["a.txt", "0.pt"])
def test_a_folder_of_anything_else_is_refused(tmp_path, out, name):
    """Also what may hold Python objects."""
    (tmp_path / "play").mkdir()
    (tmp_path / "play" / name).write_bytes(b"\x80\x04.")
    refused(tmp_path / "play", out, "run programs" if name == "0.pt" else "no frames or videos")


def test_diamonds_files_are_read(tmp_path, out):
    """By number, in whatever folder; colours come out right."""
    for number in (0, 1):
        write_diamond(tmp_path / "play" / "1-200" / f"hdf5_{9 + number}.hdf5", 12, number)
    report = convert(str(tmp_path / "play"), "", out, make_spec())
    assert_recorded(out, [12, 12])
    assert report["ignored"] == ["frame_i_xaux"]
    assert "blue, green, red" in "\n".join(report["remarks"])


def with_mouse(key: int, across: int) -> list[float]:
    """DIAMOND's 51 numbers: 11 keys, two clicks, the mouse across (23) and up (15)."""
    parts = np.zeros(13), np.zeros(23), np.zeros(15)
    for part, place in zip(parts, (key, across, 7), strict=True):
        part[place] = 1
    return np.concatenate(parts).tolist()


def test_diamonds_keys_are_bound_and_the_mouse_is_left_out(tmp_path, out):
    """By the game's own keys, or as a person says."""
    actions = [with_mouse(3, 11), with_mouse(11, 20), with_mouse(5, 11), with_mouse(0, 11)]
    write_diamond(tmp_path / "play" / "a.hdf5", 4, actions=actions)
    keys = {"RIGHT": "d", "A": "left click"}
    report = convert(str(tmp_path / "play"), "", out, make_spec(keys=keys))
    assert [held for _, held in recorded(out)[0]] == [{"RIGHT"}, {"A"}, set(), None]
    assert report["presses_lost"] == {"the mouse": 1, "left ctrl": 1}
    other = out.parent / "other"
    said = "UP,none,DOWN,none,B" + ",none" * 8
    convert(str(tmp_path / "play"), "", other, make_spec(), actions=said)
    assert not any(held for _, held in recorded(other)[0])
    refused(tmp_path / "play", out.parent / "third", "none of them a button or a key", keys={})


def spoiled_hdf5(path: Path, name: str, how: str) -> None:
    import h5py

    with h5py.File(path, "a") as file:
        shape, kind = (24, 32, 3), np.uint8
        del file[name]
        if how == "other keys":
            for key in list(file):
                del file[key]
            file["obs"] = np.zeros(3)
        elif how == "link":
            file[name] = h5py.ExternalLink("theirs.hdf5", "x")
        elif how == "outside":
            file.create_dataset(name, shape, kind, external=[("theirs.raw", 0, 2304)])
        elif how == "virtual":
            layout = h5py.VirtualLayout(shape, kind)
            layout[:] = h5py.VirtualSource("theirs.hdf5", "x", shape)
            file.create_virtual_dataset(name, layout)
        elif how == "objects":
            file.create_dataset(name, (3,), h5py.string_dtype())
        elif how == "huge":
            file.create_dataset(name, (10**5, 10**5, 3), kind, chunks=(64, 64, 3))
        elif how == "wide":
            file[name] = np.zeros((2, 4097, 3), kind)
        elif how == "size":
            file[name] = make_frame(0, 16, 16)
        elif how == "floats":
            file[name] = np.zeros(shape, np.float32)
        elif how == "mouse":
            file[name] = np.array([0.3, 0, 0, 0, 0, 0, 0, 0])


HDF5_FAULTS = [
    ("frame_1_x", "other keys", "obs, and not frame_0_x"),
    ("frame_1_x", "gone", "lacks frame_1_x"),
    ("frame_1_y", "gone", "frame_1_y of .* is not there"),
    ("frame_1_x", "link", "is a link"),
    ("frame_1_x", "outside", "lies in another file"),
    ("frame_1_x", "virtual", "lies in another file"),
    ("frame_1_x", "objects", "no plain numbers"),
    ("frame_1_x", "huge", "too large"),
    ("frame_1_x", "wide", "4097 x 2 pixels"),
    ("frame_1_x", "size", "16 x 16, and those before"),
    ("frame_1_x", "floats", "no picture"),
    ("frame_1_y", "mouse", "no list of 0 and 1"),
]


@pytest.mark.parametrize(("name", "how", "said"), HDF5_FAULTS)
def test_bad_hdf5_is_refused(tmp_path, out, name, how, said):
    path = write_diamond(tmp_path / "play" / "a.hdf5", 4)
    spoiled_hdf5(path, name, how)
    refused(tmp_path / "play", out, said)


@pytest.mark.parametrize("cut", [10, 2000])
def test_a_truncated_hdf5_is_refused(tmp_path, out, cut):
    path = write_diamond(tmp_path / "play" / "a.hdf5", 4)
    path.write_bytes(path.read_bytes()[:-cut])
    refused(tmp_path / "play", out, "damaged one")


def test_without_a_library_the_message_says_how_to_get_it(tmp_path, out, monkeypatch):
    for name, module, install in (
        ("a.hdf5", "h5py", "pip install h5py"),
        ("b.mp4", "av", "pip install av"),
    ):
        (tmp_path / module).mkdir()
        (tmp_path / module / name).write_bytes(b"x")
        monkeypatch.setitem(sys.modules, module, None)
        refused(tmp_path / module, out, install)


def test_minaris_hdf5_is_read(tmp_path, out):
    for number in range(12):
        frames = [make_frame(number + step) for step in range(4)]
        write_minari(tmp_path / "play" / "data" / "main_data.hdf5", frames, held_list(3))
    convert(str(tmp_path / "play"), "", out, make_spec())
    assert_recorded(out, [4] * 12)
    rows = next(read_episodes(out))
    assert [row["seed"] for row in rows] == [SEED] * 4
    assert [row["rewards"] for row in rows[:3]] == [0, 0.5, 1]
    assert [json.loads(row["infos"])["x"] for row in rows] == [0, 1, 2, 3]
    assert rows[2]["truncations"]


def test_minari_without_pictures_is_refused(tmp_path, out):
    main = write_minari(tmp_path / "play" / "main_data.hdf5", [np.zeros(17)] * 4, held_list(3))
    refused(tmp_path / "play", out, "no picture")
    main.unlink()
    write_minari(main, [make_frame(0)] * 3, held_list(3))
    refused(tmp_path / "play", out, "3 observations and 3 actions")
    main.unlink()
    write_minari(main, [make_frame(0)] * 4, held_list(3))
    spoiled_hdf5(main, "episode_0/actions", "gone")
    refused(tmp_path / "play", out, "actions of .* is not there")
    spoiled_hdf5(main, "episode_0", "other keys")
    refused(tmp_path / "play", out, "obs, and not episode_0")
    truncate(main)
    refused(tmp_path / "play", out, "damaged one")


def test_what_was_exported_to_minari_comes_back(tmp_path, out, monkeypatch):
    """Every column of every row, by the buttons' names, also in a game with them in other
    places.
    """
    pytest.importorskip("minari")
    from dreamcart.record.minari import export

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    rows = [make_rows(n, 5 + n, first=n) for n in range(11)]
    for row in (row for episode in rows for row in episode):
        row["infos"] = {"x": row["infos"]["x"]}
        row["terminations"] = False
    raw = write_raw(tmp_path / "raw", rows)
    export(raw)
    source = str(tmp_path / "minari" / "dreamcart" / "toy-v0")
    report = convert(source, "", out, make_spec())
    assert (report["episodes"], report["lossy"]) == (11, [])
    was, now = ([row for rows in read_episodes(place) for row in rows] for place in (raw, out))
    for before, after in zip(was, now, strict=True):
        last = before["actions"] is None
        for name in ("episode_id", "step", "observations", "actions", "infos", "seed"):
            assert before[name] == after[name], name
        assert last or before["rewards"] == after["rewards"]
        assert before["truncations"] == after["truncations"]
    other = make_spec(buttons=BUTTONS[::-1])
    convert(source, "", out.parent / "other", other)
    assert [held for _, held in recorded(out)[0]] == [
        held for _, held in recorded(out.parent / "other")[0]
    ]


@pytest.mark.parametrize("jpeg", [False, True])
@pytest.mark.parametrize("kind", ["hdf5", "arrow"])
def test_what_minari_writes_is_read(tmp_path, out, monkeypatch, kind, jpeg):
    """By its own library: both formats, pictures as they are or as JPEG, actions as numbers.

    Smaller pictures it keeps as they are whatever it is told.
    """
    minari = pytest.importorskip("minari")
    pytest.importorskip("h5py")
    import gymnasium
    from minari.data_collector import EpisodeBuffer

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    episodes = [
        EpisodeBuffer(
            id=number,
            seed=SEED,
            observations=[make_frame(number + step, 48, 64) for step in range(4)],
            actions=[0, 1, 2],
            rewards=[0.5] * 3,
            terminations=[False, False, True],
            truncations=[False] * 3,
            infos={"x": [1.5, 2.5, 3.5, 4.5]},
        )
        for number in range(2)
    ]
    minari.create_dataset_from_buffers(
        "me/play-v0",
        episodes,
        observation_space=gymnasium.spaces.Box(0, 255, (48, 64, 3), np.uint8),
        action_space=gymnasium.spaces.Discrete(3),
        data_format=kind,
        jpeg_encoding=jpeg,
    )
    source = tmp_path / "minari" / "me" / "play-v0"
    report = convert(str(source), "", out, make_spec(), actions="none,RIGHT,A")
    rows = next(read_episodes(out))
    assert [held for _, held in recorded(out)[1]] == [set(), {"RIGHT"}, {"A"}, None]
    assert [(row["seed"], json.loads(row["infos"])) for row in rows][3] == (SEED, {"x": 4.5})
    assert rows[2]["terminations"]
    assert (report["lossy"], report["images"]) == (
        (["JPEG"] if jpeg else []),
        {"JPEG" if jpeg else "PNG": 8},
    )
    error = np.abs(recorded(out)[1][2][0] - make_frame(3, 48, 64).astype(int)).mean()
    assert error < (12 if jpeg else 1e-9)


def test_minaris_arrow_is_read_or_refused(tmp_path, out):
    path = write_arrow(tmp_path / "play", [24, 32, 3])
    write_arrow(tmp_path / "other", [24, 16, 3])
    refused(tmp_path / "other", out, "pictures of 2304 numbers")
    convert(str(tmp_path / "play"), "", out, make_spec())
    assert_recorded(out, [4])
    truncate(path)
    refused(tmp_path / "play", out.parent / "again", "damaged")
    (tmp_path / "play" / "data" / "metadata.json").write_text('{"observation_space": "[[["}')
    refused(tmp_path / "play", out.parent / "again", "one picture a step")


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
def test_a_video_is_read_and_its_loss_is_measured(tmp_path, out, ending):
    codec = "mpeg4" if ending == "avi" else "libx264"
    write_video(tmp_path / "play" / f"1.{ending}", 40, codec)
    report = convert(str(tmp_path / "play"), "", out, make_spec())
    frames = [frame for frame, _ in recorded(out)[0]]
    errors = [
        np.abs(frame - make_frame(n, 96, 128).astype(int)).mean() for n, frame in enumerate(frames)
    ]
    assert len(frames) == 40
    assert max(errors) < 8
    (said,) = report["remarks"]
    assert "video is lossy" in said
    assert "25 at most" in said
    assert read_json(out / INFO_NAME)["lossy"][0].startswith("video (")


def test_a_video_that_keeps_every_pixel_is_not_called_lossy(tmp_path, out):
    write_video(tmp_path / "play" / "1.mkv", 8, "ffv1", (24, 32))
    report = convert(str(tmp_path / "play"), "", out, make_spec())
    assert_recorded(out, [8])
    assert (report["lossy"], report["remarks"]) == ([], [])


def longer(path: Path) -> None:
    columns_csv(path.with_suffix(".csv"), 9)


def shorter(path: Path) -> None:
    columns_csv(path.with_suffix(".csv"), 7)


def playlist(path: Path) -> None:
    """What a demuxer that guesses would follow to other files."""
    path.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")


def unknown(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))


VIDEO_FAULTS = [
    (unknown, "this PyAV does not know"),
    (lambda path: path.with_suffix(".csv").unlink(), "no 1.csv beside it"),
    (longer, "8 frames and 9 rows"),
    (shorter, "more than 7 frames and 7 rows"),
    (truncate, "damaged"),
    (playlist, "no video"),
    (lambda path: path.write_bytes(b""), "no video"),
]


@pytest.mark.parametrize(("spoil", "said"), VIDEO_FAULTS)
def test_bad_videos_are_refused(tmp_path, out, spoil, said):
    spoil(write_video(tmp_path / "play" / "1.mp4", 8))
    refused(tmp_path / "play", out, said)


def test_a_video_cut_in_the_middle_is_refused(tmp_path, out):
    """Its list of frames comes first, so that it opens."""
    path = write_video(tmp_path / "play" / "1.mp4", 40, movflags="faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    refused(tmp_path / "play", out, "damaged")


def test_the_second_episode_of_another_size_is_refused(tmp_path, out):
    write_video(tmp_path / "play" / "1.mp4", 8)
    write_video(tmp_path / "play" / "2.mp4", 8, size=(64, 128))
    refused(tmp_path / "play", out, "64 x 128, and those before are 96 x 128")


@pytest.mark.parametrize("kind", ["image", "video"])
@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_lerobots_datasets_are_read(tmp_path, out, version, kind):
    """Its videos are written without loss here, so that every frame can be compared."""
    source = write_lerobot(tmp_path / "play", version, kind)
    report = convert(str(source), "", out, make_spec())
    assert_recorded(out, [4, 5])
    assert report["ignored"] == ["timestamp"]
    assert [row["rewards"] for row in next(read_episodes(out))] == [0, 1, 2, 0]


def test_lerobots_robots_are_refused(tmp_path, out):
    """Joints are no buttons; videos and tables that are missing or damaged are named."""
    joints = ACTION | {"names": ["arm", "hand", "grip"]}
    refused(write_lerobot(tmp_path / "a", "v2.0", "image", action=joints), out, "the button 'arm'")
    source = write_lerobot(tmp_path / "b", "v3.0", "video")
    video = next(source.rglob("*.mp4"))
    video.rename(tmp_path / "elsewhere")
    refused(source, out, "0 videos called file-000")
    video.symlink_to(tmp_path / "elsewhere")
    refused(source, out, "does not stay inside")
    source = write_lerobot(tmp_path / "c", "v2.1", "image")
    truncate(next(source.rglob("*.parquet")))
    refused(source, out, "damaged")
    (source / "meta" / "info.json").write_text('{"features": {"action": {}}}')
    refused(source, out, "not of pictures and an action")
