"""One kind of error for a person's mistake: a sentence that says what is wrong and what to do.

Stages call `run_stage(main)`, which prints that sentence and exits with status 2; every other
exception keeps its traceback, because then the mistake is ours.
"""

import argparse
import errno
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CANNOT_WRITE = errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EISDIR, errno.ENOTDIR, errno.EEXIST
PIPE_GONE = 141  # what a shell says of a command that such a signal ended


class UserError(Exception):
    """Wrong input. The message is one sentence that names the problem and the way out."""


def run_stage(main: Callable[[], None], about: str | None = None) -> None:
    """Run a stage's `main`, turning a person's mistakes into one line.

    `about` is what --help says of a stage that takes its settings from params.yaml alone; any other argument is refused then.

    Exits 2 on `UserError`, a full disk or a missing permission, 130 on Ctrl-C, and 141 where nobody reads its output any more.
    """
    if about is not None:
        epilog = "Settings: params.yaml, or for one run  dvc exp run -S key=value"
        shape = argparse.RawDescriptionHelpFormatter
        argparse.ArgumentParser(description=about, epilog=epilog, formatter_class=shape).parse_args()
    try:
        main()
        sys.stdout.flush()
    except UserError as problem:
        _leave(str(problem))
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to go on from the last checkpoint.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        if not _unread():
            raise  # it was another pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at exit
        sys.exit(PIPE_GONE)
    except OSError as problem:
        if problem.errno not in CANNOT_WRITE:
            raise
        where = problem.filename or "the output folder"
        why = os.strerror(problem.errno)
        _leave(f"Cannot write {where}: {why}; make room, change its rights or choose another place, then run again.")


def _unread() -> bool:
    """Whether the reader of our output went away (| head). No signal tells us: it would end us for a lost connection too."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (AttributeError, OSError, ValueError):  # no poll here, or an output that is no file
        return False


def _leave(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)
