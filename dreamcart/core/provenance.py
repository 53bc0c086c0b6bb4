"""What made a number: which model, which code, on which day."""

import subprocess
from datetime import date

from dreamcart.core.paths import ROOT

CODE = ("dreamcart", "games", "scripts", "stages")  # folders that decide a measurement
NO_GIT = "unknown: not a git checkout"


def stamp(model: str = "") -> dict[str, str]:
    """Return what a report says of its making: "code" (a commit), "date", and "model" (a
    fingerprint) where one was measured.
    """
    return ({"model": model} if model else {}) | {
        "code": code_version(),
        "date": date.today().isoformat(),
    }


def code_version() -> str:
    """Return the commit of this checkout, with a + where the code has been changed since."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return NO_GIT
    return commit + "+" * bool(_git("status", "--porcelain", "--", *CODE))


def _git(*words: str) -> str:
    """Return what a git command says of this checkout; nothing where there is no git, or it is
    none.
    """
    if not (ROOT / ".git").exists():  # a repository around it would answer
        return ""
    try:
        asked = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""
