"""Verification: an untouched recording passes exactly, and whatever was changed in one is
caught.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from toys.synthetic import BUTTONS, assert_sentence, make_frame, make_spec
from toys.toy_emulator import VERSIONS, ToyEmulator

from dreamcart.core.errors import UserError, explain_system
from dreamcart.core.paths import ROOT, Paths
from dreamcart.data.images import PngEncoder, decode_image
from dreamcart.data.reader import missing_episodes, read_episodes
from dreamcart.data.schema import INFO_NAME
from dreamcart.games.action_lists import parse_actions
from dreamcart.record import live, verify
from dreamcart.record.live import LiveRecording
from dreamcart.record.person import Scripted, record_session
from dreamcart.record.replay import Verdict, replay
from dreamcart.record.verify import _find_episodes, _share_out

SPEC = make_spec()
ACTIONS = "RIGHT*3 A .*2 LEFT B*2 RIGHT START"


@pytest.fixture
def rows(tmp_path):
    """The rows of one recorded toy episode: 11 steps, the game's own end last."""
    with LiveRecording(tmp_path / "r", SPEC, VERSIONS) as recording:
        record_session(
            ToyEmulator(), SPEC, Scripted(parse_actions(ACTIONS, SPEC), 1), recording, "Begin", 3, 1
        )
    (episode,) = read_episodes(tmp_path / "r")
    return episode


def check(rows, folder: Path) -> Verdict:
    return replay(ToyEmulator(), len(BUTTONS), rows, 0, folder)


def change(rows, step, **values):
    rows[step] |= values


def change_action(rows, step, **held):
    rows[step]["actions"] = SPEC.vector(set(held["held"].split()))


def change_pixel(rows, step):
    frame = decode_image(rows[step]["observations"]["bytes"]).copy()
    frame[0, 0, 0] ^= 1
    rows[step]["observations"] = {"bytes": PngEncoder().encode(frame)}


def change_infos(rows, step, **values):
    rows[step]["infos"] = json.dumps(
        {k: v for k, v in (json.loads(rows[step]["infos"]) | values).items() if v is not None}
    )


def drop(rows, step):
    del rows[step]


def cut(rows, step):
    del rows[step:]


def cut_well(rows, step):
    """As a shorter episode would look, but for its end."""
    del rows[step + 1 :]
    rows[-1]["actions"] = None


def another_size(rows, step):
    rows[step]["observations"] = {"bytes": PngEncoder().encode(make_frame(6, 16, 16))}


def test_an_untouched_episode_passes(rows, tmp_path):
    """Every frame, reward, variable and end comes back."""
    assert check(rows, tmp_path) == Verdict(0, 11)
    assert len(rows) == 12


