"""Recording a person: what is on the disk at any moment, what is refused, and the window."""

import errno
import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from toys.person import SPEC, pressed, pygame, sit_down
from toys.synthetic import assert_sentence, make_rows, make_spec
from toys.toy_emulator import VERSIONS, ToyEmulator

from dreamcart.core.errors import UserError
from dreamcart.core.files import write_json
from dreamcart.core.paths import ROOT
from dreamcart.data.images import decode_image
from dreamcart.data.reader import read_episodes
from dreamcart.data.schema import INFO_NAME, read_info
from dreamcart.games.action_lists import parse_actions
from dreamcart.games.catalog import game_names
from dreamcart.games.keys import key_map
from dreamcart.play.window import MARGIN, Window
from dreamcart.record import live, person
from dreamcart.record.live import LiveRecording
from dreamcart.record.person import Scripted, record_session
from dreamcart.record.recorder_window import RecorderWindow


def record(folder: Path, actions: str, episodes: int = 1, seed: int = 0) -> Path:
    """Record the toy game by a list of actions."""
    with LiveRecording(folder, SPEC, VERSIONS) as recording:
        record_session(
            ToyEmulator(),
            SPEC,
            Scripted(parse_actions(actions, SPEC), episodes),
            recording,
            "Begin",
            seed,
            episodes,
        )
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# What is recorded


def test_a_recording_has_the_raw_schema(tmp_path):
    """Every step's frame, buttons, reward and end, one observation more than actions, and what
    replay needs.
    """
    folder = record(tmp_path / "r", "RIGHT*3 A LEFT+A .*2", episodes=2, seed=5)
    episodes = list(read_episodes(folder))
    assert len(episodes) == 2
    pressed = [SPEC.vector(step) for step in parse_actions("RIGHT*3 A LEFT+A .*2", SPEC)]
    for number, episode in enumerate(episodes):
        emulator = ToyEmulator()
        frames = [
            emulator.reset("Begin", 5 + number),
            *(emulator.step(action)[0] for action in pressed),
        ]
        for row, frame in zip(episode, frames, strict=True):
            np.testing.assert_array_equal(decode_image(row["observations"]["bytes"]), frame)
            assert (row["episode_id"], row["seed"]) == (number, 5 + number)
        assert [row["actions"] for row in episode] == [*pressed, None]
        assert [row["rewards"] for row in episode] == [0, 0, 0, 1, 1, 0, 0, 0]
        assert [row["truncations"] for row in episode] == [False] * 6 + [True, False]
        assert not any(row["terminations"] for row in episode)
        assert json.loads(episode[0]["infos"])["start_state"] == "Begin"
        assert json.loads(episode[2]["infos"]) == {"x": 7 + number, "board": [(7 + number) % 7, 1]}
    info = read_info(folder)
    assert info["episodes"] == 2
    assert info["game"] == SPEC.to_dict()
    assert VERSIONS.items() <= info.items()
    assert sorted(contents(folder)) == [INFO_NAME, "play-00000.parquet"]


def test_the_games_own_end_ends_the_episode(tmp_path):
    """What would be pressed after game over is not part of it, and nothing is cut off."""
    (episode,) = read_episodes(record(tmp_path / "r", "RIGHT START RIGHT*5"))
    assert [row["terminations"] for row in episode] == [False, True, False]
    assert not any(row["truncations"] for row in episode)


def test_what_is_recorded_does_not_depend_on_when_it_is_saved(tmp_path, monkeypatch):
    """The same play gives the same bytes, so that a recording made again has the same
    fingerprint.
    """
    monkeypatch.setattr(live, "ROWS_IN_SHARD", 7)
    found = []
    for every in (0.0, math.inf):
        monkeypatch.setattr(live, "SAVE_EVERY", every)
        monkeypatch.setattr(live, "MOST_SAVING", 1.0)
        found.append(contents(record(tmp_path / str(every), "RIGHT*9 A LEFT*3", episodes=3)))
    assert found[0] == found[1]
    assert len(found[0]) > 4


