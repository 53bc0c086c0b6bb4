"""Playing a dataset back: from a folder, or streaming from the Hub without downloading it whole."""

import argparse
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from dreamcart.core.arguments import SCALE, add_force, new_file, number, text, whole
from dreamcart.core.errors import UserError
from dreamcart.core.paths import Paths, plain_name
from dreamcart.core.tracked import spare
from dreamcart.data.external import ExternalDataset, image_bytes
from dreamcart.data.images import decode_image
from dreamcart.games.action_lists import MAX_STEPS
from dreamcart.games.spec import GameSpec
from dreamcart.play.loop import Script
from dreamcart.play.loop import run as play
from dreamcart.record.convert import find_source


def add(parser: argparse.ArgumentParser) -> None:
    words = "a folder, a game in data/, or OWNER/NAME on the Hub"
    parser.add_argument("source", type=text, metavar="DATASET", help=words)
    words = "commit of a Hub dataset (default: its newest)"
    parser.add_argument("--revision", type=text, help=words)
    words = "steps a second (default: as recorded, else 30)"
    parser.add_argument("--fps", type=number(0.1, 1000), metavar="N", help=words)
    words = "without a window: this many frames"
    parser.add_argument("--frames", type=whole(1, MAX_STEPS), metavar="N", help=words)
    words = "save what was played as a GIF"
    parser.add_argument("--gif", type=new_file(".gif"), metavar="FILE", help=words)
    add_force(parser)
    words = "enlarge the window's picture N times"
    parser.add_argument("--scale", type=whole(*SCALE), metavar="N", help=words)


def run(args: argparse.Namespace) -> None:
    if args.gif:
        spare(args.gif, args.force)
    recording = Recording(*find_source(args.source, args.revision or ""), args.fps)
    if args.frames:
        report = play(
            recording, Script(itertools.repeat(set(), args.frames), args.frames), gif=args.gif
        )
    else:
        report = _in_window(recording, args)
    print(f"{report.steps} frames, up to {recording.caption}")
    if args.gif:
        print(f"saved {args.gif}")


def _in_window(recording: "Recording", args: argparse.Namespace) -> Any:
    from dreamcart.play.window import OWN_KEYS, Window

    height, width = recording.reset().shape[:2]
    window = Window(
        recording.spec,
        width,
        height,
        args.source,
        args.scale,
        without_display="--frames N --gif FILE",
    )
    # nothing to draw warmer
    window.own_keys = {
        key: what for key, what in OWN_KEYS.items() if key in ("r", "p", "g", "escape")
    }
    recording.changed = window.pygame.display.set_caption
    try:
        return play(recording, window, gif=args.gif, clips=Paths(recording.spec.name).clips)
    finally:
        window.close()


class Recording:
    """A dataset as something to play (see `play.sources`): each step is its next frame, and the end
    is the beginning.
    """

    temperature = None  # nothing is drawn here

    def __init__(self, source: str, revision: str = "", fps: float | None = None) -> None:
        self.data = ExternalDataset(source, revision)
        spec = self.data.spec
        rate = fps or (spec.step_rate if spec else 30.0)
        self.buttons = spec.buttons if spec else None
        name, title = (
            (spec.name, spec.title) if spec else (plain_name(source.rsplit("/", 1)[-1]), source)
        )
        # No buttons: there is nothing to press.
        self.spec = GameSpec(name, title, "retro", "", [], {}, rate, 1, [])
        self.caption = ""
        self.changed: Any = lambda caption: None  # told the caption of every frame

    def reset(self) -> np.ndarray:
        """The first frame, uint8 [H, W, 3]."""
        self.rows = self._rows()
        return self.step(set())

    def step(self, pressed: set[str]) -> np.ndarray:
        """The next frame; what is pressed changes nothing."""
        row = next(self.rows, None)
        if row is None:
            self.rows = self._rows()
            row = next(self.rows, None)
        if row is None:
            raise UserError(f"The dataset {self.data.source} has no rows.")
        columns = self.data.columns
        self.caption = f"episode {row[columns['episode_id']]}" + (
            f", step {row[columns['step']]}" if "step" in columns else ""
        )
        held = row[columns["actions"]]
        if self.buttons and isinstance(held, list):
            self.caption += ": " + (
                "+".join(name for name, on in zip(self.buttons, held, strict=False) if on)
                or "no button"
            )
        self.changed(self.caption)
        return decode_image(image_bytes(row[columns["observations"]]))

    def warm(self, notches: int) -> str:
        """What is asked for has been recorded already."""
        return "this is a recording: no temperature"

    def _rows(self) -> Iterator[dict[str, Any]]:
        shown = ("episode_id", "step", "actions", "observations")
        return self.data.read(
            [self.data.columns[name] for name in shown if name in self.data.columns]
        )
