"""Reads a raw dataset episode by episode, in flat memory; refuses a damaged or incomplete one."""

import contextlib
import errno
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dreamcart.core.errors import UserError, number_of, shown
from dreamcart.data.schema import COLUMNS, SCHEMA, read_info
from dreamcart.games.spec import GameSpec

UNREADABLE = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.EIO, errno.ESTALE)


def read_episodes(folder: Path, columns: list[str] | None = None) -> Iterator[list[dict[str, Any]]]:
    """Yield each episode as its list of rows in step order, images still encoded.

    Args:
        folder: a folder that `collect` wrote.
        columns: the columns to read; all by default.

    Raises:
        UserError: no shards, a damaged or foreign shard, missing columns or values, an episode of
            length 1 or in two places, steps that are not 0, 1, 2, …; and at the end, where
            episodes are missing that dataset_info.json tells of.
    """
    info = read_info(folder)
    wanted = sorted({*(columns or COLUMNS), "episode_id", "step"})
    seen: set[int] = set()
    episode: list[dict[str, Any]] = []
    for row in (row for shard in shard_paths(folder) for row in read_rows(shard, wanted)):
        if episode and row["episode_id"] != episode[0]["episode_id"]:
            yield _checked(episode, folder, seen)
            episode = []
        episode.append(row)
    if episode:
        yield _checked(episode, folder, seen)
    check_complete(folder, info, seen)


def shard_paths(folder: Path) -> list[Path]:
    """List the shards of a raw dataset in order.

    Raises UserError where there are none, or one is no file: a pipe would be waited for.
    """
    shards = sorted(folder.glob("*.parquet"))
    if not shards:
        raise UserError(
            f"{folder} holds no Parquet shards; run `dvc repro collect` to record them, or fetch"
            " them again."
        )
    for shard in shards:
        if not shard.is_file():
            raise UserError(f"{shard} is no file; move it away.")
    return shards


def missing_episodes(info: dict[str, Any], there: Collection[int]) -> Iterator[int]:
    """Yield the numbers of the episodes that a dataset must hold beside those that are `there`.

    A shared dataset names them shard by shard, and what was recorded after that goes on from its
    last; others count them, from `first_episode` to `episodes`. One that says nothing, as older
    ones, can only lack some from the middle.
    """
    named = {
        number for shard in info.get("shards", {}).values() for number in shard.get("episodes", [])
    }
    yield from sorted(named - set(there))
    uncounted = min(there, default=0)
    first = (
        max(named) + 1
        if named
        else info.get("first_episode", 0 if "episodes" in info else uncounted)
    )
    last = max([info.get("episodes", 0), *(number + 1 for number in there)])
    yield from (number for number in range(first, last) if number not in there)


def check_complete(folder: Path | str, info: dict[str, Any], there: Collection[int]) -> None:
    """Raise UserError where episodes are missing (see `missing_episodes`), or all are."""
    if not there:
        raise UserError(f"{folder} holds no episodes; collect or fetch it again.")
    missing = next(missing_episodes(info, there), None)
    if missing is not None:
        raise UserError(
            f"{folder} lacks episode {missing}: bring its shard back, or keep what is left by "
            f"`python stages/record.py convert {folder} NEW`."
        )


def count_rows(folder: Path) -> int:
    """Count the rows of a raw dataset, from the shards' footers. Raises UserError."""
    count = 0
    for shard in shard_paths(folder):
        with _damage_told(shard), pq.ParquetFile(shard) as file:
            count += file.metadata.num_rows
    return count


def dataset_spec(folder: Path) -> GameSpec:
    """Return the game that a raw dataset was recorded from. Raises UserError."""
    return GameSpec.from_dict(read_info(folder)["game"])


