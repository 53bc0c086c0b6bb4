"""The gymnasium-recorder's columns, for programs that read those: gymemu and its kin.

`actions` is what the recorder's environment takes: a list in stable-retro's order for the console,
with its places without a button, or the number of one of ALE's actions. The final screen is a row
with a null action.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from dreamcart.core.files import writing
from dreamcart.data.actions import ALE_ACTIONS, console_order, minimal_actions
from dreamcart.data.schema import SCHEMA
from dreamcart.games.spec import GameSpec


def write_recorder(folder: Path, spec: GameSpec) -> None:
    """Rewrite the canonical shards of `folder` in the gymnasium-recorder's columns, one in memory
    at a time.
    """
    shards = sorted(folder.glob("*.parquet"))
    if spec.backend == "ale":
        used = {
            ale_name(action, spec)
            for shard in shards
            for action in _actions(shard)
            if action is not None
        }
        minimal = minimal_actions(spec)
        names = minimal if used <= set(minimal) else ALE_ACTIONS
        kind, encode = pa.int64(), lambda action: names.index(ale_name(action, spec))
    else:
        places = console_order(spec) or spec.buttons
        kind, encode = pa.list_(pa.int8()), lambda action: _listed(action, places, spec)
    for shard in tqdm(shards, unit="shard", desc="columns", delay=2):
        table = _recorder_table(
            pq.read_table(shard, page_checksum_verification=True), spec, kind, encode
        )
        with writing(shard) as temporary:
            pq.write_table(
                table, temporary, compression="zstd", compression_level=9, write_page_checksum=True
            )


def ale_name(action: list[int], spec: GameSpec) -> str:
    """Held buttons → the name of ALE's action, such as UPLEFTFIRE; opposite directions cancel."""
    held = {name for name, value in zip(spec.buttons, action, strict=True) if value}
    pairs = ({"UP", "DOWN"}, {"LEFT", "RIGHT"}, {"FIRE"})
    return "".join(next(iter(held & pair)) for pair in pairs if len(held & pair) == 1) or "NOOP"


def _actions(shard: Path) -> list[list[int] | None]:
    return pq.read_table(shard, columns=["actions"])["actions"].to_pylist()


def _listed(action: list[int], places: list[str | None], spec: GameSpec) -> list[int]:
    held = dict(zip(spec.buttons, action, strict=True))
    return [held.get(name, 0) for name in places]


def _recorder_table(table: pa.Table, spec: GameSpec, kind: pa.DataType, encode: Any) -> pa.Table:
    actions = [
        None if action is None else encode(action) for action in table["actions"].to_pylist()
    ]
    columns = {name: table[name] for name in SCHEMA.names}
    columns["actions"] = pa.array(actions, kind)
    columns["timestamp"] = pa.array(
        [step / spec.step_rate for step in table["step"].to_pylist()], pa.float64()
    )
    features = json.loads(SCHEMA.metadata[b"huggingface"])
    if pa.types.is_integer(kind):
        features["info"]["features"]["actions"] = {"dtype": "int64", "_type": "Value"}
    features["info"]["features"]["timestamp"] = {"dtype": "float64", "_type": "Value"}
    return pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(features)})
