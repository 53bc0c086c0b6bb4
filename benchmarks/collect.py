"""Recording against bare emulation: frames a second of `collect`, over those of the emulator with
nothing kept; and its bytes against those of lossless WebP (Pillow's default effort), frame by
frame.

python benchmarks/collect.py [--game NAME] [--frames N]

Both sides run episodes of the same length from the same states on the same number of processes, one
after the other; the bare emulator presses nothing, and its processes start before the clock. Bytes
are those of the whole dataset, buttons and variables included, over its frames. WebP is shown
twice: an image a frame, and an image a distinct frame of every shard, as Parquet would store it;
both are bare images, measured on some shards spread over the recording.
"""

import io
import multiprocessing
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image

from dreamcart.core.arguments import Parser, game, whole
from dreamcart.core.errors import run_stage
from dreamcart.core.tables import print_table
from dreamcart.data.collect import plan_episodes, record
from dreamcart.data.images import decode_image
from dreamcart.data.reader import count_rows, read_rows
from dreamcart.games.catalog import load_game
from dreamcart.games.emulator import open_emulator
from dreamcart.params import load_params


def bare(task) -> float:
    """Step the emulator through episodes, pressing nothing and keeping nothing. Returns seconds."""
    spec, episodes = task
    emulator = open_emulator(spec)
    nothing = spec.vector(set())
    begin = time.perf_counter()
    for episode in episodes:
        emulator.reset(episode.script.state, episode.seed)
        for _ in range(episode.steps):
            emulator.step(nothing)
    return time.perf_counter() - begin


def webp(shards: list[Path]) -> tuple[float, float]:
    """Bytes a frame of lossless WebP in these shards: an image a frame, and an image a distinct
    frame of a shard.
    """
    frames = every = distinct = 0
    for shard in shards:
        sizes: dict[bytes, int] = {}
        for row in read_rows(shard, ["observations"]):
            content = row["observations"]["bytes"]
            if content not in sizes:
                buffer = io.BytesIO()
                Image.fromarray(decode_image(content)).save(buffer, "WEBP", lossless=True)
                sizes[content] = buffer.tell()
            frames += 1
            every += sizes[content]
        distinct += sum(sizes.values())
    return every / frames, distinct / frames


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument("--game", type=game, help="which game (default: `game` in params.yaml)")
    frames, shards = whole(1, 10**9), whole(1, 10**6)
    words = "how many (default: collect.frames in params.yaml)"
    made.add_argument("--frames", type=frames, metavar="N", help=words)
    words = "shards of which the frames are encoded as WebP too"
    made.add_argument("--webp-shards", type=shards, default=2, metavar="N", help=words)
    return made


def main() -> None:
    args = parser().parse_args()
    params = load_params()
    spec = load_game(args.game or params.game)
    config = replace(
        params.collect,
        source="emulator",
        frames=args.frames or params.collect.frames,
        test_episodes=1,
    )
    play, test = plan_episodes(spec, config, params.seed)
    frames = sum(episode.steps for episode in play + test)
    shares = [(spec, (play + test)[i :: config.workers]) for i in range(config.workers)]
    with multiprocessing.get_context("spawn").Pool(config.workers) as pool:
        bare_rate = frames / max(pool.map(bare, shares))
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "raw"
        begin = time.perf_counter()
        record(spec, config, params.seed, raw, Path(scratch) / "test")
        rate = frames / (time.perf_counter() - begin)
        shards = sorted(raw.glob("*.parquet"))
        size = sum(file.stat().st_size for file in shards) / count_rows(raw)
        each, distinct = webp(shards[:: -(-len(shards) // args.webp_shards)])
    print_table(
        f"{spec.title}, {config.workers} processes, frame skip {spec.frame_skip}, start of the"
        " processes included in recording",
        [
            "bare frames/s",
            "recorded frames/s",
            "ratio",
            "bytes a frame",
            "WebP, every frame",
            "WebP, distinct",
            "ratio to every",
        ],
        [
            [
                round(bare_rate),
                round(rate),
                rate / bare_rate,
                round(size),
                round(each),
                round(distinct),
                size / each,
            ]
        ],
    )


if __name__ == "__main__":
    run_stage(main)
