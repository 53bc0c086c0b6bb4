"""Recording scripted play with several emulator processes, and reporting what it covered."""

import contextlib
import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from tqdm import tqdm

from dreamcart.core.errors import UserError
from dreamcart.core.files import write_json
from dreamcart.data.coverage import Coverage
from dreamcart.data.explore_script import Explorer
from dreamcart.data.images import frame_key
from dreamcart.data.schema import INFO_NAME, ShardWriter, dataset_info
from dreamcart.data.scripts import Policy, make_policy
from dreamcart.data.whole import fresh
from dreamcart.games.emulator import Emulator, open_emulator
from dreamcart.games.spec import GameSpec, Script
from dreamcart.params import CollectConfig

EPISODES_IN_SHARD = 2  # few enough that no worker is left with a large last one
TEST_SEEDS = 1_000_000  # test episodes count their seeds from here, far from any training seed


@dataclass(frozen=True)
class Episode:
    """A planned episode."""

    number: int
    seed: int
    script: Script
    steps: int


def plan_episodes(
    spec: GameSpec, config: CollectConfig, seed: int
) -> tuple[list[Episode], list[Episode]]:
    """The episodes to record for training and validation, and for the test: a function of params
    alone.

    Scripts take turns in proportion to their shares (largest remainder first), so that any prefix
    of the plan, and so any split, is mixed.
    """
    count = max(2, -(-config.frames // config.episode_steps))
    play = share_out(spec, count, config.episode_steps, seed * 10_000)
    return play, share_out(
        spec, config.test_episodes, config.test_steps, TEST_SEEDS + seed * 10_000
    )


def share_out(spec: GameSpec, count: int, steps: int, first_seed: int) -> list[Episode]:
    """Plan `count` episodes of `steps` steps, their seeds from `first_seed` on."""
    total = sum(script.share for script in spec.scripts)
    given = [0] * len(spec.scripts)
    episodes = []
    for number in range(count):
        owed = [
            script.share / total * (number + 1) - n
            for script, n in zip(spec.scripts, given, strict=True)
        ]
        choice = int(np.argmax(owed))
        given[choice] += 1
        episodes.append(Episode(number, first_seed + number, spec.scripts[choice], steps))
    return episodes


def record(
    spec: GameSpec, config: CollectConfig, seed: int, play: Path, test: Path
) -> dict[str, Any]:
    """Record all planned episodes into the folders `play` and `test`.

    The content does not depend on the number of workers. Returns the coverage report of each, see
    `Coverage.summary`.

    Raises UserError and OSError as `record_episodes` does.
    """
    plans = dict(zip((play, test), plan_episodes(spec, config, seed), strict=True))
    reports = record_episodes(spec, plans, config.workers, f"play {spec.name}")
    return {"play": reports[play].summary(), "test": reports[test].summary()}


def record_episodes(
    spec: GameSpec, plans: dict[Path, list[Episode]], workers: int, title: str
) -> dict[Path, Coverage]:
    """Record planned episodes, by folder, with so many emulator processes; `title` is that of the
    progress bar.

    The content does not depend on the number of workers. Returns what each folder covers.

    Raises:
        UserError: the game, its ROM, a state or a script is missing.
        OSError: a file cannot be written. The folders are gone then.
    """
    for script in spec.scripts:
        make_policy(script.policy, spec)  # complain now, not in a worker
    shards, reports = [], {folder: Coverage(spec) for folder in plans}
    for folder, episodes in plans.items():
        for first in range(0, len(episodes), EPISODES_IN_SHARD):
            path = folder / f"play-{first // EPISODES_IN_SHARD:05d}.parquet"
            shards.append((spec, path, episodes[first : first + EPISODES_IN_SHARD]))
    shards.sort(key=_steps, reverse=True)  # long ones first: the workers end together
    with multiprocessing.get_context("spawn").Pool(min(workers, len(shards))) as pool:
        # complain about the game or its ROM before anything is deleted
        versions = pool.apply(worker_versions, (spec,))
        if isinstance(versions, Exception):
            raise versions
        with fresh(*plans), ended_first(pool):
            with tqdm(
                total=sum(map(_steps, shards)), unit="frame", desc=title, smoothing=0.1
            ) as bar:
                for path, coverage in pool.imap_unordered(_record_shard, shards):
                    if isinstance(coverage, Exception):
                        raise coverage
                    reports[path.parent].merge(coverage)
                    bar.update(coverage.steps)
            for folder, episodes in plans.items():
                write_json(folder / INFO_NAME, dataset_info(spec, versions, len(episodes)))
        pool.close()
        pool.join()  # some emulators have a process of their own to end
    return reports


@contextlib.contextmanager
def ended_first(pool: Any) -> Iterator[None]:
    """Where the block fails, end the workers before what they write is removed."""
    try:
        yield
    except BaseException:
        pool.terminate()
        pool.join()
        raise


def _steps(task: tuple[GameSpec, Path, list[Episode]]) -> int:
    """Steps of one shard."""
    return sum(episode.steps for episode in task[2])


def worker_versions(spec: GameSpec) -> dict[str, str] | UserError | OSError:
    """Worker: open the emulator.

    Here and below what a person is told comes back as a value, for one clean sentence.
    """
    try:
        return worker_emulator(spec).versions()
    except (UserError, OSError) as problem:
        return problem


def _record_shard(
    task: tuple[GameSpec, Path, list[Episode]],
) -> tuple[Path, Coverage | UserError | OSError]:
    """Worker: record the episodes of one shard."""
    spec, path, episodes = task
    try:
        emulator = worker_emulator(spec)
        coverage = Coverage(spec)
        with ShardWriter(path, spec.images) as writer:
            for episode in episodes:
                for row in play_episode(emulator, spec, episode, coverage):
                    writer.add(row)
        return path, coverage
    except (UserError, OSError) as problem:
        return path, problem


_emulator: Emulator | None = None


def worker_emulator(spec: GameSpec) -> Emulator:
    """This process's emulator: stable-retro allows one a process, so it serves all the worker's
    shards.
    """
    global _emulator
    if _emulator is None:
        _emulator = open_emulator(spec)
    return _emulator


def play_episode(
    emulator: Emulator,
    spec: GameSpec,
    episode: Episode,
    coverage: Coverage,
    policy: Policy | None = None,
) -> Iterator[dict[str, Any]]:
    """Play one episode by its script, or by another policy, such as a person.

    Yields its rows (see `schema`), N+1 for N actions, and counts them in `coverage`. A policy that
    gives no buttons but None ends the episode; at once, and there are no rows. The first row's
    infos have the start state, the last one's a hash of all actions: replay alone would not notice
    that one without effect was changed.
    """
    policy = policy or make_policy(episode.script.policy, spec)
    rng = np.random.default_rng(episode.seed)
    explores = isinstance(policy, Explorer)
    if explores:
        policy.search(emulator, episode.script.state, episode.seed, episode.steps, rng)
    frame = emulator.reset(episode.script.state, episode.seed)
    key = frame_key(frame)
    variables = emulator.variables()
    row, step, still, ended, actions = None, 0, 0, False, xxhash.xxh3_64()
    while not ended:
        if explores:
            policy.still = still
        pressed = policy.act(variables, rng)
        if pressed is None:
            break
        if row:
            yield row
        action = spec.vector(pressed)
        actions.update(bytes(action))
        following, reward, terminated, truncated = emulator.step(action)
        truncated = truncated or step + 1 == episode.steps
        row = row_of(episode, step, frame, variables, action, reward, terminated, truncated)
        after = emulator.variables()
        if step == 0:
            coverage.see(frame, key)
        coverage.steps += 1
        coverage.ended += int(terminated)
        coverage.buttons.update(pressed)
        following_key = frame_key(following)
        if following_key == key:
            following = frame  # the very same array: the writer need not look at it again
            coverage.repeats += 1
            still += 1
        else:
            still = 0
            coverage.see(following, following_key)
        key = following_key
        for event, name in spec.events.items():
            coverage.events[event] += max(0, int(after[name]) - int(variables[name]))
        frame, variables, step = following, after, step + 1
        ended = terminated or truncated
    if row:
        coverage.episodes += 1
        yield row | {"truncations": row["truncations"] or not ended}
        yield row_of(
            episode,
            step,
            frame,
            variables | {"actions_hash": actions.hexdigest()},
            None,
            0.0,
            False,
            False,
        )


def row_of(
    episode: Episode,
    step: int,
    frame: np.ndarray,
    variables: dict[str, Any],
    action: list[int] | None,
    reward: float,
    terminated: bool,
    truncated: bool,
) -> dict[str, Any]:
    """Return a row of an episode (see `schema`); the first one's infos have the start state."""
    return {
        "episode_id": episode.number,
        "step": step,
        "seed": episode.seed,
        "observations": frame,
        "actions": action,
        "rewards": reward,
        "terminations": terminated,
        "truncations": truncated,
        "infos": variables | {"start_state": episode.script.state} if step == 0 else variables,
    }
