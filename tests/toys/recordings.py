"""Datasets as others record them, written to disk."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dreamcart.data.actions import CONSOLES
from toys.synthetic import make_frame

datasets = pytest.importorskip("datasets")
NES_ORDER = CONSOLES["Nes"]
RIGHT = [int(name == "RIGHT") for name in NES_ORDER]


def encoded(number: int, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(make_frame(number)).save(buffer, kind)
    return buffer.getvalue()


def recorder_rows(lengths: list[int], kind: str = "PNG") -> list[dict[str, Any]]:
    """Rows as gymnasium-recorder writes them: every one holds an action, RIGHT and nothing in
    turns.
    """
    return [
        {
            "episode_id": 40 + episode,
            "timestamp": step / 60,
            "image": {"bytes": encoded(episode + step, kind), "path": None},
            "step": step,
            "action": RIGHT if step % 2 else [0] * 9,
        }
        for episode, length in enumerate(lengths)
        for step in range(length)
    ]


def write_recorder(folder, rows: list[dict[str, Any]]) -> str:
    data = datasets.Dataset.from_list(rows)
    data = data.cast_column("image", datasets.Image()) if "image" in data.column_names else data
    folder.mkdir(exist_ok=True)
    data.to_parquet(folder / "train-00000-of-00001.parquet")
    return str(folder)


IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def write_rows(folder, rows: list[dict[str, Any]], types: dict[str, Any] | None = None) -> str:
    """Rows as Parquet, with Arrow's own types; `types` says them where they cannot be seen."""
    types = {"image": IMAGE} | (types or {})
    folder.mkdir(exist_ok=True)
    columns = {name: pa.array([row[name] for row in rows], types.get(name)) for name in rows[0]}
    pq.write_table(pa.table(columns), folder / "play.parquet")
    return str(folder)


def later_rows(lengths: list[int], kind: str = "WebP", **options: Any) -> list[dict[str, Any]]:
    """Rows as later gymnasium-recorders write them: other names, numbers for episodes made
    elsewhere, a final screen.
    """
    rows = []
    for episode, length in enumerate(lengths):
        for step in range(length):
            buffer = io.BytesIO()
            Image.fromarray(make_frame(episode + step)).save(buffer, kind, **options)
            last = step == length - 1
            rows.append(
                {
                    "episode_id": f"ep-{episode}",
                    "seed": 7,
                    "step": step,
                    "observations": {"bytes": buffer.getvalue(), "path": None},
                    "actions": None if last else RIGHT if step % 2 else [0] * 9,
                    "rewards": None if last else 1.5,
                    "terminations": None if last else step == length - 2,
                    "truncations": None if last else False,
                    "infos": None if last else '{"lives": 3}',
                    "session": "x",
                }
            )
    return rows
