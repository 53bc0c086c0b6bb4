"""What becomes of an exception in a stage: a person's mistake, a full disk, a reader that went away."""

import signal
import subprocess
import sys

import pytest

from dreamcart.errors import PIPE_GONE, ROOT, UserError, run_stage

PROGRAM = "from dreamcart.errors import run_stage\nrun_stage(lambda: [print('x' * 1000) for _ in range(1000)])"


def test_output_that_nobody_reads_ends_a_command_quietly():
    """As in `record.py games | head`."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
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
        (OSError(28, "", "models/a.safetensors"), 2, "error: Cannot write models/a.safetensors: No space left on device"),
        (KeyboardInterrupt(), 130, "\nStopped."),
    ],
)
def test_a_persons_mistake_is_one_sentence(capsys, problem, code, said):
    with pytest.raises(SystemExit) as caught:
        run_stage(lambda: fail(problem))
    assert caught.value.code == code
    assert capsys.readouterr().err.startswith(said)
