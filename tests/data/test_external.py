"""Recordings made elsewhere: both column styles become the canonical dataset, and what is unfit is
refused.
"""

import datetime
import errno
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from toys.images import EPS
from toys.recordings import (
    NES_ORDER,
    datasets,
    encoded,
    later_rows,
    recorder_rows,
    write_recorder,
    write_rows,
)
from toys.synthetic import (
    BUTTONS,
    SEEN_AS,
    assert_sentence,
    make_frame,
    make_rows,
    make_spec,
    write_raw,
)

from dreamcart.core.errors import UserError
from dreamcart.core.files import read_json, write_json
from dreamcart.data.actions import ALE_ACTIONS, CONSOLES, bind
from dreamcart.data.external import ExternalDataset
from dreamcart.data.images import decode_image
from dreamcart.data.imports import import_recordings, report_lines
from dreamcart.data.preprocess import preprocess
from dreamcart.data.reader import read_episodes
from dreamcart.data.schema import COLUMNS, INFO_NAME
from dreamcart.data.sources import MOST_BYTES
from dreamcart.games.catalog import load_game
from dreamcart.params import CollectConfig

SPEC = make_spec()


def run_import(tmp_path, source: str, test_episodes: int = 1, revision: str = "") -> dict[str, Any]:
    config = CollectConfig(
        source,
        revision,
        frames=100,
        episode_steps=10,
        test_episodes=test_episodes,
        test_steps=10,
        workers=1,
    )
    return import_recordings(SPEC, config, tmp_path / "raw", tmp_path / "raw_test")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_gymnasium_recorder_style_is_imported(tmp_path, kind):
    """Frames arrive as they were recorded, buttons under their names, and the last episode is held
    out.
    """
    report = run_import(
        tmp_path, write_recorder(tmp_path / "source", recorder_rows([4, 5, 3], kind))
    )
    play, test = (list(read_episodes(tmp_path / name)) for name in ("raw", "raw_test"))
    assert ([len(episode) for episode in play], [len(episode) for episode in test]) == ([4, 5], [3])
    assert (report["episodes"], report["test_episodes"], report["frames"]) == (3, 1, 12)
    for number, episode in enumerate([*play, *test]):
        for step, row in enumerate(episode):
            recorded = np.asarray(
                Image.open(io.BytesIO(encoded(number + step, kind))).convert("RGB")
            )
            np.testing.assert_array_equal(decode_image(row["observations"]["bytes"]), recorded)
        held = [SPEC.vector({"RIGHT"} if step % 2 else set()) for step in range(len(episode) - 1)]
        assert [row["actions"] for row in episode] == [*held, None]
        assert [row["truncations"] for row in episode] == [False] * (len(episode) - 2) + [
            True,
            False,
        ]


def test_a_saved_dataset_folder_is_imported(tmp_path):
    """`save_to_disk` is the other way in which people keep a dataset in a folder."""
    datasets.Dataset.from_list(recorder_rows([3, 3, 3])).cast_column(
        "image", datasets.Image()
    ).save_to_disk(tmp_path / "source")
    run_import(tmp_path, str(tmp_path / "source"))
    assert [len(episode) for episode in read_episodes(tmp_path / "raw")] == [3, 3]


def test_canonical_style_is_imported_unchanged(tmp_path):
    """What Dreamcart wrote it reads back, RAM variables and start states included: play and edge
    cases need them.
    """
    source = write_raw(tmp_path / "source", [make_rows(n, 4 + n, first=n) for n in range(3)])
    run_import(tmp_path, str(source))
    wanted = list(read_episodes(source))
    got = [*read_episodes(tmp_path / "raw"), *read_episodes(tmp_path / "raw_test")]
    for name in COLUMNS:
        assert [[row[name] for row in episode] for episode in got] == [
            [row[name] for row in episode] for episode in wanted
        ], name


def test_imported_recordings_can_be_preprocessed(tmp_path):
    """The pipeline goes on from an import as from a recording of its own."""
    run_import(tmp_path, write_recorder(tmp_path / "source", recorder_rows([4, 5, 3])))
    report = preprocess(tmp_path / "raw", tmp_path / "processed", SEEN_AS, 0)
    assert sum(split["transitions"] for split in report.values()) == 7


