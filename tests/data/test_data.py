"""Recorded and processed data: the schema, what is refused, and that nothing is lost or mixed up on
the way.
"""

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from toys.synthetic import (
    BUTTONS,
    GOLDEN,
    SEEN_AS,
    assert_sentence,
    make_processed,
    make_rows,
    make_spec,
    make_split,
    write_raw,
)

from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.data.images import PngEncoder, decode_image
from dreamcart.data.preprocess import SplitWriter, preprocess, process_frame, split_episodes
from dreamcart.data.processed import history, load_split, start_frames
from dreamcart.data.reader import count_rows, dataset_spec, read_episodes
from dreamcart.data.schema import INFO_NAME, ShardWriter
from dreamcart.dynamics.windows import Windows
from dreamcart.params import PreprocessConfig

RAW_V1 = GOLDEN / "raw_v1"
SHARD = "play-00000.parquet"
GOLDEN_LENGTHS = (6, 4)


def golden_episodes() -> list[list[dict]]:
    """What the golden shard was made from."""
    return [
        make_rows(number, length, first=3 * number) for number, length in enumerate(GOLDEN_LENGTHS)
    ]


def make_golden() -> None:
    """Write the golden shard again, after a change of the schema with a new version.

    PYTHONPATH=.:tests python tests/data/test_data.py
    """
    write_raw(RAW_V1, golden_episodes())


# The raw schema


def test_golden_shard_still_reads_identically():
    """Data recorded by an earlier Dreamcart stays readable, to the last pixel."""
    read = list(read_episodes(RAW_V1))
    assert [len(episode) for episode in read] == list(GOLDEN_LENGTHS)
    for episode, expected in zip(read, golden_episodes(), strict=True):
        for row, wanted in zip(episode, expected, strict=True):
            np.testing.assert_array_equal(
                decode_image(row.pop("observations")["bytes"]), wanted["observations"]
            )
            infos = {
                key: value.tolist() if isinstance(value, np.ndarray) else value
                for key, value in wanted["infos"].items()
            }
            assert json.loads(row.pop("infos")) == infos
            assert row == {key: value for key, value in wanted.items() if key in row}
    assert dataset_spec(RAW_V1) == make_spec()


def test_plain_datasets_library_opens_a_shard(tmp_path):
    """A recording is of use without Dreamcart: Hugging Face `datasets` sees images, losslessly."""
    datasets = pytest.importorskip("datasets")
    opened = datasets.load_dataset(
        "parquet", data_files=str(RAW_V1 / SHARD), split="train", cache_dir=str(tmp_path)
    )
    assert isinstance(opened.features["observations"], datasets.Image)
    wanted = [row for episode in golden_episodes() for row in episode]
    assert len(opened) == len(wanted)
    for row, expected in zip(opened, wanted, strict=True):
        np.testing.assert_array_equal(
            np.asarray(row["observations"].convert("RGB")), expected["observations"]
        )
        assert row["actions"] == expected["actions"]


def test_an_episode_has_one_observation_more_than_actions():
    """The final observation is kept: without it the last action leads nowhere."""
    for episode in read_episodes(RAW_V1):
        assert [row["actions"] is None for row in episode] == [False] * (len(episode) - 1) + [True]
    assert count_rows(RAW_V1) == sum(GOLDEN_LENGTHS)


def test_a_shard_has_its_name_only_when_whole(tmp_path):
    """A recording that was killed must not look like a finished one."""
    writer = ShardWriter(tmp_path / SHARD, "png")
    writer.add(make_rows(0, 2)[0])
    assert not (tmp_path / SHARD).exists()
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == [SHARD]


def test_a_shard_that_fails_leaves_nothing(tmp_path):
    """Whatever goes wrong while it is filled."""
    with pytest.raises(AttributeError), ShardWriter(tmp_path / SHARD, "png") as writer:
        writer.add({"observations": "no frame", "infos": {}})
    assert list(tmp_path.iterdir()) == []


