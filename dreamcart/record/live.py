"""A raw dataset that grows while somebody plays, and that is whole at any moment the recorder may
be killed.

Once a second the shard being filled is written anew and takes its own place in one step; the last
step known stands in it as the final observation. So a killed recorder loses less than a second and
leaves nothing to repair: whatever reads Parquet opens the folder. A shard is small, which keeps
this to some milliseconds. A reserve on the disk, given back when the disk is full, makes sure that
what has been played till then can still be saved.
"""

import contextlib
import errno
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash

from dreamcart.core.errors import UserError
from dreamcart.core.files import write_json, writing
from dreamcart.data.reader import read_episodes
from dreamcart.data.recordings import check_same_game
from dreamcart.data.schema import INFO_NAME, SCHEMA, RowEncoder, dataset_info, open_shard, read_info
from dreamcart.games.spec import GameSpec

SAVE_EVERY = 0.8  # seconds: with the time to save, less than one is ever lost
# share of the time, on a machine that is too busy for this: rather lose more than stop the game
MOST_SAVING = 0.2
ROWS_IN_SHARD = 4096
BYTES_IN_SHARD = 4 * 2**20  # of distinct images
RESERVE_PREFIX, RESERVE_BYTES = ".reserve.", 8 * 2**20  # room for a shard beside its predecessor
# What a killed recorder leaves behind: our own temporary files, and nobody else's.
LEFTOVER = re.compile(r"\.(play-\d{5,}\.parquet|dataset_info\.json|reserve)\.\w{8}\.tmp", re.ASCII)
KEPT = ("first_episode", "shards", "lossy")  # what stays true of a dataset that is recorded on
FULL = (errno.ENOSPC, errno.EDQUOT)