def test_nine_entries_are_the_nes_order_with_its_null_button():
    """stable-retro's order differs from the game's, and its second place is no button."""
    for name in SPEC.buttons:
        assert bind(SPEC, {9}, 1).to_buttons(
            [int(other == name) for other in NES_ORDER], SPEC
        ) == SPEC.vector({name})
    assert bind(SPEC, {9}, 1).to_buttons([0, 1, 0, 0, 0, 0, 0, 0, 0], SPEC) == SPEC.vector(set())


def without(rows, column):
    return [{name: value for name, value in row.items() if name != column} for row in rows]


def with_action(rows, action):
    return [
        row | {"action": action if number == 1 else row["action"]}
        for number, row in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        (without(recorder_rows([3, 3, 3]), "action"), "'action'"),
        (without(recorder_rows([3, 3, 3]), "image"), "'observations'"),
        (without(recorder_rows([3, 3, 3]), "episode_id"), "'episode_id'"),
        (with_action(recorder_rows([3, 3, 3]), [0, 0, 0, 0, 2, 0, 0, 0, 0]), "no list of 0 and 1"),
        (with_action(recorder_rows([3, 3, 3]), [0, 1]), "2, 9 entries"),
        (with_action(recorder_rows([3, 3, 3]), None), "0, 9 entries"),
        (recorder_rows([9]), "1 episodes"),
        (recorder_rows([3, 1, 3]), "single observation"),
        (recorder_rows([4, 4, 4])[::-1], "out of order"),
    ],
)
def test_a_bad_recording_is_refused_in_one_sentence(tmp_path, rows, named):
    """Whatever a stranger's dataset lacks, the sentence says what, and no half-made dataset
    stays.
    """
    source = write_recorder(tmp_path / "source", rows)
    with pytest.raises(UserError, match=named) as caught:
        run_import(tmp_path, source)
    assert_sentence(caught.value)
    assert not list(tmp_path.glob("raw*/*.parquet"))


@pytest.mark.parametrize("action", [[0.5] * 8, ["LEFT"], "LEFT", 3])
def test_an_action_that_is_no_list_of_buttons_is_refused(action):
    """Half a press, a name or a number cannot be pressed, and must not be rounded to something that
    can.
    """
    with pytest.raises(UserError) as caught:
        bind(SPEC, {8}, 1).to_buttons(action, SPEC)
    assert_sentence(caught.value)


def test_an_image_that_is_not_there_is_refused(tmp_path):
    """Rows may name image files, and folders get moved without them."""
    rows = [
        row | {"image": {"bytes": None, "path": str(tmp_path / "gone.png")}}
        for row in recorder_rows([3, 3, 3])
    ]
    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    columns = {
        name: pa.array([row[name] for row in rows], image if name == "image" else None)
        for name in rows[0]
    }
    (tmp_path / "source").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "source" / "play.parquet")
    with pytest.raises(UserError, match=r"gone\.png") as caught:
        run_import(tmp_path, str(tmp_path / "source"))
    assert_sentence(caught.value)


# What a stranger's rows may say


def by_path(path: str) -> list[dict[str, Any]]:
    return [row | {"image": {"bytes": None, "path": path}} for row in recorder_rows([3, 3, 3])]


def test_images_in_files_below_the_folder_are_read(tmp_path):
    """By a path from the dataset's own folder, in whichever one a person works."""
    (tmp_path / "source" / "frames").mkdir(parents=True)
    (tmp_path / "source" / "frames" / "a.png").write_bytes(encoded(3, "PNG"))
    for path in ("frames/a.png", str(tmp_path / "source" / "frames" / "a.png")):
        run_import(tmp_path, write_rows(tmp_path / "source", by_path(path)))
        for episode in read_episodes(tmp_path / "raw"):
            np.testing.assert_array_equal(
                decode_image(episode[0]["observations"]["bytes"]), make_frame(3)
            )


@pytest.mark.parametrize(
    "path",
    [
        "{secret}",
        "../secret.png",
        "link.png",
        "linked/secret.png",
        "/dev/zero",
        "/proc/self/environ",
    ],
)
def test_no_file_outside_of_the_folder_is_read(tmp_path, path):
    """Else a stranger's dataset would copy a person's pictures into what is pushed later."""
    (tmp_path / "secret.png").write_bytes(encoded(3, "PNG"))
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "source" / "linked").symlink_to(tmp_path)
    source = write_rows(tmp_path / "source", by_path(path.format(secret=tmp_path / "secret.png")))
    with pytest.raises(UserError, match="does not stay inside") as caught:
        run_import(tmp_path, source)
    assert_sentence(caught.value)
    assert not list(tmp_path.rglob("play-*"))


