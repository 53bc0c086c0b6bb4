"""Training of the movers: each thing of a recorded step, and the way it went."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from dreamcart.dynamics.tokens.budget import Budget, along
from dreamcart.dynamics.tokens.inertia import FAR
from dreamcart.dynamics.tokens.movers.births import table_of
from dreamcart.dynamics.tokens.movers.clocks import Deeds, clock_of
from dreamcart.dynamics.tokens.movers.find_followers import with_followers
from dreamcart.dynamics.tokens.movers.finder import Finder
from dreamcart.dynamics.tokens.movers.followers import believed_along, moments_of, readings
from dreamcart.dynamics.tokens.movers.kinds import MOST_WAYS, Kinds, choice_numbers
from dreamcart.dynamics.tokens.movers.memory import (
    BEATS,
    UNITS,
    Memory,
    Seen,
    lately,
    told_of,
    ways_of,
)
from dreamcart.dynamics.tokens.movers.network import LOOKS, Mover, Views
from dreamcart.dynamics.tokens.movers.recorded import Went, things_of
from dreamcart.dynamics.tokens.movers.views import view
from dreamcart.dynamics.tokens.samples import Samples
from dreamcart.training.device import pick_device
from dreamcart.training.loop import Plan, fit, step_rng

# recorded steps to learn from: what is found on each of their screens takes its time
MOST_STEPS = 600_000
LEAST_SEEN = 5  # times that a way is gone
BATCH = 192
EPISODES = 32  # through which memory goes at once
# of play, whose memory is practised in a batch: what tells a clock may lie long before it matters
STRETCHES, STEPS = 6, 320
JUDGED = 20_000  # things of the validation split
# See `Budget.search`.
MOVERS = "the things that move as one", "the dream decides them cell by cell, and may tear them"


def complete(kinds: Kinds, went: Went) -> Kinds:
    """The kinds, with the ways that things often went, and where and when they come from
    nowhere.
    """
    ways, times = np.unique(went.way[went.there & (went.lost <= 0)], axis=0, return_counts=True)
    often = np.sort(np.argsort(-times, kind="stable")[:MOST_WAYS])
    ways = ways[often][times[often] >= LEAST_SEEN]
    parts = {"ways": ways, "dials": lines_of(went, len(kinds.colours))}
    return with_births(
        replace(kinds, **{name: torch.from_numpy(part) for name, part in parts.items()}), went
    )


def with_births(kinds: Kinds, went: Went) -> Kinds:
    """The kinds, with where and when they come from nowhere; of what comes at no known place it is
    not asked when.
    """
    parts = table_of(went.births)
    known = np.isin(np.arange(len(kinds.colours)), parts["births"][:, 0])
    parts["returns"] = np.where(known[:, None], went.returns, 0)
    return replace(kinds, **{name: torch.from_numpy(part) for name, part in parts.items()})


def told_anew(kinds: Kinds, samples: Samples, tokens: np.ndarray, tiles: np.ndarray) -> Kinds:
    """The kinds of a trained model, with what other recordings tell of where and when they come
    from nowhere (newer models were taught to go there, and keep to that), and where the model was
    taught about moments how they follow the dials.
    """
    went = things_of(samples, tokens, Finder(tiles, kinds), samples.changed[:MOST_STEPS])
    kinds = kinds if samples.recalled else with_births(kinds, went)
    kinds = following(kinds, samples, went) if samples.moments else kinds
    return with_clock(kinds, went, samples.start) if samples.recalled else kinds


def following(kinds: Kinds, samples: Samples, went: Went) -> Kinds:
    """The kinds, with how they follow the dials."""
    read = readings_along(samples, len(went.places), samples.frame_skip)
    return with_followers(kinds, went.places, read, samples.start[: len(went.places)])


def choices_of(table: dict[str, np.ndarray], went: Went) -> np.ndarray:
    """Which choice each thing made, int64 [N], see `Mover`: a known way, or a place where its kind
    comes from nowhere, or none.
    """
    numbers = choice_numbers(table)
    now = went.places[went.record + 1, went.thing[:, 0]]
    alone = ~np.isnan(now[:, 0])
    none = len(numbers)
    chosen = np.full(len(went.record), none)
    for thing, way in enumerate(
        along(map(tuple, went.way.tolist()), "movers, choices", "thing", total=len(went.way))
    ):
        chosen[thing] = numbers.get(way, none) if went.there[thing] else none
        if chosen[thing] == none and alone[thing]:
            chosen[thing] = numbers.get(
                (int(went.thing[thing, 0]), *now[thing].astype(int).tolist()), none
            )
    return chosen


def with_clock(kinds: Kinds, went: Went, start: np.ndarray) -> Kinds:
    """The kinds, with what they do at each step of a clock, if one tells anything. start: int [R],
    see `Samples`.
    """
    table = kinds.numpy()
    # what follows a dial does what that says
    own = (went.lost <= 0) & (table["leads"][went.thing[:, 0], 0] < 0)
    at = went.record[own]
    episode = np.unique(start[at], return_inverse=True)[1]
    deeds = Deeds(episode, at - start[at], went.thing[own, 0], choices_of(table, went)[own])
    ticks = clock_of(deeds, len(kinds.colours), len(kinds.ways) + len(kinds.births) + 1)
    return replace(kinds, ticks=torch.from_numpy(ticks))


def lines_of(went: Went, kinds: int) -> np.ndarray:
    """The lines by which each kind's top and left follow the dials, see `Kinds`, by least
    squares.
    """
    lines = np.zeros((kinds, went.dials.shape[1], 2, 2), np.float32)
    for kind, dial in np.ndindex(*lines.shape[:2]):
        own = went.thing[:, 0] == kind
        table = np.stack([went.dials[own, dial], np.ones(own.sum())], 1)
        lines[kind, dial] = np.linalg.lstsq(table, went.thing[own, 1:].astype(float), rcond=None)[
            0
        ].T
    return lines


def readings_along(samples: Samples, records: int, frames: int | None) -> np.ndarray:
    """Where the dials stand at each moment of the steps of the first records, float32 [R, M, B].
    frames: of a step, None for no moments.
    """
    at = (
        torch.from_numpy(samples.dials[:records]),
        torch.from_numpy(samples.action[:records].astype(np.float32)),
    )
    return readings(*at, samples.turns, 0 if frames is None else moments_of(frames)).numpy()


class Practice:
    """Things of a split as training samples: those that went on as they came, and the others."""

    def __init__(
        self, samples: Samples, tokens: np.ndarray, tiles: np.ndarray, kinds: Kinds, went: Went
    ) -> None:
        self.samples, self.tokens, self.tiles, self.went = (
            samples,
            tokens,
            torch.from_numpy(tiles),
            went,
        )
        self.kinds = kinds.numpy()
        frames = samples.frame_skip if (kinds.leads >= 0).any() else None
        self.start = samples.start[: len(went.places)]
        read = readings_along(samples, len(went.places), frames)
        self.moments, self.places = believed_along(self.kinds, went.places, read, self.start)
        self.target = torch.from_numpy(choices_of(self.kinds, went))
        self.went_on = (went.way == went.before[:, 0] - FAR).all(1) & went.there
        self.size = tuple(side * tiles.shape[1] for side in tokens[0].shape)

    def get(self, chosen: np.ndarray, recalled: torch.Tensor) -> tuple[Views, torch.Tensor]:
        """Views and the numbers of the ways gone, int64 [B], of some of the things. recalled: see
        `Views`.
        """
        samples, at, thing = self.samples, self.went.record[chosen], self.went.thing[chosen]
        rows = samples.frame[samples.past(at, LOOKS - 1)]
        screens = torch.from_numpy(
            np.stack([self.tokens[row] for row in rows.ravel()]).astype(np.int64)
        )
        screens = screens.view(*rows.shape, *screens.shape[1:])
        action, last = samples.action[at], samples.last(at)
        views = view(
            self.tiles,
            screens,
            thing,
            self.kinds,
            self.went.before[chosen],
            samples.dialled(at),
            action,
            last,
            self.moments[at],
            self.went.absent[at],
            self.places[at],
            recalled,
        )
        return views, self.target[torch.from_numpy(chosen)]

    def seen(self, at: np.ndarray, beat: np.ndarray | int = 0) -> Seen:
        """What records, int64 [...], show. beat: the count of steps at their episode's begin."""
        first = at == self.start[at]
        now, before = (torch.from_numpy(self.places[some]) for some in (at, np.maximum(at - 1, 0)))
        ways = ways_of(
            torch.where(torch.from_numpy(first)[..., None, None], torch.nan, before), now
        )
        last = torch.from_numpy(
            self.samples.last(at.ravel()).reshape(*at.shape, -1).astype(np.float32)
        )
        told = told_of(
            torch.from_numpy(self.samples.dials[at]), last, torch.from_numpy(self.moments[at])
        )
        steps = torch.from_numpy(at - self.start[at] + beat)
        return Seen(
            now, ways, lately(torch.from_numpy(self.went.absent[at])), told, steps, self.size
        )

    def draw(
        self, rng: np.random.Generator, count: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, torch.Tensor, Seen]:
        """Some things of some stretches of play, as many of the few that turn as of those that go
        on.

        Returns which things, int64 [N]; the stretch of each and the step of it, int64 [N]; weights
        float32 [N] that undo that choice; and what the stretches show, [STRETCHES, STEPS].
        """
        record = self.went.record
        end = record[rng.integers(len(record), size=STRETCHES)]
        begin = np.maximum(self.start[end], end - STEPS + 1)
        span = np.stack([np.searchsorted(record, begin), np.searchsorted(record, end, "right")], 1)
        things = np.concatenate([np.arange(*one) for one in span.tolist()])
        stretch = np.repeat(np.arange(STRETCHES), span[:, 1] - span[:, 0])
        pools = [np.flatnonzero(pool) for pool in (self.went_on[things], ~self.went_on[things])]
        some = [rng.permutation(pool)[: count // 2] for pool in pools]
        shares = [
            len(pool) / len(things) / max(1, len(own))
            for pool, own in zip(pools, some, strict=True)
        ]
        chosen = np.concatenate(some)
        weight = np.repeat(shares, [len(own) for own in some]) * len(chosen)
        at = np.minimum(begin[:, None] + np.arange(STEPS), end[:, None])
        step = record[things[chosen]] - begin[stretch[chosen]]
        beat = rng.integers(BEATS, size=(STRETCHES, 1))
        return (
            things[chosen],
            stretch[chosen],
            step,
            torch.from_numpy(weight.astype(np.float32)),
            self.seen(at, beat),
        )

    def recall(self, memory: Memory, at: np.ndarray) -> torch.Tensor:
        """What is remembered at records int64 [N] of all that their episodes showed, float32 [N,
        G].
        """
        begin, episode = np.unique(self.start, return_inverse=True)
        end = np.r_[begin[1:], len(self.start)] - 1
        recalled = torch.empty(len(at), memory.units)
        for first in range(0, len(begin), EPISODES):
            some = slice(first, first + EPISODES)
            own = (episode[at] >= first) & (episode[at] < first + EPISODES)
            along = np.minimum(
                begin[some, None] + np.arange((end - begin)[some].max() + 1), end[some, None]
            )
            step = at[own] - begin[episode[at[own]]]
            recalled[own] = memory(self.seen(along).to(memory.angles.device))[
                episode[at[own]] - first, step
            ].cpu()
        return recalled


def study(
    samples: dict[str, Samples], tokens: dict[str, np.ndarray], tiles: np.ndarray, kinds: Kinds
) -> tuple[Kinds, dict[str, Practice]]:
    """The kinds with what recordings tell of them, and what to practise, by split."""
    finder, practice = Finder(tiles, kinds), {}
    for name, own in samples.items():
        at = own.changed[:MOST_STEPS]
        went = things_of(own, tokens[name], finder, at)
        if name == "train":
            kinds = with_clock(following(complete(kinds, went), own, went), went, own.start)
        practice[name] = Practice(own, tokens[name], tiles, kinds, went)
    return kinds, practice


def train_movers(
    samples: dict[str, Samples],
    tokens: dict[str, np.ndarray],
    tiles: np.ndarray,
    kinds: Kinds,
    plan: Plan,
    checkpoint: Path,
    budget: Budget | None = None,
) -> tuple[Kinds, Mover, dict[str, int]] | None:
    """The kinds with what recordings tell of them, a trained network (CPU, eval mode), and its
    sizes; None where what they tell was not found within the budget.

    Args:
        samples, tokens: by split, "train" and "val"; kinds: see `find_kinds`.
    """
    told = (budget or Budget()).search(*MOVERS, None, study, samples, tokens, tiles, kinds)
    if told is None:
        return None
    kinds, practice = told
    device = pick_device()
    first = practice["train"].get(np.arange(1), torch.zeros(1, 0))[0]
    torch.manual_seed(plan.seed)
    sizes = {
        "colours": int(tiles.max()) + 1,
        "kinds": len(kinds.colours),
        "ways": len(kinds.ways) + len(kinds.births),
        "numbers": first.numbers.shape[1],
        "buttons": first.pressed.shape[1] // 2,
        "moments": first.moments.shape[1],
        "absent": first.absent.shape[1],
        "recalled": UNITS,
        "dials": samples["train"].dials.shape[1],
    }
    model = Mover(**sizes)
    model.to(device, memory_format=torch.channels_last)
    judged = np.arange(len(practice["val"].target))[
        :: max(1, len(practice["val"].target) // JUDGED)
    ]

    def loss_at(step: int) -> torch.Tensor:
        chosen, stretch, at, weight, seen = practice["train"].draw(step_rng(plan.seed, step), BATCH)
        recalled = model.memory(seen.to(device))[stretch, at]
        views, target = practice["train"].get(chosen, recalled)
        loss = F.cross_entropy(model(views.to(device)), target.to(device), reduction="none")
        return (weight.to(device) * loss).mean()

    def validate() -> float:
        wrong, recalled = (
            0,
            practice["val"].recall(model.memory, practice["val"].went.record[judged]),
        )
        for first in range(0, len(judged), BATCH):
            some = slice(first, first + BATCH)
            views, target = practice["val"].get(judged[some], recalled[some])
            wrong += int((model(views.to(device)).argmax(1).cpu() != target).sum())
        return wrong / max(1, len(judged))

    fit(model, plan, loss_at, validate, checkpoint, "dynamics, movers")
    return kinds, model.cpu(), sizes