def test_a_guessed_name_is_nobodys_file(tmp_path):
    """A file or a link that happens to be called as a temporary one would be is not written to."""
    (tmp_path / "letter").write_text("dear friend")
    (tmp_path / f".{SHARD}.tmp").symlink_to(tmp_path / "letter")
    write_raw(tmp_path, [make_rows(0, 4)])
    assert (tmp_path / "letter").read_text() == "dear friend"
    assert (tmp_path / f".{SHARD}.tmp").is_symlink()


# What is refused


def forget_info(folder):
    (folder / INFO_NAME).unlink()


def future_version(folder):
    info = json.loads((folder / INFO_NAME).read_text())
    (folder / INFO_NAME).write_text(json.dumps(info | {"schema_version": 99}))


def drop_column(folder):
    pq.write_table(pq.read_table(folder / SHARD).drop_columns(["actions"]), folder / SHARD)


def foreign_images(folder):
    table = pq.read_table(folder / SHARD)
    images = pa.array([f"{number}.png" for number in range(len(table))])
    pq.write_table(
        table.set_column(table.column_names.index("observations"), "observations", images),
        folder / SHARD,
    )


def truncate(folder):
    content = (folder / SHARD).read_bytes()
    (folder / SHARD).write_bytes(content[: len(content) // 2])


def garble(folder):
    content = bytearray((folder / SHARD).read_bytes())
    content[40:200] = b"\xff" * 160
    (folder / SHARD).write_bytes(content)


def no_parquet(folder):
    (folder / SHARD).write_text("no Parquet at all")


def no_shards(folder):
    (folder / SHARD).unlink()


def shorten(folder):
    table = pq.read_table(folder / SHARD)
    pq.write_table(
        pa.concat_tables([table.slice(0, 1), table.slice(GOLDEN_LENGTHS[0])]), folder / SHARD
    )


def shuffle(folder):
    table = pq.read_table(folder / SHARD)
    pq.write_table(table.take([0, 2, 1, *range(3, len(table))]), folder / SHARD)


def set_column(name, values):
    """Replace the first values of a column."""

    def change(folder):
        table = pq.read_table(folder / SHARD)
        column = table[name].to_pylist()
        column[: len(values)] = values
        at = table.column_names.index(name)
        pq.write_table(
            table.set_column(at, name, pa.array(column, table[name].type)), folder / SHARD
        )

    return change


def no_bytes(path):
    """Images that are named and not held: of a canonical dataset nobody's path is read."""
    return set_column("observations", [{"bytes": None, "path": path}])


def same_column_twice(folder):
    table = pq.read_table(folder / SHARD)
    pq.write_table(table.append_column("step", table["step"]), folder / SHARD)


def no_rows(folder):
    pq.write_table(pq.read_table(folder / SHARD).slice(0, 0), folder / SHARD)


def copy_a_shard(folder):
    shutil.copy(folder / SHARD, folder / "play-00000 (copy).parquet")


def pipe(folder):
    os.mkfifo(folder / "play-00001.parquet")


def subfolder(folder):
    (folder / "play-00001.parquet").mkdir()


def count_episodes(**said):
    def change(folder):
        info = json.loads((folder / INFO_NAME).read_text())
        (folder / INFO_NAME).write_text(json.dumps(info | said))

    return change


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (forget_info, INFO_NAME),
        (future_version, "version 99"),
        (drop_column, "'actions'"),
        (foreign_images, "'observations'"),
        (truncate, "damaged"),
        (garble, "damaged"),
        (no_parquet, "damaged"),
        (no_shards, "no Parquet shards"),
        (shorten, "single observation"),
        (shuffle, "out of order"),
        (set_column("episode_id", [None]), "'episode_id'"),
        (set_column("step", [0, None]), "'step'"),
        (set_column("seed", [None]), "'seed'"),
        (set_column("rewards", [1.0, None]), "'rewards'"),
        (set_column("terminations", [None]), "'terminations'"),
        (set_column("truncations", [None]), "'truncations'"),
        (set_column("actions", [[None] * 8]), "'actions'"),
        (set_column("actions", [[0] * 8, None]), "no action at step 1"),
        (set_column("observations", [None]), "'observations'"),
        (no_bytes(None), "'observations'"),
        (no_bytes("/etc/hostname"), "'observations'"),
        (same_column_twice, "'step'"),
        (no_rows, "no episodes"),
        (copy_a_shard, "two places"),
        (pipe, "is no file"),
        (subfolder, "is no file"),
        (count_episodes(episodes=3), "lacks episode 2"),
        (count_episodes(episodes=10**12), "lacks episode 2"),
        (
            count_episodes(
                shards={SHARD: {"episodes": [0, 1]}, "play-00009.parquet": {"episodes": [9]}}
            ),
            "lacks episode 9",
        ),
    ],
)
def test_a_bad_dataset_is_refused_in_one_sentence(tmp_path, damage, named):
    """Whatever is wrong with recorded data, a person is told so before a model learns from it."""
    damage(write_raw(tmp_path, golden_episodes()))
    with pytest.raises(UserError, match=named) as caught:
        list(read_episodes(tmp_path))
    assert_sentence(caught.value)
    assert tmp_path.name in str(caught.value)


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ({}, 0),
        ({"episodes": 5}, 0),
        ({}, 40),
        ({"first_episode": 40, "episodes": 45}, 40),
        ({"episodes": 3}, 0),
    ],
)
def test_a_lost_shard_is_missed(tmp_path, said, first):
    """From the middle always; from the end where dataset_info.json counts."""
    spec = make_spec().to_dict()
    for number in range(5):
        with ShardWriter(tmp_path / f"play-{number:05d}.parquet", "png") as writer:
            for row in make_rows(first + number, 4):
                writer.add(row)
    (tmp_path / INFO_NAME).write_text(json.dumps({"schema_version": 1, "game": spec, **said}))
    assert len(list(read_episodes(tmp_path))) == 5
    # with `episodes` 3 it was recorded on, and nothing tells of the last
    lost = [2] if said.get("episodes", 3) == 3 else [4, 2]
    for number in lost:
        content = (tmp_path / f"play-{number:05d}.parquet").read_bytes()
        (tmp_path / f"play-{number:05d}.parquet").unlink()
        with pytest.raises(UserError, match=f"lacks episode {first + number}:") as caught:
            preprocess(tmp_path, tmp_path / "processed", SEEN_AS, 0)
        assert_sentence(caught.value)
        assert not (tmp_path / "processed").exists()
        (tmp_path / f"play-{number:05d}.parquet").write_bytes(content)


