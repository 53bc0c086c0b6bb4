"""A clock out of sight: what things do at each of its steps, and which step of it this is, told by
what they did.

Pong's enemy stands still in every eighth frame, so in each fourth step it goes half as far; which
steps these are differs by episode and is on no picture. In the recordings the episodes are laid
over one another so that their things do most alike at each step of a clock; in play every step
tells a little of where the clock is, and that weighs what a thing is believed to do.
"""

from dataclasses import dataclass

import numpy as np

from dreamcart.dynamics.tokens.budget import along
from dreamcart.dynamics.tokens.movers.followers import chances

LENGTHS = (2, 4, 8, 16)  # steps of a clock
ROUNDS = 6  # of laying episodes over one another
# things by which what is done without a clock counts as much as what is done at a step of it
PRIOR = 5.0
LEAST_GAIN = 0.02  # nats that a clock must tell of each thing
BETTER = 1.1  # times as much must a longer clock tell
MOST_TOLD = 3.0  # nats


@dataclass(frozen=True)
class Deeds:
    """What things of N recorded steps did: episode, steps since its begin, kind and choice of each,
    int64 [N].
    """

    episode: np.ndarray
    step: np.ndarray
    kind: np.ndarray
    choice: np.ndarray


def clock_of(deeds: Deeds, kinds: int, choices: int) -> np.ndarray:
    """How much likelier than usual things make each choice at each step of a clock, in nats:
    float32 [C, kinds, choices]; of no steps where no clock tells anything. choices: how many there
    are.
    """
    found, gained = np.zeros((0, kinds, choices), np.float32), LEAST_GAIN * len(deeds.kind)
    for length in LENGTHS if len(deeds.kind) else ():
        told, gain = _laid_over(deeds, length, kinds, choices)
        if gain > gained:
            found, gained = told, gain * BETTER
    return found


def _laid_over(deeds: Deeds, length: int, kinds: int, choices: int) -> tuple[np.ndarray, float]:
    """`clock_of` for a clock of so many steps, and how much it tells of all things, in nats."""
    episodes = int(deeds.episode.max(initial=-1)) + 1
    counts = np.zeros((episodes, length, kinds * choices), np.float32)
    np.add.at(counts, (deeds.episode, deeds.step % length, deeds.kind * choices + deeds.choice), 1)
    usual = counts.sum((0, 1)).reshape(kinds, choices) + 1e-9
    usual /= usual.sum(1, keepdims=True)

    def told_by(laid: np.ndarray) -> np.ndarray:
        own = laid.reshape(length, kinds, choices)
        share = (own + PRIOR * usual) / (own.sum(2, keepdims=True) + PRIOR)
        return np.log(share / usual).clip(-MOST_TOLD, MOST_TOLD).reshape(length, -1)

    laid, turn = np.zeros_like(counts[0]), np.zeros(episodes, int)
    for number in range(ROUNDS):
        for episode in along(range(episodes), "movers, clocks", "episode"):
            # [turns, ...]
            turned = np.stack([np.roll(counts[episode], by, 0) for by in range(length)])
            if number:
                laid = laid - turned[turn[episode]]
            turn[episode] = (turned * told_by(laid)).sum((1, 2)).argmax()
            laid = laid + turned[turn[episode]]
    told = told_by(laid)
    gain = float((laid * told).sum()) - episodes * np.log(length)
    return told.reshape(length, kinds, choices).astype(np.float32), gain


def told_by_deeds(ticks: np.ndarray, beat: np.ndarray, choice: np.ndarray) -> np.ndarray:
    """What a step tells of the clock, in nats, float32 [B, C]: of each of its steps, whether the
    episode began with it.

    Args:
        ticks: see `clock_of`; beat: int [B], steps since the episode's begin; choice: int [B, K],
            what the thing of each kind did, -1 where that is not known.
    """
    length, kinds, _ = ticks.shape
    at = (beat[:, None] + np.arange(length)) % length
    told = ticks[at[:, :, None], np.arange(kinds), choice.clip(min=0)[:, None]]  # [B, C, K]
    return (told * (choice >= 0)[:, None]).sum(2).astype(np.float32)


def weights(ticks: np.ndarray, phases: np.ndarray, beat: np.ndarray) -> np.ndarray:
    """By how much each choice of each kind is likelier than usual in the next step, float32 [B, K,
    choices]. phases: what is believed, see `followers.believe`, float32 [B, C]; beat: see
    `told_by_deeds`.
    """
    length = len(ticks)
    at = (beat[:, None] + np.arange(length)) % length
    return (chances(phases)[:, :, None, None] * np.exp(ticks[at])).sum(1)
