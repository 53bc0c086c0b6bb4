"""A block that walks over a picture, and a dream of it without a network."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from dreamcart.data.processed import Split, index_dtype
from toys.synthetic import make_spec

SIZE = 16
SPEC = make_spec()


def draw(x: int) -> np.ndarray:
    """uint8 [SIZE, SIZE, 1]: the game's picture with the block at column x."""
    frame = np.full((SIZE, SIZE, 1), 20, np.uint8)
    frame[6:10, [x % SIZE, (x + 1) % SIZE]] = 220
    return frame


def moved(x: int, action: Any) -> int:
    pressed = dict(zip(SPEC.buttons, action, strict=True))
    return (x + int(pressed["RIGHT"]) - int(pressed["LEFT"])) % SIZE


class World:
    """A dream of that game without a network: `perfect`, or one in which nothing ever happens."""

    def __init__(self, perfect: bool) -> None:
        self.perfect, self.spec, self.device = perfect, SPEC, torch.device("cpu")
        self.dynamics = SimpleNamespace(history_frames=2, history_actions=3, takes_truth=False)
        self.temperature = 0.0

    def start(self, frames: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return self.begin(torch.stack([self.encode(context) for context in frames]), actions)

    def encode(self, frames: np.ndarray) -> torch.Tensor:
        return torch.tensor(
            [next(x for x in range(SIZE) if np.array_equal(draw(x), frame)) for frame in frames]
        )

    def begin(
        self, latents: torch.Tensor, actions: np.ndarray, real: np.ndarray | None = None
    ) -> np.ndarray:
        assert len(latents) == len(actions)
        return latents[:, -1].numpy()

    def step(
        self, state: np.ndarray, action: np.ndarray, temperature=0.0, generator=None
    ) -> tuple[np.ndarray, np.ndarray]:
        if self.perfect:
            state = np.array([moved(x, pressed) for x, pressed in zip(state, action, strict=True)])
        return np.stack([draw(x) for x in state]), state

    def reconstruct(self, frames: np.ndarray) -> np.ndarray:
        return frames.copy()


def walk(lengths: list[int], seed: int = 0) -> Split:
    """Recorded episodes of the game: its buttons at random."""
    rng = np.random.default_rng(seed)
    index = np.zeros(sum(lengths), index_dtype(8))
    at = 0
    for number, length in enumerate(lengths):
        x = int(rng.integers(SIZE))
        for step in range(length):
            index[at]["episode"], index[at]["step"], index[at]["frame"] = number, step, x
            if step < length - 1:
                index["action"][at] = rng.integers(0, 2, 8)
                x = moved(x, index["action"][at])
            at += 1
    return Split(np.stack([draw(x) for x in range(SIZE)]), index, SPEC)
