"""What recorded play meets of a game: by its own scripts, and by the built-in ones without a bot.

python scripts/coverage.py GAME [--frames N] [--steps N] [--seed N] [--workers N] [--json FILE]
    [--force]

Records so many frames by each into a temporary folder (fewer where the game ends episodes), and
prints both coverages side by side. The built-in scripts are those that `record.py new` writes, in
the game's first start state: it finds one, unless told otherwise.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core import arguments
from dreamcart.core.arguments import Parser, add_force, new_file, whole
from dreamcart.core.errors import run_stage
from dreamcart.core.files import write_json
from dreamcart.core.provenance import stamp
from dreamcart.core.tables import print_table
from dreamcart.core.tracked import spare
from dreamcart.data.collect import record
from dreamcart.data.scripts import built_in
from dreamcart.games.catalog import load_game
from dreamcart.games.spec import GameSpec, Script
from dreamcart.params import CollectConfig

TEST_STEPS = 2  # of its one test episode, which nobody looks at
ROWS = {
    "distinct screens": "distinct_frames",
    "share of the screen that changed": "changed_share",
    "share equal to the one before": "repeated_share",
    "episodes": "episodes",
    "episodes that the game ended": "ended",
    "frames": "frames",
}


def parser() -> Parser:
    made = Parser(description=__doc__)
    words = "a folder of games/, or a name that `record.py games` lists"
    made.add_argument("game", type=arguments.game, metavar="GAME", help=words)
    words = "for each"
    made.add_argument("--frames", type=whole(100, 10**7), default=20_000, metavar="N", help=words)
    words, steps = "in an episode (fewer give more scripts a turn)", whole(2, 10**6)
    made.add_argument("--steps", type=steps, default=1500, metavar="N", help=words)
    made.add_argument("--seed", type=whole(*arguments.SEED), default=0, metavar="N", help="of both")
    words = "emulator processes"
    made.add_argument("--workers", type=whole(1, 256), default=2, metavar="N", help=words)
    words = "keep the numbers, and what made them"
    made.add_argument("--json", type=new_file(".json"), metavar="FILE", help=words)
    add_force(made)
    return made


def main() -> None:
    args = parser().parse_args()
    if args.json:
        spare(args.json, args.force)
    spec = load_game(args.game)
    config = CollectConfig("emulator", "", args.frames, args.steps, 1, TEST_STEPS, args.workers)
    found = {
        name: coverage(replace(spec, scripts=scripts), config, args.seed)
        for name, scripts in sides(spec).items()
    }
    told = list(found.values())
    rows = [[words, *(side[key] for side in told)] for words, key in ROWS.items()]
    rows += [
        [f"event: {event}", *(side["events"][event] for side in told)] for event in spec.events
    ]
    print_table(f"{spec.title}: what {args.frames} frames met", ["", *found], rows)
    if args.json:
        asked = {name: getattr(args, name) for name in ("game", "frames", "steps", "seed")}
        write_json(args.json, asked | {"coverage": found, "made": stamp()})


def sides(spec: GameSpec) -> dict[str, list[Script]]:
    """The scripts to compare, by what the table calls them."""
    own = [script for script in spec.scripts if script.policy != "person"]
    first = spec.start_states[0] if spec.start_states else own[0].state
    return {"own scripts": own, "without a bot": built_in([first])}


def coverage(spec: GameSpec, config: CollectConfig, seed: int) -> dict[str, Any]:
    """What a game's scripts meet. Raises UserError where they cannot be played."""
    with tempfile.TemporaryDirectory() as scratch:
        return record(spec, config, seed, Path(scratch) / "play", Path(scratch) / "test")["play"]


if __name__ == "__main__":
    run_stage(main)
