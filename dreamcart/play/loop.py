"""The play loop, the same with a window and without: read buttons, step, show, keep time."""

import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from dreamcart.evaluation.pictures import save_gif
from dreamcart.play.sources import Source

GIF_SECONDS = 10


@dataclass
class Input:
    """What the player wants of this turn of the loop."""

    pressed: set[str] = field(default_factory=set)
    quit: bool = False
    restart: bool = False
    pause: bool = False
    save_gif: bool = False
    menu: bool = False
    warmer: int = 0  # notches of temperature, down where negative


class Player(Protocol):
    """Gives the input of each turn, and is shown the picture."""

    def read(self) -> Input:
        """Input of this turn."""

    def show(self, frame: np.ndarray, paused: bool, message: str) -> None:
        """Present uint8 [H, W, 3] and a line that tells what is going on; a window also waits here
        for its next frame time.
        """


@dataclass
class Report:
    """How a session went."""

    steps: int
    seconds: list[float]
    menu: bool = False  # the player wants to choose another game

    def numbers(self) -> dict[str, float]:
        """Steps a second and milliseconds a step of the model alone (no waiting, no drawing)."""
        times = np.array(self.seconds) * 1000
        return {
            "steps/s": round(1000 / times.mean(), 1),
            "p50 ms": round(float(np.median(times)), 2),
            "p99 ms": round(float(np.percentile(times, 99)), 2),
        }

    def sentence(self) -> str:
        """The numbers in words."""
        if not self.seconds:
            return "No steps were played."
        return f"{self.steps} steps; " + ", ".join(
            f"{name} {value}" for name, value in self.numbers().items()
        )


class Script:
    """A player without a screen: plays a list of buttons, then stops."""

    def __init__(self, steps: Iterable[set[str]], total: int) -> None:
        self.steps = iter(steps)
        self.bar = tqdm(total=total, unit="step", desc="dream", delay=2)

    def read(self) -> Input:
        try:
            return Input(next(self.steps))
        except StopIteration:
            self.bar.close()
            return Input(quit=True)

    def show(self, frame: np.ndarray, paused: bool, message: str) -> None:
        self.bar.update()


def run(
    source: Source, player: Player, gif: Path | None = None, clips: Path | None = None
) -> Report:
    """Play until the player quits.

    Args:
        gif: where to save everything that was played, at the end.
        clips: folder for GIFs of the last 10 seconds that the player asks for.
    """
    rate = source.spec.step_rate
    recent: deque[np.ndarray] = deque(maxlen=round(rate * GIF_SECONDS))
    everything: list[np.ndarray] = []
    seconds: list[float] = []
    frame, paused, message = source.reset(), False, ""
    steps = 0
    # a GIF takes seconds to write: play goes on meanwhile
    saver, saving = ThreadPoolExecutor(1), None
    while True:
        turn = player.read()
        if turn.quit or turn.menu:
            break
        if turn.restart:
            frame, message = source.reset(), "restarted"
        if turn.pause:
            paused = not paused
        if turn.warmer:
            message = source.warm(turn.warmer)
        if turn.save_gif and recent and clips:
            path = (
                clips / f"{source.spec.name.replace('/', '-')}-{time.strftime('%Y%m%d-%H%M%S')}.gif"
            )
            saving = path, saver.submit(save_gif, list(recent), path, rate)
            message = f"saving {path.name}"
        if saving and saving[1].done():
            saving[1].result()  # raises what went wrong
            message, saving = f"saved {saving[0].name}", None
        if not paused and not turn.restart:
            begin = time.perf_counter()
            frame = source.step(turn.pressed)
            seconds.append(time.perf_counter() - begin)
            steps += 1
            recent.append(frame)
            if gif:
                everything.append(frame)
        player.show(frame, paused, told(source, message))
    saver.shutdown()
    if saving:
        saving[1].result()
    if gif and everything:
        save_gif(everything, gif, rate)
    return Report(steps, seconds, turn.menu)


def told(source: Source, message: str) -> str:
    """The message, behind the temperature where the source has one."""
    return (
        message
        if source.temperature is None
        else f"temperature {source.temperature:.1f}   {message}".rstrip()
    )
