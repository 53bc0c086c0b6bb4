"""Recordings of people beside scripted play: named in `collect.recordings`, checked, and added to
the raw dataset.

An entry is FOLDER@FINGERPRINT. The fingerprint pins what the folder held, as a commit pins a Hub
dataset: DVC sees it in the params, so that other recordings make another run, and a folder that has
changed since is refused.
"""

import contextlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from dreamcart.core.errors import UserError, shown
from dreamcart.core.files import fingerprint, write_json, writing
from dreamcart.core.paths import ROOT, Paths
from dreamcart.data.images import decode_image
from dreamcart.data.reader import read_episodes, read_rows, read_shard, shard_paths
from dreamcart.data.schema import INFO_NAME, SCHEMA, open_shard, read_info
from dreamcart.data.sources import check_apart
from dreamcart.games.spec import GameSpec

# What makes two recordings play the same game in the same steps.
SAME = ("backend", "env", "buttons", "frame_skip", "crop", "seed_variable", "continuing")


@dataclass(frozen=True)
class Recording:
    """A checked entry of `collect.recordings`."""

    folder: Path
    info: dict[str, Any]
    episodes: int
    frames: int


def recording_fingerprint(folder: Path) -> str:
    """Of everything that a raw dataset holds."""
    return fingerprint(folder / INFO_NAME, *shard_paths(folder))


def check_same_game(
    folder: Path, info: dict[str, Any], spec: GameSpec, rom_sha1: str | None = None
) -> None:
    """Refuse a dataset of another game, of other buttons or steps, or (where given) of another ROM.

    Raises UserError.
    """
    wanted = spec.to_dict()
    for name in SAME:
        found = info["game"].get(name)
        if found != wanted[name]:
            raise UserError(
                f"{folder} was recorded with {name} {shown(found)}, and {spec.title} has"
                f" {shown(wanted[name])}: leave it out, or name the game that it is of."
            )
    found = info.get("rom_sha1")
    if rom_sha1 and found and found != rom_sha1:
        raise UserError(
            f"{folder} was recorded from another ROM of {spec.title} (SHA-1 {shown(found)[1:-1]})"
            f" than the one here ({rom_sha1}): leave it out, or put its ROM in place."
        )


def find_recordings(entries: list[str], spec: GameSpec) -> list[Recording]:
    """Check the entries of `collect.recordings` before any work is done.

    Raises:
        UserError: no such folder, another content than the fingerprint says, another game, or
            damaged data.
    """
    paths = Paths(spec.name)
    found = []
    for entry in entries:
        name, _, pin = entry.rpartition("@") if "@" in entry else (entry, "", "")
        folder = _named_folder(name)
        check_apart(str(folder), "collect.recordings", paths.raw, paths.raw_test)
        now = recording_fingerprint(folder)
        if pin != now:
            raise UserError(
                f"collect.recordings has {shown(entry)}, and that folder's fingerprint is {now}:"
                f" write {name}@{now} (so that DVC knows what a run was made from)."
            )
        info = read_info(folder)
        check_same_game(folder, info, spec)
        lengths = [len(episode) for episode in read_episodes(folder, ["step"])]
        found.append(Recording(folder, info, len(lengths), sum(lengths) - len(lengths)))
    return found


def _named_folder(name: str) -> Path:
    """Find the folder of a recording, relative to the repository.

    DVC is asked for it where only its .dvc file is there, as in a fresh checkout: that of
    `dvc exp run --temp`. Raises UserError where there is none.
    """
    # a name that is too long, a null byte in it, the home of nobody
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        folder = ROOT / Path(name).expanduser()
        tracked = folder.with_name(f"{folder.name}.dvc")
        if not folder.exists() and tracked.is_file():
            command = [sys.executable, "-m", "dvc", "checkout", "--quiet", str(tracked)]
            # what is missing then is said below
            subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        if (folder / INFO_NAME).is_file():
            return folder
    raise UserError(
        f"collect.recordings names {shown(name)}, where there is no recording; give its folder, or"
        " bring it back with `dvc pull`."
    )


def add_recordings(recordings: list[Recording], spec: GameSpec, raw: Path) -> list[dict[str, Any]]:
    """Append recordings to the raw dataset in `raw`, their episodes numbered on. Returns a report
    of each.

    Raises UserError where frames have another size or come from another ROM than those in `raw`,
    OSError where it cannot be written; nothing is added then.
    """
    info = read_info(raw)
    size = _frame_size(raw)
    number = (
        info["episodes"] if "episodes" in info else sum(1 for _ in read_episodes(raw, ["step"]))
    )
    for recording in recordings:
        check_same_game(recording.folder, recording.info, spec, info.get("rom_sha1"))
        theirs = _frame_size(recording.folder)
        if theirs != size:
            raise UserError(
                f"{recording.folder} has frames of {theirs[0]} x {theirs[1]}, and {spec.title} is"
                f" collected at {size[0]} x {size[1]}: leave it out, or record it again."
            )
    made: list[Path] = []
    try:
        for place, recording in enumerate(
            tqdm(recordings, unit="recording", desc="add recordings", delay=2)
        ):
            last = None
            for part, shard in enumerate(shard_paths(recording.folder)):
                table, number, last = _renumber(read_shard(shard), number, last)
                made.append(raw / f"recording-{place:03d}-{part:05d}.parquet")
                with writing(made[-1]) as temporary, open_shard(temporary) as writer:
                    writer.write_table(table.cast(SCHEMA))
        write_json(raw / INFO_NAME, info | {"episodes": number})
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)  # what was collected stays as it was
        raise
    return [
        {"folder": r.folder.name, "episodes": r.episodes, "frames": r.frames} for r in recordings
    ]


def _renumber(table: pa.Table, number: int, last: int | None) -> tuple[pa.Table, int, int | None]:
    """Number a shard's episodes from `number` on, where `last` (its old number) goes on from the
    shard before.

    Returns the table, the next free number and the old number of its last episode.
    """
    old = table.column("episode_id").to_numpy()
    if not len(old):
        return table, number, last
    begins = old[1:] != old[:-1]
    new = np.full(len(old), number - int(last is not None and old[0] == last))
    new[1:] += begins.cumsum()
    at = table.column_names.index("episode_id")
    return (
        table.set_column(at, "episode_id", pa.array(new, pa.int64())),
        int(new[-1]) + 1,
        int(old[-1]),
    )


def _frame_size(folder: Path) -> tuple[int, int]:
    """(height, width) of a dataset's first frame. Raises UserError."""
    shard = shard_paths(folder)[0]
    first = next(read_rows(shard, ["observations"]), None)
    if first is None:
        raise UserError(f"{shard} holds no rows; move it away.")
    return decode_image(first["observations"]["bytes"], f"The first image of {shard}").shape[:2]
