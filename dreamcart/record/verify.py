"""Verifying a recording: every episode is replayed in the emulator and compared, several at a
time.
"""

import argparse
import multiprocessing
import re
import sys
import time
from collections import Counter
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dreamcart.core.arguments import new_folder, text, whole
from dreamcart.core.errors import UserError
from dreamcart.core.paths import Paths, below, plain_name
from dreamcart.core.tables import print_table
from dreamcart.data.collect import worker_emulator, worker_versions
from dreamcart.data.reader import count_rows, missing_episodes, read_rows, shard_paths
from dreamcart.data.schema import COLUMNS, read_info
from dreamcart.games.spec import GameSpec
from dreamcart.record.folders import dataset_folder
from dreamcart.record.replay import Verdict, replay

PICTURE = re.compile(r"episode-\d{5,}\.png", re.ASCII)  # the names that `replay` gives
MOST_MISSING = 1000  # of the missing episodes so many are listed, whatever a dataset claims

# game, shards, the episodes of them to replay, where pictures go
Task = tuple[GameSpec, list[Path], list[int], Path]


def verify(folder: Path, workers: int, pictures: Path) -> list[Verdict]:
    """Replay every episode of the raw dataset in `folder`. Returns a verdict each, missing episodes
    included.

    Raises:
        UserError: no dataset, a damaged one, or its game, ROM or emulator cannot be had here.
    """
    info = read_info(folder)
    spec = GameSpec.from_dict(info["game"])
    places, twice = _find_episodes(folder)
    missing = islice(missing_episodes(info, places), MOST_MISSING)
    verdicts = [Verdict(number, 0, "the episode is missing") for number in missing]
    verdicts += [Verdict(number, 0, "it stands in two places") for number in twice]
    # those of an earlier time go; whatever else is there is not ours
    for picture in pictures.glob("episode-*.png"):
        if PICTURE.fullmatch(picture.name) and picture.is_file():
            picture.unlink()
    tasks = _share_out(
        spec,
        {number: at for number, at in places.items() if number not in twice},
        workers,
        pictures,
    )
    with multiprocessing.get_context("spawn").Pool(max(1, min(workers, len(tasks)))) as pool:
        _check_versions(folder, info, pool.apply(worker_versions, (spec,)))
        with tqdm(
            total=count_rows(folder) - len(places),
            unit="frame",
            desc=f"verify {folder.name}",
            smoothing=0.1,
        ) as bar:
            for found in pool.imap_unordered(_replay, tasks):
                verdicts += found
                bar.update(sum(verdict.steps for verdict in found))
    return sorted(verdicts, key=lambda verdict: verdict.episode)


def _find_episodes(folder: Path) -> tuple[dict[int, tuple[Path, ...]], list[int]]:
    """Episode → the shards that it stands in, one after the other; and those episodes that stand in
    two places.
    """
    rows = (
        (row["episode_id"], shard)
        for shard in shard_paths(folder)
        for row in read_rows(shard, ["episode_id"])
    )
    runs = [
        (number, tuple(dict.fromkeys(shard for _, shard in run)))
        for number, run in groupby(rows, lambda row: row[0])
    ]
    times = Counter(number for number, _ in runs)
    return dict(runs), [number for number, count in times.items() if count > 1]


def _share_out(
    spec: GameSpec, places: dict[int, tuple[Path, ...]], workers: int, pictures: Path
) -> list[Task]:
    """Episodes of the same shards together, but in parts, so that no worker is left with the whole
    of one large shard.
    """
    tasks = []
    for shards, group in groupby(places.items(), lambda item: item[1]):
        numbers = [number for number, _ in group]
        size = -(-len(numbers) // workers)
        tasks += [
            (spec, list(shards), numbers[i : i + size], pictures)
            for i in range(0, len(numbers), size)
        ]
    return tasks


def _check_versions(
    folder: Path, info: dict[str, Any], here: dict[str, str] | UserError | OSError
) -> None:
    """Raise UserError for another ROM; say so where the emulator is another."""
    if isinstance(here, Exception):
        raise here
    if info.get("rom_sha1", here["rom_sha1"]) != here["rom_sha1"]:
        raise UserError(
            f"{folder} was recorded from a ROM with the SHA-1 {info['rom_sha1']}, and the one here"
            f" has {here['rom_sha1']}: put that ROM in place to verify it."
        )
    names = [
        " ".join(f"{v.get('emulator')} {v.get('emulator_version')}".split()) for v in (info, here)
    ]
    if names[0] != names[1]:
        print(
            f"Recorded with {names[0]}, replayed with {names[1]}: a difference may be the"
            " emulator's."
        )


def picture_folder(game: str, dataset: Path) -> Path:
    """Return where pictures of a dataset go by default: a folder of the game's, by its name."""
    return below(Paths(game).verify, plain_name(dataset.resolve().name))


def _replay(task: Task) -> list[Verdict]:
    """Worker: replay some episodes of some shards."""
    spec, shards, numbers, pictures = task
    emulator = worker_emulator(spec)
    rows = chain.from_iterable(read_rows(shard, COLUMNS, numbers) for shard in shards)
    verdicts, problem = [], "the shard is damaged before it"
    try:
        for number, episode in groupby(rows, lambda row: row["episode_id"]):
            verdicts.append(replay(emulator, len(spec.buttons), episode, number, pictures))
    except UserError as damage:
        problem = str(damage)
    return verdicts + [Verdict(number, 0, problem) for number in numbers[len(verdicts) :]]


def add(parser: argparse.ArgumentParser) -> None:
    words = "a folder that `collect` or `play` wrote, or a game in data/"
    parser.add_argument("dataset", type=text, metavar="DATASET", help=words)
    words = "emulator processes"
    parser.add_argument("--workers", type=whole(1, 256), default=2, metavar="N", help=words)
    words = "of first differences (default: plots/GAME/verify)"
    parser.add_argument("--pictures", type=new_folder, metavar="FOLDER", help=words)


def run(args: argparse.Namespace) -> None:
    folder = dataset_folder(args.dataset)
    name = read_info(folder)["game"]["name"]
    begin = time.perf_counter()
    verdicts = verify(folder, args.workers, args.pictures or picture_folder(name, folder))
    seconds = time.perf_counter() - begin
    for verdict in verdicts:
        if not verdict.problem:
            print(f"episode {verdict.episode:5d}  PASS  {verdict.steps} steps")
        else:
            shown = f" ({verdict.picture})" if verdict.picture else ""
            print(f"episode {verdict.episode:5d}  FAIL  {verdict.problem}{shown}")
    failed, steps = (
        sum(bool(verdict.problem) for verdict in verdicts),
        sum(verdict.steps for verdict in verdicts),
    )
    print_table(
        f"Verified {folder}",
        ["episodes", "PASS", "FAIL", "frames replayed", "frames/s"],
        [[len(verdicts), len(verdicts) - failed, failed, steps, round(steps / seconds)]],
    )
    if failed:
        sys.exit(1)