@pytest.mark.parametrize(
    ("make", "named"), [(os.mkdir, "no file"), (os.mkfifo, "no file"), (None, "no file")]
)
def test_only_files_are_images(tmp_path, make, named):
    """A pipe would be waited for, for ever."""
    (tmp_path / "source").mkdir()
    if make:
        make(tmp_path / "source" / "a.png")
    with pytest.raises(UserError, match=named) as caught:
        run_import(tmp_path, write_rows(tmp_path / "source", by_path("a.png")))
    assert_sentence(caught.value)


def test_a_file_that_no_image_needs_is_not_read(tmp_path):
    (tmp_path / "source").mkdir()
    with open(tmp_path / "source" / "a.png", "wb") as handle:
        handle.truncate(MOST_BYTES + 1)
    with pytest.raises(UserError, match="too large") as caught:
        run_import(tmp_path, write_rows(tmp_path / "source", by_path("a.png")))
    assert_sentence(caught.value)


@pytest.mark.parametrize(
    "content", [EPS, b"", b"GIF89a", None], ids=["postscript", "empty", "gif", "none"]
)
def test_an_image_that_is_none_is_refused_with_its_place(tmp_path, content):
    """It must not pass here and fail in the next stage."""
    rows = recorder_rows([3, 3, 3])
    rows[4]["image"] = {"bytes": content, "path": None}
    with pytest.raises(UserError) as caught:
        run_import(tmp_path, write_rows(tmp_path / "source", rows))
    assert_sentence(caught.value)
    assert str(tmp_path / "source") in str(caught.value)
    if content is not None:
        assert str(caught.value).startswith("The image at step 1 of episode 41 of ")
    assert not list(tmp_path.glob("raw*"))


@pytest.mark.parametrize("feature", ["Image", "Audio", "Video", "Pdf"])
def test_datasets_decodes_nothing(tmp_path, monkeypatch, feature):
    """Whatever type a column has: pictures go through our decoder, the rest is not looked at."""
    if not hasattr(datasets, feature):
        pytest.skip(f"this `datasets` has no {feature}")
    features = {name: {"_type": feature} for name in ("image", "extra")}
    features |= {name: {"dtype": "int64", "_type": "Value"} for name in ("episode_id", "step")}
    features["action"] = {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "List"}
    rows = [{k: v for k, v in row.items() if k != "timestamp"} for row in recorder_rows([3, 3, 3])]
    table = pa.Table.from_pylist([row | {"extra": {"bytes": EPS, "path": None}} for row in rows])
    table = table.replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    (tmp_path / "source").mkdir()
    pq.write_table(table, tmp_path / "source" / "play.parquet")
    monkeypatch.setattr(
        getattr(datasets, feature), "decode_example", lambda *_, **__: pytest.fail("decoded")
    )
    monkeypatch.setattr(Image, "open", counted(Image.open, opened := []))
    run_import(tmp_path, str(tmp_path / "source"))
    assert len(list(read_episodes(tmp_path / "raw"))) == 2
    assert all(set(formats) == {"PNG", "WEBP", "JPEG"} for formats in opened)


def counted(function, calls: list):
    def call(*arguments, **options):
        calls.append(options.get("formats", ()))
        return function(*arguments, **options)

    return call


