"""What things did in recorded steps."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from tqdm import tqdm

from dreamcart.dynamics.tokens.budget import SHOWN_AFTER, along, check
from dreamcart.dynamics.tokens.movers.births import absent_along, returns_of
from dreamcart.dynamics.tokens.movers.finder import Finder
from dreamcart.dynamics.tokens.movers.followers import places_of
from dreamcart.dynamics.tokens.movers.kinds import PAST, nearest, ways_before
from dreamcart.dynamics.tokens.movers.mind import keep_in_mind
from dreamcart.dynamics.tokens.samples import Samples


@dataclass(frozen=True)
class Went:
    """Things of recorded steps: the record of each, int64 [N]; kind, top and left, int64 [N, 3];
    how it came there, int64 [N, PAST, 2]; the way it went, int64 [N, 2], with `there`, bool [N],
    whether it is to be made out afterwards; dials: float32 [N, B], where the dials stood; lost:
    int64 [N], see `keep_in_mind`; births: int64 [M, 5], those that came when no screen in mind had
    shown one, see `births.table_of`; returns: see `Kinds`; places: float32 [R, K, 2], where each
    kind is at the first R records, NaN where that is not known, see `followers.places_of`; absent:
    int64 [R, K], see `births.absent_along`.
    """

    record: np.ndarray
    thing: np.ndarray
    before: np.ndarray
    way: np.ndarray
    there: np.ndarray
    births: np.ndarray
    dials: np.ndarray
    lost: np.ndarray
    returns: np.ndarray
    places: np.ndarray
    absent: np.ndarray


def things_of(samples: Samples, tokens: np.ndarray, finder: Finder, at: np.ndarray) -> Went:
    """The movers in the steps at records `at`. tokens: int [U, H, W]."""
    past = samples.past(at, PAST)
    needed = np.unique(samples.frame[np.concatenate([past.ravel(), at + 1])])
    found = np.stack(
        [finder.find(np.asarray(tokens[row])) for row in along(needed, "movers", "frame")]
    )
    # right for the records that are asked for
    rows = np.searchsorted(needed, samples.frame).clip(max=len(needed) - 1)
    frames = samples.frame[np.concatenate([past, at[:, None] + 1], 1)]

    @cache
    def refound(before: int, thing: tuple[int, int, int], now: int) -> tuple[int, int] | None:
        place = finder.refind(np.asarray(tokens[before]), thing, np.asarray(tokens[now]))
        return place[:2] if place else None

    def again(row: int, step: int, thing: tuple[int, int, int]) -> tuple[int, int] | None:
        check()
        bar.update()
        return refound(int(frames[row, step - 1]), thing, int(frames[row, step]))

    with tqdm(desc="movers, found again", unit="thing", delay=SHOWN_AFTER) as bar:
        things, lost = keep_in_mind(found[np.searchsorted(needed, frames)], again)
    following = np.where(lost[:, -1, :, None] > 0, -1, things[:, -1])
    step, slot = np.nonzero(things[:, -2, :, 0] >= 0)
    thing = things[step, -2, slot].astype(np.int64)
    place, there = nearest(following[step], thing)
    before = ways_before(things[step, :-2], thing)
    there_is = (found[:, :, 0][:, :, None] == np.arange(finder.count)).any(1)  # [screens, kinds]
    new, place_in = np.nonzero(found[rows[at + 1], :, 0] >= 0)
    fresh = found[rows[at[new] + 1], place_in].astype(np.int64)
    unseen = ~there_is[rows[past[new]]].any(1)
    records = np.stack([samples.start[at[new]], at[new] + 1], 1)
    seen = there_is[rows[: at.max(initial=-1) + 2]]  # what stands still shows what it showed before
    alone = [(seen[:, kind], samples.start[: len(seen)]) for kind in range(finder.count)]
    returns, absent = (
        np.array([told(*one) for one in alone]) for told in (returns_of, absent_along)
    )
    births = np.concatenate([fresh, records], 1)[unseen[np.arange(len(new)), fresh[:, 0]]]
    dials, lost = samples.dials[at[step]], lost[step, -2, slot]
    first = slice(0, len(seen))
    looked_at = needed[rows[first]] == samples.frame[first]
    places = np.where(looked_at[:, None, None], places_of(found, finder.count)[rows[first]], np.nan)
    return Went(
        at[step],
        thing,
        before,
        place - thing[:, 1:],
        there,
        births,
        dials,
        lost,
        returns,
        places,
        absent.T,
    )