@pytest.mark.parametrize(
    ("tamper", "step", "values", "at", "named"),
    [
        (change_pixel, 2, {}, 2, "1 of 768 pixels"),
        (change_pixel, 0, {}, 0, "1 of 768 pixels"),
        (another_size, 1, {}, 1, "16 x 16, replayed 24 x 32"),
        (change, 1, {"observations": {"bytes": b"no image"}}, None, "damaged"),
        (change_action, 0, {"held": "LEFT"}, 1, "pixels"),
        (change_action, 3, {"held": ""}, 3, "reward is 1.0, replayed 0.0"),
        (change_action, 8, {"held": "A B"}, 8, "reward is 0.0, replayed 1.0"),
        (change_action, 8, {"held": "DOWN"}, 11, "actions are not those"),  # without any effect
        (change, 4, {"actions": [0] * 7}, 4, "does not fit"),
        (change, 4, {"actions": [3] + [0] * 7}, 4, "does not fit"),
        (change, 4, {"actions": None}, 5, "after its end"),
        (change, 5, {"rewards": 0.25}, 5, "reward is 0.25, replayed 0.0"),
        (
            change,
            10,
            {"terminations": False, "truncations": True},
            10,
            "termination is False, replayed True",
        ),
        (change, 5, {"terminations": True}, 5, "termination is True, replayed False"),
        (change, 5, {"truncations": True}, 6, "after its end"),
        (change_infos, 5, {"x": 99}, 5, "variable x is 99"),
        (change_infos, 0, {"start_state": None}, 0, "start state"),
        (change_infos, 0, {"start_state": "Nowhere"}, None, "Nowhere"),
        (change, 0, {"seed": 4}, 0, "pixels"),
        (drop, 0, {}, 0, "missing"),
        (drop, 4, {}, 4, "missing"),
        (drop, 11, {}, 11, "final observation is missing"),
        (cut, 1, {}, 1, "final observation is missing"),
        (cut_well, 6, {}, 6, "without an end"),
    ],
)
def test_what_was_changed_is_caught(rows, tmp_path, tamper, step, values, at, named):
    """A frame, an action, a reward, an end, a variable, a row: each is named with its step."""
    tamper(rows, step, **values)
    verdict = check(rows, tmp_path / "pictures")
    assert named in verdict.problem
    if at is not None:
        assert verdict.problem.startswith(f"step {at}: ")
        assert verdict.steps == at


def test_the_first_difference_is_a_picture(rows, tmp_path):
    """recorded | replayed | difference, each twice as large."""
    change_pixel(rows, 4)
    path = check(rows, tmp_path / "pictures").picture
    sheet = np.asarray(Image.open(path))
    assert sheet.shape == (48, 3 * 64 + 2 * 8, 3)
    recorded, replayed, apart = sheet[::2, 0:64:2], sheet[::2, 72:136:2], sheet[::2, 144::2]
    np.testing.assert_array_equal(replayed, make_frame(6))
    np.testing.assert_array_equal(apart, np.abs(recorded.astype(int) - replayed))
    assert apart.sum() == 1


def test_no_picture_of_a_pass(rows, tmp_path):
    """Nothing is written where there is nothing to see."""
    check(rows, tmp_path / "pictures")
    assert not (tmp_path / "pictures").exists()


def test_only_its_own_pictures_are_removed(copied, tmp_path):
    """A person may name any folder for them, also one that is in use."""
    folder = tmp_path / "p"
    (folder / "episode-00002.png").mkdir(parents=True)
    theirs = [
        "letter.txt",
        "episode-1.png",
        "episode-00001.jpg",
        "my-episode-00001.png",
        "sub/episode-00001.png",
    ]
    for name in (*theirs, "episode-00000.png", "episode-123456.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    verify.run(argparse.Namespace(dataset=str(copied), workers=1, pictures=folder))
    assert all((folder / name).read_text() == name for name in theirs)
    assert (folder / "episode-00002.png").is_dir()
    assert not list(folder.glob("episode-00000.png")) + list(folder.glob("episode-123456.png"))


@pytest.mark.parametrize(
    "name", ["plain", "my play (2)", "ü", "...", "-x", ".hidden", "a" * 200, "a\nb", ".."]
)
def test_pictures_go_below_the_games_plots(tmp_path, name):
    """Whatever a dataset's folder is called; and what it calls its game leads nowhere else."""
    (tmp_path / name).mkdir(exist_ok=True)
    place = verify.picture_folder("toy", tmp_path / name)
    assert place.parent == Paths("toy").verify
    for game in ("../x", "/etc", "", "a/../../b"):
        with pytest.raises(UserError):
            verify.picture_folder(game, tmp_path / name)


@pytest.mark.parametrize("state", [["Begin"], "../x", 3])
def test_an_odd_start_state_reaches_no_emulator(rows, tmp_path, state):
    """Emulators make a file's name of it."""
    change_infos(rows, 0, start_state=state)
    assert "start state" in check(rows, tmp_path).problem


class Picky(ToyEmulator):
    def reset(self, state, seed):
        raise OverflowError("int too large to convert")


def test_a_seed_that_the_emulator_does_not_take_is_a_verdict(rows, tmp_path):
    rows[0]["seed"] = -(2**63)
    verdict = replay(Picky(), len(BUTTONS), rows, 0, tmp_path)
    assert "is no seed" in verdict.problem


def test_what_a_dataset_claims_is_not_listed_without_end(copied, tmp_path, capsys):
    """A thousand millions of episodes that are not there."""
    set_info(copied, episodes=10**9)
    with pytest.raises(SystemExit):
        verify.run(argparse.Namespace(dataset=str(copied), workers=1, pictures=tmp_path / "p"))
    assert capsys.readouterr().out.count("the episode is missing") == verify.MOST_MISSING


def test_a_picture_that_cannot_be_written_is_one_sentence(rows, tmp_path):
    change_pixel(rows, 2)
    (tmp_path / "p").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="episode-00000") as caught:
        check(rows, tmp_path / "p")
    assert_sentence(UserError(explain_system(caught.value)))