TEXTS = {"episode_id": pa.string(), "step": pa.string()}
ODD_ROWS = [
    ({"episode_id": None}, {}, "episode is None"),
    ({"episode_id": float("nan")}, {"episode_id": pa.float64()}, "episode is nan"),
    ({"episode_id": [1]}, {"episode_id": pa.list_(pa.int64())}, "episode is [1]"),
    ({"step": None}, {}, "the step None"),
    ({"step": 1.5}, {"step": pa.float64()}, "the step 1.5"),
    ({"step": "two"}, {"step": pa.string()}, "the step 'two'"),
    ({"action": [10**12] * 9}, {}, "the action [1000000000000"),
    ({"action": [None] * 9}, {}, "the action [None"),
    ({"action": [[0, 1]] * 9}, {"action": pa.list_(pa.list_(pa.int64()))}, "the action [["),
    ({"action": [float("inf")] * 9}, {"action": pa.list_(pa.float64())}, "the action [inf"),
    ({"action": [b"x"] * 9}, {"action": pa.list_(pa.binary())}, "the action [b'x'"),
    ({"seed": "lucky"}, {"seed": pa.string()}, "the seed 'lucky'"),
    ({"seed": 2**64 - 1}, {"seed": pa.uint64()}, "the seed 18446744073709551615"),
    ({"reward": "much"}, {"reward": pa.string()}, "the reward 'much'"),
    ({"reward": float("inf")}, {}, "the reward inf"),
    ({"reward": [1.0]}, {"reward": pa.list_(pa.float64())}, "the reward [1.0]"),
    ({"done": "False"}, {"done": pa.string()}, "the termination 'False'"),
    ({"truncated": 7}, {"truncated": pa.int64()}, "the truncation 7"),
    ({"info": '{"start_state": ["x"]}'}, {}, "the start state ['x']"),
    ({"image": None}, {}, "no image file"),
    ({"image": 3}, {"image": pa.int64()}, "no image file"),
    ({"image": [[0]]}, {"image": pa.list_(pa.list_(pa.int64()))}, "no image file"),
]


@pytest.mark.parametrize(("odd", "types", "named"), ODD_ROWS, ids=[named for *_, named in ODD_ROWS])
def test_a_value_of_another_kind_is_one_sentence(tmp_path, odd, types, named):
    """In the column and with the episode where it stands, and nothing half-made stays."""
    plain = {"seed": 0, "reward": 0.0, "done": False, "truncated": False, "info": "{}"}
    rows = [plain | row for row in recorder_rows([3, 3, 3])]
    ((name, value),) = odd.items()
    everywhere = name in types and not isinstance(value, float)
    for number, row in enumerate(rows):
        if everywhere or (name == "info" and number == 0) or (name != "info" and number == 4):
            row[name] = value
        elif name in types:
            row[name] = [] if pa.types.is_list(types[name]) else row[name]
    with pytest.raises(UserError) as caught:
        run_import(tmp_path, write_rows(tmp_path / "source", rows, types))
    assert named in str(caught.value)
    assert_sentence(caught.value)
    assert str(tmp_path / "source") in str(caught.value)
    assert not list(tmp_path.glob("raw*"))


def test_what_table_programs_write_for_nothing_is_nothing(tmp_path):
    """pandas makes NaN of a missing number."""
    nothing = {
        "seed": float("nan"),
        "reward": float("nan"),
        "done": float("nan"),
        "truncated": None,
        "info": None,
    }
    run_import(
        tmp_path,
        write_rows(tmp_path / "source", [nothing | row for row in recorder_rows([3, 3, 3])]),
    )
    for episode in read_episodes(tmp_path / "raw"):
        assert [
            (row["seed"], row["rewards"], row["terminations"], row["infos"]) for row in episode
        ] == [(0, 0.0, False, "{}")] * 3


@pytest.mark.parametrize("text", ["[]", "{", "[" * 100_000, '{"a": NaN, "b": 1e999}', "3"])
def test_odd_infos_are_no_hindrance(tmp_path, text):
    run_import(
        tmp_path,
        write_rows(tmp_path / "source", [{"info": text} | row for row in recorder_rows([3, 3, 3])]),
    )
    assert all(
        isinstance(json.loads(row["infos"]), dict)
        for episode in read_episodes(tmp_path / "raw")
        for row in episode
    )


def test_infos_as_a_mapping_of_what_json_cannot_hold_are_left_out(tmp_path):
    rows = [
        {"info": {"x": 3, "when": datetime.datetime(2020, 1, 1)}} | row
        for row in recorder_rows([3, 3, 3])
    ]
    run_import(tmp_path, write_rows(tmp_path / "source", rows))
    assert next(read_episodes(tmp_path / "raw"))[0]["infos"] == "{}"


def test_frames_of_two_sizes_are_refused(tmp_path):
    """They make no array, and the next stage would say so much later."""
    rows = recorder_rows([3, 3, 3])
    small = io.BytesIO()
    Image.fromarray(make_frame(0, 16, 16)).save(small, "PNG")
    rows[5]["image"] = {"bytes": small.getvalue(), "path": None}
    with pytest.raises(UserError, match="16 x 16, and those before are 24 x 32") as caught:
        run_import(tmp_path, write_rows(tmp_path / "source", rows))
    assert_sentence(caught.value)
    assert not list(tmp_path.glob("raw*"))


