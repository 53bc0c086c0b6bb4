"""The dataset card: the README.md that the Hub shows, written from what the dataset holds."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dreamcart.data.images import decode_image
from dreamcart.data.reader import read_episodes
from dreamcart.data.schema import INFO_NAME, checked_info
from dreamcart.games.spec import GameSpec
from dreamcart.record.manifest import with_shards

PREVIEW = "preview.gif"
MARK = (
    "<!-- Written by Dreamcart, and written anew at every push. Without this line it is left as it"
    " is. -->"
)
PREVIEW_SECONDS = 6
# Column → what it holds; the types stand in the shards themselves.
COLUMNS = {
    "episode_id": ("int64", "number of the episode, unique in this dataset"),
    "step": ("int32", "0, 1, 2, … within the episode"),
    "seed": ("int64", "seed of the episode"),
    "observations": ("Image (PNG or WebP, lossless)", "the screen before the action"),
    "actions": (
        "list of int8",
        "0 or 1 a button, in the order below; null in the last row of an episode",
    ),
    "rewards": ("float32", "what the action brought"),
    "terminations": ("bool", "the action ended the game"),
    "truncations": ("bool", "the recording was cut after the action"),
    "infos": (
        "string",
        "a JSON object of the emulator's variables at this step, and the start state at step 0",
    ),
}
SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def card(repo_id: str, info: dict[str, Any], preview: bool) -> str:
    """The text of README.md for a dataset whose dataset_info.json (with its shards) is `info`.

    Raises UserError for a wrong one.
    """
    info = with_shards(checked_info(info, f"{INFO_NAME} of {repo_id}"), repo_id)
    game = info["game"]
    counts = counts_of(info)
    size = next((name for most, name in SIZES if counts["rows"] < most), "n>10M")
    head = {
        "pretty_name": f"{game['title']} recordings",
        "task_categories": ["reinforcement-learning"],
        "tags": ["dreamcart", "world-model", "gymnasium", "video-games", game["backend"]],
        "size_categories": [size],
        "configs": [
            {"config_name": "default", "data_files": [{"split": "train", "path": "*.parquet"}]}
        ],
    }
    keys = game.get("keys", {})
    facts = {
        "episodes": f"{counts['episodes']:,}",
        "steps": f"{counts['steps']:,}",
        "frames": f"{counts['rows']:,} (one more than steps in every episode)",
        "size": f"{counts['bytes'] / 2**20:.1f} MiB in {len(info['shards'])} shards",
        "environment": f"`{game['env']}` ({game['backend']})",
        "rate": (
            f"{game['fps'] / game['frame_skip']:g} steps a second ({game['fps']:g} frames, skip"
            f" {game['frame_skip']})"
        ),
        "emulator": ", ".join(
            sorted({shard.get("emulator") or "not recorded" for shard in info["shards"].values()})
        ),
        "ROM": f"SHA-1 `{info['rom_sha1']}`" if info.get("rom_sha1") else "not recorded",
        "schema": f"version {info['schema_version']}",
    }
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False, allow_unicode=True).rstrip(),
        "---",
        MARK,
        f"# {game['title']}: recordings",
        "",
        *([f"![play]({PREVIEW})", ""] if preview else []),
        _origin(info),
        "",
        *_table(("", ""), facts.items()),
        "",
        "## Buttons",
        "",
        "`actions` holds them in this order.",
        "",
        *_table(
            ("place", "button", "key"),
            ((n, name, keys.get(name, "–")) for n, name in enumerate(game["buttons"])),
        ),
        "",
        "## Columns",
        "",
        *_table(
            ("column", "type", "meaning"), ((f"`{name}`", *rest) for name, rest in COLUMNS.items())
        ),
        "",
        "An episode of N actions has N + 1 rows: the last one is its final screen.",
        "",
        "## Use",
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        f'data = load_dataset("{repo_id}", split="train", streaming=True)',
        "```",
        "",
        "With Dreamcart: `python stages/record.py watch "
        + repo_id
        + "` plays it, `python stages/record.py pull "
        + repo_id
        + "` fetches",
        "it and prints the revision for `collect.source` and `collect.revision` in params.yaml.",
        "",
    ]
    return "\n".join(lines)


def _origin(info: dict[str, Any]) -> str:
    """Where the frames come from, shard by shard, and whether they are as the emulator drew
    them.
    """
    shards = info["shards"].values()
    sources = sorted({shard.get("source", info.get("source", "")) for shard in shards})
    lossy = sorted({name for shard in shards for name in shard.get("lossy", info.get("lossy", []))})
    said = []
    if "" in sources or not sources:
        said.append("Play of a real emulator, recorded with Dreamcart frame by frame without loss.")
    elsewhere = [f"`{source}`" for source in sources if source]
    if elsewhere:
        revision = (
            f" (revision {info['revision']})" if len(sources) == 1 and info.get("revision") else ""
        )
        said.append(
            "Recordings of a real emulator, converted by Dreamcart from"
            f" {', '.join(elsewhere)}{revision}."
        )
    if lossy:
        said.append(
            f"{'Those' if len(said) > 1 else 'They'} were recorded as {' and '.join(lossy)}, which"
            " lost detail."
        )
    return " ".join(said)


def counts_of(info: dict[str, Any]) -> dict[str, int]:
    """rows, episodes, steps and bytes over all shards."""
    shards = info["shards"].values()
    rows, episodes = sum(s["rows"] for s in shards), sum(len(s["episodes"]) for s in shards)
    return {
        "rows": rows,
        "episodes": episodes,
        "steps": rows - episodes,
        "bytes": sum(s["bytes"] for s in shards),
    }


def preview_frames(folder: Path, spec: GameSpec) -> list[np.ndarray]:
    """Some seconds from the middle of the first episode, uint8 [H, W, 3] each."""
    episode = next(read_episodes(folder, ["observations"]))
    count = round(PREVIEW_SECONDS * spec.step_rate)
    first = max(0, (len(episode) - count) // 2)
    return [decode_image(row["observations"]["bytes"]) for row in episode[first : first + count]]


def _table(header: tuple[str, ...], rows: Any) -> list[str]:
    lines = [header, ("---",) * len(header), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]
