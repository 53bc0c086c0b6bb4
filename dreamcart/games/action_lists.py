"""Action lists as text: what the buttons do, step by step.

`START*2 .*30 LEFT+A*5, RIGHT` — items between spaces, commas or line ends; `+` presses together,
`*n` repeats for n steps, `.` presses nothing. A `#` begins a comment.
"""

import re
from collections.abc import Callable
from pathlib import Path

from dreamcart.core.errors import UserError, explain_system, shown
from dreamcart.games.spec import GameSpec

MAX_STEPS = 1_000_000
MAX_BYTES = 2**24  # of a file with actions
_NAME = r"[A-Za-z0-9_-]{1,40}"
_ITEM = re.compile(rf"(?P<buttons>\.|{_NAME}(?:\+{_NAME}){{0,40}})(?:\*(?P<count>\d{{1,9}}))?")


def parse_actions(text: str, spec: GameSpec) -> list[set[str]]:
    """Return the buttons held at each step.

    Args:
        text: the actions, or the name of a file with them.

    Raises:
        UserError: an unreadable item, an unknown button, more than MAX_STEPS, or a file that cannot
            be read or is too large.
    """
    if _names(text, Path.is_file):
        return _parse(_read(Path(text)), spec)
    try:
        return _parse(text, spec)
    except UserError:
        if _names(text, Path.is_dir):
            ways = "name a file with actions, or write them: LEFT+A*5 .*30"
            raise UserError(f"{shown(text)} is a folder; {ways}.") from None
        raise


def _names(text: str, kind: Callable[[Path], bool]) -> bool:
    """Tell whether the text names what `kind` (Path.is_file or Path.is_dir) asks for."""
    try:
        return kind(Path(text))
    except (OSError, ValueError):  # too long for a name
        return False


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            size = f"{path} holds more than {MAX_BYTES >> 20} MiB"
            raise UserError(f"{size}; that is no list of actions, name another file.")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        what = "is no text in UTF-8, and so no list of actions"
        raise UserError(f"{path} {what}; name another file.") from None
    except OSError as problem:
        raise UserError(explain_system(problem) or str(problem)) from None


def _parse(text: str, spec: GameSpec) -> list[set[str]]:
    steps: list[set[str]] = []
    for item in re.sub(r"#.*", "", text).replace(",", " ").split():
        match = _ITEM.fullmatch(item)
        if not match:
            ways = "write LEFT+A*5 (together, five steps) or . (nothing), or name a file"
            raise UserError(f"Cannot read the action {shown(item)}; {ways}.")
        pressed = set(match["buttons"].upper().split("+")) - {"."}
        spec.vector(pressed)  # refuses unknown names
        count = int(match["count"] or 1)
        if len(steps) + count > MAX_STEPS:
            where = f"The actions run over {MAX_STEPS} steps at {shown(item)}"
            raise UserError(f"{where}; that is a night's play: shorten them.")
        steps += [pressed] * count
    return steps
