"""Dreams left alone for ten minutes with random buttons: is every screen one that the game could
show?

python scripts/unattended.py [--cart FILE] [--game NAME] [--dreams 20] [--minutes 10]
    [--idle] [--seed N]
    →  metrics/<game>/unattended[_cart][_idle][_seedN].json

The game's own checker (games/<game>/reader.py) judges every screen from the one before. The same
buttons are not played in the emulator: a dream may drift from any one game and still be a game.
"""

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from tqdm import tqdm

from dreamcart.core import arguments
from dreamcart.core.arguments import whole
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.files import write_json
from dreamcart.core.paths import Paths
from dreamcart.core.provenance import stamp
from dreamcart.core.tables import print_table
from dreamcart.data.scripts import make_policy
from dreamcart.evaluation.readback import Judged, legality, load_reader
from dreamcart.params import load_params
from dreamcart.play.library import Title, find
from dreamcart.training.device import make_repeatable, pick_device

SEED = 3_000_000  # far from the seeds of recorded play


def parser() -> arguments.Parser:
    made = arguments.Parser(description=__doc__)
    words = "which game (default: `game` in params.yaml)"
    made.add_argument("--game", type=arguments.game, help=words)
    words = "a cart instead of the trained model"
    made.add_argument("--cart", type=arguments.path, metavar="FILE", help=words)
    words = "how many, side by side"
    made.add_argument("--dreams", type=whole(1, 1000), default=20, metavar="N", help=words)
    words, length = "of each dream", arguments.number(0.01, 1440)
    made.add_argument("--minutes", type=length, default=10, metavar="M", help=words)
    words = "press nothing; one dream is enough where nothing is random"
    made.add_argument("--idle", action="store_true", help=words)
    seeds = whole(*arguments.SEED)
    words = "of the buttons and draws: others play other dreams"
    made.add_argument("--seed", type=seeds, default=SEED, metavar="N", help=words)
    return made


def main() -> None:
    args = parser().parse_args()
    make_repeatable(0)
    title = Title(args.cart.stem, args.cart) if args.cart else find(args.game or load_params().game)
    world = title.load(pick_device())
    reader = load_reader(world.spec)
    if reader is None:
        raise UserError(f"games/{world.spec.name} has no reader.py to judge its screens with.")
    steps = max(1, round(args.minutes * 60 * world.spec.step_rate))
    first = np.repeat(world.starts[world.first_start][None, None], args.dreams, 0)
    state = world.start(first, np.zeros((args.dreams, 0, len(world.spec.buttons)), np.uint8))
    rngs = [np.random.default_rng(args.seed + number) for number in range(args.dreams)]
    policies = [make_policy("held", world.spec) for _ in range(args.dreams)]
    generator = torch.Generator(world.device).manual_seed(args.seed)
    frames = first[:, 0]
    checkers = [reader.checker() for _ in frames]
    reads = [reader.read(frame) for frame in frames]
    verdicts = [[checker.step(read)] for checker, read in zip(checkers, reads, strict=True)]
    first_faults: dict[int, str] = {}  # by dream: why, and which buttons had just gone down
    held: list[set[str]] = [set() for _ in frames]
    for _ in tqdm(range(steps), desc=f"dream {title.label}", unit="step"):
        pressed = [
            set() if args.idle else policy.act({}, rng)
            for policy, rng in zip(policies, rngs, strict=True)
        ]
        action = np.array([world.spec.vector(buttons) for buttons in pressed], np.uint8)
        before = frames
        frames, state = world.step(state, action, world.temperature, generator)
        for number, frame in enumerate(frames):
            if not np.array_equal(frame, before[number]):
                reads[number] = reader.read(frame)
            verdicts[number].append(checkers[number].step(reads[number]))
            if verdicts[number][-1].reasons and number not in first_faults:
                fresh = "+".join(sorted(pressed[number] - held[number])) or "no press"
                first_faults[number] = f"{', '.join(verdicts[number][-1].reasons)} ({fresh})"
        held = pressed
    judged = [
        Judged([one.reasons for one in own], [set(one.events) for one in own]) for own in verdicts
    ]
    clean = sum(not any(one.reasons) for one in judged)
    report = {
        "dreams": args.dreams,
        "minutes": args.minutes,
        "without_fault": clean,
        **legality(judged),
    }
    events: dict[str, int] = {}
    for one in judged:
        for event in (event for happened in one.events for event in happened):
            events[event] = events.get(event, 0) + 1
    report["events"] = dict(sorted(events.items()))
    print_table(
        f"{title.label}: {args.dreams} dreams of {args.minutes:g} minutes",
        list(report),
        [list(report.values())],
    )
    report["first_faults"] = dict(Counter(first_faults.values()).most_common())
    print_table(
        "What went wrong first",
        ["fault (buttons that had just gone down)", "dreams"],
        list(report["first_faults"].items()),
    )
    name = (
        "unattended"
        + "_cart" * bool(args.cart)
        + "_idle" * args.idle
        + f"_seed{args.seed}" * (args.seed != SEED)
    )
    report["made"] = stamp(title.fingerprint)
    write_json(Paths(world.spec.name).metrics / f"{name}.json", report)


if __name__ == "__main__":
    run_stage(main)
