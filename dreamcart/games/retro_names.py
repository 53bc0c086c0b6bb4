"""The variables that a stable-retro integration names in its data.json."""

import re
from collections.abc import Iterable
from typing import Any

from dreamcart.core.errors import UserError
from dreamcart.games.spec import GameSpec

MOST_SEEDS = 65535  # values of a seed variable


def seed_count(spec: GameSpec, data: Any) -> int:
    """How many values the seed variable takes beside 0, which would stop many generators.

    Raises UserError where its address is not in the game's memory.
    """
    if spec.seed_variable not in data.list_variables():
        return MOST_SEEDS  # `emulator` says so, and what there is
    try:
        data.lookup_value(spec.seed_variable)
    except IndexError:
        raise UserError(
            f"The seed variable {spec.seed_variable!r} of {spec.name} has an address in data.json"
            f" that is not in the memory of {spec.env}; correct it."
        ) from None
    kind = data.get_variable(spec.seed_variable)["type"]
    return min(MOST_SEEDS, 256 ** int(kind[2:]) - 1)


def array_groups(names: Iterable[str]) -> dict[str, list[str]]:
    """Variables named x_000, x_001, … -> {"x": [names in order]}."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        match = re.fullmatch(r"(.+)_\d{3}", name)
        if match:
            groups.setdefault(match[1], []).append(name)
    return groups
