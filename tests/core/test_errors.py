"""What becomes of an exception in a stage: a person's mistake, a full disk, a reader that went
away.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from dreamcart.core.errors import PIPE_GONE, UserError, run_stage
from dreamcart.core.files import write_array
from dreamcart.core.paths import ROOT
from dreamcart.core.tensors import load_tensors, save_tensors
from dreamcart.training.device import pick_device

PROGRAM = (
    "from dreamcart.core.errors import run_stage\nrun_stage(lambda: [print('x' * 1000) for _ in"
    " range(1000)])"
)


def test_output_that_nobody_reads_ends_a_command_quietly():
    """As in `record.py games | head`."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == PIPE_GONE


def test_a_broken_connection_strikes_nobody_dead():
    """A Hub that drops the line while we write must raise, not end the process by a signal."""
    run_stage(lambda: None)
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN


def fail(problem: BaseException) -> None:
    raise problem


def test_another_pipe_is_not_taken_for_the_output():
    with pytest.raises(BrokenPipeError):
        run_stage(lambda: fail(BrokenPipeError()))


@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        (UserError("No such game."), 2, "error: No such game.\n"),
        (
            OSError(28, "", "models/a.safetensors"),
            2,
            "error: Cannot write models/a.safetensors: No space left on device",
        ),
        (KeyboardInterrupt(), 130, "\nStopped."),
    ],
)
def test_a_persons_mistake_is_one_sentence(capsys, problem, code, said):
    with pytest.raises(SystemExit) as caught:
        run_stage(lambda: fail(problem))
    assert caught.value.code == code
    assert capsys.readouterr().err.startswith(said)


STAGES = sorted(path.name for path in (ROOT / "stages").glob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_has_help_and_refuses_what_it_does_not_know(name, tmp_path):
    """--help must explain, never begin to record or train; from any directory."""
    command = [sys.executable, str(ROOT / "stages" / name)]
    told = subprocess.run([*command, "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert told.returncode == 0
    assert len(told.stdout) > 150
    wrong = subprocess.run([*command, "--gaem=pong"], capture_output=True, text=True, cwd=tmp_path)
    assert wrong.returncode == 2
    assert (wrong.stderr.startswith("error: "), wrong.stderr.count("\n")) == (True, 1), wrong.stderr


def test_a_device_that_is_not_here_is_one_sentence(monkeypatch):
    for name in ("gpu", "cuda:99"):
        monkeypatch.setenv("DREAMCART_DEVICE", name)
        with pytest.raises(UserError, match=name):
            pick_device()


def no_room(*_):
    raise OSError(28, "No space left on device")


def test_a_disk_without_room_is_said_before_pages_are_written(tmp_path, monkeypatch):
    """A mapped file on a full disk would end the process by a signal."""
    monkeypatch.setattr(os, "posix_fallocate", no_room, raising=False)
    with pytest.raises(OSError, match=r"latents\.npy") as caught:
        write_array(tmp_path / "latents.npy", (1000, 1000), "float32")
    assert caught.value.errno == 28
    assert list(tmp_path.iterdir()) == []


def full_disk(tensors, path, meta):
    Path(path).write_bytes(b"half of it")
    raise SafetensorError(
        "Error while serializing: I/O error: No space left on device (os error 28)"
    )


def test_a_full_disk_leaves_the_model_that_was_there(tmp_path, monkeypatch):
    save_tensors(tmp_path / "m.safetensors", {"a": torch.ones(3)})
    monkeypatch.setattr("dreamcart.core.tensors.save_file", full_disk)
    with pytest.raises(OSError, match=r"m\.safetensors") as caught:
        save_tensors(tmp_path / "m.safetensors", {"a": torch.zeros(3)})
    assert caught.value.errno == 28
    assert load_tensors(tmp_path / "m.safetensors")[0]["a"].tolist() == [1, 1, 1]
    assert len(list(tmp_path.iterdir())) == 1
