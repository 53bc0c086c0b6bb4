"""One ROM in its emulator, for a search: steps, states, and what was ever seen to change.

For a ROM that has no game.yaml yet; a game that has one is opened by `games.emulator`.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from dreamcart.core.errors import UserError
from dreamcart.games.retro import library

FRAME_SKIP = 2  # emulator frames a step, as game.yaml will say
LOOK_EVERY = 8  # steps between two looks at what changed: each costs as much as a frame
FIRST_SECOND = 30  # steps: before them the machine shows what it happens to show
TILE = 8  # pixels: crops keep to the grid of the console's tiles
# Steps for which a core shows nothing of the buttons after a state was loaded.
LAGS = {"Atari2600": 4}
LARGEST_CROP = 1 / 8  # of a side

Frame = np.ndarray  # uint8 [H, W, 3]


class Machine:
    """A console with a ROM in it. One a process: stable-retro has no more."""

    def __init__(self, folder: Path, env: str) -> None:
        """Switch on.

        `folder` has the integration `env` in it. Raises UserError where the core refuses the ROM.
        """
        retro = library()
        kind = retro.data.Integrations.CUSTOM_ONLY
        kind.clear_custom_paths()
        kind.add_custom_path(str(folder))
        try:
            self.env = retro.make(
                env,
                state=retro.State.NONE,
                inttype=kind,
                use_restricted_actions=retro.Actions.ALL,
                render_mode="rgb_array",
            )
        except (RuntimeError, OSError) as problem:
            raise UserError(
                f"The emulator does not start this ROM ({problem}): it is damaged, or made for a"
                " cartridge or console that the core does not know; get another copy."
            ) from None
        self.lines = {name: line for line, name in enumerate(self.env.buttons) if name}
        self.lag = LAGS.get(self.env.system, 0)
        self.rate = float(round(self.env.em.get_screen_rate()))
        self.steps = 0
        self.digest = 0  # of the newest frame
        self.digests: set[int] = set()  # of all frames after the first second
        self.plain = True  # whether each of those had one colour only
        self._mask = np.zeros(len(self.env.buttons), np.uint8)
        self._first: dict[tuple[int, ...], Frame] = {}
        self._moved: dict[tuple[int, ...], np.ndarray] = {}

    def step(self, pressed: Iterable[str] = ()) -> Frame:
        """Hold buttons for a step; return the frame after it."""
        self._mask[:] = 0
        for name in pressed:
            self._mask[self.lines[name]] = 1
        self.env.em.set_button_mask(self._mask, 0)
        for _ in range(FRAME_SKIP):
            self.env.em.step()
        frame = self.env.get_screen()
        self.digest = hash((frame.shape, frame.tobytes()))
        self.steps += 1
        if self.steps > FIRST_SECOND and self.digest not in self.digests:
            self.digests.add(self.digest)
            self.plain = self.plain and bool((frame == frame[0, 0]).all())
            if len(self.digests) % LOOK_EVERY == 1:
                self._look(frame)
        return frame

    def save(self) -> bytes:
        return self.env.em.get_state()

    def restore(self, state: bytes) -> None:
        """Return to a state; the frame is that of before until the next step."""
        self.env.em.set_state(state)

    def _look(self, frame: Frame) -> None:
        first = self._first.setdefault(frame.shape, frame.copy())
        moved = (frame != first).any(2)
        self._moved[frame.shape] = self._moved.get(frame.shape, moved) | moved

    def crop(self, shape: tuple[int, ...]) -> list[int]:
        """(top, bottom, left, right): borders of one colour that never changed, in whole tiles.

        At most an eighth of each side: a search of a minute does not see everything.
        """
        if shape not in self._moved:
            return [0, 0, 0, 0]
        first, moved = self._first[shape], self._moved[shape]
        cuts = []
        for turned, still in ((first, moved), (first.swapaxes(0, 1), moved.T)):
            border = [
                not changed.any() and bool((line == line[0]).all())
                for line, changed in zip(turned, still, strict=True)
            ]
            cuts += [_whole_tiles(border), _whole_tiles(border[::-1], len(border))]
        return cuts


def _whole_tiles(border: list[bool], side: int = 0) -> int:
    """How many lines to cut off at the beginning of `border`: whole tiles of them.

    At the far end (`side` given) so many that what is left are whole tiles, where that can be.
    """
    free = next((n for n, is_border in enumerate(border) if not is_border), 0)
    free = min(free, int(len(border) * LARGEST_CROP))
    spare = side % TILE
    return spare + (free - spare) // TILE * TILE if free >= spare else 0
