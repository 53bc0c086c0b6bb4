"""Recordings of people as part of what is collected: pinned, checked, and added with nothing
lost.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toys.synthetic import SEEN_AS, assert_sentence, make_rows, make_spec, write_raw

from dreamcart.core.errors import UserError
from dreamcart.core.files import write_json
from dreamcart.core.paths import ROOT
from dreamcart.data.images import decode_image
from dreamcart.data.preprocess import preprocess
from dreamcart.data.reader import read_episodes
from dreamcart.data.recordings import add_recordings, find_recordings, recording_fingerprint
from dreamcart.data.schema import INFO_NAME
from dreamcart.record import live
from dreamcart.record.live import LiveRecording

SPEC = make_spec()
VERSIONS = {"emulator": "toy", "emulator_version": "1", "rom_sha1": "a" * 40}


def record(folder: Path, lengths: list[int], first: int = 0, spec=SPEC, shape=(24, 32)) -> str:
    """A recording with episodes of so many rows; its entry for collect.recordings."""
    with LiveRecording(folder, spec, VERSIONS) as recording:
        for number, length in enumerate(lengths):
            for row in make_rows(number, length, first + number, shape):
                recording.add(row)
    return f"{folder}@{recording_fingerprint(folder)}"


def collected(folder: Path, episodes: int = 3) -> Path:
    """What scripted play wrote."""
    raw = write_raw(folder, [make_rows(number, 6) for number in range(episodes)])
    info = json.loads((raw / INFO_NAME).read_text())
    write_json(raw / INFO_NAME, info | VERSIONS | {"episodes": episodes})
    return raw


def test_recordings_are_added_to_what_was_collected(tmp_path, monkeypatch):
    """All of them, whole and in order, also those that go on from shard to shard; episodes are
    numbered on.
    """
    monkeypatch.setattr(live, "ROWS_IN_SHARD", 5)
    entries = [record(tmp_path / "a", [7, 13, 3], first=1), record(tmp_path / "b", [4], first=9)]
    recordings = find_recordings(entries, SPEC)
    raw = collected(tmp_path / "raw")
    before = list(read_episodes(raw))
    report = add_recordings(recordings, SPEC, raw)
    assert [(line["folder"], line["episodes"], line["frames"]) for line in report] == [
        ("a", 3, 20),
        ("b", 1, 3),
    ]
    after = list(read_episodes(raw))
    assert after[:3] == before
    assert [episode[0]["episode_id"] for episode in after] == list(range(7))
    for episode, recorded in zip(
        after[3:], [*read_episodes(tmp_path / "a"), *read_episodes(tmp_path / "b")], strict=True
    ):
        assert [row | {"episode_id": None} for row in episode] == [
            row | {"episode_id": None} for row in recorded
        ]
    assert json.loads((raw / INFO_NAME).read_text())["episodes"] == 7


def test_adding_is_repeatable(tmp_path):
    """The same recordings give the same bytes, or every run would be another one to DVC."""
    entries, found = [record(tmp_path / "a", [7, 4])], []
    for name in ("one", "two"):
        raw = collected(tmp_path / name)
        add_recordings(find_recordings(entries, SPEC), SPEC, raw)
        found.append({path.name: path.read_bytes() for path in raw.iterdir()})
    assert found[0] == found[1]


def test_added_recordings_can_be_learnt_from(tmp_path):
    """They take part in the split into training and validation as scripted play does."""
    raw = collected(tmp_path / "raw")
    add_recordings(find_recordings([record(tmp_path / "a", [7, 9, 4, 5])], SPEC), SPEC, raw)
    report = preprocess(raw, tmp_path / "processed", SEEN_AS, seed=0)
    assert sum(split["episodes"] for split in report.values()) == 7
    assert sum(split["transitions"] for split in report.values()) == 3 * 5 + 6 + 8 + 3 + 4


def test_an_older_collection_counts_its_episodes(tmp_path):
    """Data without the number of episodes in its info is numbered on just so."""
    raw = write_raw(tmp_path / "raw", [make_rows(number, 6) for number in range(3)])
    add_recordings(find_recordings([record(tmp_path / "a", [7])], SPEC), SPEC, raw)
    assert [episode[0]["episode_id"] for episode in read_episodes(raw)] == [0, 1, 2, 3]


def test_a_folder_is_relative_to_the_repository(tmp_path, monkeypatch):
    """As the recorder prints it: data/recordings/…, from whichever directory a run starts."""
    monkeypatch.setattr("dreamcart.data.recordings.ROOT", tmp_path)
    pin = record(tmp_path / "data" / "a", [3]).rpartition("@")[2]
    monkeypatch.chdir(ROOT)
    (found,) = find_recordings([f"data/a@{pin}"], SPEC)
    assert (found.episodes, found.frames) == (1, 2)


@pytest.mark.parametrize("entry", ["{folder}", "{folder}@", "{folder}@0123456789abcdef"])
def test_another_content_than_pinned_is_refused(tmp_path, entry):
    """The sentence gives the entry that would be right, to be copied."""
    right = record(tmp_path / "a", [3])
    with pytest.raises(UserError) as caught:
        find_recordings([entry.format(folder=tmp_path / "a")], SPEC)
    assert_sentence(caught.value)
    assert right in str(caught.value)


def test_what_was_recorded_on_is_refused_until_pinned_again(tmp_path):
    """A folder that grew since must not slip into a run that says it is the same."""
    entry = record(tmp_path / "a", [3])
    record(tmp_path / "a", [4])
    with pytest.raises(UserError, match="fingerprint is"):
        find_recordings([entry], SPEC)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    """The sentence says how DVC brings it back."""
    entry = record(tmp_path / "a", [3])
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(UserError, match="dvc pull") as caught:
        find_recordings([entry], SPEC)
    assert_sentence(caught.value)


def test_a_folder_that_dvc_keeps_is_brought_back(tmp_path, monkeypatch):
    """A run in a fresh checkout (`dvc exp run --temp`) has only the .dvc file beside the cache."""
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "--quiet"], cwd=tmp_path, check=True)
    pin = record(tmp_path / "a", [3]).rpartition("@")[2]
    subprocess.run([*dvc, "add", "--quiet", "a"], cwd=tmp_path, check=True)
    shutil.rmtree(tmp_path / "a")
    monkeypatch.setattr("dreamcart.data.recordings.ROOT", tmp_path)
    (found,) = find_recordings([f"a@{pin}"], SPEC)
    assert (found.episodes, found.frames) == (1, 2)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"env": "Other-Nes-v0"}, "'Other-Nes-v0'"),
        ({"buttons": ["A", "LEFT"], "keys": {}}, "LEFT"),
        ({"frame_skip": 4}, "frame_skip 4"),
        ({"crop": [8, 0, 0, 0]}, "crop"),
        ({"seed_variable": "rng"}, "seed_variable 'rng'"),
    ],
)
def test_another_game_is_refused_before_any_work(tmp_path, changes, named):
    """Play of another game, with other buttons or other steps, would be learnt as nonsense."""
    entry = record(tmp_path / "a", [3], spec=make_spec(**changes))
    with pytest.raises(UserError, match=named) as caught:
        find_recordings([entry], SPEC)
    assert_sentence(caught.value)


def test_another_title_is_the_same_game(tmp_path):
    """What a game is called, and which keys play it, does not matter to a model."""
    find_recordings(
        [record(tmp_path / "a", [3], spec=make_spec(name="my_toy", title="Mine", keys={}))], SPEC
    )


def test_another_size_or_rom_is_refused(tmp_path):
    """Frames of two sizes make no array, and another revision of a ROM is another game."""
    raw = collected(tmp_path / "raw")
    (small,) = find_recordings([record(tmp_path / "a", [3], shape=(16, 32))], SPEC)
    with pytest.raises(UserError, match="16 x 32, and Toy is collected at 24 x 32") as caught:
        add_recordings([small], SPEC, raw)
    assert_sentence(caught.value)
    (good,) = find_recordings([record(tmp_path / "b", [3])], SPEC)
    write_json(raw / INFO_NAME, json.loads((raw / INFO_NAME).read_text()) | {"rom_sha1": "b" * 40})
    with pytest.raises(UserError, match="another ROM") as caught:
        add_recordings([good], SPEC, raw)
    assert_sentence(caught.value)


def empty_image(shard: Path) -> None:
    table = pq.read_table(shard)
    images = [{"bytes": b""}, *table["observations"].to_pylist()[1:]]
    at = table.column_names.index("observations")
    pq.write_table(
        table.set_column(at, "observations", pa.array(images, table["observations"].type)), shard
    )


def flip_a_bit(shard: Path) -> None:
    """In the images, which pinning a recording does not decode."""
    content = bytearray(shard.read_bytes())
    at = content.index(b"IHDR") if b"IHDR" in content else 200
    content[at] ^= 4
    shard.write_bytes(content)


@pytest.mark.parametrize("damage", [empty_image, flip_a_bit])
def test_a_damaged_recording_adds_nothing(tmp_path, damage):
    """What was collected stays as it was."""
    entries = [record(tmp_path / "a", [5], first=1)]
    record(tmp_path / "b", [5])
    damage(tmp_path / "b" / "play-00000.parquet")
    entries.append(f"{tmp_path / 'b'}@{recording_fingerprint(tmp_path / 'b')}")
    raw = collected(tmp_path / "raw")
    before = {path.name: path.read_bytes() for path in raw.iterdir()}
    with pytest.raises(UserError, match="damaged") as caught:
        add_recordings(find_recordings(entries, SPEC), SPEC, raw)
    assert_sentence(caught.value)
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == before


@pytest.mark.parametrize("name", ["data/toy/raw", "data/toy/raw_test/mine", "data/toy"])
def test_a_recording_where_scripted_play_goes_is_refused(tmp_path, monkeypatch, name):
    """It would be deleted when that is recorded anew."""
    monkeypatch.setattr("dreamcart.data.recordings.ROOT", tmp_path)
    monkeypatch.setattr("dreamcart.core.paths.ROOT", tmp_path)
    pin = record(tmp_path / name, [3]).rpartition("@")[2]
    with pytest.raises(UserError, match=r"collect\.recordings") as caught:
        find_recordings([f"{name}@{pin}"], SPEC)
    assert_sentence(caught.value)


@pytest.mark.parametrize(
    "entry", ["~nobody-of-that-name/x", "a\0b", "x" * 5000, "", "@", "/dev/null@1"]
)
def test_an_entry_that_is_no_path_is_refused(entry):
    with pytest.raises(UserError, match=r"collect\.recordings") as caught:
        find_recordings([entry], SPEC)
    assert_sentence(caught.value)


def test_an_empty_shard_adds_nothing(tmp_path):
    record(tmp_path / "a", [5])
    pq.write_table(
        pq.read_table(tmp_path / "a" / "play-00000.parquet").slice(0, 0),
        tmp_path / "a" / "play-00001.parquet",
    )
    raw = collected(tmp_path / "raw")
    add_recordings(
        find_recordings([f"{tmp_path / 'a'}@{recording_fingerprint(tmp_path / 'a')}"], SPEC),
        SPEC,
        raw,
    )
    assert [episode[0]["episode_id"] for episode in read_episodes(raw)] == [0, 1, 2, 3]


def test_frames_are_those_that_were_seen(tmp_path):
    """To the last pixel, after recording, pinning and adding."""
    raw = collected(tmp_path / "raw")
    add_recordings(find_recordings([record(tmp_path / "a", [9], first=4)], SPEC), SPEC, raw)
    for row, expected in zip(list(read_episodes(raw))[3], make_rows(0, 9, 4), strict=True):
        np.testing.assert_array_equal(
            decode_image(row["observations"]["bytes"]), expected["observations"]
        )