def test_no_flipped_bit_passes_as_data(tmp_path):
    """A failing disk must not put other pixels or buttons into a recording: read it right, or
    refuse it.
    """

    def read() -> list:
        rows = [row for episode in read_episodes(tmp_path) for row in episode]
        return [
            row | {"observations": decode_image(row["observations"]["bytes"]).tobytes()}
            for row in rows
        ]

    shard = write_raw(tmp_path, golden_episodes()) / SHARD
    content, wanted, passed = shard.read_bytes(), read(), []
    footer = int.from_bytes(content[-8:-4], "little") + 8
    for at in range(4, len(content) - footer, 29):
        shard.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        try:
            if read() != wanted:
                passed.append(at)
        except UserError:
            continue
    assert not passed


def test_a_damaged_image_is_refused_with_its_place(tmp_path):
    """Parquet may be whole and the picture in it broken, or empty."""
    for content in (b"RIFF no image", b""):
        raw = write_raw(tmp_path / "raw", [make_rows(n, 4) for n in range(3)])
        set_column("observations", [{"bytes": content}])(raw)
        with pytest.raises(UserError, match="damaged") as caught:
            preprocess(raw, tmp_path / "processed", SEEN_AS, 0)
        assert_sentence(caught.value)
        assert f"The image at step 0 of episode 0 of {raw}" in str(caught.value)
        assert not (tmp_path / "processed").exists()


