"""`record.py convert`: into Dreamcart's columns, and into the gymnasium-recorder's for programs
that read those.
"""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toys.images import EPS
from toys.recordings import IMAGE, encoded, later_rows, recorder_rows, write_recorder, write_rows
from toys.synthetic import BUTTONS, assert_sentence, make_rows, make_spec, write_raw

from dreamcart.core.errors import UserError
from dreamcart.core.files import read_json, write_json
from dreamcart.core.hub import hub_api
from dreamcart.core.paths import ROOT
from dreamcart.data.actions import CONSOLES
from dreamcart.data.images import decode_image
from dreamcart.data.imports import report_lines
from dreamcart.data.reader import dataset_spec, read_episodes
from dreamcart.data.schema import INFO_NAME
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
    """The report is printed, and what was written is a dataset like any other, of the game that was
    named.
    """
    source = write_recorder(tmp_path / "source", recorder_rows([4, 5], "JPEG"))
    done = command(source, str(tmp_path / "out"), "--game", "blockfall", "--first-episode", "40")
    assert done.returncode == 0, done.stderr
    assert "image → observations" in done.stdout
    assert "JPEG lost detail" in done.stdout
    assert [
        (episode[0]["episode_id"], len(episode)) for episode in read_episodes(tmp_path / "out")
    ] == [(40, 4), (41, 5)]
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


