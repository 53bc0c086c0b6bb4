"""What a dataset holds, shard by shard: the part of dataset_info.json that lets two histories be
compared.

The Hub's copy is read alone, without its shards: pushing to a large dataset downloads nothing of
it.
"""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from dreamcart.core.errors import UserError
from dreamcart.core.files import read_json
from dreamcart.data.schema import COLUMNS, INFO_NAME, SCHEMA, checked_info, read_info

# Two recordings belong together where these of their game agree: what a frame and an action mean.
SAME_GAME = ("backend", "env", "buttons", "frame_skip", "crop", "fps")


def describe(folder: Path) -> dict[str, Any]:
    """dataset_info.json with `shards`: name → sha256, bytes, rows, and the numbers of its episodes.

    Every byte is read, so that no damaged shard is shared.

    Raises:
        UserError: no shards, a damaged or foreign one, one that is no file of the folder's own, or
            an episode number used twice.
    """
    info = read_info(folder)
    paths = sorted(folder.glob("*.parquet"))
    if not paths:
        raise UserError(f"{folder} holds no Parquet shards; record some first.")
    for path in paths:
        if path.is_symlink() or not path.is_file():  # a link would share a file from elsewhere
            raise UserError(
                f"{path} is a link or no file, and a push sends only a dataset's own; put the file"
                " there itself."
            )
    shards = {path.name: _shard(path) for path in tqdm(paths, unit="shard", desc="check", delay=2)}
    if Path(info.get("source", "")).is_absolute():  # whose disk it was is nobody's business
        info["source"] = Path(info["source"]).name
    emulator = " ".join(f"{info.get('emulator', '')} {info.get('emulator_version', '')}".split())
    origin = {
        "emulator": emulator,
        "source": info.get("source", ""),
        "lossy": info.get("lossy", []),
    }
    # a pulled dataset says so of each: they need not be of one version, nor of one source
    for name, shard in shards.items():
        known = info.get("shards", {}).get(name, {})
        same = known.get("sha256") == shard["sha256"]
        shard |= {key: known.get(key, value) if same else value for key, value in origin.items()}
    owner: dict[int, str] = {}
    for name, shard in shards.items():
        for episode in shard["episodes"]:
            if episode in owner:
                raise UserError(
                    f"Episode {episode} is both in {owner[episode]} and in {name} of {folder};"
                    " leave one of them out."
                )
            owner[episode] = name
    return checked_info(info | {"shards": shards}, folder / INFO_NAME)


def _shard(path: Path) -> dict[str, Any]:
    """What a shard holds. Raises UserError where it is damaged, empty or lacks a column."""
    numbers: set[int] = set()
    rows = 0
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            missing = [name for name in COLUMNS if name not in file.schema_arrow.names]
            if missing:
                raise UserError(
                    f"{path} lacks the column {missing[0]!r}; `python stages/record.py convert`"
                    " makes a dataset of it."
                )
            for batch in file.iter_batches():
                numbers.update(
                    pc.unique(batch["episode_id"].cast(SCHEMA.field("episode_id").type)).to_pylist()
                )
                rows += batch.num_rows
    except (pa.ArrowException, OSError, UnicodeDecodeError) as problem:
        raise UserError(
            f"{path} is damaged ({type(problem).__name__}); delete it and record it again."
        ) from None
    if not rows or None in numbers:
        what = "rows without a number of an episode" if rows else "no rows"
        raise UserError(f"{path} holds {what}; leave it out.")
    return {
        "sha256": sha256(path),
        "bytes": path.stat().st_size,
        "rows": rows,
        "episodes": sorted(numbers),
    }


def sha256(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def new_shards(local: dict[str, Any], remote: dict[str, Any], where: str) -> list[str]:
    """Names of the shards of `local` that `remote` lacks.

    Raises:
        UserError: the histories conflict: another game, another ROM, a shard or an episode number
            with other content.
    """
    for key in SAME_GAME:
        if local["game"].get(key) != remote["game"].get(key):
            raise UserError(
                f"{where} holds {remote['game'].get('title')} with {key}"
                f" {remote['game'].get(key)!r}, and this dataset has {local['game'].get(key)!r};"
                " push it into another repository."
            )
    if None not in (roms := (local.get("rom_sha1"), remote.get("rom_sha1"))) and roms[0] != roms[1]:
        raise UserError(
            f"{where} was recorded from another ROM (SHA-1 {roms[1]}, here {roms[0]}); push into"
            " another repository."
        )
    taken = {
        episode: name for name, shard in remote["shards"].items() for episode in shard["episodes"]
    }
    fresh = []
    for name, shard in local["shards"].items():
        known = remote["shards"].get(name)
        if known and known["sha256"] == shard["sha256"]:
            continue
        again = next((episode for episode in shard["episodes"] if episode in taken), None)
        if known or again is not None:
            what = f"another {name}" if known else f"another episode {again} (in {taken[again]})"
            raise UserError(
                f"{where} already has {what}, and a push rewrites nothing; number these episodes on"
                " with `python stages/record.py convert DATASET NEW --first-episode"
                f" {max(taken) + 1}` and push NEW, or push into another repository."
            )
        fresh.append(name)
    return fresh


def remote_info(api: Any, repo_id: str, commit: str) -> dict[str, Any]:
    """Fetch dataset_info.json of a commit on the Hub.

    Raises UserError where it is wrong, see `checked_info`.
    """
    path = Path(api.hf_hub_download(repo_id, INFO_NAME, repo_type="dataset", revision=commit))
    return checked_info(read_json(path), f"{INFO_NAME} of {repo_id}")


def with_shards(info: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a `checked_info` that says all there is to say of its shards.

    Raises UserError where it does not.
    """
    shards = info.get("shards")
    if shards is None or not all(
        {"sha256", "rows", "bytes", "episodes"} <= set(shard) for shard in shards.values()
    ):
        raise UserError(
            f"{where} has a {INFO_NAME} that Dreamcart's push did not write; push into another"
            " repository."
        )
    return info
