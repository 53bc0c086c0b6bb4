"""A disk without room: one sentence with the file, nothing half-written, and no leftovers."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from toys.recordings import recorder_rows, write_recorder
from toys.synthetic import (
    assert_sentence,
    copy_checkout,
    make_params,
    make_processed,
    make_rows,
    make_spec,
    write_raw,
)

from dreamcart.core.errors import UserError, explain_system
from dreamcart.data import whole
from dreamcart.data.recordings import add_recordings, find_recordings, recording_fingerprint
from dreamcart.data.tiled import ArrayStream
from dreamcart.params import PreprocessConfig
from dreamcart.record.live import LiveRecording
from dreamcart.representation.encode import encode_frames
from dreamcart.representation.registry import make_representation, save_representation
from dreamcart.representation.train import representation_config

resource = pytest.importorskip("resource", reason="limits on files are POSIX's")
# Runs a stage, by its file, that may write files of so many bytes at most: as `ulimit -f` does.
LIMITED = """
import resource, runpy, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
SEEN_AS = {
    "height": 16,
    "width": 16,
    "color": "gray",
    "resize": "area",
    "val_share": 0.25,
    "tile": 0,
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The code, with the game "toy" as its params have it."""
    place = copy_checkout(tmp_path_factory.mktemp("checkout"))
    set_params(
        place,
        game="toy",
        preprocess=SEEN_AS,
        latent_dim=0,
        representation={"kind": "ae", "channels": [6, 8]},
    )
    return place


def set_params(checkout: Path, **changes) -> None:
    values = yaml.safe_load((checkout / "params.yaml").read_text())
    for key, value in changes.items():
        values[key] = values[key] | value if isinstance(value, dict) else value
    (checkout / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def limited(checkout: Path, limit: int, *command: str) -> subprocess.CompletedProcess:
    """Run a command of the checkout.

    Libraries try whether they can write a few bytes, so the limit must be above those.
    """
    line = [
        sys.executable,
        "-B",
        "-c",
        LIMITED,
        str(limit),
        str(checkout / "stages" / command[0]),
        *command[1:],
    ]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(line, cwd=checkout, capture_output=True, text=True, env=env, timeout=300)


def files(folder: Path) -> dict[str, bytes]:
    """Every file there, except code."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for top in ("data", "metrics", "plots", "models", "out")
        for path in (folder / top).rglob("*")
        if path.is_file()
    }


def check_refused(done: subprocess.CompletedProcess, named: str) -> None:
    """Exit status 2 and one line, which names the file."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "error: " in line]
    assert re.search(rf"Cannot write \S*{named}\S*: File too large", line), line
    assert line.endswith(".")


@pytest.mark.parametrize("limit", [50, 300, 2500])
def test_preprocess(checkout, limit):
    raw = checkout / "data" / "toy" / "raw"
    if not raw.exists():
        write_raw(raw, [make_rows(n, 40, first=3 * n) for n in range(4)])
    before = files(checkout)
    done = limited(checkout, limit, "preprocess.py")
    check_refused(done, "data/toy/processed/(train|val)/")
    assert files(checkout) == before
    assert not (checkout / "data" / "toy" / "processed").exists()


def model():
    """An autoencoder of toy frames, untrained, and its config."""
    params = make_params(
        representation__channels=[6, 8], preprocess__height=16, preprocess__width=16
    )
    torch.manual_seed(0)
    config = representation_config(params, (16, 16, 1))
    return make_representation(config), config


@pytest.mark.parametrize("limit", [50, 1000])
def test_encode_latents(checkout, limit):
    """What was encoded before stays: half a file of latents would be read as one."""
    folder = checkout / "data" / "toy" / "processed"
    if not folder.exists():
        make_processed(
            folder.parent,
            [make_rows(n, 40, first=3 * n) for n in range(4)],
            PreprocessConfig(**SEEN_AS),
        )
        save_representation(checkout / "models" / "toy" / "representation.safetensors", *model())
        assert limited(checkout, 10**7, "encode_latents.py").returncode == 0
    before = files(checkout)
    assert {f"data/toy/latents/{name}.npy" for name in ("train", "val")} <= set(before)
    check_refused(limited(checkout, limit, "encode_latents.py"), r"data/toy/latents/train\.npy")
    assert files(checkout) == before


@pytest.mark.parametrize("limit", [50, 3000])
@pytest.mark.parametrize("columns", ["dreamcart", "recorder"])
def test_convert(checkout, tmp_path, columns, limit):
    source = write_raw(tmp_path / "source", [make_rows(n, 40, first=3 * n) for n in range(4)])
    out = tmp_path / "here" / "out"
    done = limited(
        checkout, limit, "record.py", "convert", str(source), str(out), "--columns", columns
    )
    check_refused(done, r"here/out")
    assert [path.name for path in tmp_path.iterdir() if path.name != "source"] in ([], ["here"])
    assert not list((tmp_path / "here").iterdir())


@pytest.mark.parametrize("limit", [50, 2000])
def test_collect_from_a_folder(tmp_path, limit):
    place = copy_checkout(tmp_path / "checkout")
    source = write_recorder(tmp_path / "source", recorder_rows([30, 30, 30, 30]))
    set_params(place, game="blockfall", collect={"source": source, "revision": ""})
    done = limited(place, limit, "collect.py")
    check_refused(done, "data/blockfall/raw/play-00000.parquet")
    assert files(place) == {}


@pytest.mark.parametrize("limit", [50, 6000])
def test_collect_from_an_emulator(tmp_path, limit):
    """What a worker process meets is told by the one that a person started."""
    pytest.importorskip("stable_retro")
    place = copy_checkout(tmp_path / "checkout")
    small = {
        "frames": 400,
        "episode_steps": 100,
        "test_episodes": 1,
        "test_steps": 100,
        "workers": 2,
    }
    set_params(
        place,
        game="blockfall",
        collect=small,
        dynamics={"training": "teacher"},
        rollout_eval={"horizons": [1, 5]},
    )
    done = limited(place, limit, "collect.py")
    check_refused(done, r"data/blockfall/raw(_test)?/play-0000\d.parquet")
    assert files(place) == {}


# Within this process


@pytest.fixture
def limit():
    """Sets how large a file may become, for the rest of a test."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def refused(work, named: str) -> None:
    with pytest.raises(OSError, match=named) as caught:
        work()
    assert caught.value.errno == errno.EFBIG
    assert_sentence(UserError(explain_system(caught.value)))


