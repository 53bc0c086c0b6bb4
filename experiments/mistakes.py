"""What a token dream gets wrong in one step, by what happened: for choosing what to improve, never on test episodes.

python experiments/mistakes.py [--cart FILE] [--every N] [--split train]

Every step of the validation (or training) episodes that counts (each Nth) is predicted from its real past and compared
in all cells. The events are those that the game's reader reads from the real screens. Writes nothing.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.cart import load_cart
from dreamcart.config import load_params
from dreamcart.data.processed import Split, load_split
from dreamcart.dynamics.tokens.model import TokenDynamics
from dreamcart.dynamics.tokens.samples import Samples
from dreamcart.errors import UserError, run_stage
from dreamcart.evaluation.readback import load_reader
from dreamcart.hardware import make_repeatable, pick_device
from dreamcart.paths import Paths
from dreamcart.tables import print_table
from dreamcart.world_model import WorldModel, load_world

BATCH = 256
OUTCOMES = ("right", "missed", "too much", "otherwise")  # nothing changed in the dream, nothing in the game, both changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cart", type=Path, help="a cart instead of the trained model")
    parser.add_argument("--every", type=int, default=3, help="look at each Nth step")
    parser.add_argument("--split", choices=["train", "val"], default="val", help="train: to tell overfitting from underfitting")
    args = parser.parse_args()
    params = load_params()
    paths = Paths(params.game)
    make_repeatable(params.seed)
    world = load_cart(args.cart, pick_device())[0] if args.cart else load_world(paths.models, pick_device())
    if not isinstance(world.dynamics, TokenDynamics):
        raise UserError("Only a dream of tokens can be looked at cell by cell; train with representation.kind tiles.")
    val = load_split(paths.processed, args.split)
    at = val.transitions[:: args.every]
    events = events_of(val)
    outcomes: dict[str, Counter] = {}
    for record, outcome in zip(at.tolist(), outcomes_of(world, val, at), strict=True):
        happened = events[record + 1] or ({"nothing"} if outcome in (0, 2) and not_moved(val, record) else {"other change"})
        pressed = (val.index["action"][record] > (val.index["action"][record - 1] if val.index["step"][record] else 0)).any()
        for name in happened:
            outcomes.setdefault(name + (", press" if pressed and name in ("nothing", "other change") else ""), Counter())[
                outcome
            ] += 1
        outcomes.setdefault("all", Counter())[outcome] += 1
    rows = []
    for name, counts in sorted(outcomes.items(), key=lambda item: -sum(item[1].values())):
        total = sum(counts.values())
        shares = [counts[number] / total for number in range(len(OUTCOMES))]
        rows.append([name, total, *(f"{100 * share:.2f}" for share in shares), f"{100 * (total - counts[0]) / len(at):.3f}"])
    print_table(
        f"{world.spec.title}: one step ahead, {args.split}", ["event", "steps", *(f"{o} %" for o in OUTCOMES), "share wrong"], rows
    )


def not_moved(val: Split, record: int) -> bool:
    return val.index["frame"][record] == val.index["frame"][record + 1]


def events_of(val: Split) -> list[set[str]]:
    """What the reader sees happen at every record; empty sets where the game has none."""
    reader = load_reader(val.spec)
    if reader is None:
        return [set() for _ in val.index]
    reads = [
        reader.read(frame)
        for frame in tqdm((val.frames[i] for i in range(len(val.frames))), total=len(val.frames), desc="read", unit="frame")
    ]
    events: list[set[str]] = []
    for rows in np.split(val.index["frame"], np.flatnonzero(val.index["step"] == 0)[1:]):
        checker = reader.checker()
        events += [set(checker.step(reads[row]).events) for row in rows]
    return events


@torch.inference_mode()
def outcomes_of(world: WorldModel, val: Split, at: np.ndarray) -> list[int]:
    """For the transitions at these records, the number of OUTCOMES."""
    model = world.dynamics
    tokens = np.concatenate(
        [world.representation.encode(torch.from_numpy(val.frames[i : i + BATCH])).numpy() for i in range(0, len(val.frames), BATCH)]
    )
    samples = Samples(val, tokens, model.layout, model.network, model.depth)
    found = []
    for first in tqdm(range(0, len(at), BATCH), desc="predict", unit="batch"):
        chosen = at[first : first + BATCH]
        state, action, *_ = samples.get(chosen)
        dream, _ = model.step(state, action)
        now, following = (torch.from_numpy(tokens[val.index["frame"][chosen + k]]) for k in (0, 1))
        right = (dream == following).flatten(1).all(1)
        still, quiet = ((frame == now).flatten(1).all(1) for frame in (dream, following))
        found += torch.where(right, 0, torch.where(still, 1, torch.where(quiet, 2, 3))).tolist()
    return found


if __name__ == "__main__":
    run_stage(main)
