"""Where the movers of a game are to be seen, and in which colours: walls hide them, and a line may
give them its own colour.

Beyond the edges of its field a thing is hidden: half a ball behind a wall is still that ball. And a
console may colour a ball as it colours what else is in the same line of the screen, or draw a line
of it twice: Breakout's ball takes the colour of the row of bricks that it flies through, and where
it leaves the lowest it is a line taller.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import torch

from dreamcart.dynamics.tokens.budget import along
from dreamcart.dynamics.tokens.movers.finder import Finder
from dreamcart.dynamics.tokens.movers.kinds import Kinds, longer

LOOKED_AT = 20_000  # steps, for the tints and for the fields
LEAST_SEEN = 3
MOST_BEYOND = 4  # pixels by which a field is wider than where whole things come to
LEAST_SHARE = 0.9  # of what a kind was seen to look like in a line


def with_looks(
    kinds: Kinds, tiles: np.ndarray, tokens: np.ndarray, before: np.ndarray, after: np.ndarray
) -> Kinds:
    """The kinds, told where and in which colours they are seen.

    Args:
        kinds: as `find_kinds` has them: seen everywhere, in their own colours; tiles: see
            `inertia.colours`; tokens: int [U, H, W];
        before, after: int [T], rows of `tokens`, the two screens of each step in which anything
            changes.
    """
    every = max(1, len(before) // LOOKED_AT)
    steps = list(zip(before[::every].tolist(), after[::every].tolist(), strict=True))
    tints, taller = _appearance(Finder(tiles, kinds), tokens, steps)
    kinds = replace(kinds, tints=torch.from_numpy(tints), taller=torch.from_numpy(taller))
    finder = Finder(tiles, kinds)
    finder.ignore(tokens[[other for _, other in steps]])
    return replace(kinds, fields=torch.from_numpy(_fields(finder, tokens, steps)))


def _appearance(
    finder: Finder, tokens: np.ndarray, steps: list[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """`Kinds.tints` and `Kinds.taller`: of things that have come to a place and have the shape of a
    kind, perhaps with a line more, but not all of its colour.
    """
    table, masks = finder.table, finder.masks
    tints, taller = table["tints"].copy(), table["taller"].copy()
    both = masks, [longer(mask) for mask in masks]
    sizes = {mask.shape for some in both for mask in some}
    colours = table["colours"].tolist()
    lines = {colour: [Counter() for _ in tints[0]] for colour in colours}
    heights = [[Counter() for _ in tints[0]] for _ in masks]
    for one, other in along(steps, "movers, colours"):
        for y, area, shown in _moved(finder.draw(tokens[one]), finder.draw(tokens[other]), sizes):
            alike = [
                (kind, more)
                for more, some in enumerate(both)
                for kind, mask in enumerate(some)
                if np.array_equal(mask, area)
            ]
            # colours, line by line
            seen = [set(line[on].tolist()) for line, on in zip(shown, area, strict=True)]
            exact = [
                (kind, more)
                for kind, more in alike
                if all(some == {colours[kind]} for some in seen)
            ]
            for kind, more in exact or alike:
                heights[kind][y][more] += 1
            for colour in {colours[kind] for kind, _ in exact or alike}:
                for line, some in enumerate(seen, y):
                    lines[colour][line].update(some if len(some) == 1 else ())
    for kind, colour in enumerate(colours):
        tints[kind] = [_mostly(counts, colour) for counts in lines[colour]]
        taller[kind] = [_mostly(counts, 0) for counts in heights[kind]]
    return tints, taller


def _mostly(counts: Counter, otherwise: int) -> int:
    """What was seen nearly always, if often enough."""
    best, times = (counts.most_common(1) or [(otherwise, 0)])[0]
    return best if times >= LEAST_SEEN and times >= LEAST_SHARE * counts.total() else otherwise


def _moved(
    old: np.ndarray, new: np.ndarray, sizes: set[tuple[int, ...]]
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Patches of a picture that are not of its ground, have a mover's size and are not as they
    were: top, pixels, and the picture there.
    """
    ground, differs = np.bincount(new.ravel()).argmax(), new != old
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        (new != ground).view(np.uint8), connectivity=8
    )
    for label, (x, y, width, height, _) in enumerate(stats.tolist()):
        part = np.s_[y : y + height, x : x + width]
        if label and (height, width) in sizes and differs[part].any():
            yield y, labels[part] == label, new[part]


def _fields(finder: Finder, tokens: np.ndarray, steps: list[tuple[int, int]]) -> np.ndarray:
    """`Kinds.fields`: from end to end of where whole things were seen to come to, and as far beyond
    as a part of one was seen.
    """
    fields = finder.table["fields"].copy()
    places: list[list[np.ndarray]] = [[] for _ in fields]
    for one, other in along(steps, "movers, places"):
        before = set(map(tuple, finder.find(tokens[one]).tolist()))
        for kind, *place in finder.find(tokens[other]).tolist():
            if kind >= 0 and (kind, *place) not in before:
                places[kind].append(place)
    for kind, own in enumerate(places):
        for axis, size in enumerate(finder.table["sizes"][kind].tolist()):
            values, times = np.unique([place[axis] for place in own], return_counts=True)
            often = values[times >= LEAST_SEEN]
            if len(often):
                low, high = fields[kind, axis], fields[kind, axis + 2]
                fields[kind, axis], fields[kind, axis + 2] = (
                    max(low, often[0]),
                    min(high, often[-1] + size),
                )
    screens = dict.fromkeys(other for _, other in steps)
    for kind, field in enumerate(fields):
        parts = (
            finder.parts_seen(kind, tokens[screen])
            for screen in along(screens, "movers, edges", "screen")
        )
        _widen(field, [part for some in parts for part in some])
    return fields


def _widen(field: np.ndarray, parts: list[tuple[int, int, int, int]]) -> None:
    """Move the edges of a field (top, left, bottom, right) out to where parts of a thing were seen
    across them: what moves by two pixels is whole in every second line only. parts: the boxes of
    patches no larger than the thing, as fields are.
    """
    top, left, bottom, right = field.tolist()
    across = [
        part
        for part in parts
        if part[0] <= bottom and part[2] >= top and part[1] <= right and part[3] >= left
    ]
    for edge, sign in enumerate((-1, -1, 1, 1)):
        beyond = Counter(sign * (part[edge] - field[edge]) for part in across)
        field[edge] += sign * max(
            (
                more
                for more, times in beyond.items()
                if 0 < more <= MOST_BEYOND and times >= LEAST_SEEN
            ),
            default=0,
        )