def test_a_picture_that_finds_no_room_is_one_sentence(rows, tmp_path):
    resource = pytest.importorskip("resource")
    change_pixel(rows, 2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="episode-00000") as caught:
            check(rows, tmp_path / "p")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_sentence(UserError(explain_system(caught.value)))
    assert list((tmp_path / "p").iterdir()) == []


def test_large_shards_are_shared_out(tmp_path, monkeypatch):
    """Every episode is replayed once, also one that goes on in the next shard; no worker gets the
    whole of a large shard.
    """
    monkeypatch.setattr(live, "ROWS_IN_SHARD", 20)
    with LiveRecording(tmp_path / "r", SPEC, VERSIONS) as recording:
        record_session(
            ToyEmulator(), SPEC, Scripted(parse_actions(ACTIONS, SPEC), 9), recording, "Begin", 0, 9
        )
    places, twice = _find_episodes(tmp_path / "r")
    assert (sorted(places), twice) == (list(range(9)), [])
    assert max(map(len, places.values())) == 2
    tasks = _share_out(SPEC, places, 2, tmp_path)
    assert sorted(number for _, _, numbers, _ in tasks for number in numbers) == list(range(9))
    monkeypatch.setattr(verify, "worker_emulator", lambda spec: ToyEmulator())
    verdicts = [verdict for task in tasks for verdict in verify._replay(task)]
    assert sorted(verdicts, key=lambda verdict: verdict.episode) == [
        Verdict(number, 11) for number in range(9)
    ]


# The command, on the real game


