"""Writes and reads the column `infos`: the emulator's variables at a step, as a JSON object.

That of an episode's first row has its start state besides.
"""

import json
import re
from functools import lru_cache
from typing import Any

import numpy as np

from dreamcart.core.errors import UserError, shown
from dreamcart.games.spec import PLAIN

START = "Start"  # what an episode that does not name its start state began from

_to_json = json.JSONEncoder(separators=(",", ":")).encode


def infos_json(infos: dict[str, Any]) -> str:
    """Return compact JSON of the emulator's variables, arrays last."""
    plain = {name: value for name, value in infos.items() if not isinstance(value, np.ndarray)}
    members = [_to_json(plain)[1:-1]] if plain else []
    for name, value in infos.items():
        if isinstance(value, np.ndarray):
            members.append(
                f"{_to_json(name)}:{_array_json(value.tobytes(), value.dtype, value.shape)}"
            )
    return "{" + ",".join(members) + "}"


@lru_cache(64)  # a board seldom changes from one step to the next, and is most of the text
def _array_json(content: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> str:
    return _to_json(np.frombuffer(content, dtype).reshape(shape).tolist())


def parse_infos(text: Any) -> dict[str, Any] | None:
    """Return a row's variables: {} where it has none, None where it holds no JSON object."""
    if text is None or text == "":
        return {}
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError):  # no JSON, no text, a million brackets
        return None
    return value if isinstance(value, dict) else None


def start_state(infos: dict[str, Any], where: str) -> str:
    """Return the start state that an episode's first `infos` name.

    Raises UserError where it is no plain name; `where` says in it which episode of what it is.
    """
    state = infos.get("start_state")
    if state is None or state == "":
        return START
    if not isinstance(state, str) or not re.fullmatch(PLAIN.expression, state, re.ASCII):
        raise UserError(f"{where} has the start state {shown(state)}; allowed: {PLAIN.words}.")
    return state
