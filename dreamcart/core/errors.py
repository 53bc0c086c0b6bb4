"""One kind of error for a person's mistake: a sentence that says what is wrong and what to do.

Stages call `run_stage(main)`, which prints that sentence and exits with status 2; every other
exception keeps its traceback, because then the mistake is ours.
"""

import errno
import os
import re
import reprlib
import select
import sys
from collections.abc import Callable

# What the system says where a file cannot be written: no room, a quota or a limit on its size, no
# right, another thing there.
CANNOT_WRITE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.EBUSY, errno.ETXTBSY),
}
PIPE_GONE = 141  # what a shell says of a command that such a signal ended
LONGEST_VALUE = 120  # characters of a wrong value that a sentence repeats

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = LONGEST_VALUE


class UserError(Exception):
    """Wrong input. The message is one sentence that names the problem and the way out."""


def shown(value: object) -> str:
    """Return a value as a sentence repeats it: on one line and short, whatever a file held (nested,
    endless, full of escapes).
    """
    text = " ".join(_short.repr(value).split())
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main`, turning a person's mistakes into one line.

    Exits 2 on `UserError` and on what the system refuses (a full disk, a missing permission), 130
    on Ctrl-C, and 141 where nobody reads its output any more.
    """
    try:
        main()
        sys.stdout.flush()
    except UserError as problem:
        leave(str(problem))
    except KeyboardInterrupt:
        print(
            "\nStopped. Run the same command again to go on from the last checkpoint.",
            file=sys.stderr,
        )
        sys.exit(130)
    except BrokenPipeError:
        if not _unread():
            raise  # it was another pipe
        # for what is flushed at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(PIPE_GONE)
    except OSError as problem:
        sentence = explain_system(problem)
        if sentence is None:
            raise
        leave(sentence)


def explain_system(problem: OSError) -> str | None:
    """Return a sentence about a file that the system refused, with its path;

    None where it names neither error nor file.
    """
    number = number_of(problem)
    where = problem.filename or problem.filename2
    if number is None:
        return None
    if number in CANNOT_WRITE:
        remedy = "make room, change its rights or choose another place, then run again"
        return f"Cannot write {where or 'the output folder'}: {os.strerror(number)}; {remedy}."
    if where is None:
        return None
    return (
        f"Cannot use {where}: {os.strerror(number)}; check that it is there and can be read, then"
        " run again."
    )


def number_of(problem: Exception) -> int | None:
    """Return the system's error number, also of an error that a library wrapped into words;

    None where there is none.
    """
    if isinstance(problem, OSError) and problem.errno is not None:
        return problem.errno
    match = re.search(r"(?:errno|os error) (\d+)", str(problem), re.IGNORECASE)
    return int(match[1]) if match else None


def _unread() -> bool:
    """Whether the reader of our output went away (| head).

    No signal tells us: it would end us for a lost connection too.
    """
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (AttributeError, OSError, ValueError):  # no poll here, or an output that is no file
        return False


def leave(sentence: str) -> None:
    """Print a sentence as an error and exit with status 2."""
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)