def command(*arguments: str | Path) -> subprocess.CompletedProcess:
    line = [sys.executable, str(ROOT / "stages" / "record.py"), *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Eight episodes of Blockfall, recorded by the command itself: 55 steps and so 56 rows each."""
    pytest.importorskip("stable_retro")
    folder = tmp_path_factory.mktemp("recorded") / "blockfall"
    done = command(
        "play",
        "blockfall",
        "--headless",
        "--actions",
        "LEFT*6 A .*8 DOWN*40",
        "--episodes",
        "8",
        "--out",
        folder,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copied(recorded, tmp_path):
    return Path(shutil.copytree(recorded, tmp_path / "blockfall"))


def set_info(folder: Path, **values) -> None:
    info = json.loads((folder / INFO_NAME).read_text())
    (folder / INFO_NAME).write_text(json.dumps(info | values))


def test_a_recording_of_the_real_game_passes(copied, tmp_path):
    """Exit code 0, PASS an episode, a table of how many frames were replayed; and a word about
    another emulator.
    """
    set_info(copied, emulator_version="0.0.1")
    done = command("verify", copied, "--pictures", tmp_path / "p")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("PASS  55 steps") == 8
    assert done.stdout.split("frames/s")[1].split()[:4] == ["8", "8", "0", "440"]
    assert "Recorded with stable-retro 0.0.1, replayed with" in done.stdout


def test_whatever_was_changed_fails(copied, tmp_path):
    """Exit code 1 for a changed frame, action, reward, end, and for episodes missing or double; the
    others pass.

    The changes are a careful hand's: the checksums of the pages are right again.
    """
    (shard,) = copied.glob("*.parquet")
    table = pq.read_table(shard)
    rows = table.to_pylist()
    rows[0 * 56 + 3]["observations"]["bytes"] = PngEncoder().encode(
        np.zeros((224, 240, 3), np.uint8)
    )
    rows[1 * 56 + 7]["actions"] = SPEC.vector({"RIGHT"})
    rows[2 * 56 + 9]["rewards"] = 1.0
    rows[3 * 56 + 54]["terminations"] = True
    rows[6 * 56 + 9]["episode_id"] = 3
    # from the middle, and the last one
    rows = [row for row in rows if row["episode_id"] not in (4, 7)]
    pq.write_table(pa.Table.from_pylist(rows, table.schema), shard)
    done = command("verify", copied, "--pictures", tmp_path / "p")
    assert done.returncode == 1
    found = {
        line.split()[1]: line for line in done.stdout.splitlines() if line.startswith("episode ")
    }
    assert sorted(found) == list("01234567")
    assert [number for number, line in found.items() if "PASS  55 steps" in line] == ["5"]
    assert "FAIL  step 3: 20091 of 53760 pixels" in found["0"]
    assert found["0"].endswith(f"({tmp_path / 'p' / 'episode-00000.png'})")
    assert (tmp_path / "p" / "episode-00000.png").exists()
    assert "FAIL  step 8: " in found["1"]
    assert "FAIL  step 9: the reward is 1.0, replayed 0.0" in found["2"]
    assert "two places" in found["3"]
    assert "two places" in found["6"]
    assert "missing" in found["4"]
    assert "missing" in found["7"]
    assert done.stdout.split("frames/s")[1].split()[:3] == ["8", "1", "7"]


def half(folder: Path) -> None:
    (shard,) = folder.glob("*.parquet")
    shard.write_bytes(shard.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda folder: set_info(folder, rom_sha1="b" * 40), "b" * 40),
        (lambda folder: set_info(folder, schema_version=99), "version 99"),
        (half, "damaged"),
        (lambda folder: next(folder.glob("*.parquet")).unlink(), "no Parquet shards"),
        (lambda folder: (folder / INFO_NAME).unlink(), INFO_NAME),
        (shutil.rmtree, "There is no dataset"),
    ],
)
def test_what_cannot_be_verified_is_one_sentence(copied, tmp_path, damage, named):
    """Another ROM, half a shard or no dataset at all: what is wrong and what to do."""
    damage(copied)
    with pytest.raises(UserError, match=named) as caught:
        verify.run(argparse.Namespace(dataset=str(copied), workers=1, pictures=tmp_path / "p"))
    assert_sentence(caught.value)


@pytest.mark.parametrize(
    ("info", "there", "wanted"),
    [
        ({"episodes": 3}, [0, 1], {0, 1, 2}),
        # numbered on, or the test's part of an import
        ({"first_episode": 10, "episodes": 13}, [10, 11], {10, 11, 12}),
        ({}, [7, 9], {7, 8, 9}),
        (
            {"shards": {"a": {"episodes": [0, 1]}, "b": {"episodes": [10, 11]}}, "episodes": 12},
            [0, 1, 10],
            {0, 1, 10, 11},
        ),
        # pulled, and played on
        ({"shards": {"a": {"episodes": [0, 1]}}, "episodes": 4}, [0, 1, 2], {0, 1, 2, 3}),
    ],
)
def test_which_episodes_must_be_there(info, there, wanted):
    """Neither is one missed that was cut off at the end, nor one asked for that never was."""
    assert [*missing_episodes(info, there)] == sorted(wanted - set(there))
