"""Reads the rows of a dataset made elsewhere, a folder or one of the Hub; no image is decoded.

Paths that such a dataset names are a stranger's words: of a folder's dataset only files below it
are read, of the Hub's none.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from dreamcart.core.errors import UserError, number_of, shown
from dreamcart.core.files import read_json
from dreamcart.core.hub import explain
from dreamcart.core.paths import inside
from dreamcart.data.reader import UNREADABLE

ROWS_AT_ONCE = 256  # a bound on memory
MOST_BYTES = 2**27  # of an image's file: more than the largest frame takes without compression
# Of a read from the Hub: `datasets` waits 5 seconds before each, 20 where it is down, 60 when busy.
MOST_RETRIES = 2
FROM_HUB = ("Parquet", "Arrow")  # the builders of `datasets` that read rows as they are


class Rows(Protocol):
    """Rows that can be read again and again. Raises UserError where they cannot be had."""

    columns: list[str]

    def read(self, columns: list[str]) -> Iterator[dict[str, Any]]:
        """Yield rows with these columns, as they come, images still files."""


def open_rows(source: str, revision: str) -> Rows:
    """Open a folder or a Hub dataset. Raises UserError."""
    folder = local_folder(source)
    return HubRows(source, revision) if folder is None else FolderRows(folder)


def local_folder(name: str) -> Path | None:
    """Return the folder that a name is the path of; None where there is none."""
    # a name that is too long, a null byte in it, the home of nobody
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        folder = Path(name).expanduser()
        return folder if folder.is_dir() else None
    return None


def check_apart(source: str, setting: str, *folders: Path) -> None:
    """Raise UserError where a folder that a setting names is in one of `folders`, or around it.

    Those are about to be removed and written anew, and so would be the source.
    """
    place = local_folder(source)
    for folder in folders if place is not None else ():
        here, there = place.resolve(), folder.resolve()
        if here.is_relative_to(there) or there.is_relative_to(here):
            raise UserError(
                f"{setting} names {shown(source)[1:-1]}, and {folder} is removed to be written"
                " anew; move what you keep elsewhere."
            )


class FolderRows:
    """A folder with Parquet files, at any depth, or one that `save_to_disk` of `datasets` wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        parquet = [
            path
            for path in sorted(folder.rglob("*.parquet"))
            if not _hidden(path.relative_to(folder))
        ]
        self.files = parquet or _saved_files(folder)
        pipe = next((path for path in self.files if not path.is_file()), None)
        if pipe is not None:
            raise UserError(f"{pipe} is no file; move it away.")
        with self._told(self.files[0]), _batches(self.files[0], []) as (columns, _):
            self.columns = columns

    def read(self, columns: list[str]) -> Iterator[dict[str, Any]]:
        """Yield rows with these columns."""
        for path in self.files:
            with self._told(path), _batches(path, columns) as (found, batches):
                missing = next((name for name in columns if found.count(name) != 1), None)
                if missing is not None:
                    raise UserError(
                        f"{path} does not have the column {missing!r} once, as other files of"
                        f" {self.folder} do."
                    )
                for batch in batches:
                    yield from batch.to_pylist()

    @contextlib.contextmanager
    def _told(self, path: Path) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, ValueError, OverflowError) as problem:
            number = number_of(problem)
            why = (
                f"is damaged ({type(problem).__name__}: {shown(str(problem))}); fetch it again or"
                " leave it out"
            )
            if number in UNREADABLE:
                why = f"cannot be read ({os.strerror(number)}); check its rights and its disk"
            raise UserError(f"Cannot read the dataset {self.folder}: {path} {why}.") from None


def _hidden(relative: Path) -> bool:
    """Whether a path begins with a dot somewhere: no data, but a download's notes."""
    return any(part.startswith(".") for part in relative.parts)


