"""The raw dataset: Parquet shards that plain Hugging Face `datasets` opens, with a dataset_info.json beside them.

One row an observation. An episode of N actions has N+1 rows: the last one holds the final observation and a
null action. Row t says: at observations[t] the buttons actions[t] were held, which gave rewards[t],
terminations[t] and truncations[t] and led to observations[t+1]. `infos` is a JSON object of the emulator's
variables at observations[t] (arrays as lists).
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from PIL import Image

from dreamcart.errors import UserError
from dreamcart.files import read_json, replace_atomically

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


def encode_image(frame: np.ndarray) -> bytes:
    """uint8 [H, W, 3] → lossless WebP (a quarter of PNG's size on these frames, and as fast)."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "WEBP", lossless=True, quality=0, method=0)
    return buffer.getvalue()


def decode_image(content: bytes) -> np.ndarray:
    """Any image file Pillow knows → uint8 [H, W, 3]. Raises UserError on a damaged one."""
    try:
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        raise UserError("A recorded image is damaged; collect or download the dataset again.") from None


class ShardWriter:
    """Writes episodes to one Parquet shard; the shard appears under its name only when closed whole.

    Most frames repeat, so equal frames share one encoded image: Parquet's dictionary then stores it once.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.temporary = path.with_name(path.name + ".tmp")
        self.writer = pq.ParquetWriter(
            self.temporary,
            SCHEMA,
            compression="zstd",
            compression_level=9,
            use_dictionary=["observations.bytes", "actions.list.element", "episode_id", "seed"],
            dictionary_pagesize_limit=256 * 2**20,
            write_page_checksum=True,  # a flipped bit must not pass as data
        )
        self.rows: list[dict[str, Any]] = []
        self.images: dict[bytes, bytes] = {}  # by the frame's hash: all that this shard holds
        self.last: tuple[np.ndarray | None, bytes] = (None, b"")

    def add(self, row: dict[str, Any]) -> None:
        """Append a row with the keys of COLUMNS; `observations` a uint8 frame, `infos` a dict."""
        image = self._image(row["observations"])
        infos = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in row["infos"].items()}
        self.rows.append(row | {"observations": {"bytes": image, "path": None}, "infos": json.dumps(infos, separators=(",", ":"))})
        if len(self.rows) == ROWS_IN_GROUP:
            self._flush()

    def _image(self, frame: np.ndarray) -> bytes:
        """The encoded frame; a frame seen before (the last one: the very same array) costs next to nothing."""
        if frame is not self.last[0]:
            key = xxhash.xxh3_128_digest(np.ascontiguousarray(frame))
            if key not in self.images:
                self.images[key] = encode_image(frame)
            self.last = (frame, self.images[key])
        return self.last[1]

    def close(self) -> None:
        """Write what is left and give the shard its name."""
        self._flush()
        self.writer.close()
        replace_atomically(self.temporary, self.path)

    def _flush(self) -> None:
        if self.rows:
            self.writer.write_table(pa.Table.from_pylist(self.rows, SCHEMA))
            self.rows = []


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
