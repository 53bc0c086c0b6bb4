"""Finding the movers of a game on its screens: whole, cut off by an edge, touching one another, or
half covered.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import cv2
import numpy as np

from dreamcart.dynamics.tokens.budget import along
from dreamcart.dynamics.tokens.inertia import FAR, Inertia
from dreamcart.dynamics.tokens.movers.kinds import MOST_THINGS, Kinds, longer, mask_of, shown_of

MOST_TRIED = 4096  # places of half-seen things of a colour on a screen: a bat takes some dozens


@dataclass(frozen=True)
class Group:
    """The kinds of one colour. kinds: their numbers, the largest first; tint: uint8 [L], what the
    colour looks like in each line; field: where any of them may be seen (top, left, bottom, right);
    shows: bool [V], the tokens with any of its looks; most: pixels of the largest patch that may be
    one or two of them.
    """

    kinds: list[int]
    tint: np.ndarray
    field: list[int]
    shows: np.ndarray
    most: int


@dataclass(frozen=True)
class Patch:
    """Pixels of one group that touch: where their box begins on the screen, and which of the box
    they are, bool [h, w].
    """

    y: int
    x: int
    area: np.ndarray

    def within(self, picture: np.ndarray) -> np.ndarray:
        """Its pixels of a picture [H, W], [N]."""
        return within(picture, self.y, self.x, self.area)[self.area]


class Finder:
    """Finds the movers of a game on its screens."""

    def __init__(self, tiles: np.ndarray, kinds: Kinds) -> None:
        """tiles: uint8 [V, t, t], see `inertia.colours`."""
        self.draw, self.side, self.table = Inertia(tiles).draw, tiles.shape[1], kinds.numpy()
        table, self.count = self.table, len(kinds.colours)
        self.masks = [
            mask[:height, :width]
            for mask, (height, width) in zip(table["masks"], table["sizes"].tolist(), strict=True)
        ]
        self.variants = [
            [mask, longer(mask)] if taller.any() else [mask]
            for mask, taller in zip(self.masks, table["taller"], strict=True)
        ]
        self.groups = []
        for colour in dict.fromkeys(table["colours"].tolist()):
            own = sorted(
                np.flatnonzero(table["colours"] == colour).tolist(),
                key=lambda kind: -self.masks[kind].sum(),
            )
            fields, tint = table["fields"][own], table["tints"][own[0]]
            field = [*fields[:, :2].min(0).tolist(), *fields[:, 2:].max(0).tolist()]
            shows = np.isin(tiles, np.unique(tint[field[0] : field[2]])).any((1, 2))
            self.groups.append(
                Group(own, tint, field, shows, 2 * max(int(self.masks[kind].sum()) for kind in own))
            )
        self.still: list[np.ndarray] = []  # see `ignore`

    def ignore(self, screens: np.ndarray) -> None:
        """From now on leave out what all of some screens, int [N, H, W], show: a wall's end may
        have a bat's colour.
        """
        always = [
            np.ones([side * self.side for side in screens.shape[1:]], bool) for _ in self.groups
        ]
        for one in along(screens, "movers, what stays", "screen"):
            picture = self.draw(one)
            for number, still in enumerate(always):
                still &= self._lit(number, picture)
        self.still = always

    def find(self, tokens: np.ndarray) -> np.ndarray:
        """The movers on a screen int [H, W], as far as there is room: int16 [MOST_THINGS, 3], kind
        (-1 for none), top and left.
        """
        found = np.full((MOST_THINGS, 3), -1, np.int16)
        for line, thing in zip(found, self._things(tokens), strict=False):
            line[:] = thing
        return found

    def refind(
        self, before: np.ndarray, thing: tuple[int, int, int], now: np.ndarray
    ) -> tuple[int, int, np.ndarray] | None:
        """Where a thing has gone that is not to be made out any more, for it touches or lies on
        what has its colour: told by where that colour is new.

        Args:
            before, now: screens int [H, W]; thing: kind, top and left on the one before.

        Returns top, left, and which pixels of the screen show it alone, bool; None where it is in
        doubt.
        """
        kind, y, x = thing
        number = self._group_of(kind)
        old, lit = (self._lit(number, self.draw(screen)) for screen in (before, now))
        near = np.zeros(lit.shape, bool)
        near[
            max(y - FAR, 0) : y + FAR + len(self.masks[kind]),
            max(x - FAR, 0) : x + FAR + self.masks[kind].shape[1],
        ] = True
        fresh = lit & near & ~(old & ~self._covered_by([thing], lit.shape))
        group = replace(self.groups[number], kinds=[kind])
        places = list(self._half_seen(group, fresh, list(patches(fresh, group)), lit & ~fresh))
        if len(places) != 1:
            return None
        there = self._covered_by(places, lit.shape)
        if 2 * (there & fresh).sum() < there.sum():
            return None
        return places[0][1], places[0][2], there & fresh

    def parts_seen(self, kind: int, tokens: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
        """The boxes (top, left, bottom, right) of what may be a kind, or a part of it, on a screen
        int [H, W].
        """
        number = self._group_of(kind)
        if self.groups[number].shows[tokens].any():
            for patch in patches(self._lit(number, self.draw(tokens)), self.groups[number]):
                if any(
                    size > most
                    for size, most in zip(
                        patch.area.shape, self.variants[kind][-1].shape, strict=True
                    )
                ):
                    continue
                yield patch.y, patch.x, patch.y + patch.area.shape[0], patch.x + patch.area.shape[1]

    def _group_of(self, kind: int) -> int:
        return next(number for number, group in enumerate(self.groups) if kind in group.kinds)

    def _things(self, tokens: np.ndarray) -> list[tuple[int, int, int]]:
        picture, things, rest = None, [], []
        for number, group in enumerate(self.groups):
            if not group.shows[tokens].any():
                continue
            picture = self.draw(tokens) if picture is None else picture
            lit, left = self._lit(number, picture), []
            for patch in patches(lit, group):
                parts = self._parts(patch, group)
                things += parts
                if not parts:
                    left.append(patch)
                if len(things) >= MOST_THINGS:
                    return things
            if left:
                rest.append((group, lit, left))
        if rest and things:
            hidden = self._covered_by(things, picture.shape)
            things += [
                thing
                for group, lit, left in rest
                for thing in self._half_seen(group, lit, left, hidden)
            ]
        return things

    def _lit(self, number: int, picture: np.ndarray) -> np.ndarray:
        """Where a picture shows a group's colour in the group's field, bool [H, W] of the whole
        screen.
        """
        top, left, bottom, right = self.groups[number].field
        lit = np.zeros(picture.shape, bool)
        lit[top:bottom, left:right] = (
            picture[top:bottom, left:right] == self.groups[number].tint[top:bottom, None]
        )
        return lit & ~self.still[number] if self.still else lit

    def _parts(self, patch: Patch, group: Group) -> list[tuple[int, int, int]]:
        """Which movers a patch is: one, or two that touch or cover one another; nothing where it is
        none.
        """
        # the one of which the most is seen: what looks like a ball is no end of a bat
        for kind in reversed(group.kinds):
            for mask in self.variants[kind]:
                for top, left in placed(patch, mask, self.table["fields"][kind].tolist()):
                    if len(mask_of(self.table, kind, top)) == len(mask):
                        return [(kind, top, left)]
        for kind in group.kinds:
            mask, area = self.masks[kind], patch.area
            places = places_of(mask, area)
            if len(places) != 1:
                continue
            (top, left), rest = places[0], area.copy()
            within(rest, top, left, mask)[mask] = False
            for other in group.kinds:
                small = self.masks[other]
                covers = [
                    (y, x)
                    for y, x in places_of(small, area)
                    if within(rest, y, x, small)[small].sum() == rest.sum()
                ]
                both = [(kind, top, left), *((other, y, x) for y, x in covers)]
                both = [(number, patch.y + y, patch.x + x) for number, y, x in both]
                if len(covers) == 1 and all(self._inside(*one) for one in both):
                    return both
        return []

    def _inside(self, kind: int, y: int, x: int) -> bool:
        """Whether a thing is wholly in its field."""
        top, left, bottom, right = self.table["fields"][kind].tolist()
        height, width = self.masks[kind].shape
        return top <= y <= bottom - height and left <= x <= right - width

    def _covered_by(
        self, things: Sequence[tuple[int, int, int]], shape: tuple[int, int]
    ) -> np.ndarray:
        """Where things are, bool of a screen's shape."""
        covered = np.zeros(shape, bool)
        for thing in things:
            top, left, mask = shown_of(self.table, *thing)
            within(covered, top, left, mask)[mask] = True
        return covered

    def _half_seen(
        self, group: Group, lit: np.ndarray, left: list[Patch], hidden: np.ndarray
    ) -> Iterator[tuple[int, int, int]]:
        """Movers of which other ones hide a part: what is to be seen of one leaves no doubt where
        it is.

        Args:
            lit: see `_lit`; left: patches that are no movers by themselves; hidden: what others
                cover.

        After MOST_TRIED places nothing more is found, in recordings as in play.
        """
        explained: set[int] = set()
        may, tried = lit | hidden, 0
        for number, patch in enumerate(left):
            if number in explained:
                continue  # another part of the same thing was here before
            fits = []
            for kind in group.kinds:
                low = patch.y + patch.area.shape[0] - len(self.variants[kind][-1])
                begin = patch.x + patch.area.shape[1] - self.masks[kind].shape[1]
                for place in product([kind], range(low, patch.y + 1), range(begin, patch.x + 1)):
                    tried += 1
                    if tried > MOST_TRIED:
                        return
                    y, x, mask = shown_of(self.table, *place)
                    if not within(may, y, x, mask)[mask].all():
                        continue
                    there = self._covered_by([place], lit.shape)
                    own = {other for other, part in enumerate(left) if part.within(there).any()}
                    if number in own and all(left[one].within(there).all() for one in own):
                        fits.append((int((there & lit).sum()), place, own))
            best = [fit for fit in fits if fit[0] == max(fits, key=lambda fit: fit[0])[0]]
            if len(best) == 1:
                explained |= best[0][2]
                yield best[0][1]


