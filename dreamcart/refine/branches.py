"""Records short plays that branch off from longer ones, a few steps before given places of them.

Each is an episode of the raw format whose first rows, its *lead*, are the play that it branches off
from: so that whoever learns from it knows its past. Its first infos say how many steps these are
("lead", see `preprocess`), and what it is a branch of ("branch").
"""

import multiprocessing
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dreamcart.core.errors import UserError
from dreamcart.core.files import write_json
from dreamcart.data.collect import (
    Episode,
    ended_first,
    row_of,
    worker_emulator,
    worker_versions,
)
from dreamcart.data.preprocess import LEAD_INFO
from dreamcart.data.schema import INFO_NAME, ShardWriter, dataset_info
from dreamcart.data.scripts import make_policy
from dreamcart.data.whole import fresh
from dreamcart.games.emulator import Emulator
from dreamcart.games.spec import GameSpec

# Who presses a branch's own buttons, by the stream's policy. A bot would play well, where the point
# is what all buttons do; a search would begin anew.
POLICIES = {"play": "play", "menu": "menu"}
OTHERWISE = "held"


@dataclass(frozen=True)
class Stream:
    """A play that branches begin in: how it was planned, and what was pressed, uint8 [T, n]."""

    episode: Episode
    actions: np.ndarray


@dataclass(frozen=True)
class Branching:
    """How to branch.

    count: branches at each place; steps: of a branch; before: the most steps for which it presses
    what the stream did, before buttons of its own; lead: rows of the stream before it.
    """

    count: int
    steps: int
    before: int
    lead: int


@dataclass(frozen=True)
class _Task:
    """A shard to record: the branches of one stream, whose episodes count from `number`."""

    spec: GameSpec
    path: Path
    stream: Stream
    begins: list[int]
    how: Branching
    number: int


def saves_states(emulator: Emulator) -> bool:
    """Say whether an emulator can save its state, and go on from it."""
    try:
        emulator.restore(emulator.save())
    except (AttributeError, NotImplementedError, RuntimeError):
        return False
    return True


def can_branch(spec: GameSpec) -> bool:
    """Say whether plays of a game can branch: whether its emulator, in a process of its own, saves
    states.

    Raises UserError where the game cannot be opened.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        answer = pool.apply(_worker_saves, (spec,))
        pool.close()
        pool.join()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _worker_saves(spec: GameSpec) -> bool | UserError | OSError:
    """Worker: ask the emulator."""
    try:
        return saves_states(worker_emulator(spec))
    except (UserError, OSError) as problem:
        return problem


def record_branches(
    spec: GameSpec, plan: list[tuple[Stream, list[int]]], how: Branching, folder: Path, workers: int
) -> int:
    """Record branches of streams as a raw dataset, with so many emulator processes.

    Args:
        plan: each stream, with the steps at which branches begin in it.

    The content does not depend on the number of workers. Returns the steps in all branches, without
    their leads.

    Raises:
        UserError: the game cannot be opened.
        OSError: a file cannot be written. The folder is gone then.
    """
    tasks, number = [], 0
    for stream, begins in plan:
        if begins:
            path = folder / f"branch-{len(tasks):05d}.parquet"
            tasks.append(_Task(spec, path, stream, sorted(begins), how, number))
            number += len(begins) * how.count
    steps = 0
    with multiprocessing.get_context("spawn").Pool(min(workers, len(tasks))) as pool:
        versions = pool.apply(worker_versions, (spec,))
        if isinstance(versions, Exception):
            raise versions
        total = number * how.steps
        with fresh(folder), ended_first(pool):
            with tqdm(total=total, unit="frame", desc=f"branches of {spec.name}") as bar:
                for done in pool.imap_unordered(_record, tasks):
                    if isinstance(done, Exception):
                        raise done
                    steps += done
                    bar.update(done)
            write_json(folder / INFO_NAME, dataset_info(spec, versions, number))
        pool.close()
        pool.join()
    return steps


def _record(task: _Task) -> int | UserError | OSError:
    """Worker: record a stream's branches; returns their steps."""
    try:
        emulator, steps = worker_emulator(task.spec), 0
        with ShardWriter(task.path, task.spec.images) as writer:
            for rows, own in branches_of(emulator, task):
                steps += own
                for row in rows:
                    writer.add(row)
        return steps
    except (UserError, OSError) as problem:
        return problem


def branches_of(emulator: Emulator, task: _Task) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """Play a stream again, and each branch from the emulator's state where it begins.

    Yields the rows of each, and how many steps of them are its own.
    """
    episode, how, number = task.stream.episode, task.how, task.number
    frame = emulator.reset(episode.script.state, episode.seed)
    past: deque[tuple] = deque(maxlen=how.lead)
    waiting = deque(task.begins)
    for step, action in enumerate(task.stream.actions.tolist()):
        now = emulator.variables()
        if waiting and step == waiting[0]:
            waiting.popleft()
            saved = emulator.save()
            for branch in range(how.count):
                emulator.restore(saved)
                own = _play(emulator, task, step, branch, frame, now)
                yield _rows(task, number, step, branch, [*past, *own]), len(own) - 1
                number += 1
            if not waiting:
                return
            emulator.restore(saved)
        following, *outcome = emulator.step(action)
        past.append((frame, now, action, *outcome))
        frame = following


def _play(
    emulator: Emulator,
    task: _Task,
    begin: int,
    branch: int,
    frame: np.ndarray,
    variables: dict[str, Any],
) -> list[tuple]:
    """Play one branch from the state that the emulator is in.

    The first presses what the stream did; the others do for a while, of another length each, so
    that what went wrong is met after other buttons and before other ones.
    """
    spec, episode, how = task.spec, task.stream.episode, task.how
    rng = np.random.default_rng([episode.seed, begin, branch])
    policy = make_policy(POLICIES.get(episode.script.policy, OTHERWISE), spec)
    follow = int(rng.integers(how.before + 1)) if branch else how.steps
    same = task.stream.actions[begin : begin + follow].tolist()
    own: list[tuple] = []
    for step in range(how.steps):
        action = same[step] if step < len(same) else spec.vector(policy.act(variables, rng))
        following, *outcome = emulator.step(action)
        own.append((frame, variables, action, *outcome))
        frame, variables = following, emulator.variables()
        if any(outcome[1:]):
            break
    return [*own, (frame, variables, None, 0.0, False, False)]


def _rows(
    task: _Task, number: int, begin: int, branch: int, parts: list[tuple]
) -> list[dict[str, Any]]:
    """Make the rows of an episode of what was seen and pressed."""
    stream = task.stream.episode
    episode = Episode(number, stream.seed, stream.script, len(parts) - 1)
    rows = []
    for step, (frame, variables, action, reward, terminated, truncated) in enumerate(parts):
        if step == 0:
            said = {"episode": stream.number, "step": begin, "branch": branch}
            variables = variables | {LEAD_INFO: min(begin, task.how.lead), "branch": said}
        truncated = truncated or (step == len(parts) - 2 and not terminated)
        rows.append(row_of(episode, step, frame, variables, action, reward, terminated, truncated))
    return rows