@pytest.mark.parametrize("content", [b"no image", b"", EPS])
def test_a_failed_conversion_leaves_nothing(tmp_path, content):
    """Half a dataset would look like one."""
    rows = later_rows([4, 4])
    rows[6]["observations"] = {"bytes": content, "path": None}
    with pytest.raises(UserError, match="damaged") as caught:
        convert(write_recorder(tmp_path / "source", rows), "", tmp_path / "out", make_spec())
    assert_sentence(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_nothing_beside_the_target_is_touched(tmp_path):
    """Whatever it is called, as a temporary folder might be."""
    source = write_raw(tmp_path / "source", [make_rows(0, 4)])
    theirs = [tmp_path / name for name in ("my.part", ".my.part", "my.tmp", ".my.tmp")]
    for folder in theirs:
        folder.mkdir()
        (folder / "letter").write_text("dear friend")
    convert(str(source), "", tmp_path / "my", None)
    assert all((folder / "letter").read_text() == "dear friend" for folder in theirs)
    assert len(rows_of(tmp_path / "my")) == 4
    assert len(list(tmp_path.iterdir())) == 2 + len(theirs)
    assert (tmp_path / "my").stat().st_mode & 0o777 == (tmp_path / "source").stat().st_mode & 0o777


def test_a_link_to_an_empty_folder_stays_one(tmp_path):
    (tmp_path / "large_disk").mkdir()
    (tmp_path / "my").symlink_to(tmp_path / "large_disk")
    convert(str(write_raw(tmp_path / "source", [make_rows(0, 4)])), "", tmp_path / "my", None)
    assert (tmp_path / "my").is_symlink()
    assert len(rows_of(tmp_path / "large_disk")) == 4


def test_frames_of_two_sizes_are_refused(tmp_path):
    source = write_raw(tmp_path / "source", [make_rows(0, 4), make_rows(1, 4, shape=(16, 32))])
    with pytest.raises(UserError, match="16 x 32, and those before are 24 x 32") as caught:
        convert(str(source), "", tmp_path / "my", None)
    assert_sentence(caught.value)
    assert not (tmp_path / "my").exists()


def test_what_is_left_of_a_dataset_can_be_kept(tmp_path):
    """The way out where a shard is lost: it is said, and the rest is whole again."""
    source = write_raw(tmp_path / "source", [make_rows(n, 4) for n in (0, 1, 3)])
    with pytest.raises(UserError, match=r"record\.py convert"):
        rows_of(source)
    report = convert(str(source), "", tmp_path / "my", None)
    assert "episode 2 is missing in the source" in "\n".join(report_lines(report))
    assert [episode[0]["episode_id"] for episode in read_episodes(tmp_path / "my")] == [0, 1, 2]


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
    write_json(
        source / INFO_NAME, read_json(source / INFO_NAME) | {"emulator": "toy", "rom_sha1": "abc"}
    )
    convert(str(source), "", tmp_path / "out", None)
    info = read_json(tmp_path / "out" / INFO_NAME)
    assert (info["emulator"], info["rom_sha1"]) == ("toy", "abc")
    assert rows_of(tmp_path / "out") == rows_of(source)


def gymemu_pairs(folder: Path) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(frame, nine-button action, next frame) as a trainer of gymemu's kind takes them from a
    loaded dataset.
    """
    data = datasets.load_dataset(str(folder), split="train")
    episodes: dict[object, list] = {}
    for sample in data:
        episodes.setdefault(sample["episode_id"], []).append(sample)
    pairs = []
    for samples in episodes.values():
        for now, following in itertools.pairwise(samples):
            action = np.array(now["actions"], dtype=np.float32)
            pairs.append(
                (np.array(now["observations"]), action, np.array(following["observations"]))
            )
    return pairs


def test_recorder_columns_feed_gymemu_unchanged(tmp_path):
    """Nine entries in stable-retro's order, every transition of every episode, pixels as they
    were.
    """
    source = write_raw(tmp_path / "source", [make_rows(n, 5 + n, first=n) for n in range(3)])
    convert(str(source), "", tmp_path / "out", None, columns="recorder")
    pairs = gymemu_pairs(tmp_path / "out")
    wanted = [
        (
            decode_image(now["observations"]["bytes"]),
            now["actions"],
            decode_image(after["observations"]["bytes"]),
        )
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
    both = list(zip(rows_of(source), rows_of(tmp_path / "ours"), strict=True))
    # the last row of an episode has no action, and the recorder's columns no place to say so
    told = [(was, now) for was, now in both if was["actions"] is not None]
    assert len(told) == len(both) - 2 == 9
    for was, now in told:
        assert was == now


def atari_rows(actions: list[set[str]], spec) -> list[dict]:
    rows = make_rows(0, len(actions) + 1)
    for row, pressed in zip(rows, actions, strict=False):
        row["actions"] = spec.vector(pressed)
    return rows


@pytest.mark.parametrize(
    ("actions", "numbers"),
    [
        # Breakout's minimal set
        ([set(), {"FIRE"}, {"RIGHT"}, {"LEFT"}, {"LEFT", "RIGHT"}], [0, 1, 2, 3, 0]),
        ([set(), {"FIRE", "RIGHT"}, {"LEFT"}], [0, 11, 4]),  # needs the full one
    ],
)
def test_atari_actions_become_numbers_and_come_back(tmp_path, actions, numbers):
    pytest.importorskip("ale_py")
    spec = load_game("breakout")
    source = write_raw(tmp_path / "source", [atari_rows(actions, spec)], spec)
    convert(str(source), "", tmp_path / "theirs", None, columns="recorder")
    assert datasets.load_dataset(str(tmp_path / "theirs"), split="train")["actions"][:] == [
        *numbers,
        None,
    ]
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
    line = [
        sys.executable,
        str(ROOT / "stages" / "record.py"),
        "convert",
        "you/game",
        str(tmp_path / "out"),
        "--game",
        "blockfall",
    ]
    done = subprocess.run(line, env=hub.environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "out" / INFO_NAME)["revision"] == commit
    assert len(rows_of(tmp_path / "out")) == 8


HUB_README = (
    "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path:"
    " {path}\n---\n"
)


def test_no_local_file_is_read_for_a_dataset_of_the_hub(hub, tmp_path):
    """Neither an image's path in a row nor a path in the page's header leads to this disk."""
    (tmp_path / "secret.png").write_bytes(encoded(3, "PNG"))
    rows = [
        row | {"image": {"bytes": None, "path": str(tmp_path / "secret.png")}}
        for row in recorder_rows([3, 3])
    ]
    named = Path(write_rows(tmp_path / "named", rows)) / "play.parquet"
    whole = Path(write_recorder(tmp_path / "whole", recorder_rows([3, 3])))
    (local,) = whole.glob("*.parquet")
    hub.put("datasets/you/named", {"play.parquet": named.read_bytes()})
    hub.put(
        "datasets/you/header",
        {"README.md": HUB_README.format(path=local).encode(), "a.parquet": local.read_bytes()},
    )
    for name, said in (("you/named", "only images in the rows"), ("you/header", "Cannot read")):
        commit = hub_api().dataset_info(name).sha
        with pytest.raises(UserError, match=said) as caught:
            convert(name, commit, tmp_path / "out", make_spec())
        assert_sentence(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "files",
    [{"a.png": EPS}, {"train.csv": b"episode_id,image,action\n1,a.png,0\n"}, {"a.txt": b"x"}],
)
def test_only_rows_of_the_hub_are_read(hub, tmp_path, files):
    """Loose pictures and tables would be decoded by `datasets`."""
    commit = hub.put("datasets/you/game", files)
    with pytest.raises(UserError, match="Parquet or Arrow") as caught:
        convert("you/game", commit, tmp_path / "out", make_spec())
    assert_sentence(caught.value)


def test_images_of_the_hub_go_through_our_decoder(hub, tmp_path):
    rows = later_rows([3, 3])
    rows[4]["observations"] = {"bytes": EPS, "path": "a.eps"}
    source = write_rows(tmp_path / "source", rows, {"observations": IMAGE})
    commit = hub.put(
        "datasets/you/game", {"play.parquet": (Path(source) / "play.parquet").read_bytes()}
    )
    with pytest.raises(UserError, match="no PNG, WebP or JPEG") as caught:
        convert("you/game", commit, tmp_path / "out", make_spec())
    assert_sentence(caught.value)
