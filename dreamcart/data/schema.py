"""The raw dataset: Parquet shards that plain Hugging Face `datasets` opens, with a dataset_info.json beside them.

One row an observation. An episode of N actions has N+1 rows: the last one holds the final observation and a
null action. Row t says: at observations[t] the buttons actions[t] were held, which gave rewards[t],
terminations[t] and truncations[t] and led to observations[t+1]. `infos` is a JSON object of the emulator's
variables at observations[t] (arrays as lists).
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dreamcart.data.images import ENCODERS, frame_key
from dreamcart.errors import UserError
from dreamcart.files import read_json, replace_atomically
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


_to_json = json.JSONEncoder(separators=(",", ":")).encode


def infos_json(infos: dict[str, Any]) -> str:
    """Compact JSON of the emulator's variables, arrays last."""
    plain = {name: value for name, value in infos.items() if not isinstance(value, np.ndarray)}
    members = [_to_json(plain)[1:-1]] if plain else []
    for name, value in infos.items():
        if isinstance(value, np.ndarray):
            members.append(f"{_to_json(name)}:{_array_json(value.tobytes(), value.dtype, value.shape)}")
    return "{" + ",".join(members) + "}"


@lru_cache(64)  # a board seldom changes from one step to the next, and is most of the text
def _array_json(content: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> str:
    return _to_json(np.frombuffer(content, dtype).reshape(shape).tolist())


class RowEncoder:
    """Rows as they are recorded → rows as Parquet takes them.

    Most frames repeat, so equal frames share one encoded image: Parquet's dictionary then stores it once.
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
        """The encoded frame; a frame seen before (the last one: the very same array) costs next to nothing."""
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
    """Writes episodes to one Parquet shard; the shard appears under its name only when closed whole."""

    def __init__(self, path: Path, images: str) -> None:
        """images: their format, see `images.ENCODERS`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.temporary = path.with_name(f".{path.name}.tmp")  # hidden: `datasets` opens a folder without it
        self.writer = open_shard(self.temporary)
        self.rows: list[dict[str, Any]] = []
        self.encoder = RowEncoder(images)

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
        self._flush()
        self.writer.close()
        replace_atomically(self.temporary, self.path)

    def _flush(self) -> None:
        if self.rows:
            self.writer.write_table(pa.Table.from_pylist(self.rows, SCHEMA))
            self.rows = []


def dataset_info(spec: GameSpec, versions: dict[str, str], episodes: int) -> dict[str, Any]:
    """What dataset_info.json says: `versions` as `Emulator.versions` gives them; without `episodes` a lost last one would
    not be missed."""
    return {"schema_version": SCHEMA_VERSION, "game": spec.to_dict(), "episodes": episodes, **versions}


def read_info(folder: Path) -> dict[str, Any]:
    """dataset_info.json of a raw dataset. Raises UserError where it is missing or of an unknown version."""
    info = read_json(folder / INFO_NAME)
    version = info.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UserError(
            f"{folder} has dataset schema version {version!r}, and this Dreamcart reads version {SCHEMA_VERSION}: "
            "collect it again, or use the Dreamcart that wrote it."
        )
    return info
