"""Recording a person: a raw dataset of what was played, step by step, as scripted play is recorded.

A person is a policy among others: `collect.play_episode` plays the episode, whoever presses the
buttons. Each run writes a folder of its own, or goes on in one that is there (--out).
"""

import argparse
import contextlib
import functools
import time
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from dreamcart.core import arguments
from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT, Paths
from dreamcart.core.tables import print_table
from dreamcart.data.collect import Episode, play_episode
from dreamcart.data.coverage import Coverage
from dreamcart.data.recordings import recording_fingerprint
from dreamcart.games.action_lists import parse_actions
from dreamcart.games.catalog import load_game
from dreamcart.games.emulator import Emulator, open_emulator
from dreamcart.games.spec import GameSpec, Script
from dreamcart.record.live import LiveRecording
from dreamcart.record.start_states import save_start_state

NO_LIMIT = 10**9  # steps in an episode
LAST_SEED = 2 * 10**9  # of episode 0: those of the next ones stay below 2**31


class Player(Protocol):
    """Who plays: a policy (see `scripts`) that sees the frames and says when an episode begins."""

    def see(self, frame: np.ndarray) -> None:
        """The newest frame, uint8 [H, W, 3]."""

    def wait(self, number: int) -> bool:
        """Return when episode `number` is to begin; False: no more."""

    def act(self, variables: dict[str, Any], rng: np.random.Generator) -> set[str] | None:
        """Buttons of the next step; None ends the episode."""

    def close(self) -> None:
        """The session is over."""


class Scripted:
    """Plays the same list of buttons in every episode, as fast as it can."""

    def __init__(self, actions: list[set[str]], episodes: int) -> None:
        self.actions, self.left = actions, episodes
        self.bar = tqdm(total=len(actions) * episodes, unit="step", desc="record", delay=2)

    def see(self, frame: np.ndarray) -> None:
        pass

    def wait(self, number: int) -> bool:
        self.left -= 1
        self.steps = iter(self.actions)
        return self.left >= 0

    def act(self, variables: dict[str, Any], rng: np.random.Generator) -> set[str] | None:
        self.bar.update()
        return next(self.steps, None)

    def close(self) -> None:
        self.bar.close()


class Watched:
    """An emulator whose player sees every frame."""

    def __init__(self, emulator: Emulator, player: Player) -> None:
        self.emulator, self.player = emulator, player
        self.variables = emulator.variables

    def reset(self, state: str, seed: int) -> np.ndarray:
        frame = self.emulator.reset(state, seed)
        self.player.see(frame)
        return frame

    def step(self, action: list[int]) -> tuple[np.ndarray, float, bool, bool]:
        result = self.emulator.step(action)
        self.player.see(result[0])
        return result


def record_session(
    emulator: Emulator,
    spec: GameSpec,
    player: Player,
    recording: LiveRecording,
    state: str,
    seed: int,
    episodes: int | None,
) -> Coverage:
    """Record until the player leaves, or so many episodes.

    Episode n has the seed `seed` + n. Returns what was met.
    """
    coverage = Coverage(spec)
    watched = Watched(emulator, player)
    while episodes is None or coverage.episodes < episodes:
        number = recording.episodes
        episode = Episode(number, seed + number, Script("person", state), NO_LIMIT)
        watched.reset(state, episode.seed)
        if not player.wait(number):
            break
        for row in play_episode(watched, spec, episode, coverage, player):
            recording.add(row)
    return coverage


def add(parser: argparse.ArgumentParser) -> None:
    words = "a folder of games/, or a name that `record.py games` lists"
    parser.add_argument("game", type=arguments.game, metavar="GAME", help=words)
    parser.add_argument(
        "--out",
        type=arguments.new_folder,
        metavar="FOLDER",
        help="new, or one to go on in (default: data/recordings/GAME/TIME)",
    )
    episodes, seed = arguments.whole(1, 10**6), arguments.whole(0, LAST_SEED)
    words = "stop after so many (default: when you leave; headless: 1)"
    parser.add_argument("--episodes", type=episodes, metavar="N", help=words)
    speed = arguments.number(0.1, 10)
    words = "1 is real time; + and - change it"
    parser.add_argument("--speed", type=speed, default=1.0, metavar="X", help=words)
    words = "start state (default: the game's first)"
    parser.add_argument("--state", type=arguments.text, help=words)
    words = "of episode 0; each episode has the next one"
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help=words)
    parser.add_argument("--headless", action="store_true", help="no window; needs --actions")
    words = "text or file: LEFT+A*5 is both held for five steps, . is nothing"
    parser.add_argument("--actions", help=words)


def run(args: argparse.Namespace) -> None:
    spec = load_game(args.game)
    _check(args, spec)
    state = args.state or (spec.start_states or [spec.scripts[0].state])[0]
    folder = args.out or Paths(spec.name).recordings / time.strftime("%Y-%m-%d_%H-%M-%S")
    actions = parse_actions(args.actions or "", spec)
    episodes = args.episodes or (1 if args.headless else None)
    emulator = open_emulator(spec)
    frame = emulator.reset(state, args.seed)
    if args.headless:
        if not actions:
            raise UserError(
                "--headless needs --actions with a step at least, to know what to play."
            )
        player = Scripted(actions, episodes)
    else:
        from dreamcart.record.recorder_window import RecorderWindow

        save_state = functools.partial(save_start_state, spec, emulator)
        player = RecorderWindow(spec, frame, args.speed, save_state)
    try:
        with (
            LiveRecording(folder, spec, emulator.versions()) as recording,
            contextlib.suppress(KeyboardInterrupt),
        ):
            record_session(emulator, spec, player, recording, state, args.seed, episodes)
    finally:
        player.close()
        emulator.close()
    _report(recording)


def _check(args: argparse.Namespace, spec: GameSpec) -> None:
    """Refuse what cannot be recorded before anything opens. Raises UserError."""
    if args.actions and not args.headless:
        raise UserError("--actions is for --headless: in the window you play.")
    if not args.headless and not spec.keys:
        raise UserError(
            f"`keys` of {spec.title} binds no key to a button; give some in its game.yaml."
        )


def _report(recording: LiveRecording) -> None:
    if not recording.folder.is_dir():
        print("Nothing was recorded.")
        return
    folder = recording.folder.resolve()
    folder = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    size = sum(file.stat().st_size for file in recording.folder.glob("*.parquet"))
    print_table(
        f"Recorded {recording.spec.title} in {folder}",
        ["episodes in all", "steps this time", "KiB in all"],
        [[recording.episodes, recording.steps, round(size / 1024)]],
    )
    if folder.is_absolute():
        print(f"To learn from them, move {folder} into {ROOT}: DVC keeps what is below it.")
        return
    print(f"To keep them:         dvc add {folder}")
    print(
        f"To learn from them:   dvc exp run -S game={recording.spec.name} "
        f"-S 'collect.recordings=[{folder}@{recording_fingerprint(recording.folder)}]'"
    )