def patches(lit: np.ndarray, group: Group) -> Iterator[Patch]:
    """The small patches of pixels that touch, of bool [H, W]."""
    rows, columns = (np.flatnonzero(lit.any(axis)) for axis in (1, 0))
    if not len(rows):
        return
    part = np.ascontiguousarray(lit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    _, labels, stats, _ = cv2.connectedComponentsWithStats(part.view(np.uint8), connectivity=8)
    for label, (x, y, width, height, size) in enumerate(stats.tolist()):
        if label and size <= group.most:
            yield Patch(
                int(rows[0]) + y,
                int(columns[0]) + x,
                labels[y : y + height, x : x + width] == label,
            )


def placed(patch: Patch, mask: np.ndarray, field: list[int]) -> Iterator[tuple[int, int]]:
    """Where a thing may be of which exactly this patch is to be seen: whole, or cut off by an edge
    of its field. Tops and lefts.

    Args:
        mask: bool [h, w]; field: top, left, bottom and right.
    """
    sides = [
        _starts(begin, extent, size, low, high)
        for begin, extent, size, low, high in zip(
            (patch.y, patch.x), patch.area.shape, mask.shape, field[:2], field[2:], strict=True
        )
    ]
    for top in sides[0]:
        for left in sides[1]:
            if (within(mask, patch.y - top, patch.x - left, patch.area) == patch.area).all():
                yield top, left


def _starts(begin: int, extent: int, size: int, low: int, high: int) -> list[int]:
    """Where a span of `size` begins of which `extent` pixels are seen, from `begin`, between the
    edges `low` and `high`.
    """
    if extent > size or begin < low or begin + extent > high:
        return []
    if extent == size:
        return [begin]
    return [begin + extent - size] * (begin == low) + [begin] * (begin + extent == high)


def within(area: np.ndarray, top: int, left: int, mask: np.ndarray) -> np.ndarray:
    """The part of an area that a mask's box covers, as a view."""
    return area[top : top + mask.shape[0], left : left + mask.shape[1]]


def places_of(mask: np.ndarray, area: np.ndarray) -> list[list[int]]:
    """Where a mask lies wholly in an area: tops and lefts."""
    if mask.shape[0] > area.shape[0] or mask.shape[1] > area.shape[1] or mask.sum() > area.sum():
        return []
    windows = np.lib.stride_tricks.sliding_window_view(area, mask.shape)
    return np.argwhere(windows[:, :, mask].all(2)).tolist()
