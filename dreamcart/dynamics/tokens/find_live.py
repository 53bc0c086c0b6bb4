"""What is live is found in the recordings: which tokens' things move and over what, and whether
anything else ever did.

A thing that moves swaps as many cells of its token for ground as of ground for its token, and
nothing else changes. What such things move over most is the ground; of their tokens those count
whose things also come from nowhere.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from dreamcart.dynamics.layout import Layout
from dreamcart.dynamics.tokens.budget import along
from dreamcart.dynamics.tokens.contents import places_in
from dreamcart.dynamics.tokens.live import (
    MOST_CELLS,
    NO_MORE,
    UNKNOWN,
    Deed,
    Follower,
    Live,
    shape_of,
)

LEAST = 100  # steps that show it: a token's things that move, or come
FEW = 5  # times that a shape is seen
SHARE = 0.02  # of the steps in which a thing moves: what goes some way less often does not fall
SELDOM = 0.05  # of the times that one shape becomes another
EXCEPTIONS = 1e-3  # of the steps that a rule is about
CHUNK = 4096


class Step(NamedTuple):
    """A step that changes the screen. at: its record; begin: its episode's first; live, then: what
    is live before and after it; idle: for how many steps the screen had stood still.
    """

    at: int
    begin: int
    deed: Deed
    live: np.ndarray
    then: np.ndarray
    idle: int

    @property
    def known(self) -> bool:
        """Whether it is known what was live."""
        return self.live.flat[0] != UNKNOWN

    def falls(self, follower: Follower, tokens: np.ndarray, rows: np.ndarray) -> bool:
        """Whether the live thing falls in this step, in which it moves."""
        return follower.falls_of(self.live, self.then, tokens[rows[self.at]]) > 0


def watch(
    follower: Follower, tokens: np.ndarray, rows: np.ndarray, transitions: np.ndarray, about: str
) -> Iterator[Step]:
    """The steps of a split that change its screen, one after another. about: what the progress bar
    says.
    """
    live = np.full(tokens.shape[1:], UNKNOWN, np.int8)
    last, begin, idle = -2, 0, 0
    for at in along(transitions.tolist(), about, unit_scale=True, mininterval=0.5):
        if at != last + 1:
            live, begin, idle = follower.begin(tokens[rows[at]]), at, 0
        last = at
        if rows[at] == rows[at + 1]:
            idle += 1
            continue
        deed, then = follower.follow(live, tokens[rows[at]], tokens[rows[at + 1]])
        yield Step(at, begin, deed, live, then, idle)
        live, idle = then, 0


def find_live(
    tokens: np.ndarray, index: np.ndarray, transitions: np.ndarray, layout: Layout
) -> Live:
    """What is live in a training split; nothing where other things move too.

    Args:
        tokens: int [U, H, W], every distinct frame once; index: the split's records, with the row
            of `tokens` that each shows;
        transitions: int [T], records with a successor.
    """
    rows, active = index["frame"], places_in(layout, tokens.shape[1:]) >= 0
    changing = transitions[rows[transitions] != rows[transitions + 1]]
    live = _tables(tokens, rows, changing, active)
    if not len(live.tokens):
        return live
    follower = Follower(live)
    deeds: Counter[Deed] = Counter()
    ways: Counter[tuple[int, int]] = Counter()
    shapes: Counter[tuple[int, bytes]] = Counter()
    becomes: dict[tuple[int, bytes, bytes], Counter[tuple[int, int]]] = defaultdict(Counter)
    turns = []
    for step in watch(follower, tokens, rows, transitions, "live"):
        deeds[step.deed] += step.known
        if step.deed in (Deed.MOVES, Deed.COMES) and (step.then > 0).any():
            shapes[int(tokens[rows[step.at + 1]][step.then > 0][0]), shape_of(step.then)] += 1
        if step.known and step.deed is Deed.MOVES:
            way = np.argwhere(step.then > 0) - np.argwhere(step.live > 0)
            ways.update([tuple(way[0].tolist())] * bool((way == way[0]).all()))
            token = int(tokens[rows[step.at + 1]][step.then > 0][0])
            becomes[token, shape_of(step.live), shape_of(step.then)][tuple(way[0].tolist())] += 1
        elif step.known and step.deed in (Deed.COMES, Deed.OTHER):
            turns.append(step)
    if deeds[Deed.STRANGER] > EXCEPTIONS * deeds[Deed.MOVES] or len(turns) < LEAST:
        return Live.empty()

    def closed(way: tuple[int, int]) -> bool:
        tried = along(turns, "live, ways")
        open_to = sum(
            follower.gone(step.live, tokens[rows[step.at]], np.array(way)) is not None
            for step in tried
        )
        return open_to <= EXCEPTIONS * len(turns)

    falls = [
        way for way, times in ways.items() if times >= SHARE * deeds[Deed.MOVES] and closed(way)
    ]
    falls = torch.tensor(sorted(falls), dtype=torch.int16).view(-1, 2)
    known = sorted(shape for shape, times in shapes.items() if times >= FEW)
    return replace(
        live, falls=falls, **_table(known), turned=torch.from_numpy(_turned(known, becomes, falls))
    )


def _table(shapes: list[tuple[int, bytes]]) -> dict[str, torch.Tensor]:
    """`Live.shapes` and `Live.made_of`."""
    cells = [np.frombuffer(shape, np.int16).reshape(-1, 2) for _, shape in shapes]
    table = np.full((len(cells), max(map(len, cells), default=0), 2), NO_MORE, np.int16)
    for row, own in zip(table, cells, strict=True):
        row[: len(own)] = own
    return {
        "shapes": torch.from_numpy(table),
        "made_of": torch.tensor([token for token, _ in shapes], dtype=torch.int16),
    }


def _turned(
    shapes: list[tuple[int, bytes]],
    becomes: dict[tuple[int, bytes, bytes], Counter[tuple[int, int]]],
    falls: torch.Tensor,
) -> np.ndarray:
    """`Live.turned`: a thing that turns often does not fall in the same step, so it is the least of
    what is not rare.

    becomes: for a token and two of its shapes, how often the first cell went so many rows and
    columns.
    """
    table = np.zeros((len(shapes), len(shapes)), np.int16)
    for (token, one, other), ways in becomes.items():
        pair = (token, one), (token, other)
        if one == other or not len(falls) or not set(pair) <= set(shapes):
            continue
        way, often = falls[0].numpy().astype(np.int64), max(FEW, SELDOM * ways.total())
        along: Counter[int] = Counter()
        for gone, times in ways.items():
            along[int(np.array(gone) @ way) // int(way @ way)] += times
        table[tuple(map(shapes.index, pair))] = min(
            (far for far, times in along.items() if times >= often), default=0
        )
    return table


def _steps(
    tokens: np.ndarray, rows: np.ndarray, at: np.ndarray, area: np.ndarray
) -> Iterator[tuple[np.ndarray, ...]]:
    """Of the steps at records `at` that change a few cells of an area: which cells, and their
    tokens before and after.
    """
    for first in along(range(0, len(at), CHUNK), "live, swaps", "batch"):
        before, after = (tokens[rows[at[first : first + CHUNK] + k]] for k in (0, 1))
        changed = (before != after) & area
        count = changed.sum((1, 2))
        for step in np.flatnonzero((count > 0) & (count <= 2 * MOST_CELLS)):
            yield changed[step], before[step][changed[step]], after[step][changed[step]]


def _tables(tokens: np.ndarray, rows: np.ndarray, at: np.ndarray, active: np.ndarray) -> Live:
    """What moves where and over what, by steps in which nothing else happens; nothing where there
    is no such thing.
    """
    swaps: Counter[tuple[int, int]] = Counter()
    areas: dict[tuple[int, int], np.ndarray] = {}
    for cells, old, new in _steps(tokens, rows, at, active):
        one, other = sorted((int(old[0]), int(new[0])))
        leaves, arrives = (old == one) & (new == other), (old == other) & (new == one)
        if leaves.sum() == arrives.sum() and (leaves | arrives).all():
            swaps[one, other] += 1
            areas[one, other] = areas.get((one, other), False) | cells
    times: Counter[int] = Counter()
    for pair, number in swaps.items():
        times.update(dict.fromkeys(pair, number))
    if not times:
        return Live.empty()
    ground = times.most_common(1)[0][0]
    moving = {
        sum(pair) - ground: areas[pair]
        for pair, number in swaps.items()
        if ground in pair and number >= LEAST
    }
    area = np.any([np.zeros_like(active), *moving.values()], 0)
    comings: Counter[tuple[int, int]] = Counter()
    for _, old, new in _steps(tokens, rows, at, area):
        if (old == ground).all() and (new == new[0]).all() and len(new) <= MOST_CELLS:
            comings[int(new[0]), len(new)] += 1
    often = [known for known, number in comings.items() if known[0] in moving and number >= LEAST]
    own = sorted({token for token, _ in often})
    if not own:
        return Live.empty()
    sizes = torch.zeros(MOST_CELLS + 1, dtype=torch.bool)
    sizes[sorted({size for _, size in often})] = True
    area = torch.from_numpy(np.any([moving[token] for token in own], 0))
    own, ground = (torch.tensor(part, dtype=torch.int16) for part in (own, ground))
    return replace(Live.empty(), tokens=own, ground=ground, sizes=sizes, area=area)
