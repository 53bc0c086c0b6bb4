"""dataset_info.json and `infos` from strangers: what stands there is right, or refused."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toys.synthetic import SEEN_AS, assert_sentence, make_rows, make_spec, write_raw
from toys.toy_emulator import VERSIONS, ToyEmulator

from dreamcart.core.errors import UserError
from dreamcart.core.files import read_json
from dreamcart.data.edge_cases import EdgeCases
from dreamcart.data.external import ExternalDataset
from dreamcart.data.infos import START, parse_infos, start_state
from dreamcart.data.preprocess import preprocess
from dreamcart.data.processed import load_split
from dreamcart.data.reader import dataset_spec, read_episodes
from dreamcart.data.schema import INFO_NAME, checked_info, read_info
from dreamcart.data.variables import load_variables
from dreamcart.evaluation.screens import Screens, load_infos
from dreamcart.record.live import LiveRecording
from dreamcart.record.replay import replay
from dreamcart.record.verify import verify

GAME = make_spec().to_dict()
GOOD = {"schema_version": 1, "game": GAME}
HASH = "0" * 64
DEEP = "[" * 1_000_000 + "]" * 1_000_000

BAD = [
    *(
        ([1], "holds"),
        (None, "holds None"),
        ("text", "holds"),
        (3, "holds 3"),
        ({}, "version None"),
        ([GOOD], "holds"),
    ),
    *(
        (GOOD | {"schema_version": value}, "version")
        for value in (0, 2, "1", True, 1.0, None, [1], 10**30)
    ),
    ({"schema_version": 1}, "which game"),
    *(
        (GOOD | {"game": value}, "game")
        for value in (None, [], "toy", 3, {}, {"name": "toy"}, GAME | {"buttons": "A"})
    ),
    *(
        (GOOD | {"game": GAME | {"name": value}}, "name")
        for value in ("../x", "/etc", "", None, "a" * 1000)
    ),
    *(
        (GOOD | {"game": GAME | {"fps": value}}, "fps")
        for value in (float("nan"), float("inf"), "60", None, 10**400, -1)
    ),
    *(
        (GOOD | {"episodes": value}, "episodes")
        for value in (-1, "ten", 10**30, 1.5, float("nan"), None, [], True)
    ),
    *((GOOD | {"first_episode": value}, "first_episode") for value in (-1, "0", 10**30, None, {})),
    *(
        (GOOD | {"source": value}, "source")
        for value in (3, None, ["x"], "two\nlines", "\x1b[2J", "x" * 10_000)
    ),
    *((GOOD | {"revision": value}, "revision") for value in (3, None, {})),
    *((GOOD | {"lossy": value}, "lossy") for value in ("JPEG", [1], {"JPEG": 1}, None, [["JPEG"]])),
    *((GOOD | {name: 3}, name) for name in ("emulator", "emulator_version", "rom_sha1")),
    *(
        (GOOD | {"shards": value}, "shards")
        for value in ([], "x", None, 3, {"a.parquet": None}, {"a.parquet": []})
    ),
    *(
        (GOOD | {"shards": {name: {}}}, "shards")
        for name in ("../a.parquet", "/a.parquet", "a", "a/b.parquet", "", ".a.parquet")
    ),
    *(
        (GOOD | {"shards": {"a.parquet": {key: value}}}, key)
        for key, value in [
            *(
                ("episodes", "0,1"),
                ("episodes", [-1]),
                ("episodes", ["0"]),
                ("episodes", [10**30]),
                ("episodes", {"0": 1}),
            ),
            *(
                ("rows", "many"),
                ("rows", -1),
                ("bytes", None),
                ("sha256", 3),
                ("sha256", "x"),
                ("emulator", []),
                ("lossy", "JPEG"),
            ),
        ]
    ),
]


def names(case) -> str:
    return str(case)[:60].replace("\n", " ")


@pytest.mark.parametrize(("value", "named"), BAD, ids=names)
def test_a_wrong_dataset_info_is_one_sentence(tmp_path, value, named):
    """Each value of another type, range or shape is named, with the file that it stands in."""
    folder = write_raw(tmp_path / "raw", [make_rows(n, 4) for n in range(3)])
    (folder / INFO_NAME).write_text(json.dumps(value))
    process = lambda at: preprocess(at, tmp_path / "o", SEEN_AS, 0)  # noqa: E731
    for read in (read_info, dataset_spec, lambda at: next(read_episodes(at)), process):
        with pytest.raises(UserError) as caught:
            read(folder)
        assert_sentence(caught.value)
        assert named in str(caught.value)
        assert INFO_NAME in str(caught.value)
        assert len(str(caught.value)) < 1500
    assert not (tmp_path / "o").exists()
    # without a version it is a file of `datasets`, and no dataset of ours
    if isinstance(value, dict) and "schema_version" in value:
        with pytest.raises(UserError) as caught:
            ExternalDataset(str(folder))
        assert_sentence(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "{", "no JSON", DEEP, '{"schema_version": ' + "9" * 5000 + "}", "\ufeff{}", "{" * 100_000],
)
def test_a_file_that_is_no_json_is_one_sentence(tmp_path, text):
    folder = write_raw(tmp_path / "raw", [make_rows(0, 4)])
    (folder / INFO_NAME).write_text(text)
    for read in (read_info, lambda at: ExternalDataset(str(at))):
        with pytest.raises(UserError, match=INFO_NAME) as caught:
            read(folder)
        assert_sentence(caught.value)


def test_what_is_right_stays_and_what_is_unknown_is_left_out():
    """A later version may say more; what it says of a shard is as it was."""
    shards = {
        "play-00000.parquet": {
            "sha256": HASH,
            "bytes": 10,
            "rows": 5,
            "episodes": [0, 1],
            "emulator": "toy 1",
            "lossy": [],
        }
    }
    said = {
        "episodes": 2,
        "first_episode": 0,
        "rom_sha1": "a" * 40,
        "source": "me/toy",
        "lossy": ["JPEG"],
        "shards": shards,
    }
    later = {
        "schema_version": 1,
        "game": {k: v for k, v in GAME.items() if k != "crop"},
        **said,
        "colour": [[["blue"]]],
    }
    assert checked_info(later, "here") == {"schema_version": 1, "game": GAME, **said}


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_folder_or_a_pipe_is_no_dataset_info(tmp_path, make):
    """A pipe would be waited for, for ever."""
    folder = write_raw(tmp_path / "raw", [make_rows(0, 4)])
    (folder / INFO_NAME).unlink()
    make(folder / INFO_NAME)
    with pytest.raises(UserError, match="is no file") as caught:
        read_info(folder)
    assert_sentence(caught.value)


# The column `infos`

NO_OBJECTS = [
    "[]",
    "[1, 2]",
    "3",
    "null",
    '"text"',
    "NaN",
    "{",
    "no JSON",
    DEEP,
    "true",
    '{"a": ' + "9" * 5000 + "}",
]
STATES = [
    ["Begin"],
    {"a": 1},
    3,
    True,
    "../../etc/passwd",
    "/x",
    "a b",
    "x" * 1000,
    "a\nb",
    "\x00",
    "é",
]


@pytest.mark.parametrize("text", NO_OBJECTS, ids=names)
def test_infos_that_are_no_object_are_none(text):
    assert parse_infos(text) is None


def test_no_infos_are_no_variables():
    assert parse_infos(None) == parse_infos("") == parse_infos("{}") == {}


@pytest.mark.parametrize("state", STATES, ids=names)
def test_a_start_state_is_a_plain_name(state):
    with pytest.raises(UserError, match="start state") as caught:
        start_state({"start_state": state}, "Episode 3 of here")
    assert_sentence(caught.value)
    assert str(caught.value).startswith("Episode 3 of here ")


@pytest.mark.parametrize("infos", [{}, {"start_state": None}, {"start_state": ""}])
def test_an_episode_need_not_name_its_start_state(infos):
    assert start_state(infos, "here") == START


def raw_with_infos(folder, infos: list[str | None], spec=None):
    """Five episodes whose every row has one of these infos, as they are, in turns."""
    raw = write_raw(folder, [make_rows(n, 6, first=3 * n) for n in range(5)], spec)
    (shard,) = raw.glob("*.parquet")
    table = pq.read_table(shard)
    column = pa.array([infos[row % len(infos)] for row in range(len(table))], pa.string())
    pq.write_table(table.set_column(table.column_names.index("infos"), "infos", column), shard)
    return raw


ODD = [
    '{"x": "text", "board": "none"}',
    '{"x": [1, [2, {"a": 3}]], "board": {"a": 1}}',
    '{"x": 1e400, "board": [[1, 0], [2]]}',
]
ODD += [
    '{"x": 123456789012345678901234567890, "board": []}',
    '{"x": -9223372036854775808, "board": [true, null, "a", 0]}',
]
ODD += ['{"x": NaN}']
ANY = [*NO_OBJECTS, *ODD, None]


@pytest.mark.parametrize("infos", [*([text] for text in ANY), [*ANY, '{"x": 3}']], ids=names)
def test_any_infos_can_be_learnt_from(tmp_path, infos):
    """They are of use to the readers only; frames and buttons are what a model learns."""
    spec = make_spec(edge_cases={"full": "most board", "three": "x = 3"})
    raw = raw_with_infos(tmp_path / "raw", infos, spec)
    report = preprocess(raw, tmp_path / "processed", SEEN_AS, 0)
    assert sum(split["transitions"] for split in report.values()) == 25
    split = load_split(tmp_path / "processed", "train")
    table = load_variables(raw, split, np.arange(len(split.frames)))
    assert all(column.dtype == np.int64 for column in table.values())
    assert read_json(tmp_path / "processed" / "meta.json")["starts"].keys() == {START}


@pytest.mark.parametrize("state", STATES, ids=names)
def test_an_odd_start_state_is_refused_with_its_episode(tmp_path, state):
    raw = raw_with_infos(tmp_path / "raw", [json.dumps({"start_state": state})])
    with pytest.raises(UserError, match="start state") as caught:
        preprocess(raw, tmp_path / "processed", SEEN_AS, 0)
    assert_sentence(caught.value)
    assert str(raw) in str(caught.value)
    assert not (tmp_path / "processed").exists()


@pytest.mark.parametrize("condition", ["x", "=", "x=3", "most", "", " = "])
def test_an_edge_case_without_a_condition_is_never_met(condition):
    """A spec of an older cart or dataset is checked when it is read; here it may say anything."""
    cases = EdgeCases(make_spec())
    cases.wanted = {"odd": condition}
    cases.look([{"infos": '{"x": 3, "most": [1]}'}] * 2, [0, 1])
    assert cases.rows == {}


@pytest.mark.parametrize("text", [*NO_OBJECTS, *ODD], ids=names)
def test_a_replay_compares_any_infos(tmp_path, text):
    """Verification finds what was changed: it fails with a sentence, in the step where it is."""
    with LiveRecording(tmp_path / "r", make_spec(), VERSIONS) as recording:
        for row in toy_rows():
            recording.add(row)
    (rows,) = read_episodes(tmp_path / "r")
    rows[2]["infos"] = text
    verdict = replay(ToyEmulator(), 8, rows, 0, tmp_path / "pictures")
    assert verdict.problem.startswith("step 2: ")
    rows[0]["infos"] = text
    assert replay(ToyEmulator(), 8, rows, 0, tmp_path / "pictures").problem


def toy_rows() -> list[dict]:
    """What the toy emulator shows in four steps."""
    emulator, rows = ToyEmulator(), make_rows(0, 5)
    frame = emulator.reset("Begin", 3)
    for row in rows:
        row |= {"seed": 3, "observations": frame, "rewards": 0.0}
        row["infos"] = emulator.variables() | ({"start_state": "Begin"} if row["step"] == 0 else {})
        if row["actions"] is not None:
            row["actions"] = [0] * 8
            frame, *_ = emulator.step(row["actions"])
    return rows


class Picky:
    """A reader that needs variables of its game, as all do."""

    def read(self, frame):
        return {}

    def truth(self, variables):
        return {"x": variables["x"] + 1, "board": np.array(variables["board"]).reshape(2)}

    def score(self, wanted, seen):
        return {"told": float("x" in wanted)}

    def checker(self):
        return SimpleNamespace(step=lambda read: SimpleNamespace(reasons=(), events=set()))


@pytest.mark.parametrize(
    "infos",
    [*([text] for text in ANY), ['{"x": 3}'], ['{"x": 1, "board": [0, 1]}', "[]"]],
    ids=names,
)
def test_screens_are_read_whatever_the_variables_are(tmp_path, infos):
    """Variables that the reader does not know tell nothing; screens are compared without them."""
    raw = raw_with_infos(tmp_path / "raw", infos)
    preprocess(raw, tmp_path / "processed", SEEN_AS, 0)
    split = load_split(tmp_path / "processed", "train")
    texts = load_infos(raw)
    assert all(isinstance(json.loads(text), dict) for text in texts)
    screens = Screens(Picky(), split, texts, [1, 2])
    screens.begin(np.array([0, 6]))
    for step in (1, 2):
        screens.see(step, split.frames[[0, 1]], None)
    assert screens.report()["states"]["1"]["told"] == 0.0


def test_screens_take_what_variables_tell(tmp_path):
    raw = raw_with_infos(tmp_path / "raw", ['{"x": 1, "board": [0, 1]}'])
    preprocess(raw, tmp_path / "processed", SEEN_AS, 0)
    split = load_split(tmp_path / "processed", "train")
    screens = Screens(Picky(), split, load_infos(raw), [1])
    screens.begin(np.array([0]))
    screens.see(1, split.frames[[0]], None)
    assert screens.report()["states"]["1"]["told"] == 1.0


def test_verification_reads_the_same_info(tmp_path):
    folder = write_raw(tmp_path / "raw", [make_rows(0, 4)])
    (folder / INFO_NAME).write_text(json.dumps(GOOD | {"episodes": "ten"}))
    with pytest.raises(UserError, match="episodes"):
        verify(folder, 1, tmp_path / "p")
