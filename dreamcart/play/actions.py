"""Action lists as text: what the buttons do, step by step.

`START*2 .*30 LEFT+A*5, RIGHT` — items between spaces, commas or line ends; `+` presses together, `*n`
repeats for n steps, `.` presses nothing. A `#` begins a comment.
"""

import re
from pathlib import Path

from dreamcart.errors import UserError
from dreamcart.games.spec import GameSpec

MAX_STEPS = 1_000_000
_ITEM = re.compile(r"(?P<buttons>\.|[A-Za-z0-9_-]+(?:\+[A-Za-z0-9_-]+)*)(?:\*(?P<count>\d+))?")


def parse_actions(text: str, spec: GameSpec) -> list[set[str]]:
    """Text, or the name of a file with such text → the buttons held at each step. Raises UserError."""
    path = Path(text)
    try:
        if len(text) < 200 and path.is_file():
            text = path.read_text()
    except (OSError, UnicodeDecodeError) as problem:
        raise UserError(f"Cannot read the actions in {path}: {problem}.") from None
    steps: list[set[str]] = []
    for item in re.sub(r"#.*", "", text).replace(",", " ").split():
        match = _ITEM.fullmatch(item)
        if not match:
            raise UserError(
                f"Cannot read the action {item!r}; write LEFT+A*5 (together, five steps) or . (nothing), or name a file."
            )
        pressed = set() if match["buttons"] == "." else {name.upper() for name in match["buttons"].split("+")}
        spec.vector(pressed)  # refuses unknown names
        count = int(match["count"] or 1)
        if len(steps) + count > MAX_STEPS:
            raise UserError(f"The actions run over {MAX_STEPS} steps at {item!r}; that is a night's play: shorten them.")
        steps += [pressed] * count
    return steps
