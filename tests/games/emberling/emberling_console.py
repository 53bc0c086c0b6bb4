"""Buttons in, RAM and frames out: the emulator as these tests use it, a frame at a time."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np

from dreamcart.games.catalog import load_game
from dreamcart.games.emulator import open_emulator

GAME_DIR = Path(__file__).resolve().parents[3] / "games" / "emberling"
GAME = "Emberling-Nes-v0"
TITLE, PLAY, OVER = range(3)  # scene
PLAYING, DARK, DYING, REACHED = range(4)  # phase
BEETLE, BAT, TOAD, SQUASHED = range(1, 5)  # enemy_kind


def load_module(path):
    """Load a module from its file: the folders of games are no packages."""
    spec = importlib.util.spec_from_file_location("emberling_" + path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Console:
    """Presses buttons, reads RAM."""

    def __init__(self):
        self.spec = dataclasses.replace(load_game("emberling"), frame_skip=1)
        self.emulator = open_emulator(self.spec)
        self.data = self.emulator.env.data

    def load(self, state, seed=0, alone=False, **poked):
        """Load a start state as an agent gets it, then poke RAM. `alone`: without enemies."""
        self.screen = self.emulator.reset(state, seed)
        if alone:
            poked |= {f"enemy_kind_{n:03d}": 0 for n in range(24)}
        self.poke(**poked)
        return self

    def poke(self, **values):
        """Set variables."""
        for name, value in values.items():
            self.data.set_value(name, value)
        self.info = self.emulator.variables()

    def enemy(self, n, kind, x, y, **more):
        """Put an enemy somewhere in the level."""
        values = {"kind": kind, "x": x % 256, "room": x // 256, "y": y, "timer": 200, "state": 0}
        if kind == BAT:
            values["speed"] = y
        self.poke(**{f"enemy_{name}_{n:03d}": v for name, v in (values | more).items()})

    def frame(self, *held, times=1):
        """Hold these buttons for some frames. Returns the variables after them."""
        action = self.spec.vector(set(held))
        for _ in range(times):
            self.screen = self.emulator.step(action)[0]
        self.info = self.emulator.variables()
        return self.info

    def until(self, condition, *held, limit=900):
        """Count the frames until the condition on the variables holds."""
        for n in range(1, limit + 1):
            if condition(self.frame(*held)):
                return n
        raise AssertionError("never happened")

    def sprites(self):
        """Read the sprites of the next frame, uint8 [64, 4]: line, tile, attributes, column."""
        memory = self.data.memory.blocks[0]
        return np.frombuffer(memory, np.uint8, 256, 0x200).reshape(64, 4).copy()

    def close(self):
        """Free the emulator."""
        self.emulator.close()

    def __getattr__(self, name):
        try:
            return self.__dict__["info"][name]
        except KeyError:
            raise AttributeError(name) from None