def test_recording_goes_on_in_a_folder(tmp_path):
    """Another run appends: what was there stays as it is, and episodes count on."""
    first = contents(record(tmp_path / "r", "RIGHT*4", episodes=2))
    record(tmp_path / "r", "LEFT*3")
    now = contents(tmp_path / "r")
    assert {name: now[name] for name in first if name != INFO_NAME} == {
        k: v for k, v in first.items() if k != INFO_NAME
    }
    assert [(e[0]["episode_id"], e[0]["seed"], len(e)) for e in read_episodes(tmp_path / "r")] == [
        (0, 0, 5),
        (1, 1, 5),
        (2, 2, 4),
    ]
    assert read_info(tmp_path / "r")["episodes"] == 3


def test_nothing_played_leaves_nothing(tmp_path):
    """Opening the recorder and leaving again must not leave an empty dataset about."""
    record(tmp_path / "r", "")
    assert list(tmp_path.iterdir()) == []


# Killed, or out of room


@pytest.mark.parametrize("rows_in_shard", [3, 4, 5, 1000])
def test_the_folder_is_whole_after_every_step(tmp_path, monkeypatch, rows_in_shard):
    """Wherever the recorder is killed, the folder holds what was played till then as a dataset
    without a fault.
    """
    monkeypatch.setattr(live, "ROWS_IN_SHARD", rows_in_shard)
    monkeypatch.setattr(live, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(live, "MOST_SAVING", math.inf)
    episodes = [make_rows(number, length) for number, length in enumerate((9, 2, 12))]
    recording, added = LiveRecording(tmp_path, SPEC, VERSIONS), 0
    for episode in episodes:
        for row in episode:
            recording.add(row)
            added += 1
            wanted = [
                rows[: max(0, added - sum(map(len, episodes[:n])))]
                for n, rows in enumerate(episodes)
            ]
            wanted = [rows for rows in wanted if len(rows) > 1]
            found = list(read_episodes(tmp_path)) if wanted else []
            assert [len(rows) for rows in found] == [len(rows) for rows in wanted]
            for rows, true in zip(found, wanted, strict=True):
                assert [row["actions"] for row in rows] == [row["actions"] for row in true[:-1]] + [
                    None
                ]
                assert [row["truncations"] for row in rows] == [False] * (len(rows) - 2) + [
                    True,
                    False,
                ]
                pressed = xxhash.xxh3_64(
                    b"".join(bytes(row["actions"]) for row in rows[:-1])
                ).hexdigest()
                whole = true[-1]["actions"] is None  # then it is `play_episode` that says so
                assert json.loads(rows[-1]["infos"]).get("actions_hash") == (
                    None if whole else pressed
                )
                for row, expected in zip(rows, true, strict=True):
                    np.testing.assert_array_equal(
                        decode_image(row["observations"]["bytes"]), expected["observations"]
                    )
    recording.close()


KILLED = """
import sys, time
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
from pathlib import Path
from toys.synthetic import make_frame, make_spec
from dreamcart.record.live import LiveRecording
recording = LiveRecording(Path(sys.argv[2]), make_spec(), {"rom_sha1": "a" * 40})
for step in range(100000):
    row = {"episode_id": 0, "step": step, "seed": 0, "observations": make_frame(step)}
    row |= {"actions": [0] * 8, "rewards": 0.0, "terminations": False, "truncations": False}
    recording.add(row | {"infos": {"start_state": "Begin"}})
    print(step, time.monotonic(), flush=True)
    time.sleep(1 / 60)
"""


def test_kill_loses_less_than_a_second(tmp_path):
    """kill -9: plain `datasets` opens the folder as it was left, and the next run goes on in it."""
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "r"
    command = [sys.executable, "-c", KILLED, str(ROOT), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        times, killed = {}, None
        for line in process.stdout:
            step, at = line.split()
            times[int(step)] = float(at)
            if killed is None and float(at) - times[0] > 3:
                killed = float(at)
                os.kill(process.pid, signal.SIGKILL)
    opened = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert opened["step"] == list(range(len(opened)))
    assert opened["actions"][-1] is None
    times[len(opened)] = times.get(len(opened), killed)
    assert killed - times[len(opened) - 1] < 1.2, (
        "lost more than a second (and a fifth: the machine may be busy)"
    )
    (folder / ".play-00001.parquet.a1b2c3d4.tmp").write_bytes(b"half a shard")
    record(folder, "RIGHT*2")
    assert [len(episode) for episode in read_episodes(folder)] == [len(opened), 3]
    assert sorted(contents(folder)) == [INFO_NAME, "play-00000.parquet", "play-00001.parquet"]


def no_room(monkeypatch, folder: Path, from_call: int) -> None:
    """From then on the disk is full while the reserve stands on it."""
    real, calls = live.open_shard, itertools.count()

    def open_shard(path):
        if next(calls) >= from_call and any(folder.glob(f"{live.RESERVE_PREFIX}*")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return real(path)

    monkeypatch.setattr(live, "open_shard", open_shard)


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    """The reserve makes room for what was played; one sentence says where it is."""
    monkeypatch.setattr(live, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(live, "MOST_SAVING", math.inf)
    no_room(monkeypatch, tmp_path / "r", from_call=4)
    with pytest.raises(UserError, match="disk is full") as caught:
        record(tmp_path / "r", "RIGHT*20")
    assert_sentence(caught.value)
    assert "--out" in str(caught.value)
    (episode,) = read_episodes(tmp_path / "r")
    assert len(episode) == 6  # 5 rows had been given to the recorder, or 6 with the one it saw last
    assert read_info(tmp_path / "r")["episodes"] == 1


def test_no_room_to_begin_with_is_refused(tmp_path, monkeypatch):
    """Better told before the first step than after the best game of one's life."""

    def full(self, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="No space left") as caught:
        LiveRecording(tmp_path / "r", SPEC, VERSIONS)
    assert_sentence(caught.value)
    assert not (tmp_path / "r").exists()


def test_only_its_own_leftovers_are_removed(tmp_path):
    """A killed recorder's temporary files go; what else is hidden or called so, and links, stay."""
    folder = record(tmp_path / "r", "RIGHT*4")
    (tmp_path / "letter").write_text("dear friend")
    theirs = [
        ".notes.tmp",
        ".reserve",
        "x.tmp",
        ".play-00000.parquet.tmp",
        ".play.parquet.a1b2c3d4.tmp",
    ]
    own = [
        ".reserve.a1b2c3d4.tmp",
        ".play-00000.parquet.abcd_123.tmp",
        ".dataset_info.json.a1b2c3d4.tmp",
    ]
    for name in (*theirs, *own):
        (folder / name).write_text(name)
    (folder / ".play-00009.parquet.a1b2c3d4.tmp").symlink_to(tmp_path / "letter")
    record(folder, "LEFT*3")
    assert all((folder / name).read_text() == name for name in theirs)
    assert not any((folder / name).exists() for name in own)
    assert (tmp_path / "letter").read_text() == "dear friend"


def test_a_folder_that_was_there_stays(tmp_path):
    """Where nothing is recorded only what the recorder made is removed."""
    (tmp_path / "empty").mkdir()
    record(tmp_path / "empty", "")
    assert list((tmp_path / "empty").iterdir()) == []
    folder = record(tmp_path / "r", "RIGHT*4")
    next(folder.glob("*.parquet")).unlink()
    write_json(folder / INFO_NAME, read_info(folder) | {"episodes": 0})
    record(folder, "")
    assert (folder / INFO_NAME).is_file()


def test_what_a_pulled_dataset_says_of_its_shards_stays(tmp_path):
    """Its episodes may have gaps, which its shards explain; what is played on comes after them."""
    folder = record(tmp_path / "r", "RIGHT*4", episodes=2)
    said = {
        "first_episode": 0,
        "lossy": ["JPEG"],
        "shards": {"play-00000.parquet": {"episodes": [0, 1], "rows": 10}},
    }
    write_json(folder / INFO_NAME, read_info(folder) | said)
    record(folder, "LEFT*3")
    assert said.items() <= read_info(folder).items()
    assert [episode[0]["episode_id"] for episode in read_episodes(folder)] == [0, 1, 2]
    numbered = record(tmp_path / "n", "RIGHT*4")
    table = pq.read_table(numbered / "play-00000.parquet")
    column = pa.array([40] * len(table), pa.int64())
    pq.write_table(
        table.set_column(table.column_names.index("episode_id"), "episode_id", column),
        numbered / "play-00000.parquet",
    )
    write_json(numbered / INFO_NAME, read_info(numbered) | {"first_episode": 40, "episodes": 41})
    record(numbered, "LEFT*3")
    assert [episode[0]["episode_id"] for episode in read_episodes(numbered)] == [40, 41]


# What is refused


def foreign_files(folder):
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "letter.txt").write_text("dear friend")


def change_info(**changes):
    def change(folder):
        info = json.loads((folder / INFO_NAME).read_text())
        game = info["game"] | {
            name: value for name, value in changes.items() if name in info["game"]
        }
        (folder / INFO_NAME).write_text(
            json.dumps(info | {"game": game} | {k: v for k, v in changes.items() if k not in game})
        )

    return change


def half_a_shard(folder):
    (shard,) = folder.glob("*.parquet")
    shard.write_bytes(shard.read_bytes()[:500])


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (foreign_files, "no recording"),
        (change_info(env="Other-Nes-v0"), "'Other-Nes-v0'"),
        (change_info(buttons=["A"], keys={}), r"\['A'\]"),
        (change_info(frame_skip=4), "frame_skip 4"),
        (change_info(rom_sha1="b" * 40), "another ROM"),
        (change_info(schema_version=99), "version 99"),
        (half_a_shard, "damaged"),
    ],
)
def test_a_folder_of_something_else_is_refused(tmp_path, damage, named):
    """Recording on in a folder must not mix two games, nor touch what is no recording."""
    damage(record(tmp_path / "r", "RIGHT*4"))
    before = contents(tmp_path / "r")
    with pytest.raises(UserError, match=named) as caught:
        record(tmp_path / "r", "LEFT*3")
    assert_sentence(caught.value)
    assert contents(tmp_path / "r") == before


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["no_such_game"], "no_such_game"),
        (["blockfall", "--headless"], "--actions"),
        (["blockfall", "--headless", "--actions", "FLY"], "FLY"),
        (["blockfall", "--actions", "A"], "--headless"),
        (["blockfall", "--speed", "99"], "--speed"),
        (["blockfall", "--headless", "--actions", "A", "--episodes", "0"], "--episodes"),
        (["blockfall", "--headless", "--actions", "A", "--seed", "-1"], "--seed"),
        (["blockfall", "--headless", "--actions", "A", "--state", "Nowhere"], "Nowhere"),
        (["blockfall"], "Cannot open a window (no_such_driver not available)"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, arguments, named):
    """No traceback, nothing recorded, and a sentence with the way out."""
    pytest.importorskip("stable_retro")
    env = os.environ | {"SDL_VIDEODRIVER": "no_such_driver"}
    command = [
        sys.executable,
        str(ROOT / "stages" / "record.py"),
        "play",
        *arguments,
        "--out",
        str(tmp_path / "r"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert named in line
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "r").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
@pytest.mark.parametrize(
    ("command", "screens", "named"),
    [
        ("play", {}, "neither DISPLAY nor WAYLAND_DISPLAY"),
        ("play", {"DISPLAY": ":9876"}, "does not answer"),
        ("watch", {}, "neither DISPLAY nor WAYLAND_DISPLAY"),
    ],
)
def test_without_a_display_no_window_waits_unseen(tmp_path, command, screens, named):
    """SDL would draw into memory and wait for keys for ever; the sentence names the options of that
    command that need no window.
    """
    pytest.importorskip("ale_py")
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    }
    env |= screens | {"XDG_RUNTIME_DIR": str(tmp_path)}
    arguments = (
        ["breakout", "--out", str(tmp_path / "r")]
        if command == "play"
        else [str(record(tmp_path / "toy", "RIGHT*4"))]
    )
    line = [sys.executable, str(ROOT / "stages" / "record.py"), command, *arguments]
    done = subprocess.run(line, capture_output=True, text=True, env=env, timeout=120)
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2
    assert named in said
    assert said.endswith(
        "--headless --actions FILE." if command == "play" else "--frames N --gif FILE."
    )
    assert not (tmp_path / "r").exists()