def test_an_import_that_fails_leaves_nothing_half_made(tmp_path, monkeypatch):
    """Also not the shards that were whole."""
    monkeypatch.setattr("dreamcart.data.imports.ROWS_IN_SHARD", 2)
    rows = recorder_rows([3, 3, 3, 3])
    rows[-1]["image"] = {"bytes": b"no image", "path": None}
    with pytest.raises(UserError, match="damaged"):
        run_import(tmp_path, write_rows(tmp_path / "source", rows))
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_source_where_the_import_goes_is_refused(tmp_path):
    """It would be deleted before it is read."""
    for folder in ("raw", "raw/mine", "raw_test", "."):
        source = tmp_path / folder
        source.mkdir(exist_ok=True, parents=True)
        write_recorder(source, recorder_rows([3, 3, 3]))
        with pytest.raises(UserError, match=r"collect\.source") as caught:
            run_import(tmp_path, str(source))
        assert_sentence(caught.value)
        assert list(source.glob("*.parquet"))
        shutil.rmtree(source / "raw", ignore_errors=True)


def test_a_dataset_of_ours_that_lacks_a_shard_is_refused(tmp_path):
    source = write_raw(tmp_path / "source", [make_rows(n, 4) for n in range(3)])
    write_json(source / INFO_NAME, read_json(source / INFO_NAME) | {"episodes": 5})
    with pytest.raises(UserError, match="lacks episode 3") as caught:
        run_import(tmp_path, str(source))
    assert_sentence(caught.value)


@pytest.mark.parametrize("name", ["~nobody-of-that-name/x", "a\0b", "x" * 5000])
def test_a_name_that_is_no_path_is_refused(tmp_path, name):
    with pytest.raises(UserError) as caught:
        run_import(tmp_path, name)
    assert_sentence(caught.value)


def saved_folder(tmp_path) -> Path:
    datasets.Dataset.from_list(recorder_rows([3, 3, 3])).cast_column(
        "image", datasets.Image()
    ).save_to_disk(tmp_path / "source")
    return tmp_path / "source"


def test_a_part_called_train_is_taken_of_a_saved_dataset(tmp_path):
    data = datasets.Dataset.from_list(recorder_rows([3, 3, 3])).cast_column(
        "image", datasets.Image()
    )
    datasets.DatasetDict({"train": data, "test": data}).save_to_disk(tmp_path / "source")
    assert run_import(tmp_path, str(tmp_path / "source"))["episodes"] == 3


def say_files(*names):
    return lambda folder: (folder / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": name} for name in names]})
    )


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (say_files("../elsewhere/data-00000-of-00001.arrow"), "does not stay inside"),
        (say_files("/etc/passwd"), "does not stay inside"),
        (say_files(3), "does not stay inside"),
        (say_files(), "names no files"),
        (say_files("gone.arrow"), "no file"),
        (say_files("dataset_info.json"), "damaged"),
        (lambda folder: (folder / "state.json").write_text("[3]"), "names no files"),
        (lambda folder: (folder / "state.json").write_text("{"), "not JSON"),
        (lambda folder: (folder / "state.json").unlink(), "neither"),
        (lambda folder: cut(next(folder.glob("*.arrow"))), "damaged"),
    ],
)
def test_a_saved_dataset_names_its_own_files_only(tmp_path, damage, named):
    """Another one of this disk, beside it, is not what was given."""
    source = saved_folder(tmp_path)
    shutil.copytree(source, tmp_path / "elsewhere")
    damage(source)
    with pytest.raises(UserError, match=named) as caught:
        run_import(tmp_path, str(source))
    assert_sentence(caught.value)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