def test_frames_smaller_than_a_tile_are_refused(tmp_path):
    raw = write_raw(tmp_path / "raw", [make_rows(n, 4, shape=(5, 32)) for n in range(3)])
    with pytest.raises(UserError, match="less than a tile") as caught:
        preprocess(
            raw, tmp_path / "processed", dataclasses.replace(SEEN_AS, height=0, width=0, tile=8), 0
        )
    assert_sentence(caught.value)


def test_actions_for_another_game_are_refused(tmp_path):
    """Data of a game with other buttons would be learnt as nonsense."""
    write_raw(
        tmp_path / "raw",
        [make_rows(n, 4) for n in range(3)],
        make_spec(buttons=["A", "LEFT"], keys={}),
    )
    with pytest.raises(UserError, match="2 buttons") as caught:
        preprocess(tmp_path / "raw", tmp_path / "processed", SEEN_AS, 0)
    assert_sentence(caught.value)


def test_a_start_state_that_only_validation_shows_can_be_played(tmp_path):
    """Which episodes are kept for validation is chance, and no start state may be lost by it."""
    episodes = [make_rows(number, 5, first=10 * number) for number in range(5)]
    for number, episode in enumerate(episodes):
        episode[0]["infos"]["start_state"] = f"Level{number}"
    preprocess(write_raw(tmp_path / "raw", episodes), tmp_path / "processed", SEEN_AS, 0)
    splits = {name: load_split(tmp_path / "processed", name) for name in ("train", "val")}
    assert len(splits["val"].episode_start) > 0
    starts = start_frames(tmp_path / "processed", splits)
    assert set(starts) == {f"Level{number}" for number in range(5)}
    for number, episode in enumerate(episodes):
        np.testing.assert_array_equal(
            starts[f"Level{number}"], process_frame(episode[0]["observations"], SEEN_AS)
        )


@pytest.mark.parametrize("name", ["frames.npy", "index.npy"])
def test_half_a_processed_split_is_refused(tmp_path, name):
    """A truncated array must be refused when it is opened, not deep in training."""
    make_processed(tmp_path, [make_rows(n, 6) for n in range(4)])
    path = tmp_path / "processed" / "train" / name
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match="damaged") as caught:
        load_split(tmp_path / "processed", "train")
    assert_sentence(caught.value)


def half_meta(**changes):
    """meta.json with other values, or without those that are None."""

    def change(text):
        values = json.loads(text) | changes
        return json.dumps({name: value for name, value in values.items() if value is not None})

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "3",
        *(half_meta(**{name: None}) for name in ("game", "shape", "starts", "edge_cases")),
        *(half_meta(shape=value) for value in (3, [16], [16, 16, "1"], {"a": 1}, [32, 16, 1])),
        *(
            half_meta(starts=value)
            for value in (
                [],
                {"a": 3},
                {"a": ["test", 0]},
                {"a": ["val", "0"]},
                {"a": ["val", 10**9]},
            )
        ),
        half_meta(edge_cases={"a": "0"}),
        half_meta(train_tiles="many"),
        half_meta(game={"name": "../x"}),
    ],
)
def test_a_meta_that_does_not_fit_is_one_sentence(tmp_path, change):
    splits = make_processed(tmp_path, [make_rows(n, 6) for n in range(4)])
    path = tmp_path / "processed" / "meta.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError) as caught:
        start_frames(
            tmp_path / "processed",
            {name: load_split(tmp_path / "processed", name) for name in splits},
        )
    assert_sentence(caught.value)
    assert "processed" in str(caught.value)