# The window


NONE: set[str] = set()


def test_a_session_in_the_window(tmp_path, monkeypatch):
    """SPACE begins, keys are buttons, ESC ends and saves, SPACE begins the next one, ESC twice
    leaves.
    """
    looks = [
        NONE,
        NONE,
        {"space"},
        {"left"},
        {"left", "x"},
        NONE,
        {"escape"},
        NONE,
        {"space"},
        {"right"},
        {"escape"},
        NONE,
    ]
    window = sit_down(monkeypatch, tmp_path / "r", *looks, {"escape"})
    assert pressed(tmp_path / "r") == [[{"LEFT"}, {"LEFT", "A"}, NONE], [{"RIGHT"}]]
    assert window.statuses[0].startswith("SPACE: record episode 0")
    assert window.statuses[3].startswith("REC episode 0")
    assert window.statuses[-1].startswith("SPACE: record episode 2")


def test_closing_the_window_saves(tmp_path, monkeypatch):
    """The close button ends the episode and the session at once."""
    sit_down(monkeypatch, tmp_path / "r", {"space"}, {"left"}, {"quit"})
    assert pressed(tmp_path / "r") == [[{"LEFT"}]]


def test_a_pause_is_not_recorded(tmp_path, monkeypatch):
    """Between P and P nothing is played, whatever is held."""
    window = sit_down(
        monkeypatch,
        tmp_path / "r",
        {"space"},
        {"left"},
        {"p"},
        {"left"},
        NONE,
        {"p"},
        {"right"},
        {"quit"},
    )
    assert pressed(tmp_path / "r") == [[{"LEFT"}, NONE, {"RIGHT"}]]
    assert any(status.startswith("PAUSED") for status in window.statuses)


