"""What a token dream gets wrong in one step, by what happened: for choosing what to improve, never
on test episodes.

python scripts/mistakes.py [--cart FILE] [--every N] [--split train]
    [--event rotate_left --by piece_type piece_rot]

Every step of the validation (or training) episodes that counts (each Nth) is predicted from its
real past and compared in all cells. The events are those that the game's reader reads from the real
screens. With --by, one event's steps are told apart by what the game's RAM variables were before
them. At last: how many of the mistakes a dream that goes on from them, by the recorded buttons, has
mended some steps later; how far the game goes on by inertia; and of the things that move as one,
how often the dream knows where they go. Writes nothing.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import Parser, path, text, whole
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.paths import Paths
from dreamcart.core.tables import print_table
from dreamcart.data.processed import Split, load_split
from dreamcart.data.variables import variables_at
from dreamcart.dynamics.tokens.beliefs import SURE
from dreamcart.dynamics.tokens.inertia import colours, come_true
from dreamcart.dynamics.tokens.model import TokenDynamics
from dreamcart.dynamics.tokens.movers.finder import Finder
from dreamcart.dynamics.tokens.movers.recorded import things_of
from dreamcart.dynamics.tokens.movers.train import Practice
from dreamcart.dynamics.tokens.samples import Samples
from dreamcart.evaluation.readback import load_reader
from dreamcart.lab.tokens import tokens_of
from dreamcart.params import load_params
from dreamcart.training.device import make_repeatable, pick_device
from dreamcart.world.cart import load_cart
from dreamcart.world.model import WorldModel, load_world

BATCH = 256
LATER = (1, 2, 5, 10)  # steps after a mistake
# nothing changed in the dream, nothing in the game, both changed
OUTCOMES = ("right", "missed", "too much", "otherwise")


def parser() -> Parser:
    made = Parser(description=__doc__)
    words = "a cart instead of the trained model"
    made.add_argument("--cart", type=path, metavar="FILE", help=words)
    words = "look at each Nth step"
    made.add_argument("--every", type=whole(1, 10**6), default=3, metavar="N", help=words)
    words = "train: to tell overfitting from underfitting"
    made.add_argument("--split", choices=["train", "val"], default="val", help=words)
    words = "with --by: whose steps (rotate_left, shift_right, …)"
    made.add_argument("--event", type=text, default="all", help=words)
    words = "RAM variables by which to tell them apart"
    made.add_argument("--by", type=text, nargs="+", default=[], metavar="VARIABLE", help=words)
    return made


def main() -> None:
    args = parser().parse_args()
    params = load_params()
    paths = Paths(params.game)
    make_repeatable(params.seed)
    world = (
        load_cart(args.cart, pick_device())[0]
        if args.cart
        else load_world(paths.models, pick_device())
    )
    if not isinstance(world.dynamics, TokenDynamics):
        raise UserError(
            "Only a dream of tokens can be looked at cell by cell; train with representation.kind"
            " tiles."
        )
    split = load_split(paths.processed, args.split)
    at = split.transitions[:: args.every]
    events = events_of(split)
    tokens = tokens_of(world, split)
    outcomes = outcomes_of(world, split, tokens, at)
    names = [names_of(split, events, *pair) for pair in zip(at.tolist(), outcomes, strict=True)]
    title = f"{world.spec.title}: one step ahead, {args.split}"
    print_outcomes(
        title,
        "event",
        [(name, o) for some, o in zip(names, outcomes, strict=True) for name in some],
        len(at),
    )
    if args.by:
        chosen = [place for place, some in enumerate(names) if args.event in some]
        if not chosen:
            raise UserError(
                f"No step here is of the event {args.event!r}; there are"
                f" {', '.join(sorted(set().union(*names)))}."
            )
        states = variables_at(paths.raw, split, at[chosen])
        known = set().union(*states)
        for name in args.by:
            if name not in known:
                raise UserError(
                    f"These steps have no variable {name!r}; there are"
                    f" {', '.join(sorted(known)) or 'none'}."
                )
        keys = [", ".join(f"{name} {state.get(name)}" for name in args.by) for state in states]
        found = [(key, outcomes[place]) for key, place in zip(keys, chosen, strict=True)]
        print_outcomes(f"{title}, {args.event}", "before", found, len(at))
    shares = mended(world, split, tokens, at[np.array(outcomes) > 0])
    if shares:
        cells = [f"{100 * share:.0f} %" for share in shares]
        print_table(
            f"{title}, after a mistake: right again", [f"+{steps}" for steps in LATER], [cells]
        )
    tiles = colours(world.representation.pictures)
    if tiles is not None:
        right, share = come_true(tiles, tokens, split.index["frame"], split.transitions)
        told = "is told so" if world.dynamics.side else "is not told"
        print(
            f"Inertia is right in {right:.0%} of what it says, and foretells {share:.0%} of what"
            f" changes; this dream {told}."
        )
    if world.dynamics.mover is not None:
        print_movers(world.dynamics, split, tokens)


@torch.inference_mode()
def print_movers(model: TokenDynamics, split: Split, tokens: np.ndarray) -> None:
    """A row for what the things of each kind do: how many, and how often the network knows it, is
    sure, and is sure and wrong.
    """
    model = model.cpu()
    samples, tiles, kinds = Samples(split, tokens, model), model.tiles.numpy(), model.kinds
    went = things_of(samples, tokens, Finder(tiles, kinds), samples.changed)
    practice = Practice(samples, tokens, tiles, kinds, went)
    parts = np.array_split(np.arange(len(practice.target)), max(1, len(practice.target) // BATCH))
    recalled = torch.zeros(len(practice.target), 0)
    if model.mover.recalled:
        recalled = practice.recall(model.mover.memory, went.record)
    views = (
        practice.get(part, recalled[torch.from_numpy(part)])[0]
        for part in tqdm(parts, desc="movers", unit="batch")
    )
    best = [model.mover.chances(some).max(1) for some in views]
    right = (torch.cat([part.indices for part in best]) == practice.target).numpy()
    sure = (torch.cat([part.values for part in best]) >= SURE).numpy()
    on = practice.went_on
    rows = []
    for kind, (colour, size) in enumerate(
        zip(kinds.colours.tolist(), kinds.sizes.tolist(), strict=True)
    ):
        own = went.thing[:, 0] == kind
        for name, some in (("goes on", on), ("turns", ~on & went.there), ("is gone", ~went.there)):
            chosen = own & some
            shares = (
                100 * part[chosen].mean() if chosen.any() else 0.0
                for part in (right, sure, sure & ~right)
            )
            rows.append(
                [
                    f"{size[0]} x {size[1]}, colour {colour}",
                    name,
                    int(chosen.sum()),
                    *(f"{share:.1f}" for share in shares),
                ]
            )
    print_table(
        "Things that move, one step ahead",
        ["thing", "what it does", "times", "right %", "sure %", "sure, wrong %"],
        rows,
    )


def names_of(split: Split, events: list[set[str]], record: int, outcome: int) -> set[str]:
    """Under which names a transition is counted: its events, or that there was none; and "all"."""
    happened = events[record + 1]
    if happened:
        return {*happened, "all"}
    pressed = (
        split.index["action"][record]
        > (split.index["action"][record - 1] if split.index["step"][record] else 0)
    ).any()
    name = "nothing" if outcome in (0, 2) and not_moved(split, record) else "other change"
    return {name + ", press" * bool(pressed), "all"}


def print_outcomes(title: str, header: str, found: list[tuple[str, int]], steps: int) -> None:
    """A row for every name: how many, what share came out how, and its share of the mistakes in all
    `steps`.
    """
    counters: dict[str, Counter] = {}
    for name, outcome in found:
        counters.setdefault(name, Counter())[outcome] += 1
    rows = []
    for name, counts in sorted(counters.items(), key=lambda item: -sum(item[1].values())):
        total = sum(counts.values())
        shares = (f"{100 * counts[number] / total:.2f}" for number in range(len(OUTCOMES)))
        rows.append([name, total, *shares, f"{100 * (total - counts[0]) / steps:.3f}"])
    print_table(title, [header, "steps", *(f"{o} %" for o in OUTCOMES), "share wrong"], rows)


def not_moved(val: Split, record: int) -> bool:
    return val.index["frame"][record] == val.index["frame"][record + 1]


def events_of(val: Split) -> list[set[str]]:
    """What the reader sees happen at every record; empty sets where the game has none."""
    reader = load_reader(val.spec)
    if reader is None:
        return [set() for _ in val.index]
    reads = [
        reader.read(frame)
        for frame in tqdm(
            (val.frames[i] for i in range(len(val.frames))),
            total=len(val.frames),
            desc="read",
            unit="frame",
        )
    ]
    events: list[set[str]] = []
    for rows in np.split(val.index["frame"], np.flatnonzero(val.index["step"] == 0)[1:]):
        checker = reader.checker()
        events += [set(checker.step(reads[row]).events) for row in rows]
    return events


@torch.inference_mode()
def outcomes_of(world: WorldModel, val: Split, tokens: np.ndarray, at: np.ndarray) -> list[int]:
    """For the transitions at these records, the number of OUTCOMES."""
    model = world.dynamics
    samples = Samples(val, tokens, model)
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


@torch.inference_mode()
def mended(world: WorldModel, val: Split, tokens: np.ndarray, at: np.ndarray) -> list[float]:
    """Of the transitions at these records, of which the dream gets the first wrong: the share that
    is right LATER.

    Those whose episode ends before are left out; nothing where none is left.
    """
    model = world.dynamics
    samples = Samples(val, tokens, model)
    at = at[np.isin(at + max(LATER), val.transitions)]
    right = []
    for first in range(0, len(at), BATCH):
        chosen = at[first : first + BATCH]
        state, *_ = samples.get(chosen)
        for step in range(max(LATER) + 1):
            dream, state = model.step(
                state, torch.from_numpy(val.index["action"][chosen + step].astype(np.float32))
            )
            if step in LATER:
                following = torch.from_numpy(tokens[val.index["frame"][chosen + step + 1]])
                right.append((step, (dream == following).flatten(1).all(1).float()))
    if not right:
        return []
    return [
        float(torch.cat([shares for step, shares in right if step == later]).mean())
        for later in LATER
    ]


if __name__ == "__main__":
    run_stage(main)