def test_splits_of_two_datasets_are_refused(tmp_path):
    """An index that points beyond its frames is half of another dataset."""
    make_processed(tmp_path, [make_rows(n, 6) for n in range(4)])
    frames = tmp_path / "processed" / "train" / "frames.npy"
    np.save(frames, np.load(frames)[:1])
    with pytest.raises(UserError, match="does not fit together"):
        load_split(tmp_path / "processed", "train")


# Preprocessing


@pytest.fixture(scope="module", params=[0, 8])
def processed(tmp_path_factory, request):
    """Eight episodes, processed, as whole frames and as tiles: (folder, splits)."""
    folder = tmp_path_factory.mktemp("processed")
    episodes = [make_rows(n, 9 + n, first=2 * n) for n in range(8)]
    return folder, make_processed(
        folder, episodes, dataclasses.replace(SEEN_AS, tile=request.param)
    )


def test_every_step_leads_to_its_own_frame(processed):
    """Frames are stored once each, and every step still finds exactly the picture that was
    recorded.
    """
    folder, splits = processed
    raw = list(read_episodes(folder / "raw"))
    seen = set()
    for split in splits.values():
        for number in np.unique(split.index["episode"]):
            seen.add(int(number))
            records = split.index[split.index["episode"] == number]
            wanted = [
                process_frame(decode_image(row["observations"]["bytes"]), SEEN_AS)
                for row in raw[number]
            ]
            np.testing.assert_array_equal(split.frames[records["frame"]], np.stack(wanted))
            np.testing.assert_array_equal(
                records["action"], [row["actions"] or [0] * len(BUTTONS) for row in raw[number]]
            )
            np.testing.assert_array_equal(records["step"], np.arange(len(raw[number])))
    assert seen == set(range(8))


def image(frame: np.ndarray, kind: str, **options) -> bytes:
    """An image file of uint8 [H, W, 1, 3 or 4]."""
    buffer = io.BytesIO()
    Image.fromarray(frame.squeeze()).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    ("kind", "options"), [("WEBP", {"lossless": True}), ("WEBP", {}), ("PNG", {})]
)
def test_every_image_has_the_pixels_that_pillow_reads(tmp_path, kind, options, channels):
    """The faster decoder must not change a pixel, whatever images a foreign dataset brings."""
    content = image(
        np.random.default_rng(0).integers(0, 256, (24, 32, channels), np.uint8), kind, **options
    )
    config = dataclasses.replace(SEEN_AS, height=24, width=32, color="rgb")
    writer = SplitWriter(tmp_path / "split", config, BUTTONS)
    writer.add(
        0,
        [
            {"observations": {"bytes": content}, "actions": a, "episode_id": 0}
            for a in ([0] * 8, None)
        ],
    )
    writer.close()
    np.testing.assert_array_equal(
        np.load(tmp_path / "split" / "frames.npy")[0], decode_image(content)
    )


