"""One kind of error for a person's mistake: a sentence that says what is wrong and what to do.

Stages call `run_stage(main)`, which prints that sentence and exits with status 2; every other
exception keeps its traceback, because then the mistake is ours.
"""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class UserError(Exception):
    """Wrong input. The message is one sentence that names the problem and the way out."""


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main` from the repository root, turning a person's mistakes into one line.

    Exits 2 on `UserError`, a full disk or a missing permission, and 130 on Ctrl-C.
    """
    with contextlib.suppress(AttributeError):  # a reader that went away (| head) is no crash
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        main()
    except UserError as problem:
        _leave(str(problem))
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to go on from the last checkpoint.", file=sys.stderr)
        sys.exit(130)
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT):
            raise
        where = problem.filename or "the output folder"
        _leave(f"Cannot write {where}: {os.strerror(problem.errno)}; make room or change its rights, then run again.")


def _leave(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)