def _saved_files(folder: Path) -> list[Path]:
    """Find the Arrow files of a `save_to_disk` folder, or of its part `train`. Raises UserError."""
    if (folder / "dataset_dict.json").is_file():
        folder = folder / "train"
    if not (folder / "state.json").is_file():
        raise UserError(
            f"Cannot read the dataset {folder}: it holds neither Parquet files nor what"
            " `save_to_disk` writes; name another folder."
        )
    state = read_json(folder / "state.json", "save the dataset again")
    try:
        names = [entry["filename"] for entry in state["_data_files"]]
    except (KeyError, TypeError):
        names = []
    if not names:
        raise UserError(f"{folder / 'state.json'} names no files; save the dataset again.")
    return [inside(folder, name) for name in names]


@contextlib.contextmanager
def _batches(
    path: Path, columns: list[str]
) -> Iterator[tuple[list[str], Iterator[pa.RecordBatch]]]:
    """Open a Parquet or Arrow file; give its columns, and batches of rows with those asked for."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file.schema_arrow.names, file.iter_batches(ROWS_AT_ONCE, columns=columns)
    else:
        with pa.memory_map(str(path)) as mapped, pa.ipc.open_stream(mapped) as stream:
            yield stream.schema.names, _sliced(stream, columns)


def _sliced(stream: pa.RecordBatchStreamReader, columns: list[str]) -> Iterator[pa.RecordBatch]:
    for batch in stream:
        batch = batch.select(columns)
        batch.validate(full=True)  # offsets that lead out of the file would end the process
        for first in range(0, len(batch), ROWS_AT_ONCE):
            yield batch.slice(first, ROWS_AT_ONCE)


class HubRows:
    """A dataset of the Hub at a commit, streamed: of it only what is read is fetched."""

    def __init__(self, source: str, revision: str) -> None:
        self.source = source
        with self._told():
            import datasets

            datasets.config.STREAMING_READ_MAX_RETRIES = MOST_RETRIES
            # which refuses paths out of the dataset
            builder = datasets.load_dataset_builder(source, revision=revision)
            if not {kind.__name__ for kind in type(builder).__mro__} & set(FROM_HUB):
                raise UserError(
                    f"{source} does not hold its rows as Parquet or Arrow files; name another"
                    " dataset."
                )
            data = builder.as_streaming_dataset(split="train")
            self.data = data.decode(False) if data.features else data
            self.columns = self.data.column_names or list(next(iter(self.data), {}))

    def read(self, columns: list[str]) -> Iterator[dict[str, Any]]:
        """Yield rows with these columns."""
        with self._told():
            yield from self.data.select_columns(columns)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn whatever goes wrong into a sentence: its errors share no base class."""
        try:
            yield
        except UserError:
            raise
        except Exception as problem:
            what = f"{type(problem).__name__}: {(str(problem).splitlines() or [''])[0][:200]}"
            told = (
                f"Cannot read the dataset {self.source}: {what}; check its name, revision, files"
                " and the network."
            )
            raise UserError(explain(problem, self.source) or told) from None


def image_file(image: Any, folder: Path | None, what: str) -> bytes:
    """Return the file of an image that is not decoded: its bytes, a path, or a mapping of both.

    Args:
        image: what a row holds.
        folder: the dataset's; None for the Hub's.
        what: what a message calls the image.

    Raises:
        UserError: there is none, or its path does not lead to a file below the folder.
    """
    content, path = (
        (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
    )
    if isinstance(content, str):
        content, path = None, content
    if isinstance(content, bytes):
        return content
    if content is not None or not isinstance(path, str):
        raise UserError(
            f"{what} is missing: its row holds {shown(content)} and no image file; leave that"
            " episode out."
        )
    if folder is None:
        raise UserError(
            f"{what} is missing: its row names {shown(path)}, and of the Hub only images in the"
            " rows are read."
        )
    file = inside(folder, path)
    if not file.is_file():
        raise UserError(
            f"{what} is missing: {shown(path)} is no file in {folder}; copy the images along with"
            " the dataset."
        )
    if file.stat().st_size > MOST_BYTES:
        raise UserError(
            f"{what} is too large: {file} has more than {MOST_BYTES >> 20} MiB; leave that episode"
            " out."
        )
    return file.read_bytes()
