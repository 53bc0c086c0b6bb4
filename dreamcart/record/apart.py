"""Runs work in a process of its own, so that what crashes or hangs there is a sentence here."""

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from dreamcart.core.errors import UserError

Report = Callable[[Any], None]  # what the work calls now and then, with how far it is
START_S = 120.0  # until the first word: imports on a busy machine


class CrashError(Exception):
    """The process ended by itself; the message says how (SIGSEGV, exit status 1)."""


class HangError(Exception):
    """The process has said nothing for too long, and was ended."""


def run_apart(work: Callable[..., Any], args: tuple, told: Report, patience_s: float = 30.0) -> Any:
    """Return what `work(*args, report)` returns in a fresh process; `told` gets what it reports.

    All of it must be picklable. What the work prints is lost: emulators talk to themselves.

    Raises:
        UserError: the work raised it.
        CrashError: the process died.
        HangError: no report came for `patience_s` seconds.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(theirs, work, args), daemon=True)
    child.start()
    theirs.close()
    try:
        patience = START_S
        while ours.poll(patience):
            kind, value = ours.recv()
            patience = patience_s
            if kind == "done":
                return value
            if kind == "problem":
                raise UserError(value)
            if kind == "fault":
                raise RuntimeError(value)
            told(value)
        raise HangError
    except (EOFError, ConnectionResetError):
        child.join()
        raise CrashError(_how(child.exitcode)) from None
    finally:
        child.kill()
        child.join()
        ours.close()


def _how(status: int | None) -> str:
    """Words for the exit code of a process."""
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    return f"exit status {status}"


def _child(pipe: Connection, work: Callable[..., Any], args: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    pipe.send(("report", None))
    try:
        pipe.send(("done", work(*args, lambda value: pipe.send(("report", value)))))
    except UserError as problem:
        pipe.send(("problem", str(problem)))
    except BrokenPipeError:  # nobody waits for us any more
        pass
    except Exception:
        pipe.send(("fault", traceback.format_exc()))
