"""Finds frames that show a game's edge cases, to look at when judging a representation."""

from typing import Any

from dreamcart.data.infos import parse_infos
from dreamcart.games.spec import GameSpec


class EdgeCases:
    """Finds a frame for each of the game's named edge cases (`GameSpec.edge_cases`) by its RAM
    variables.
    """

    def __init__(self, spec: GameSpec) -> None:
        self.wanted = spec.edge_cases
        self.rows: dict[str, int] = {}
        self.most: dict[str, int] = {}

    def look(self, episode: list[dict[str, Any]], rows: list[int]) -> None:
        """Note the frames of an episode (given by their rows) that show an edge case not seen
        yet.
        """
        if not self.wanted:
            return
        for row, frame in zip(episode, rows, strict=True):
            variables = parse_infos(row["infos"]) or {}
            for name, condition in self.wanted.items():
                if condition.startswith("most "):
                    count = _non_zero(variables.get(condition.removeprefix("most ")))
                    if count > self.most.get(name, 0):
                        self.most[name], self.rows[name] = count, frame
                elif name not in self.rows:
                    variable, _, value = condition.partition(" = ")
                    if variable in variables and str(variables[variable]) == value:
                        self.rows[name] = frame


def _non_zero(value: Any) -> int:
    """Count the entries of a variable that are not 0: of a number, a list, or lists in a list."""
    if isinstance(value, list):
        return sum(map(_non_zero, value))
    return int(isinstance(value, (int, float)) and value != 0)
