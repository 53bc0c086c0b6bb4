"""The raw dataset: Parquet shards that plain Hugging Face `datasets` opens, with a
dataset_info.json beside them.

One row an observation. An episode of N actions has N+1 rows: the last one holds the final
observation and a null action. Row t says: at observations[t] the buttons actions[t] were held,
which gave rewards[t], terminations[t] and truncations[t] and led to observations[t+1]. `infos` is a
JSON object of the emulator's variables at observations[t] (see `infos`).
"""

import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dreamcart.core.errors import UserError, shown
from dreamcart.core.files import read_json, writing
from dreamcart.core.typed import Pattern, build
from dreamcart.data.images import ENCODERS, frame_key
from dreamcart.data.infos import infos_json
from dreamcart.games.spec import GameSpec

SCHEMA_VERSION = 1
INFO_NAME = "dataset_info.json"

_FEATURES = {
    "episode_id": {"dtype": "int64", "_type": "Value"},
    "step": {"dtype": "int32", "_type": "Value"},
    "seed": {"dtype": "int64", "_type": "Value"},
    "observations": {"_type": "Image"},
    "actions": {"feature": {"dtype": "int8", "_type": "Value"}, "_type": "List"},
    "rewards": {"dtype": "float32", "_type": "Value"},
    "terminations": {"dtype": "bool", "_type": "Value"},
    "truncations": {"dtype": "bool", "_type": "Value"},
    "infos": {"dtype": "string", "_type": "Value"},
}
SCHEMA = pa.schema(
    [
        ("episode_id", pa.int64()),
        ("step", pa.int32()),
        ("seed", pa.int64()),
        ("observations", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("actions", pa.list_(pa.int8())),
        ("rewards", pa.float32()),
        ("terminations", pa.bool_()),
        ("truncations", pa.bool_()),
        ("infos", pa.string()),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)
COLUMNS = list(_FEATURES)
ROWS_IN_GROUP = 4096


class RowEncoder:
    """Rows as they are recorded → rows as Parquet takes them.

    Most frames repeat, so equal frames share one encoded image: Parquet's dictionary then stores it
    once.
    """

    def __init__(self, images: str) -> None:
        """images: their format, see `images.ENCODERS`."""
        self.encoder = ENCODERS[images]()
        self.images: dict[bytes, bytes] = {}  # by frame_key: all that were met
        self.size = 0  # their bytes together
        self.last: tuple[np.ndarray | None, bytes] = (None, b"")

    def encode(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row with the keys of COLUMNS; `observations` a uint8 frame, `infos` a dict."""
        image = {"bytes": self._image(row["observations"]), "path": None}
        return row | {"observations": image, "infos": infos_json(row["infos"])}

    def _image(self, frame: np.ndarray) -> bytes:
        """The encoded frame; a frame seen before (the last one: the very same array) costs next to
        nothing.
        """
        if frame is not self.last[0]:
            key = frame_key(frame)
            if key not in self.images:
                self.images[key] = self.encoder.encode(frame)
                self.size += len(self.images[key])
            self.last = (frame, self.images[key])
        return self.last[1]


def open_shard(file: Path | BinaryIO) -> pq.ParquetWriter:
    """A Parquet file of SCHEMA, open for writing."""
    return pq.ParquetWriter(
        file,
        SCHEMA,
        compression="zstd",
        compression_level=9,
        use_dictionary=["observations.bytes", "actions.list.element", "episode_id", "seed"],
        dictionary_pagesize_limit=256 * 2**20,
        write_page_checksum=True,  # a flipped bit must not pass as data
    )


class ShardWriter:
    """Writes episodes to one Parquet shard, which has its name only when it is closed whole.

    A context manager: left by an exception it leaves no file. Raises OSError, with the shard's
    path, where it cannot be written.
    """

    def __init__(self, path: Path, images: str) -> None:
        """images: their format, see `images.ENCODERS`."""
        self.path = path
        self.rows: list[dict[str, Any]] = []
        self.encoder = RowEncoder(images)
        with contextlib.ExitStack() as stack:
            self.writer = stack.enter_context(open_shard(stack.enter_context(writing(path))))
            self.open = stack.pop_all()

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *failure: Any) -> None:
        if failure[0] is None:
            self.close()
        else:
            self.open.__exit__(*failure)

    @property
    def images(self) -> dict[bytes, bytes]:
        """The distinct images of this shard, by frame_key."""
        return self.encoder.images

    def add(self, row: dict[str, Any]) -> None:
        """Append a row with the keys of COLUMNS; `observations` a uint8 frame, `infos` a dict."""
        self.rows.append(self.encoder.encode(row))
        if len(self.rows) == ROWS_IN_GROUP:
            self._flush()

    def close(self) -> None:
        """Write what is left and give the shard its name."""
        with self.open:
            self._flush()

    def _flush(self) -> None:
        if self.rows:
            self.writer.write_table(pa.Table.from_pylist(self.rows, SCHEMA))
            self.rows = []


# What dataset_info.json may say beside `game`.
Line = Annotated[str, Pattern(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{0,4096}", "one line of text")]
Number = Annotated[int, (0, 2**48)]


@dataclass(frozen=True)
class _ShardInfo:
    """What a shared dataset says of one shard."""

    sha256: Annotated[str, Pattern(r"[0-9a-f]{64}", "64 digits of hexadecimal")] = ""
    bytes: Number = 0
    rows: Number = 0
    episodes: list[Number] = field(default_factory=list)
    emulator: Line = ""
    source: Line = ""
    lossy: list[Line] = field(default_factory=list)


@dataclass(frozen=True)
class _Info:
    first_episode: Number = 0
    episodes: Number = 0
    emulator: Line = ""
    emulator_version: Line = ""
    rom_sha1: Line = ""
    source: Line = ""
    revision: Line = ""
    lossy: list[Line] = field(default_factory=list)
    shards: dict[
        Annotated[str, Pattern(r"\w[\w.-]{0,200}\.parquet", "a shard's name")], _ShardInfo
    ] = field(default_factory=dict)


def dataset_info(spec: GameSpec, versions: dict[str, str], episodes: int) -> dict[str, Any]:
    """What dataset_info.json says: `versions` as `Emulator.versions` gives them; without `episodes`
    a lost last one would not be missed.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "game": spec.to_dict(),
        "episodes": episodes,
        **versions,
    }


def read_info(folder: Path) -> dict[str, Any]:
    """Read dataset_info.json of a raw dataset. Raises UserError, see `checked_info`."""
    path = folder / INFO_NAME
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise UserError(
            f"{path} is no file; move it away, then bring the dataset back as it was, or collect it"
            " again."
        )
    return checked_info(
        read_json(path, "bring the dataset back as it was, or collect it again"), path
    )


def checked_info(value: Any, where: Path | str) -> dict[str, Any]:
    """Check what a dataset_info.json holds, whoever wrote it: all that is used of it.

    Args:
        value: the parsed JSON; where: the file, or what else a message shall call it.

    Returns:
        `game` as `GameSpec.to_dict` has it, and the other keys that are known, as they stand there.

    Raises:
        UserError: an unknown version, no game, or a value of another type or range.
    """
    if not isinstance(value, dict):
        raise UserError(
            f"{where} holds {shown(value)}, and not what Dreamcart says of a dataset; fetch or"
            " collect it again."
        )
    version = value.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise UserError(
            f"{where} has schema version {shown(version)}, and this Dreamcart reads version"
            f" {SCHEMA_VERSION}: collect it again, or use the Dreamcart that wrote it."
        )
    if "game" not in value:
        raise UserError(f"{where} does not say which game it is of; fetch or collect it again.")
    spec = GameSpec.from_dict(value["game"], f"{where}: game")
    known = _known(_Info, value)
    if isinstance(known.get("emulator_version"), str):  # stable-retro's once came with a line end
        known["emulator_version"] = known["emulator_version"].strip()
    if isinstance(known.get("shards"), dict):
        known["shards"] = {
            name: _known(_ShardInfo, shard) for name, shard in known["shards"].items()
        }
    build(_Info, known, "", str(where))
    return {"schema_version": SCHEMA_VERSION, "game": spec.to_dict(), **known}


def _known(cls: type, value: Any) -> Any:
    """Leave out of a mapping what later versions may have added."""
    return (
        {name: value[name] for name in cls.__annotations__ if name in value}
        if isinstance(value, dict)
        else value
    )