def test_half_an_image_is_refused(tmp_path):
    """A truncated image must not become a frame with a grey lower half."""
    content = image(make_rows(0, 2)[0]["observations"], "WEBP", lossless=True)
    writer = SplitWriter(tmp_path / "split", SEEN_AS, BUTTONS)
    for length in (16, len(content) // 2, len(content) - 2):
        with pytest.raises(UserError, match="damaged") as caught:
            writer.row(content[:length])
        assert_sentence(caught.value)


def test_an_image_seen_before_is_not_decoded_again(tmp_path, monkeypatch):
    """Games show the same pictures again and again; decoding is the dearest part of the stage."""
    decoded = []
    monkeypatch.setattr(
        "dreamcart.data.preprocess.decode_image",
        lambda content, what: decoded.append(content) or decode_image(content),
    )
    raw = write_raw(tmp_path / "raw", [make_rows(n, 12) for n in range(3)])
    writer = SplitWriter(tmp_path / "split", SEEN_AS, BUTTONS)
    rows = [writer.add(number, episode) for number, episode in enumerate(read_episodes(raw))]
    assert len(decoded) == len(set(decoded)) == 6
    assert rows[0] == rows[1] == rows[2]


def test_splits_share_no_episode(processed):
    """A validation that knew its episodes from training would say nothing."""
    _, splits = processed
    train, val = (set(splits[name].index["episode"].tolist()) for name in ("train", "val"))
    assert not train & val
    assert (len(train), len(val)) == (6, 2)


def test_splits_share_no_frame_store(processed):
    """Each split's frames are those of its own episodes, each once: nothing leaks through the
    store.
    """
    _, splits = processed
    for split in splits.values():
        np.testing.assert_array_equal(np.unique(split.index["frame"]), np.arange(len(split.frames)))
        assert len({frame.tobytes() for frame in split.frames}) == len(split.frames)


def test_the_median_is_that_of_the_training_frames(processed):
    """A baseline made with validation or test frames would be no baseline."""
    folder, splits = processed
    train = splits["train"]
    expected = np.median(train.frames[train.index["frame"]], axis=0).astype(np.uint8)
    np.testing.assert_array_equal(np.load(folder / "processed" / "median.npy"), expected)


@pytest.mark.parametrize(("count", "share", "chosen"), [(10, 0.2, 2), (3, 0.01, 1), (2, 0.9, 1)])
def test_both_splits_have_an_episode(count, share, chosen):
    """Whatever the share, neither training nor validation may be empty."""
    assert split_episodes(count, share, 0).sum() == chosen


def test_one_episode_cannot_be_split():
    """A single episode would have to be both seen and unseen."""
    with pytest.raises(UserError, match="two at least"):
        split_episodes(1, 0.2, 0)


def test_the_split_depends_on_the_seed_alone():
    """The same seed gives the same split, another seed another."""
    assert np.array_equal(split_episodes(50, 0.2, 3), split_episodes(50, 0.2, 3))
    assert not np.array_equal(split_episodes(50, 0.2, 3), split_episodes(50, 0.2, 4))


@pytest.mark.parametrize(
    ("color", "resize"), [("gray", "area"), ("rgb", "nearest"), ("rgb", "linear")]
)
def test_frames_have_the_shape_that_params_ask_for(color, resize):
    """Height, width and colour are params, and not square by accident."""
    config = PreprocessConfig(height=16, width=24, color=color, resize=resize, val_share=0.2)
    frame = process_frame(make_rows(0, 2)[0]["observations"], config)
    assert (frame.shape, frame.dtype) == ((16, 24, 1 if color == "gray" else 3), np.uint8)


@pytest.mark.parametrize(
    ("tile", "shape"), [(8, (208, 160)), (4, (208, 160)), (0, (208, 160)), (10, (210, 160))]
)
def test_a_game_keeps_its_own_size_but_for_what_no_tile_fills(tile, shape):
    """Nothing is resized at native size:

    Atari's 210 rows lose one at either end, and no pixel in between moves.
    """
    frame = np.random.default_rng(0).integers(0, 256, (210, 160, 3), np.uint8)
    config = PreprocessConfig(
        height=0, width=0, color="rgb", resize="area", val_share=0.2, tile=tile
    )
    cut = (210 - shape[0]) // 2
    np.testing.assert_array_equal(process_frame(frame, config), frame[cut : 210 - cut])


def test_recordings_of_different_sizes_are_refused_at_native_size(tmp_path):
    """Two screens of different sizes make no single array: the sentence says which and what
    to do.
    """
    config = PreprocessConfig(height=0, width=0, color="rgb", resize="nearest", val_share=0.2)
    writer = SplitWriter(tmp_path / "split", config, ["A"])
    writer.row(PngEncoder().encode(np.zeros((16, 16, 3), np.uint8)))
    with pytest.raises(UserError, match="16 x 16 and 24 x 16") as caught:
        writer.row(PngEncoder().encode(np.zeros((24, 16, 3), np.uint8)))
    assert_sentence(caught.value)


PEAK = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from dreamcart.params import PreprocessConfig
from dreamcart.data.preprocess import preprocess
config = PreprocessConfig(160, 160, "gray", "area", 0.2, int(sys.argv[4]))
preprocess(Path(sys.argv[2]), Path(sys.argv[3]), config, 0)
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc"
)
@pytest.mark.parametrize("tile", [0, 8])
def test_memory_stays_flat_when_frames_grow(tmp_path, tile):
    """Four times the frames must not need more memory; holding them would add 100 MB here."""
    peaks = []
    for episodes in (8, 32):
        raw = write_raw(tmp_path / f"raw{episodes}", [make_rows(n, 180) for n in range(episodes)])
        command = [
            sys.executable,
            "-c",
            PEAK,
            str(ROOT),
            str(raw),
            str(tmp_path / f"out{episodes}"),
            str(tile),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout.split()[-1]) / 1024)
    assert peaks[1] - peaks[0] < 25


