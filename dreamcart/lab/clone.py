"""A clone of the repository, in which experiments run one after another, so that nobody's work is
touched.

It is at the committed state and has the repository's cache: what two runs share is made once. It
stays, and with it the checkpoints, which all clones share: a run that was killed goes on in the
middle of its training, in whichever clone.
"""

import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import psutil

from dreamcart.core.errors import UserError
from dreamcart.lab.plan import Run

PUBLISHING = threading.Lock()  # two fetches at once into one repository get into each other's way
PATIENCE = 0.25  # seconds that a command has to end by itself


class StoppedError(Exception):
    """The runs were stopped: what a command left counts for nothing."""


class TooLongError(UserError):
    """A command had not ended in the time that it was given."""


def call(*command: str, at: Path, environment: Mapping[str, str]) -> str:
    """Output of a command. Raises UserError where it fails."""
    done = subprocess.run(
        command, cwd=at, env=environment, text=True, capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise UserError(f"`{' '.join(command)}` failed: {said[-1] if said else 'no message'}.")
    return done.stdout.strip()


class Clone:
    """A place where one run at a time is made.

    Args:
        root: the repository; number: 1 for its first clone (.dvc/tmp/experiments), 2 for the next
            (…/experiments-2), and so on.
    """

    def __init__(self, root: Path, number: int, environment: Mapping[str, str]) -> None:
        first = root / ".dvc" / "tmp" / "experiments"
        self.root, self.path = (
            root,
            (first if number == 1 else first.with_name(f"{first.name}-{number}")),
        )
        self.environment = {**environment, "DREAMCART_CHECKPOINTS": str(first / "checkpoints")}
        self.lock, self.stopped = threading.Lock(), threading.Event()
        self.process: subprocess.Popen | None = None

    def git(self, *command: str, at: Path | None = None) -> str:
        """Output of a git command in the clone (or `at`). Raises UserError where it fails."""
        return call("git", *command, at=at or self.path, environment=self.environment)

    def prepare(self) -> None:
        """As the last commit has it; ignored files (data, models, checkpoints) stay."""
        commit = self.git("rev-parse", "HEAD", at=self.root)
        if not (self.path / ".git").exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.git(
                "clone",
                "-q",
                "--shared",
                "--no-checkout",
                str(self.root),
                str(self.path),
                at=self.root,
            )
        self.git("fetch", "-q", str(self.root), "HEAD")
        for reference in self.git("for-each-ref", "--format=%(refname)", "refs/exps").split():
            # finished ones are fetched; others are of a killed run
            self.git("update-ref", "-d", reference)
        self.git("checkout", "-q", "-f", "--detach", commit)
        self.git("clean", "-fdq")
        # of a killed run: nobody else is at work here
        (self.path / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)
        if not (self.path / ".dvc" / "config.local").is_file():
            cache = call("dvc", "cache", "dir", at=self.root, environment=self.environment)
            where = ["cache.dir", str((self.root / cache).resolve())]
            call("dvc", "config", "--local", *where, at=self.path, environment=self.environment)

    def run(
        self, command: list[str], log: Path, mode: str = "a", seconds: float | None = None
    ) -> int:
        """Return the exit status of a command, whose output goes to `log`.

        Raises:
            StoppedError: the runs were stopped.
            TooLongError: it took more than `seconds`, and was ended with all that it had begun.
        """
        with open(log, mode) as output:
            with self.lock:
                if self.stopped.is_set():
                    raise StoppedError
                self.process = subprocess.Popen(
                    command,
                    cwd=self.path,
                    env=self.environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            try:
                status = self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                end_all(self.process.pid)
                self.process.wait()
                raise TooLongError("it took too long") from None
        # a Ctrl-C ends a command before its runner has heard of it
        if self.stopped.wait(PATIENCE if status else 0):
            raise StoppedError
        return status

    def stop(self) -> None:
        """End the command under way, and let no other begin."""
        with self.lock:
            self.stopped.set()
        if self.process is not None:
            try:
                self.process.wait(PATIENCE)  # a Ctrl-C reaches it as well
            except subprocess.TimeoutExpired:
                self.process.kill()

    def publish(self, run: Run) -> str:
        """Fetch the finished experiment into the repository, in place of an older one of its name.

        Returns its reference.
        """
        ours = self.git("for-each-ref", "--format=%(refname)", "refs/exps/").split()
        reference = next((ref for ref in ours if ref.endswith("/" + run.reference)), None)
        if reference is None:
            raise UserError("DVC left no experiment; look into its log")
        with PUBLISHING:
            self.git("fetch", "-q", str(self.path), f"+{reference}:{reference}", at=self.root)
        return reference


def end_all(pid: int) -> None:
    """Kill a process and all that it has begun: DVC would leave its stage running."""
    try:
        first = psutil.Process(pid)
        family = [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for one in family:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