def test_space_may_be_a_button_too(tmp_path, monkeypatch):
    """SPACE begins an episode without firing in it, until it is let go and pressed again."""
    spec = make_spec(keys={"A": "space", "LEFT": "left"})
    sit_down(
        monkeypatch,
        tmp_path / "r",
        {"space"},
        {"space"},
        {"space", "left"},
        NONE,
        {"space"},
        {"quit"},
        spec=spec,
    )
    assert pressed(tmp_path / "r", spec) == [[NONE, {"LEFT"}, NONE, {"A"}]]


def test_speed_changes_the_clock_and_not_the_game(tmp_path, monkeypatch):
    """+ and - make play faster and slower; the steps are the same."""
    window = sit_down(
        monkeypatch,
        tmp_path / "r",
        {"space"},
        {"-"},
        NONE,
        {"="},
        NONE,
        {"[+]"},
        {"quit"},
        speed=3.0,
    )
    assert window.speed == 4.0
    assert len(pressed(tmp_path / "r")[0]) == 5
    begin = time.monotonic()
    sit_down(monkeypatch, tmp_path / "s", {"space"}, *[NONE] * 5, {"quit"}, speed=1.0)
    assert time.monotonic() - begin > 0.5  # ten steps a second


@pytest.mark.parametrize("key", RecorderWindow.taken_keys)
def test_a_key_of_the_recorders_own_is_refused(key):
    """A button on ESC would end the recording; the sentence names key and button."""
    with pytest.raises(UserError, match="to A, but Dreamcart itself") as caught:
        RecorderWindow(make_spec(keys={"A": key}), ToyEmulator().reset("Begin", 0), 1.0)
    pygame.quit()
    assert_sentence(caught.value)