def read_rows(
    shard: Path, columns: list[str], episodes: list[int] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield a shard's rows with these columns, of all episodes or only some (by their ids).

    Raises:
        UserError: the shard is damaged or foreign, or lacks a column or a value that must be.
    """
    with _damage_told(shard), pq.ParquetFile(shard, page_checksum_verification=True) as file:
        _check_columns(shard, file.schema_arrow, columns)
        for batch in file.iter_batches(batch_size=256, columns=columns):
            _check_values(shard, batch)
            if episodes is not None:
                batch = batch.filter(pc.is_in(batch["episode_id"], pa.array(episodes, pa.int64())))
            yield from batch.to_pylist()


def read_shard(shard: Path) -> pa.Table:
    """Read a whole shard, all its columns. Raises UserError as `read_rows` does."""
    with _damage_told(shard), pq.ParquetFile(shard, page_checksum_verification=True) as file:
        _check_columns(shard, file.schema_arrow, COLUMNS)
        table = file.read(columns=COLUMNS)
        for batch in table.to_batches():
            _check_values(shard, batch)
        return table


@contextlib.contextmanager
def _damage_told(shard: Path) -> Iterator[None]:
    """Turn what Arrow and the system say of a shard into a UserError."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError) as problem:
        number = number_of(problem)
        if number in UNREADABLE:
            raise UserError(
                f"{shard} cannot be read ({os.strerror(number)}); check its rights and its disk."
            ) from None
        raise UserError(
            f"{shard} is damaged ({type(problem).__name__}); move it away, then `dvc repro -f"
            " collect` records what the emulator played again, and `python stages/record.py"
            " convert FOLDER NEW` makes a dataset of what is left of a person's play."
        ) from None


def _check_columns(shard: Path, schema: pa.Schema, columns: list[str]) -> None:
    """Raise UserError where a column is missing, there twice or of another type."""
    for name in columns:
        if schema.names.count(name) != 1:
            what = (
                "lacks the column" if name not in schema.names else "has more than once the column"
            )
            raise UserError(f"{shard} {what} {name!r}; a raw dataset has {', '.join(COLUMNS)}.")
        found, wanted = schema.field(name).type, SCHEMA.field(name).type
        if not _same_type(found, wanted):
            raise UserError(
                f"{shard} has {shown(str(found))[1:-1]} in the column {name!r}, which must be"
                f" {wanted}."
            )


def _same_type(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether types are equal, names of list entries and whether something may be null aside.

    Other writers choose those otherwise.
    """
    if pa.types.is_list(wanted):
        return pa.types.is_list(found) and found.value_type == wanted.value_type
    return found == wanted


def _check_values(shard: Path, batch: pa.RecordBatch) -> None:
    """Raise UserError where a row has no value that must have one."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name == "observations":
            empty = pc.struct_field(column, "bytes").null_count
        elif name == "actions":  # an episode's last row has none
            empty = column.flatten().null_count
        else:
            empty = column.null_count if name != "infos" else 0
        if empty:
            raise UserError(
                f"{shard} has rows without a value in the column {name!r}; correct it, or leave"
                " those episodes out."
            )


def _checked(episode: list[dict[str, Any]], folder: Path, seen: set[int]) -> list[dict[str, Any]]:
    """Return the episode, which joins those `seen`.

    Raises UserError where it is too short, in pieces or there already.
    """
    name = episode[0]["episode_id"]
    if name in seen:
        raise UserError(f"Episode {name} of {folder} stands in two places; leave one of them out.")
    seen.add(name)
    if len(episode) < 2:
        raise UserError(
            f"Episode {name} of {folder} has a single observation; an episode needs two at least:"
            " leave it out."
        )
    if [row["step"] for row in episode] != list(range(len(episode))):
        raise UserError(
            f"Episode {name} of {folder} has steps missing or out of order; record it again or"
            " leave it out."
        )
    idle = next((row["step"] for row in episode[:-1] if row.get("actions", ()) is None), None)
    if idle is not None:
        raise UserError(
            f"Episode {name} of {folder} has no action at step {idle}; record it again or leave it"
            " out."
        )
    return episode
