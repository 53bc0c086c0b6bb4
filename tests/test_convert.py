"""`record.py convert`: into Dreamcart's columns, and into the gymnasium-recorder's for programs that read those."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from synthetic import BUTTONS, assert_sentence, make_rows, make_spec, write_raw
from test_external import later_rows, recorder_rows, write_recorder

from dreamcart.data.actions import CONSOLES
from dreamcart.data.images import decode_image
from dreamcart.data.reader import dataset_spec, read_episodes
from dreamcart.data.schema import INFO_NAME
from dreamcart.errors import ROOT, UserError
from dreamcart.files import read_json, write_json
from dreamcart.games.catalog import load_game
from dreamcart.record.convert import convert
from dreamcart.record.recorder_columns import ale_name

datasets = pytest.importorskip("datasets")


def command(*arguments: str) -> subprocess.CompletedProcess:
    line = [sys.executable, str(ROOT / "stages" / "record.py"), "convert", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)


def rows_of(folder: Path) -> list[dict]:
    return [row for episode in read_episodes(folder) for row in episode]


def test_a_foreign_dataset_becomes_canonical_by_one_command(tmp_path):
    """The report is printed, and what was written is a dataset like any other, of the game that was named."""
    source = write_recorder(tmp_path / "source", recorder_rows([4, 5], "JPEG"))
    done = command(source, str(tmp_path / "out"), "--game", "blockfall", "--first-episode", "40")
    assert done.returncode == 0, done.stderr
    assert "image → observations" in done.stdout
    assert "JPEG lost detail" in done.stdout
    assert [(episode[0]["episode_id"], len(episode)) for episode in read_episodes(tmp_path / "out")] == [(40, 4), (41, 5)]
    assert dataset_spec(tmp_path / "out") == load_game("blockfall")
    info = read_json(tmp_path / "out" / INFO_NAME)
    assert (info["first_episode"], info["episodes"]) == (40, 42)
    assert [path.name for path in (tmp_path / "out").glob("*.parquet")] == ["play-00040.parquet"]


def test_without_a_game_the_dataset_must_say_it(tmp_path):
    source = write_recorder(tmp_path / "source", recorder_rows([4, 5]))
    done = command(source, str(tmp_path / "out"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--game" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_failed_conversion_leaves_nothing(tmp_path):
    """Half a dataset would look like one."""
    rows = later_rows([4, 4])
    rows[6]["observations"] = {"bytes": b"no image", "path": None}
    with pytest.raises(UserError, match="damaged"):
        convert(write_recorder(tmp_path / "source", rows), "", tmp_path / "out", make_spec())
    assert not list(tmp_path.glob("out*"))


def test_nothing_is_overwritten(tmp_path):
    source = write_raw(tmp_path / "source", [make_rows(0, 4)])
    before = read_json(source / INFO_NAME)
    with pytest.raises(UserError, match="already") as caught:
        convert(str(source), "", source, None)
    assert_sentence(caught.value)
    assert read_json(source / INFO_NAME) == before


def test_versions_and_rom_are_carried_over(tmp_path):
    """What a dataset says of its emulator is as true of the copy."""
    source = write_raw(tmp_path / "source", [make_rows(0, 4)])
    write_json(source / INFO_NAME, read_json(source / INFO_NAME) | {"emulator": "toy", "rom_sha1": "abc"})
    convert(str(source), "", tmp_path / "out", None)
    info = read_json(tmp_path / "out" / INFO_NAME)
    assert (info["emulator"], info["rom_sha1"]) == ("toy", "abc")
    assert rows_of(tmp_path / "out") == rows_of(source)


def gymemu_pairs(folder: Path) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(frame, nine-button action, next frame) as a trainer of gymemu's kind takes them from a loaded dataset."""
    data = datasets.load_dataset(str(folder), split="train")
    episodes: dict[object, list] = {}
    for sample in data:
        episodes.setdefault(sample["episode_id"], []).append(sample)
    pairs = []
    for samples in episodes.values():
        for now, following in itertools.pairwise(samples):
            action = np.array(now["actions"], dtype=np.float32)
            pairs.append((np.array(now["observations"]), action, np.array(following["observations"])))
    return pairs