def record(folder: Path, episodes: int) -> str:
    with LiveRecording(folder, make_spec(), {"rom_sha1": "a" * 40}) as recording:
        for row in (row for number in range(episodes) for row in make_rows(number, 30)):
            recording.add(row)
    return f"{folder}@{recording_fingerprint(folder)}"


@pytest.mark.parametrize("size", [0, 1000])
def test_recordings_that_find_no_room_add_nothing(tmp_path, limit, size):
    """Not even those that fitted."""
    entries = [record(tmp_path / "a", 1), record(tmp_path / "b", 6)]
    raw = write_raw(tmp_path / "raw", [make_rows(n, 6) for n in range(3)])
    recordings = find_recordings(entries, make_spec())
    before = {path.name: path.read_bytes() for path in raw.iterdir()}
    limit(size)
    refused(lambda: add_recordings(recordings, make_spec(), raw), r"recording-000-00000\.parquet")
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == before


def test_a_recorder_that_finds_no_room_leaves_what_was_saved(tmp_path, limit, monkeypatch):
    monkeypatch.setattr("dreamcart.record.live.RESERVE_BYTES", 1000)
    monkeypatch.setattr("dreamcart.record.live.SAVE_EVERY", 0.0)
    limit(6000)
    refused(lambda: record(tmp_path / "r", 20), r"r/play-00000\.parquet")
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == [
        "dataset_info.json",
        "play-00000.parquet",
    ]


def test_a_recorder_says_at_once_that_there_is_no_room(tmp_path, limit):
    limit(1000)
    with pytest.raises(UserError, match="File too large") as caught:
        record(tmp_path / "r", 1)
    assert_sentence(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_latents_that_find_no_room_leave_those_that_were_there(tmp_path, limit):
    splits = make_processed(tmp_path, [make_rows(n, 20, first=3 * n) for n in range(4)])
    encoder, path = model()[0], tmp_path / "latents" / "train.npy"
    encode_frames(encoder, splits["train"].frames, path, "toy")
    before = path.read_bytes()
    for size in (0, 64, 200):
        limit(size)
        refused(
            lambda: encode_frames(encoder, splits["train"].frames, path, "toy"),
            r"latents/train\.npy",
        )
        assert path.read_bytes() == before
        assert len(list(path.parent.iterdir())) == 1


def test_latents_keep_their_place_when_the_encoder_fails(tmp_path, monkeypatch):
    """Also where nothing is wrong with the disk."""
    splits = make_processed(tmp_path, [make_rows(n, 20, first=3 * n) for n in range(4)])
    monkeypatch.setattr("dreamcart.representation.encode.BATCH", 4)
    broken, _ = model()
    calls = SimpleNamespace(count=0)
    encode = broken.encode

    def fail_later(batch):
        calls.count += 1
        if calls.count == 3:
            raise RuntimeError("out of memory")
        return encode(batch)

    monkeypatch.setattr(broken, "encode", fail_later)
    with pytest.raises(RuntimeError, match="out of memory"):
        encode_frames(broken, splits["train"].frames, tmp_path / "latents" / "train.npy", "toy")
    assert list((tmp_path / "latents").iterdir()) == []


def test_a_stream_of_arrays_leaves_nothing(tmp_path, limit):
    limit(10_000)

    def write():
        with ArrayStream(tmp_path / "frames.npy", (64, 64), "|u1") as stream:
            for _ in range(100):
                stream.append(np.zeros((64, 64), np.uint8))

    refused(write, r"frames\.npy")
    assert list(tmp_path.iterdir()) == []


def stop() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("problem", [stop, lambda: 1 / 0])
def test_a_folder_of_ours_is_whole_or_not_there(tmp_path, problem):
    """Whatever ends the work on it."""

    def work():
        with whole.fresh(tmp_path / "raw"):
            assert not (tmp_path / "raw").exists()
            (tmp_path / "raw").mkdir()
            problem()

    (tmp_path / "raw").mkdir()
    with pytest.raises((KeyboardInterrupt, ZeroDivisionError)):
        work()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_removed_is_said(tmp_path, monkeypatch):
    """Else new shards would lie among old ones."""

    def deny(path, *_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    (tmp_path / "raw").mkdir()
    monkeypatch.setattr("dreamcart.data.whole.shutil.rmtree", deny)
    with pytest.raises(PermissionError, match="raw") as caught, whole.fresh(tmp_path / "raw"):
        pass
    assert_sentence(UserError(explain_system(caught.value)))


def test_what_a_link_leads_to_is_not_removed(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "letter").write_text("dear friend")
    (tmp_path / "raw").symlink_to(tmp_path / "theirs")
    with whole.fresh(tmp_path / "raw"):
        assert not (tmp_path / "raw").exists()
    assert (tmp_path / "theirs" / "letter").read_text() == "dear friend"