class LiveRecording:
    """Appends episodes to the dataset in `folder`, which is made or continued. A context manager:
    leaving it saves.

    Raises:
        UserError: the folder holds something else, or a recording of another game or ROM; or the
            disk is full (all that was added is saved then).
    """

    def __init__(self, folder: Path, spec: GameSpec, versions: dict[str, str]) -> None:
        self.folder, self.spec, self.versions = folder, spec, versions
        self.kept: dict[str, Any] = {}  # of what dataset_info.json said before
        self.found = folder.is_dir(), (folder / INFO_NAME).is_file()  # what is not ours to remove
        self.reserve: Path | None = None
        self.episodes, self.shard = (
            self._continue() if folder.is_dir() and any(folder.iterdir()) else (0, 0)
        )
        pa.array([0])  # imports pandas the first time: not while somebody plays
        self.steps, self.full = 0, False
        self.pressed = xxhash.xxh3_64()  # the episode's actions, as `collect` notes them at its end
        self.pressed_before = ""  # the same without those of the last row
        self._begin_shard([])
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=RESERVE_PREFIX, suffix=".tmp", dir=folder)
            os.close(handle)
            self.reserve = Path(name)
            self.reserve.write_bytes(os.urandom(RESERVE_BYTES))  # zeros might take no room
            self._write_info()
        except OSError as problem:
            self._leave()
            raise UserError(
                f"Cannot record into {folder}: {os.strerror(problem.errno or 0)}; choose another"
                " place with --out."
            ) from None

    def __enter__(self) -> "LiveRecording":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, row: dict[str, Any]) -> None:
        """Append a row (see `schema`); within a second it is on the disk."""
        self.pressed = xxhash.xxh3_64() if row["step"] == 0 else self.pressed
        self.pressed_before = self.pressed.hexdigest()
        self.pressed.update(bytes(row["actions"] or ()))
        self._append(self.encoder.encode(row))
        if row["actions"] is None:
            self.episodes += 1
            self._save(lasting=True)
            self._guard(self._write_info)
        elif time.monotonic() >= self.due:
            self._save()
        if self.full:
            raise UserError(
                f"The disk is full: what was played is saved in {self.folder}; make room, then go"
                f" on with --out {self.folder}."
            )

    def close(self) -> None:
        """Save what is left. A folder in which nothing was recorded is removed."""
        try:
            # it stops in the middle of an episode
            if self.rows and self.rows[-1]["actions"] is not None:
                self.episodes += self.rows[-1]["step"] > 0
                self._save(lasting=True)
                self._guard(self._write_info)
        finally:
            self._leave()

    def _leave(self) -> None:
        """Give the reserve back, and remove what we made where nothing was recorded."""
        folder_found, info_found = self.found
        with contextlib.suppress(OSError):
            self._give_back()
            if info_found or any(self.folder.glob("*.parquet")):
                return
            (self.folder / INFO_NAME).unlink(missing_ok=True)
            if not folder_found:
                self.folder.rmdir()

    def _give_back(self) -> None:
        """Make room on the disk."""
        if self.reserve is not None:
            self.reserve.unlink(missing_ok=True)

    def _continue(self) -> tuple[int, int]:
        """(next episode, next shard) of the recording that is there.

        Removes what a killed recorder left behind.
        """
        if not (self.folder / INFO_NAME).is_file():
            raise UserError(
                f"{self.folder} is not empty and holds no recording; choose another folder with"
                " --out."
            )
        info = read_info(self.folder)
        check_same_game(self.folder, info, self.spec, self.versions["rom_sha1"])
        self.kept = {name: info[name] for name in KEPT if name in info}
        for leftover in self.folder.iterdir():
            if (
                LEFTOVER.fullmatch(leftover.name)
                and leftover.is_file()
                and not leftover.is_symlink()
            ):
                leftover.unlink()
        if not any(self.folder.glob("*.parquet")):
            return info.get("episodes", 0), 0
        last = max(episode[0]["episode_id"] for episode in read_episodes(self.folder, ["step"]))
        shards = [
            int(path.stem.removeprefix("play-"))
            for path in self.folder.glob("play-" + "[0-9]" * 5 + ".parquet")
        ]
        return max(last + 1, info.get("episodes", 0)), max(shards, default=-1) + 1

    def _append(self, row: dict[str, Any]) -> None:
        filled = self.count >= ROWS_IN_SHARD or self.encoder.size >= BYTES_IN_SHARD
        if filled and row["step"] != 2:  # never after a first observation alone
            # `_cut` may have to change the row before the last
            kept = self.rows[-1:] if row["step"] else []
            self.rows = self.rows[: len(self.rows) - len(kept)]
            self._save(lasting=True, cut=False)
            self.shard += 1
            self._begin_shard(kept)
        self.rows.append(row)
        self.count += 1
        self.steps += row["actions"] is not None

    def _begin_shard(self, rows: list[dict[str, Any]]) -> None:
        self.encoder = RowEncoder(self.spec.images)
        # rows that are converted: nothing changes in them any more
        self.tables: list[pa.Table] = []
        self.rows, self.count = rows, len(rows)
        self.due = 0.0  # at once: until then the episode lacks its end

    def _save(self, lasting: bool = False, cut: bool = True) -> None:
        """Write the shard anew;

        `lasting`: flush it to the disk, `cut`: make it end as an episode does.
        """
        begin = time.monotonic()
        ready, self.rows = self.rows[:-2], self.rows[-2:]
        if ready:
            self.tables.append(pa.Table.from_pylist(ready, SCHEMA))
        last = _cut(self.rows, self.pressed_before) if cut else self.rows
        table = pa.concat_tables(
            [*self.tables, pa.Table.from_pylist(last, SCHEMA)]
        ).combine_chunks()
        if len(table):
            self._guard(lambda: self._write(table, lasting))
        took = time.monotonic() - begin
        self.due = begin + max(SAVE_EVERY, took / MOST_SAVING)

    def _write(self, table: pa.Table, lasting: bool) -> None:
        # a killed process needs no flush, and the player would feel one
        path = self.folder / f"play-{self.shard:05d}.parquet"
        with writing(path, lasting) as temporary, open_shard(temporary) as writer:
            writer.write_table(table)

    def _write_info(self) -> None:
        write_json(
            self.folder / INFO_NAME,
            self.kept | dataset_info(self.spec, self.versions, self.episodes),
        )

    def _guard(self, write: Any) -> None:
        """Write; where the disk is full give the reserve back and write again."""
        try:
            write()
        except OSError as problem:
            if problem.errno not in FULL:
                raise
            self._give_back()
            write()
            self.full = True


def _cut(rows: list[dict[str, Any]], pressed: str) -> list[dict[str, Any]]:
    """An episode's last rows so that it could end here: a final observation, and the step before
    cuts it off.

    What only began, a lone first observation, is left out. `pressed` is the hash of the actions up
    to there.
    """
    *before, last = rows
    if last["actions"] is None:
        return rows
    if last["step"] == 0:
        return before
    infos = last["infos"][:-1]
    infos += f'{"," if len(infos) > 1 else ""}"actions_hash":"{pressed}"}}'
    final = last | {
        "actions": None,
        "rewards": 0.0,
        "terminations": False,
        "truncations": False,
        "infos": infos,
    }
    return [*before[:-1], before[-1] | {"truncations": not before[-1]["terminations"]}, final]
