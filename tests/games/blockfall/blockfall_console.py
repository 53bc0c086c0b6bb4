"""Buttons in, RAM and frames out: the emulator as these tests use it."""

import importlib.util
import json
from pathlib import Path

import numpy as np

GAME_DIR = Path(__file__).resolve().parents[3] / "games" / "blockfall"
GAME = "Blockfall-Nes-v0"
PIECES = json.loads((GAME_DIR / "pieces.json").read_text())
CELLS = PIECES["cells"]


def load_module(path):
    spec = importlib.util.spec_from_file_location("blockfall_" + path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Console:
    """Presses buttons, reads RAM."""

    def __init__(self):
        import stable_retro

        self.custom = stable_retro.data.Integrations.CUSTOM_ONLY
        stable_retro.data.Integrations.add_custom_path(str(GAME_DIR))
        self.env = stable_retro.make(
            GAME,
            state="PlayA",
            inttype=self.custom,
            use_restricted_actions=stable_retro.Actions.ALL,
            render_mode="rgb_array",
        )
        self.buttons = self.env.unwrapped.buttons

    def load(self, state, **poked):
        """A start state as an agent gets it; RAM poked right after reset."""
        self.env.load_state(state, self.custom)
        self.screen, _ = self.env.reset()
        self.poke(**poked)
        return self

    def poke(self, **values):
        for name, value in values.items():
            self.env.data.set_value(name, value)
        self.info = self.env.data.lookup_all()

    def poke_board(self, rows):
        """The lowest rows; "." is empty. Redrawn by the next frame."""
        rows = rows.split()
        cells = "." * (200 - 10 * len(rows)) + "".join(rows)
        self.poke(
            redraw=1, **{f"board_{i:03d}": 0 if c == "." else int(c) for i, c in enumerate(cells)}
        )

    def frame(self, *held, times=1):
        mask = np.array([b in held for b in self.buttons], np.uint8)
        for _ in range(times):
            self.screen, self.reward, self.done, _, self.info = self.env.step(mask)
        return self.info

    def until(self, condition, *held, limit=2000):
        """Frames until the condition on the variables holds."""
        for n in range(1, limit + 1):
            if condition(self.frame(*held)):
                return n
        raise AssertionError("never happened")

    def __getattr__(self, name):
        try:
            return self.__dict__["info"][name]
        except KeyError:
            raise AttributeError(name) from None

    def board(self):
        return np.array([self.info[f"board_{i:03d}"] for i in range(200)], np.uint8).reshape(20, 10)

    def where(self):
        return self.piece_x, self.piece_y, self.piece_rot
