"""`collect.source` names a folder that another tool wrote: it is read as `convert` reads it."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from toys.foreign import (
    columns_csv,
    held_list,
    pressed_at,
    write_arrow,
    write_diamond,
    write_frames,
    write_lerobot,
    write_minari,
    write_video,
)
from toys.synthetic import assert_sentence, make_frame, make_params, make_spec

from dreamcart.core.errors import UserError
from dreamcart.core.files import read_json
from dreamcart.core.paths import ROOT
from dreamcart.data import imports
from dreamcart.data.images import decode_image
from dreamcart.data.imports import import_recordings, report_lines
from dreamcart.data.reader import read_episodes
from dreamcart.data.schema import INFO_NAME
from dreamcart.params import CollectConfig

SPEC = make_spec()
LENGTHS = [4, 5, 6]


def frames_and_csv(folder: Path) -> None:
    for number, count in enumerate(LENGTHS):
        place = write_frames(folder / str(number), count, number)
        columns_csv(place / "buttons.csv", count)


def videos(folder: Path) -> None:
    for number, count in enumerate(LENGTHS):
        write_video(folder / f"{number}.mkv", count, "ffv1", (24, 32), first=number)


def diamond(folder: Path) -> None:
    for number, count in enumerate(LENGTHS):
        write_diamond(folder / f"{number}.hdf5", count, number)


def minari(folder: Path) -> None:
    for number, count in enumerate(LENGTHS):
        pictures = [make_frame(number + step) for step in range(count)]
        write_minari(folder / "data" / "main_data.hdf5", pictures, held_list(count - 1))


def lerobot(folder: Path) -> None:
    write_lerobot(folder, "v3.0", "image", counts=tuple(LENGTHS))


KINDS = [frames_and_csv, videos, diamond, minari, lerobot]


@pytest.fixture
def place(tmp_path):
    """A folder, and a function that imports what is in its `play`."""

    def call(**changes):
        settings = {"frames": 100, "episode_steps": 10, "test_episodes": 1, "test_steps": 10}
        config = CollectConfig(
            str(tmp_path / "play"), **{"revision": "", "workers": 1, **settings, **changes}
        )
        return import_recordings(SPEC, config, tmp_path / "raw", tmp_path / "raw_test")

    call.path, call.play = tmp_path, tmp_path / "play"
    return call


@pytest.mark.parametrize("write", KINDS, ids=lambda write: write.__name__)
def test_every_format_is_a_source(place, write):
    """Every frame and button of it; the last episode is held out; what became what is told."""
    write(place.play)
    report = place()
    episodes = [
        episode for name in ("raw", "raw_test") for episode in read_episodes(place.path / name)
    ]
    assert [len(episode) for episode in episodes] == LENGTHS
    for number, episode in enumerate(episodes):
        for step, row in enumerate(episode):
            frame = decode_image(row["observations"]["bytes"])
            np.testing.assert_array_equal(frame, make_frame(number + step))
            last = step == len(episode) - 1
            assert row["actions"] == (None if last else SPEC.vector(pressed_at(step)))
    assert (report["episodes"], report["frames"], report["test_episodes"]) == (3, 15, 1)
    assert sum(report["held"].values()) == sum(
        len(pressed_at(step)) for count in LENGTHS for step in range(count - 1)
    )
    told = "\n".join(report_lines(report))
    assert "3 episodes, 15 frames" in told
    assert all(remark in told for remark in report["remarks"])
    assert read_json(place.path / "raw" / INFO_NAME)["revision"] == report["revision"]
    assert place(revision=report["revision"])["revision"] == report["revision"]


def test_what_actions_mean_can_be_said(place):
    for number in range(3):
        source = write_frames(place.play / str(number), 4, number)
        (source / "a.csv").write_text("action\n" + "\n".join(str(n % 3) for n in range(4)))
    place(actions="none,A,RIGHT")
    rows = next(read_episodes(place.path / "raw"))
    assert [row["actions"] for row in rows[:-1]] == [
        SPEC.vector(held) for held in (set(), {"A"}, {"RIGHT"})
    ]


def another_button(folder: Path) -> None:
    frames_and_csv(folder)
    (folder / "0" / "buttons.csv").write_text("JUMP\n" + "1\n" * 4)


def no_buttons(folder: Path) -> None:
    frames_and_csv(folder)
    (folder / "2" / "buttons.csv").unlink()


def another_size(folder: Path) -> None:
    frames_and_csv(folder)
    Image.fromarray(make_frame(0, 16, 16)).save(folder / "2" / "3.png")


def two(folder: Path) -> None:
    write_arrow(folder, [24, 32, 3])


def pickles(folder: Path) -> None:
    folder.mkdir()
    (folder / "0.pt").write_bytes(b"\x80\x04.")


def nothing(folder: Path) -> None:
    folder.mkdir()


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (another_button, r"the button 'JUMP'.*\(`game`\)"),
        (no_buttons, "no CSV"),
        (another_size, "16 x 16, and those before are 24 x 32"),
        (two, "has 1 episodes"),
        (pickles, "run programs"),
        (nothing, "no frames or videos"),
    ],
)
def test_a_bad_source_is_one_sentence_and_leaves_nothing(place, write, said):
    write(place.play)
    with pytest.raises(UserError, match=said) as caught:
        place()
    assert_sentence(caught.value)
    assert [path.name for path in place.path.iterdir()] == ["play"]


def test_another_folder_than_was_pinned_is_refused(place):
    frames_and_csv(place.play)
    revision = place()["revision"]
    (place.play / "1" / "buttons.csv").write_text("A\n" + "1\n" * 5)
    with pytest.raises(UserError, match=r"collect\.revision pins"):
        place(revision=revision)


def test_memory_stays_flat(place, monkeypatch):
    """A shard holds its distinct images until it is closed: it ends early where they are many."""
    monkeypatch.setattr(imports, "MOST_HELD", 100)
    frames_and_csv(place.play)
    place()
    assert len(list((place.path / "raw").glob("*.parquet"))) == 2


def test_the_stage_says_what_was_mapped(place, monkeypatch, capsys):
    """Also what is left out, such as a CSV's count of frames; a pin is printed."""
    frames_and_csv(place.play)
    (place.play / "notes").mkdir()
    stage = importlib.import_module("stages.collect")
    params = make_params(collect__source=str(place.play), collect__test_episodes=1)
    monkeypatch.setattr(stage, "load_params", lambda: params)
    monkeypatch.setattr(stage, "load_game", lambda name: SPEC)
    monkeypatch.setattr("dreamcart.core.paths.ROOT", place.path)
    stage.main()
    told = capsys.readouterr().out
    for words in ("not used: notes/", "15 PNG", "a column a button", "collect.revision="):
        assert words in told
    report = read_json(place.path / "metrics" / params.game / "collect_details.json")
    assert report["held"]["RIGHT"] > 0
    assert set(read_json(place.path / "metrics" / params.game / "collect.json")) == {"frames"}


def test_dvc_reads_the_code_of_every_format():
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["collect"]
    assert "dreamcart/data/foreign" in stage["deps"]