def test_a_file_that_cannot_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    """Rights are mended otherwise than data. (Root, who may run this, may read anything.)"""

    def deny(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    source = write_recorder(tmp_path / "source", recorder_rows([3, 3, 3]))
    monkeypatch.setattr("dreamcart.data.sources.pq.ParquetFile", deny)
    with pytest.raises(UserError, match=r"Permission denied.*its rights") as caught:
        ExternalDataset(source)
    assert_sentence(caught.value)


def test_names_of_columns_stay_on_their_line(tmp_path):
    """A thousand of them, of any letters."""
    odd = {f"column\n{number}\x1b[2J": 0 for number in range(1000)}
    report = run_import(
        tmp_path, write_rows(tmp_path / "source", [odd | row for row in recorder_rows([3, 3, 3])])
    )
    assert all(
        "\n" not in line and "\x1b" not in line and len(line) < 3000
        for line in report_lines(report)
    )
    with pytest.raises(UserError, match="lacks a column 'actions'") as caught:
        run_import(
            tmp_path,
            write_rows(
                tmp_path / "source",
                [odd | row for row in without(recorder_rows([3, 3, 3]), "action")],
            ),
        )
    assert_sentence(caught.value)
    assert len(str(caught.value)) < 3000


def test_hidden_files_and_names_like_patterns_are_no_trouble(tmp_path):
    """A download's notes are no data, and brackets in a folder's name are letters."""
    source = Path(write_recorder(tmp_path / "play [1]*", recorder_rows([3, 3, 3])))
    (source / ".cache").mkdir()
    shutil.copy(next(source.glob("*.parquet")), source / ".cache" / "again.parquet")
    assert run_import(tmp_path, str(source))["episodes"] == 3


def test_a_folder_without_a_dataset_is_refused(tmp_path):
    """A wrong folder is told by its name."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty") as caught:
        run_import(tmp_path, str(tmp_path / "empty"))
    assert_sentence(caught.value)


def test_a_hub_dataset_needs_its_revision(tmp_path):
    """A branch moves: without a commit the run could not be repeated."""
    with pytest.raises(UserError, match=r"collect\.revision") as caught:
        run_import(tmp_path, "somebody/some-game")
    assert str(caught.value).startswith("collect.source")


def test_a_hub_dataset_out_of_reach_is_refused(tmp_path):
    """No network is no crash."""
    with pytest.raises(UserError, match="somebody/some-game") as caught:
        run_import(tmp_path, "somebody/some-game", revision="0" * 40)
    assert "\n" not in str(caught.value)


def test_later_recorder_columns_are_imported(tmp_path):
    """Whole episodes stay whole: the final screen, rewards and the end of the game are all there,
    WebP without loss.
    """
    report = run_import(
        tmp_path, write_recorder(tmp_path / "source", later_rows([4, 5, 3], lossless=True))
    )
    play = list(read_episodes(tmp_path / "raw"))
    assert [len(episode) for episode in play] == [4, 5]
    for number, episode in enumerate(play):
        for step, row in enumerate(episode):
            np.testing.assert_array_equal(
                decode_image(row["observations"]["bytes"]), make_frame(number + step)
            )
        assert [row["terminations"] for row in episode] == [
            step == len(episode) - 2 for step in range(len(episode))
        ]
        assert not any(row["truncations"] for row in episode)
        assert [row["rewards"] for row in episode] == [1.5] * (len(episode) - 1) + [0.0]
        assert (episode[0]["seed"], episode[0]["infos"]) == (7, '{"lives":3}')
    assert report["columns"]["observations"] == "observations"
    assert (report["terminal_rows"], report["ignored"], report["images"], report["lossy"]) == (
        3,
        ["session"],
        {"WebP": 12},
        [],
    )


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        ("JPEG", {}, "JPEG"),
        ("WebP", {"quality": 60}, "WebP (lossy)"),
        ("WebP", {"lossless": True}, ""),
        ("PNG", {}, ""),
    ],
)
def test_lossy_images_are_accepted_and_said(tmp_path, kind, options, named):
    report = run_import(
        tmp_path, write_recorder(tmp_path / "source", later_rows([4, 4, 4], kind, **options))
    )
    said = [line for line in report_lines(report) if "lost detail" in line]
    assert (report["lossy"], len(said)) == ([named] if named else [], bool(named))
    assert all(line.startswith(named) for line in said)


def test_the_report_says_what_became_of_what(tmp_path):
    """Seed-era columns: renamed, unused, the order of the buttons, and the screen that is missing
    at the end.
    """
    lines = report_lines(
        run_import(tmp_path, write_recorder(tmp_path / "source", recorder_rows([4, 5, 3], "JPEG")))
    )
    text = "\n".join(lines)
    assert "image → observations" in text
    assert "action → actions" in text
    assert "not used: timestamp" in text
    assert "stable-retro's order (B, none, SELECT, START, UP, DOWN, LEFT, RIGHT, A)" in text
    assert "12 JPEG" in text
    assert "end one step earlier" in text


def test_presses_that_the_game_lacks_are_counted(tmp_path):
    """A game folder may name fewer buttons than the console has: what is lost is said."""
    spec = make_spec(buttons=["A", "LEFT"], keys={})
    config = CollectConfig(
        write_recorder(tmp_path / "source", recorder_rows([4, 5, 3])),
        "",
        100,
        10,
        test_episodes=1,
        test_steps=10,
        workers=1,
    )
    report = import_recordings(spec, config, tmp_path / "raw", tmp_path / "raw_test")
    # steps 1 and 3 of five; in an episode the last action is dropped, and so is its press
    assert report["presses_lost"] == {"RIGHT": 1 + 2 + 1}
    assert any("4 of RIGHT" in line for line in report_lines(report))


@pytest.mark.parametrize("listed", [False, True])
def test_atari_actions_are_numbers_of_the_minimal_set(listed):
    """Breakout's four by default; a larger number anywhere means all of ALE's eighteen."""
    ale_py = pytest.importorskip("ale_py")
    assert [ale_py.Action(number).name for number in range(18)] == ALE_ACTIONS
    spec = load_game("breakout")
    wrapped = (lambda number: [number]) if listed else (lambda number: number)
    minimal = bind(spec, {1}, 3)
    held = [minimal.to_buttons(wrapped(number), spec) for number in range(4)]
    assert held == [spec.vector(pressed) for pressed in (set(), {"FIRE"}, {"RIGHT"}, {"LEFT"})]
    full = bind(spec, {1}, 17)
    assert full.to_buttons(wrapped(14), spec) == spec.vector({"RIGHT", "FIRE"})
    assert full.lost == {"UP": 1}
    with pytest.raises(UserError) as caught:
        full.to_buttons(wrapped(18), spec)
    assert_sentence(caught.value)


def test_what_numbers_mean_can_be_said():
    """A recording in the full set that never went beyond the minimal one's numbers would be bound
    to other buttons.
    """
    pytest.importorskip("ale_py")
    spec = load_game("breakout")
    assert bind(spec, {1}, 3).to_buttons(3, spec) == spec.vector({"LEFT"})
    assert "--actions full" in bind(spec, {1}, 3).says
    assert bind(spec, {1}, 3, said="full").to_buttons(3, spec) == spec.vector({"RIGHT"})
    assert bind(spec, {1}, 3, said="minimal").to_buttons(3, spec) == spec.vector({"LEFT"})
    assert bind(spec, {1}, 2, said="none,LEFT,RIGHT").to_buttons(1, spec) == spec.vector({"LEFT"})


def test_the_places_of_a_list_can_be_said():
    """Eight entries may be in any recorder's order, and a list of any length in one of its own."""
    said = "A,B,SELECT,START,UP,DOWN,LEFT,RIGHT"
    for place, name in enumerate(said.split(",")):
        assert bind(SPEC, {8}, 1, said=said).to_buttons(
            [int(p == place) for p in range(8)], SPEC
        ) == SPEC.vector({name})
    assert bind(SPEC, {3}, 1, said="LEFT, none, A").to_buttons([1, 1, 1], SPEC) == SPEC.vector(
        {"LEFT", "A"}
    )


@pytest.mark.parametrize(
    ("said", "length", "named"),
    [
        ("full", 8, "'full'"),
        ("LEFT,RIHGT", 2, "'RIHGT'"),
        ("LEFT,RIGHT", 8, "name 2 places"),
        ("everything", 8, "'everything'"),
    ],
)
def test_what_cannot_be_meant_is_refused(said, length, named):
    with pytest.raises(UserError, match=named) as caught:
        bind(SPEC, {length}, 1, said=said)
    assert_sentence(caught.value)


def test_a_folder_can_be_pinned(tmp_path):
    """DVC sees its params only: with the fingerprint in them another content is another run, and
    the old one is refused.
    """
    source = Path(write_recorder(tmp_path / "source", recorder_rows([4, 4, 4])))
    found = run_import(tmp_path, str(source))["revision"]
    (source / ".cache").mkdir()
    (source / ".cache" / "notes").write_text("of a download")
    assert run_import(tmp_path, str(source), revision=found)["revision"] == found
    write_recorder(source, recorder_rows([4, 4, 5]))
    with pytest.raises(UserError, match=found) as caught:
        run_import(tmp_path, str(source), revision=found)
    assert_sentence(caught.value)


def test_a_long_episode_is_not_held_decoded(tmp_path):
    """8,191 steps of an Atari game would be 800 MB."""
    data = ExternalDataset(write_recorder(tmp_path / "source", recorder_rows([4, 4, 4])))
    for _, rows in data.episodes_of(SPEC, data.bind(SPEC)):
        assert all(isinstance(row["observations"], bytes) for row in rows)


DOOM = make_spec(
    backend="vizdoom",
    env="VizdoomMyWayHome-v1",
    buttons=["TURN_LEFT", "TURN_RIGHT", "ATTACK"],
    keys={},
)


@pytest.mark.parametrize("binary", [[0, 1, 0], 2], ids=["list", "number"])
def test_vizdooms_dictionaries_are_imported(tmp_path, binary):
    """The buttons that can be held are read, as a list or as the number of one of them; that the
    mouse is left out is said.
    """
    rows = recorder_rows([4, 4, 4])
    for number, row in enumerate(rows):
        nothing = [0, 0, 0] if isinstance(binary, list) else 0
        row["action"] = {
            "binary": binary if number % 2 else nothing,
            "continuous": [0.0, 2.5 * (number % 4 == 1)],
        }
    config = CollectConfig(
        write_recorder(tmp_path / "source", rows),
        "",
        100,
        10,
        test_episodes=1,
        test_steps=10,
        workers=1,
    )
    report = import_recordings(DOOM, config, tmp_path / "raw", tmp_path / "raw_test")
    pressed = [[row["actions"] for row in episode] for episode in read_episodes(tmp_path / "raw")]
    assert pressed == [[[0, 0, 0], [0, 1, 0], [0, 0, 0], None]] * 2
    assert report["presses_lost"] == {"the mouse": 3}


@pytest.mark.parametrize(
    ("action", "named"),
    [
        ({"mouse": [0.5]}, "'mouse'"),
        ({}, "nothing"),
        ({"binary": 4}, "has 4"),
        ({"binary": ["A"]}, "no list"),
    ],
)
def test_a_dictionary_without_buttons_is_refused(action, named):
    with pytest.raises(UserError, match=named) as caught:
        bind(DOOM, {1}, 4).to_buttons(action, DOOM)
    assert_sentence(caught.value)


def test_console_orders_are_stable_retros():
    """The tables against the emulators that this stable-retro has."""
    stable_retro = pytest.importorskip("stable_retro")
    for console, order in CONSOLES.items():
        assert stable_retro.get_system_info(console)["buttons"] == order, console


def test_buttons_of_a_dreamcart_dataset_are_matched_by_name(tmp_path):
    """Another order in the dataset's own game than in ours: names decide, not places."""
    other = make_spec(buttons=BUTTONS[::-1])
    source = write_raw(tmp_path / "source", [make_rows(n, 4 + n) for n in range(3)], other)
    run_import(tmp_path, str(source))
    for was, now in zip(read_episodes(source), read_episodes(tmp_path / "raw"), strict=False):
        assert [row["actions"] and row["actions"][::-1] for row in was] == [
            row["actions"] for row in now
        ]


def test_an_unknown_schema_version_is_refused(tmp_path):
    source = write_raw(tmp_path / "source", [make_rows(n, 4) for n in range(3)])
    write_json(source / INFO_NAME, read_json(source / INFO_NAME) | {"schema_version": 99})
    with pytest.raises(UserError, match="schema version 99") as caught:
        run_import(tmp_path, str(source))
    assert_sentence(caught.value)


def test_an_episode_in_pieces_is_refused(tmp_path):
    """Two people's rows in turns would be cut into episodes that never were."""
    rows = recorder_rows([4, 4, 4])
    with pytest.raises(UserError, match="in pieces") as caught:
        run_import(tmp_path, write_recorder(tmp_path / "source", rows[:2] + rows[4:] + rows[2:4]))
    assert_sentence(caught.value)


def test_shards_are_cut_between_episodes(tmp_path, monkeypatch):
    """A large import is not held in memory: shards of a bounded size, named by their first
    episode.
    """
    monkeypatch.setattr("dreamcart.data.imports.ROWS_IN_SHARD", 6)
    run_import(tmp_path, write_recorder(tmp_path / "source", recorder_rows([4, 4, 4, 4])))
    assert sorted(path.name for path in (tmp_path / "raw").glob("*.parquet")) == [
        "play-00000.parquet",
        "play-00002.parquet",
    ]
    assert [len(episode) for episode in read_episodes(tmp_path / "raw")] == [4, 4, 4]
