"""Makes canonical rows of those of a recording made elsewhere, whose values may be anything."""

import json
import math
from collections.abc import Callable
from typing import Any

from dreamcart.core.errors import UserError, shown
from dreamcart.data.infos import parse_infos, start_state

LARGEST = 2**63 - 1  # what the column of seeds holds
HIGHEST_REWARD = 3.4e38  # what a float32 holds


def episode_name(value: Any, where: str) -> Any:
    """Return what a row says its episode is. Raises UserError where it tells none apart."""
    if isinstance(value, (int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise UserError(
        f"{where} has a row whose episode is {shown(value)}; every row needs a number or a name"
        " there."
    )


def is_null(action: Any) -> bool:
    """Whether a row holds no action, as an episode's last one."""
    if isinstance(action, dict):
        action = action.get("binary")
    return action is None or action == []


def canonical_rows(
    episode: list[dict[str, Any]], number: int, to_buttons: Callable[[Any], list[int]], where: str
) -> list[dict[str, Any]]:
    """Make the rows of one episode canonical (see `schema`), `observations` left as they are.

    Where the last row still holds an action its successor was never recorded: the action is
    dropped and the frame becomes the final observation.

    Args:
        episode: rows under their canonical names, in order; number: the episode's new one.
        to_buttons: an action → multi-hot; where: which episode of what it is, in messages.

    Raises:
        UserError: the episode is too short, has steps missing, or a value of another kind than
            its column needs.
    """
    if len(episode) < 2:
        raise UserError(f"{where} has a single observation; leave it out.")
    steps = [_whole(row.get("step", step), "step", where) for step, row in enumerate(episode)]
    if [step - steps[0] for step in steps] != list(range(len(episode))):
        raise UserError(f"{where} has steps missing or out of order; sort it or leave it out.")
    whole = is_null(episode[-1]["actions"])
    rows = []
    for step, row in enumerate(episode):
        last = step == len(episode) - 1
        dropped = last and not whole
        reward = _number(row.get("rewards"), where)
        terminated = _flag(row.get("terminations"), "termination", where) and not dropped
        cut = _flag(row.get("truncations"), "truncation", where) and not dropped
        rows.append(
            {
                "episode_id": number,
                "step": step,
                "seed": 0 if _is_missing(row.get("seed")) else _whole(row["seed"], "seed", where),
                "observations": row["observations"],
                "actions": None if last else _pressed(row["actions"], to_buttons, where),
                "rewards": 0.0 if dropped else reward,
                "terminations": terminated,
                # the recording ends here, whatever its last step says
                "truncations": not terminated if step == len(episode) - 2 else cut and whole,
                "infos": _infos(row.get("infos")),
            }
        )
    start_state(rows[0]["infos"], where)
    return rows


def _pressed(action: Any, to_buttons: Callable[[Any], list[int]], where: str) -> list[int]:
    try:
        return to_buttons(action)
    except UserError as problem:
        raise UserError(f"{where}: {problem}") from None


def _is_missing(value: Any) -> bool:
    """Whether a value is null, or the NaN that table programs write for it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _whole(value: Any, what: str, where: str) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or abs(number) > LARGEST or (isinstance(value, float) and value != number):
        raise UserError(
            f"{where} has the {what} {shown(value)}, which is no whole number of 64 bits; correct"
            " it or leave it out."
        )
    return number


def _number(value: Any, where: str) -> float:
    """Return a reward; 0 where there is none."""
    if _is_missing(value):
        return 0.0
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.inf
    if not abs(number) < HIGHEST_REWARD:
        raise UserError(
            f"{where} has the reward {shown(value)}, which is no finite number; correct it or leave"
            " it out."
        )
    return number


def _flag(value: Any, what: str, where: str) -> bool:
    if _is_missing(value):
        return False
    if not isinstance(value, (bool, int, float)) or value not in (0, 1):
        raise UserError(
            f"{where} has the {what} {shown(value)}, which is neither true nor false; correct it or"
            " leave it out."
        )
    return bool(value)


def _infos(value: Any) -> dict[str, Any]:
    """Return the emulator's variables, where they are a JSON object or can be one."""
    found = value if isinstance(value, dict) else parse_infos(value) or {}
    try:
        json.dumps(found)
    except (TypeError, ValueError, RecursionError):
        return {}
    return found
