"""Reading a raw dataset episode by episode, in flat memory, refusing what is damaged."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dreamcart.data.schema import COLUMNS, SCHEMA, read_info
from dreamcart.errors import UserError
from dreamcart.games.spec import GameSpec


def read_episodes(folder: Path, columns: list[str] | None = None) -> Iterator[list[dict[str, Any]]]:
    """Yield each episode as its list of rows in step order (images still encoded: `schema.decode_image`).

    Args:
        folder: a folder that `collect` wrote.
        columns: the columns to read; all by default.

    Raises:
        UserError: no shards, a damaged or foreign shard, missing columns, an episode of length 1, or steps
            that are not 0, 1, 2, ….
    """
    read_info(folder)
    shards = sorted(folder.glob("*.parquet"))
    if not shards:
        raise UserError(f"{folder} holds no Parquet shards; run `dvc repro collect` to record them.")
    wanted = sorted({*(columns or COLUMNS), "episode_id", "step"})
    episode: list[dict[str, Any]] = []
    for row in (row for shard in shards for row in read_rows(shard, wanted)):
        if episode and row["episode_id"] != episode[0]["episode_id"]:
            yield _checked(episode, folder)
            episode = []
        episode.append(row)
    if episode:
        yield _checked(episode, folder)


def count_rows(folder: Path) -> int:
    """Rows of a raw dataset, from the shards' footers."""
    return sum(pq.ParquetFile(shard).metadata.num_rows for shard in folder.glob("*.parquet"))


def dataset_spec(folder: Path) -> GameSpec:
    """The game that a raw dataset was recorded from."""
    return GameSpec.from_dict(read_info(folder)["game"])


def read_rows(shard: Path, columns: list[str], episodes: list[int] | None = None) -> Iterator[dict[str, Any]]:
    """Yield a shard's rows with these columns, of all episodes or only some (by their ids). Raises UserError."""
    try:
        with pq.ParquetFile(shard, page_checksum_verification=True) as file:
            missing = [name for name in columns if name not in file.schema_arrow.names]
            if missing:
                raise UserError(f"{shard} lacks the column {missing[0]!r}; a raw dataset has {', '.join(COLUMNS)}.")
            for name in columns:
                if not _same_type(file.schema_arrow.field(name).type, SCHEMA.field(name).type):
                    found = file.schema_arrow.field(name).type
                    raise UserError(f"{shard} has {found} in the column {name!r}, which must be {SCHEMA.field(name).type}.")
            for batch in file.iter_batches(batch_size=256, columns=columns):
                if episodes is not None:
                    batch = batch.filter(pc.is_in(batch["episode_id"], pa.array(episodes, pa.int64())))
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as problem:
        raise UserError(
            f"{shard} is damaged ({type(problem).__name__}); move it away; `dvc repro -f collect` records what the "
            "emulator played again, and a person's recording goes on without it."
        ) from None


def _same_type(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Equal, names of list entries and whether something may be null aside (other writers choose otherwise)."""
    if pa.types.is_list(wanted):
        return pa.types.is_list(found) and found.value_type == wanted.value_type
    return found == wanted


def _checked(episode: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    name = episode[0]["episode_id"]
    if len(episode) < 2:
        raise UserError(f"Episode {name} of {folder} has a single observation; an episode needs two at least: leave it out.")
    if [row["step"] for row in episode] != list(range(len(episode))):
        raise UserError(f"Episode {name} of {folder} has steps missing or out of order; record it again or leave it out.")
    return episode
