"""Reading rollouts back while they run: what the dreamed screens say, against the real ones, in the
game's own terms.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from dreamcart.data.infos import parse_infos
from dreamcart.data.processed import Split
from dreamcart.data.reader import read_episodes
from dreamcart.evaluation.readback import (
    Reader,
    judge,
    legality,
    match_events,
    state_scores,
    summarise,
)

# events are followed for so many steps of a rollout, and every screen is read; later ones at the
# horizons
STEPS = 300


def load_infos(raw: Path) -> list[str]:
    """Return the RAM variables of every record, a JSON object each, in the index table's order."""
    texts = (row["infos"] for episode in read_episodes(raw, ["infos"]) for row in episode)
    return [text if text and parse_infos(text) is not None else "{}" for text in texts]


def _tells(reader: Reader, variables: dict[str, Any]) -> bool:
    """Whether variables are those that the game's reader knows: a recording may hold any."""
    try:
        reader.truth(variables)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError):
        return False
    return True


class Screens:
    """Collects the reads of all rollouts of an evaluation."""

    def __init__(self, reader: Reader, test: Split, infos: list[str], horizons: list[int]) -> None:
        self.reader, self.test, self.infos, self.horizons = (
            reader,
            test,
            infos,
            sorted(set(horizons)),
        )
        self.known: dict[int, Any] = {}  # reads of real frames, by their row: most come again
        self.records: list[int] = []
        self.dreams: list[dict[int, Any]] = []  # of each rollout, reads by step

    def begin(self, at: np.ndarray) -> None:
        """A batch of rollouts starts after the records `at`."""
        self.first = len(self.dreams)
        self.records += at.tolist()
        self.dreams += [{} for _ in at]

    def see(self, step: int, frames: np.ndarray, before: np.ndarray | None) -> None:
        """The batch's frames at a step (from 1), uint8 [B, H, W, C];

        `before` are those of the step before.
        """
        if step > STEPS and step not in self.horizons:
            return
        for number, frame in enumerate(frames):
            reads = self.dreams[self.first + number]
            same = (
                before is not None and step - 1 in reads and np.array_equal(frame, before[number])
            )
            reads[step] = reads[step - 1] if same else self.reader.read(frame)

    def report(self) -> dict[str, Any]:
        """States at the horizons, beside those of copying the last real frame; events and legality
        over the first STEPS steps; see `readback`.
        """
        real, context, variables = [], [], []
        for record, reads in zip(self.records, self.dreams, strict=True):
            context.append(self._real(record))
            real.append({step: self._real(record + step) for step in reads})
            variables.append({h: json.loads(self.infos[record + h]) for h in self.horizons})
        judged = [
            [
                judge(self.reader, [read for step, read in reads.items() if step <= STEPS], [first])
                for reads, first in zip(side, context, strict=True)
            ]
            for side in (real, self.dreams)
        ]
        told = (
            variables
            if all(v and _tells(self.reader, v) for one in variables for v in one.values())
            else None
        )
        copies = [dict.fromkeys(self.horizons, first) for first in context]
        return {
            "states": state_scores(self.reader, real, self.dreams, self.horizons, told),
            "states_persistence": state_scores(self.reader, real, copies, self.horizons, told),
            "events": summarise(
                match_events(one.events, other.events) for one, other in zip(*judged, strict=True)
            ),
            "legality": legality(judged[1]),
        }

    def _real(self, record: int) -> Any:
        row = int(self.test.index["frame"][record])
        if row not in self.known:
            self.known[row] = self.reader.read(self.test.frames[row])
        return self.known[row]