# What a model sees


@pytest.mark.parametrize(("frames", "actions"), [(1, 1), (4, 3), (3, 6)])
def test_history_repeats_the_first_frame_and_stays_in_its_episode(frames, actions):
    """What came before an episode's begin belongs to another one, and must never be seen."""
    split = make_split([7, 5, 9])
    at = split.transitions
    rows, buttons = history(split.index, split.episode_start, at, frames, actions)
    for record, seen, pressed in zip(at, rows, buttons, strict=True):
        begin = record - split.index["step"][record]
        assert seen.tolist() == [
            split.index["frame"][max(record - k, begin)] for k in reversed(range(frames))
        ]
        expected = [
            split.index["action"][record - k] if record - k >= begin else [0] * 8
            for k in reversed(range(actions))
        ]
        np.testing.assert_array_equal(pressed, expected)


def test_transitions_stay_in_their_episode():
    """The last observation of an episode has no successor."""
    split = make_split([3, 2, 4])
    assert split.transitions.tolist() == [0, 1, 3, 5, 6, 7]


def test_a_batch_is_128_frames_and_128_actions(tmp_path):
    """P1.1: a batch is frames (128, 1, 80, 80) and actions (128, 8), with the next frame's latent
    beside them.
    """
    config = PreprocessConfig(height=80, width=80, color="gray", resize="area", val_share=0.25)
    train = make_processed(tmp_path, [make_rows(n, 60) for n in range(4)], config)["train"]
    latents = np.arange(len(train.frames), dtype=np.float32)[:, None]
    windows = Windows(train, latents, frames=1, actions=1)
    at, weight = windows.draw(np.random.default_rng(0), 128, 0.5)
    past, buttons, following = windows.get(at, torch.device("cpu"))
    planes = torch.from_numpy(train.frames[past[:, 0, 0].long().numpy()]).permute(0, 3, 1, 2)
    assert planes.shape == (128, 1, 80, 80)
    assert buttons[:, 0].shape == (128, 8)
    np.testing.assert_array_equal(following[:, 0].numpy(), train.index["frame"][at + 1])
    np.testing.assert_array_equal(buttons[:, 0].numpy(), train.index["action"][at])
    assert weight.shape == (128,)


def test_the_favour_for_changes_is_undone_by_weights():
    """Drawing changes more often must not change what is learnt, only how fast."""
    split = make_split([200, 200])
    windows = Windows(split, np.zeros((12, 1), np.float32), 1, 1)
    at, weight = windows.draw(np.random.default_rng(0), 100, 0.5)
    changed = np.isin(at, windows.changed)
    assert changed.sum() == 50
    assert weight.mean() == pytest.approx(1)
    assert weight[changed].sum() / weight.sum() == pytest.approx(
        len(windows.changed) / len(windows.all)
    )


if __name__ == "__main__":
    make_golden()