def test_recorder_columns_feed_gymemu_unchanged(tmp_path):
    """Nine entries in stable-retro's order, every transition of every episode, pixels as they were."""
    source = write_raw(tmp_path / "source", [make_rows(n, 5 + n, first=n) for n in range(3)])
    convert(str(source), "", tmp_path / "out", None, columns="recorder")
    pairs = gymemu_pairs(tmp_path / "out")
    wanted = [
        (decode_image(now["observations"]["bytes"]), now["actions"], decode_image(after["observations"]["bytes"]))
        for episode in read_episodes(source)
        for now, after in itertools.pairwise(episode)
    ]
    assert len(pairs) == len(wanted) == 15
    for (frame, action, following), (was, buttons, after) in zip(pairs, wanted, strict=True):
        np.testing.assert_array_equal(frame, was)
        np.testing.assert_array_equal(following, after)
        held = {name for name, value in zip(CONSOLES["Nes"], action, strict=True) if value}
        assert held == {name for name, value in zip(BUTTONS, buttons, strict=True) if value}


def test_recorder_columns_come_back(tmp_path):
    """Written in the recorder's columns and read from them, nothing has changed."""
    source = write_raw(tmp_path / "source", [make_rows(n, 5 + n, first=n) for n in range(2)])
    convert(str(source), "", tmp_path / "theirs", None, columns="recorder")
    convert(str(tmp_path / "theirs"), "", tmp_path / "ours", make_spec())
    for was, now in zip(rows_of(source), rows_of(tmp_path / "ours"), strict=True):
        if was["actions"] is not None:
            assert was == now


def atari_rows(actions: list[set[str]], spec) -> list[dict]:
    rows = make_rows(0, len(actions) + 1)
    for row, pressed in zip(rows, actions, strict=False):
        row["actions"] = spec.vector(pressed)
    return rows


@pytest.mark.parametrize(
    ("actions", "numbers"),
    [
        ([set(), {"FIRE"}, {"RIGHT"}, {"LEFT"}, {"LEFT", "RIGHT"}], [0, 1, 2, 3, 0]),  # Breakout's minimal set
        ([set(), {"FIRE", "RIGHT"}, {"LEFT"}], [0, 11, 4]),  # needs the full one
    ],
)
def test_atari_actions_become_numbers_and_come_back(tmp_path, actions, numbers):
    pytest.importorskip("ale_py")
    spec = load_game("breakout")
    source = write_raw(tmp_path / "source", [atari_rows(actions, spec)], spec)
    convert(str(source), "", tmp_path / "theirs", None, columns="recorder")
    assert datasets.load_dataset(str(tmp_path / "theirs"), split="train")["actions"][:] == [*numbers, None]
    convert(str(tmp_path / "theirs"), "", tmp_path / "ours", spec)
    back = [ale_name(row["actions"], spec) for row in rows_of(tmp_path / "ours")[:-1]]
    assert back == [ale_name(spec.vector(pressed), spec) for pressed in actions]


@pytest.mark.parametrize("source", ["nosuchgame", "./no/folder", "/no/folder"])
def test_a_source_that_is_not_there_is_refused(tmp_path, source):
    done = command(source, str(tmp_path / "out"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert source in done.stderr


def test_a_dataset_of_the_hub_is_converted(hub, tmp_path):
    """Without a revision its newest commit is taken, and named in dataset_info.json."""
    source = write_recorder(tmp_path / "source", later_rows([4, 4]))
    files = {f"data/{path.name}": path.read_bytes() for path in Path(source).glob("*.parquet")}
    commit = hub.put("datasets/you/game", files)
    line = [sys.executable, str(ROOT / "stages" / "record.py"), "convert", "you/game", str(tmp_path / "out"), "--game", "blockfall"]
    done = subprocess.run(line, env=hub.environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "out" / INFO_NAME)["revision"] == commit
    assert len(rows_of(tmp_path / "out")) == 8