@pytest.mark.parametrize("game", game_names())
def test_the_repositorys_games_can_be_recorded(game):
    """Every button of the games that come with Dreamcart can be pressed beside the recorder's own
    keys.
    """
    try:
        spec = person.load_game(game)
    except UserError as problem:
        pytest.skip(str(problem))  # of a library that is not installed
    RecorderWindow(spec, ToyEmulator().reset("Begin", 0), 1.0).close()
    assert set(spec.keys) == set(spec.buttons)


def test_help_is_on_the_screen(tmp_path, monkeypatch):
    """Whoever sits down sees every button's key, the recorder's own, the time and the speed."""
    lines = []
    monkeypatch.setattr(
        RecorderWindow, "_line", lambda self, text, number, colour: lines.append(text)
    )
    sit_down(monkeypatch, tmp_path / "r", {"space"}, NONE, {"quit"}, speed=2.0)
    text = "\n".join(lines)
    assert all(f"{key}: {button}" in text for button, key in SPEC.keys.items())
    assert all(f"{key}: " in text for key in RecorderWindow.own_keys)
    assert "speed 2" in text
    assert "0:00" in text


def test_help_of_many_buttons_is_seen_whole(tmp_path, monkeypatch):
    """Doom has 19: the window is as wide as they ask for, and where the screen ends the letters
    shrink.
    """
    lines = []

    class Letters:
        """A font that notes what is written with it."""

        def __init__(self, font, room):
            self.own, self.room, self.size = font, room, font.size

        def render(self, text, *rest):
            lines.append((text, self.own.size(text)[0], self.own.get_height(), self.room))
            return self.own.render(text, *rest)

    make = Window.__init__

    def made(self, *arguments, **named):
        make(self, *arguments, **named)
        self.fonts = [Letters(font, self.screen.get_width() - 2 * MARGIN) for font in self.fonts]

    monkeypatch.setattr(Window, "__init__", made)
    buttons = [f"SELECT_WEAPON{number}" for number in range(19)]
    spec = make_spec(buttons=buttons, keys=key_map(buttons))
    sit_down(monkeypatch, tmp_path / "r", NONE, {"quit"}, spec=spec)
    status, keys, more_keys, _ = lines[-4:]
    assert all(f"{key}: {button}" in keys[0] + more_keys[0] for button, key in spec.keys.items())
    assert keys[3] > 700  # wider than the picture and than an ordinary game's help
    assert max(keys[1], more_keys[1]) <= keys[3]
    assert keys[2] < status[2]  # what is short stays large


@pytest.mark.parametrize("inside", [True, False])
def test_what_is_printed_after_a_recording_can_be_typed(tmp_path, monkeypatch, capsys, inside):
    """The command names the game, which need not be that of params.yaml;

    DVC keeps only what is below the repository.
    """
    monkeypatch.setattr(person, "ROOT", tmp_path / ("." if inside else "elsewhere"))
    with LiveRecording(tmp_path / "me", SPEC, VERSIONS) as recording:
        record_session(
            ToyEmulator(), SPEC, Scripted(parse_actions("A*3", SPEC), 1), recording, "Begin", 0, 1
        )
    person._report(recording)
    shown = capsys.readouterr().out
    assert ("dvc add me" in shown) == ("-S game=toy -S 'collect.recordings=[me@" in shown) == inside
    assert ("move" in shown) != inside
