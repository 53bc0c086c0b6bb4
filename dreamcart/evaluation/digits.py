"""Can one read the numbers on decoded frames? A reader learned from real frames and the RAM tells.

Where on the screen a digit stands is learned too: its pixels are those that are the most alike in
frames in which it is the same, and the most different in others (Fisher's ratio). They are then
read by the nearest class mean, each pixel weighted by how steady it is (linear discriminant
analysis with a diagonal covariance).
"""

from dataclasses import dataclass

import numpy as np

from dreamcart.data.tiled import TiledFrames
from dreamcart.data.variables import LEAST, Question, Table, ask

# RAM variables that games write on the screen, by the names they are given
SHOWN = ("score", "lines", "level", "lives")
MOST_PIXELS = 512  # values of a frame that a digit is read from
STEADY = 0.5  # values with at least this share of the best Fisher ratio belong to the digit
CHUNK = 128
NOISE = 1e-3  # variance below which a pixel counts as perfectly steady


@dataclass(frozen=True)
class Slot:
    """One digit on the screen: where it stands (flat numbers of a frame's values), and what each
    class looks like there.
    """

    question: Question
    at: np.ndarray  # int64 [P]
    means: np.ndarray  # float32 [K, P]
    weight: np.ndarray  # float32 [P]

    def read(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [B, H, W, C] → the place of the digit among `question.values`, int64 [B]."""
        shown = frames.reshape(len(frames), -1)[:, self.at].astype(np.float32) / 255
        far = np.square(shown[:, None] - self.means) * self.weight
        return far.sum(2).argmin(1)


def digit_questions(table: Table) -> list[Question]:
    """The decimal digits of the numbers that are shown."""
    return ask(
        {
            name: columns
            for name, columns in table.items()
            if name in SHOWN and columns.shape[1] == 1
        },
        most_values=0,
    )


def learn_digits(frames: np.ndarray | TiledFrames, rows: np.ndarray, table: Table) -> list[Slot]:
    """A reader for each digit that the game shows, from the frames `rows`, int [N], and their RAM
    variables `table`.
    """
    questions = digit_questions(table)
    if not questions:
        return []
    answers = [question.answers(table) for question in questions]
    ends = np.cumsum([len(question.values) for question in questions])[:-1]
    member = np.concatenate(
        [a[:, None] == np.arange(len(q.values)) for a, q in zip(answers, questions, strict=True)], 1
    )
    member = member.astype(np.float32)
    size = int(np.prod(frames.shape[1:]))
    sums, squares, total = (
        np.zeros((member.shape[1], size), np.float32),
        np.zeros(size),
        np.zeros(size),
    )
    for first in range(0, len(rows), CHUNK):
        values = (
            np.asarray(frames[rows[first : first + CHUNK]]).reshape(-1, size).astype(np.float32)
            / 255
        )
        sums += member[first : first + CHUNK].T @ values
        squares += np.einsum("np,np->p", values, values)
        total += values.sum(0)
    spread = squares / len(rows) - np.square(total / len(rows))  # variance over all frames
    slots = []
    for question, found, own in zip(
        questions, np.split(sums, ends), np.split(member, ends, 1), strict=True
    ):
        counts = own.sum(0)[:, None]
        means = found / counts
        share = counts / counts.sum()
        between = (share * np.square(means - (share * means).sum(0))).sum(0)
        ratio = between / (spread + NOISE)
        at = np.argsort(-ratio, kind="stable")[:MOST_PIXELS]
        at = np.sort(at[ratio[at] >= STEADY * ratio[at[0]]])
        within = np.maximum(spread[at] - between[at], 0) + NOISE
        slots.append(Slot(question, at, means[:, at], (1 / within).astype(np.float32)))
    return slots


def read_digits(slots: list[Slot], frames: np.ndarray) -> np.ndarray:
    """uint8 [B, H, W, C] → int64 [B, S], see `Slot.read`."""
    return (
        np.stack([slot.read(frames) for slot in slots], 1)
        if slots
        else np.zeros((len(frames), 0), np.int64)
    )


def legibility(slots: list[Slot], table: Table, reads: np.ndarray) -> float | None:
    """How well digits were read, int64 [N, S], from frames of states with the RAM variables
    `table`.

    For each digit the share read right, averaged over the values it may have (so that a blurred
    mean, which looks like the commonest, gains nothing), then over the digits. 1 is perfect;
    guessing scores 1 over the number of values. None where no digit has two values that LEAST
    states show.
    """
    scores = []
    for slot, read in zip(slots, reads.T, strict=True):
        true = slot.question.answers(table)
        shown = [k for k in range(len(slot.question.values)) if (true == k).sum() >= LEAST]
        if len(shown) >= 2:
            scores.append(np.mean([(read[true == k] == k).mean() for k in shown]))
    return float(np.mean(scores)) if scores else None
