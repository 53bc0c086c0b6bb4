"""What the game itself knew of its frames: the RAM variables of a dataset, as questions with a few
answers each.

Numbers that take few values (the next piece, a cell of the board) are asked for as they are; others
(a score) digit by digit, as the screen shows them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dreamcart.core.errors import UserError
from dreamcart.data.infos import parse_infos
from dreamcart.data.processed import Split

MOST_VALUES = 16  # a variable that takes more of them is asked for by its decimal digits
LARGEST = 2**53  # a variable with larger numbers is none that a screen shows
LEAST = 8  # states that must show an answer: what is rarer cannot be learned, nor judged

Table = dict[str, np.ndarray]  # variable → int64 [N, entries], one row a state


@dataclass(frozen=True)
class Question:
    """Which of `values` an entry of a variable has, or the digit of it that counts 10 ** power."""

    variable: str
    entry: int
    power: int | None
    values: np.ndarray  # int64 [K], rising

    def answers(self, table: Table) -> np.ndarray:
        """int64 [N]: the answer's place among `values`; -1 for one that is not among them."""
        column = table[self.variable][:, self.entry]
        if self.power is not None:
            column = digit(column, self.power)
        place = np.searchsorted(self.values, column).clip(max=len(self.values) - 1)
        return np.where(self.values[place] == column, place, -1)


def digit(column: np.ndarray, power: int) -> np.ndarray:
    """The decimal digit of whole numbers that counts 10 ** power."""
    return np.abs(column) // 10**power % 10


def ask(table: Table, most_values: int = MOST_VALUES) -> list[Question]:
    """The questions that the states of a table answer in at least two ways, each LEAST times."""
    questions = []
    for variable, columns in table.items():
        for entry in range(columns.shape[1]):
            column = columns[:, entry]
            if len(np.unique(column)) <= most_values:
                parts: list[int | None] = [None]
            else:
                parts = list(range(len(str(np.abs(column).max()))))
            for power in parts:
                values, counts = np.unique(
                    column if power is None else digit(column, power), return_counts=True
                )
                if (counts >= LEAST).sum() >= 2:
                    questions.append(Question(variable, entry, power, values[counts >= LEAST]))
    return questions


def load_variables(raw: Path, split: Split, rows: np.ndarray) -> Table:
    """The RAM variables of a split's distinct frames `rows`, int [N], each as at the first record
    that shows it.

    Whole numbers and lists of them that every one of these records has; {} where the recordings
    hold none. Raises UserError where the raw dataset `raw` is missing or damaged.
    """
    frames, first = np.unique(split.index["frame"], return_index=True)
    states = variables_at(raw, split, first[np.searchsorted(frames, rows)])
    table = {}
    for name in sorted(set.intersection(*(set(state) for state in states)) if states else ()):
        try:
            columns = np.array([state[name] for state in states])
        except ValueError:  # lists of different lengths
            continue
        if (
            columns.dtype.kind in "iub"
            and columns.size
            and np.abs(columns.astype(np.float64)).max() <= LARGEST
        ):
            table[name] = columns.reshape(len(rows), -1).astype(np.int64)
    return table


def variables_at(raw: Path, split: Split, records: np.ndarray) -> list[dict[str, Any]]:
    """The RAM variables at records of a split, int [N]; {} where the recordings hold none.

    Raises UserError as above.
    """
    # a machine that only trains need not have what reads Parquet
    from dreamcart.data.reader import read_episodes

    chosen = split.index[records]
    wanted: dict[int, list[tuple[int, int]]] = {}
    for place, (episode, step) in enumerate(
        zip(chosen["episode"].tolist(), chosen["step"].tolist(), strict=True)
    ):
        wanted.setdefault(episode, []).append((step, place))
    states: list[dict[str, Any]] = [{} for _ in records]
    for number, episode in enumerate(read_episodes(raw, ["infos"])):
        for step, place in wanted.get(number, ()):
            if step >= len(episode):
                raise UserError(
                    f"{raw} is not what the processed data was made from; run `dvc repro` to make"
                    " that anew."
                )
            states[place] = parse_infos(episode[step]["infos"]) or {}
    return states
