"""The step at which a dream parts from its game, and what the game did then."""

from types import SimpleNamespace

import numpy as np

from dreamcart.lab.partings import Partings


class Reader:
    """Reads a number from the first pixel; that it has fallen is an event."""

    def read(self, frame):
        return int(frame[0, 0, 0])

    def checker(self):
        seen = []

        def step(read):
            seen.append(read)
            return SimpleNamespace(
                reasons=(), events=frozenset({"fall"} if len(seen) > 1 and read < seen[-2] else ())
            )

        return SimpleNamespace(step=step)


def test_a_dream_parts_once_and_it_is_told_what_happened():
    values = np.array([0, 1, 2, 0, 1, 2, 3, 4], np.uint8)
    frames = np.zeros((8, 2, 2, 3), np.uint8)
    frames[:, 0, 0, 0] = values
    split = SimpleNamespace(frames=frames, index={"frame": np.arange(8)})
    watched = Partings(Reader(), split, ["{}"] * 8, [3])
    # two batches: one parts in its third step, where the game falls, the other in its second
    for first in (0, 4):
        watched.begin(np.array([first]))
        for step, value in enumerate((1, 2, 3) if first == 0 else (2, 9, 4), 1):
            dream = np.zeros((1, 2, 2, 3), np.uint8)
            dream[0, 0, 0, 0] = value
            watched.see(step, dream, None)
    assert {number: step for number, (step, _) in watched.parted.items()} == {0: 3, 1: 2}
    assert watched.parted[0][1][0, 0, 0] == 3
    assert [watched.name(number, step) for number, (step, _) in watched.parted.items()] == [
        "fall",
        "nothing",
    ]
    assert watched.real(1, 2)[0, 0, 0] == 3
