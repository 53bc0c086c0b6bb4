"""Which things follow a dial, and how: found by following them through all recorded episodes at
once and mending what was wrong.
"""

from dataclasses import replace

import numpy as np
import torch

from dreamcart.dynamics.tokens.budget import along, check
from dreamcart.dynamics.tokens.movers.followers import MOST_OFF
from dreamcart.dynamics.tokens.movers.kinds import Kinds

# of the variance of a place that a line by its dial explains: less, and it does not follow it
ALONG = 0.8
PULLS = (0.25, 0.5, 0.75, 1.0)  # shares of the way that a console can work out
SETTLED = 12  # steps after which it does not matter where a thing was at first
# of mending the aims: to choose among ways to follow, of the chosen one, and how often that
TRIES, ROUNDS, TURNS = 20, 120, 3
NUDGES, MOST_POLISHED = (-1, -0.5, 0.5, 1), 50
MOST_WRONG = 0.01  # of the steps of a thing that is followed
SAME = 1e-3  # of a dial's way: readings less far apart are one
LEAST_SEEN = 5
BEYOND = 9.0  # where no dial ever stands
SELDOM = 0.1  # of the median: places seen less often are mistaken ones


def with_followers(kinds: Kinds, places: np.ndarray, read: np.ndarray, start: np.ndarray) -> Kinds:
    """The kinds, with which dial each follows, if any, and how, see `Kinds`.

    Args:
        places: float32 [N, K, 2], see `followers.places_of`, on each record's screen; read: float32
            [N, M, B], see `followers.readings`; start: int [N], the first record of its episode.
    """
    found = {}
    for kind in along(range(len(kinds.colours)), "movers, dials", "kind"):
        for dial, axis in np.ndindex(read.shape[2], 2):
            if kind not in found and follows(places[:, kind, axis], read[:, 0, dial]):
                fitted = fit(places[:, kind, axis], read[:, :, dial], start)
                if fitted is not None:
                    found[kind] = (dial, axis), *fitted
    most = max((len(stops) for _, _, _, stops, _ in found.values()), default=0)
    kinds = replace(
        kinds,
        stops=torch.full((len(kinds.colours), most), BEYOND),
        aims=torch.zeros(len(kinds.colours), most),
    )
    leads, pulls, grids = kinds.leads.clone().fill_(-1), kinds.pulls.clone(), kinds.grids.clone()
    for kind, (lead, pull, grid, stops, aims) in found.items():
        leads[kind], pulls[kind], grids[kind] = torch.tensor(lead), pull, torch.tensor(grid)
        kinds.stops[kind, : len(stops)], kinds.aims[kind, : len(aims)] = (
            torch.from_numpy(stops),
            torch.from_numpy(aims),
        )
    return replace(kinds, leads=leads, pulls=pulls, grids=grids)


def follows(place: np.ndarray, at: np.ndarray) -> bool:
    """Whether places float32 [N], NaN where unknown, lie more or less on a line by a dial's
    positions [N].
    """
    seen = ~np.isnan(place)
    if seen.sum() < LEAST_SEEN or not place[seen].std() or not at[seen].std():
        return False
    return np.corrcoef(place[seen], at[seen])[0, 1] ** 2 >= ALONG


def fit(
    place: np.ndarray, read: np.ndarray, start: np.ndarray
) -> tuple[float, tuple[int, int], np.ndarray, np.ndarray] | None:
    """How places [N] follow a dial read [N, M]: pull, grain and first of the grid, stops and aims
    [V]; None where they do not.
    """
    seen, times = np.unique(place[~np.isnan(place)].astype(int), return_counts=True)
    seen = seen[times >= SELDOM * np.median(times)]
    grain = int(np.gcd.reduce(np.diff(seen))) if len(seen) > 1 else 1
    grid = grain, int(seen[0] % grain)
    episodes = Episodes(place, read, start, grain)
    if np.isnan(episodes.place[:, SETTLED:]).all():
        return None  # too short to tell
    same = [np.full(len(episodes.place), moment) for moment in range(read.shape[1])]
    tried = [(pull, own) for pull in PULLS for own in (*same, episodes.guessed_moments(pull))]
    pull, own = min(tried, key=lambda way: episodes.mend(*way, TRIES)[0])
    for _ in range(TURNS):
        wrong, aims = episodes.polish(pull, own, *episodes.mend(pull, own, ROUNDS))
        if not wrong:
            break
        own = episodes.moments(pull, aims)
    return (pull, grid, episodes.stops, aims.astype(np.float32)) if wrong < MOST_WRONG else None


class Episodes:
    """Recorded episodes side by side. place: float32 [E, T], NaN where it is not known; read:
    float32 [E, T, M]; stops: float32 [V], where a dial was read; stop: int [E, T, M], which of
    them; line: slope and offset of the places of things at rest.
    """

    def __init__(self, place: np.ndarray, read: np.ndarray, start: np.ndarray, grain: int) -> None:
        begins, number = np.unique(start, return_inverse=True)
        step, self.grain = np.arange(len(start)) - start, grain
        shape = len(begins), int(step.max()) + 1
        self.place, self.read = (
            np.full(shape, np.nan, np.float32),
            np.zeros((*shape, read.shape[1]), np.float32),
        )
        self.place[number, step], self.read[number, step] = place, read
        self.ends = np.nanmin(place), np.nanmax(place)
        values = np.unique(read)
        self.stops = values[np.r_[True, np.diff(values) > SAME]]
        self.stop = np.searchsorted(self.stops, self.read, side="right") - 1
        now = self.place[:, :-1]
        rests = (now == self.place[:, 1:]) & (self.read == self.read[:, :, :1]).all(2)[:, :-1]
        inside = rests & (now > self.ends[0]) & (now < self.ends[1])
        some = inside if inside.sum() > LEAST_SEEN else ~np.isnan(now)
        self.line = np.polyfit(self.read[:, :-1, 0][some], now[some], 1)

    def guessed_moments(self, pull: float) -> np.ndarray:
        """The moment at which each episode's dial is read, int [E], told by where the line has
        things go in single steps.
        """
        aim = (self.line[0] * self.read[:, :-1] + self.line[1]).clip(*self.ends)
        now, then = self.place[:, :-1, None], self.place[:, 1:, None]
        off = np.abs(now + pull * (aim - now) - then).clip(max=MOST_OFF)
        return np.nan_to_num(off, nan=0.0).sum(1).argmin(1)

    def moments(self, pull: float, aims: np.ndarray) -> np.ndarray:
        """The same, told by how often each moment has followed things wrong."""
        every = [np.full(len(self.place), moment) for moment in range(self.read.shape[2])]
        return np.stack(
            [(np.nan_to_num(self._off(pull, own, aims)) != 0).sum(1) for own in every], 1
        ).argmin(1)

    def mend(self, pull: float, own: np.ndarray, rounds: int) -> tuple[float, np.ndarray]:
        """The share of steps that are wrong, and the aims of the stops that leave so few, float
        [V]: those of the line, mended by how far off they were on average, again and again. own:
        int [E], the moment at which each episode's dial is read.
        """
        aims = (self.line[0] * self.stops + self.line[1]).clip(*self.ends) + self.grain / 4
        stop = np.take_along_axis(self.stop, own[:, None, None], 2)[:, SETTLED - 1 : -1, 0]
        best = 1.0, aims
        for _ in range(rounds):
            check()
            off = self._off(pull, own, aims)
            seen = ~np.isnan(off)
            wrong = float((off[seen] != 0).mean())
            if wrong < best[0]:
                best = wrong, aims
            times = np.bincount(stop[seen], minlength=len(aims))
            mean = np.bincount(stop[seen], off[seen], len(aims)) / np.maximum(times, 1)
            aims = aims + np.clip(mean / pull, -0.5, 0.5)
        return best

    def polish(
        self, pull: float, own: np.ndarray, wrong: float, aims: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """What `mend` leaves, better still: stop by stop where some are wrong, for two that err in
        turns mend each other.
        """
        stop = np.take_along_axis(self.stop, own[:, None, None], 2)[:, SETTLED - 1 : -1, 0]
        off = np.nan_to_num(self._off(pull, own, aims))
        for number in np.unique(stop[off != 0])[:MOST_POLISHED]:
            check()
            for more in NUDGES:
                tried = aims + more * (np.arange(len(aims)) == number)
                off = self._off(pull, own, tried)
                less = float((off[~np.isnan(off)] != 0).mean())
                if less < wrong:
                    wrong, aims = less, tried
        return wrong, aims

    def _off(self, pull: float, own: np.ndarray, aims: np.ndarray) -> np.ndarray:
        """By how much followed places are too small, float [E, T - SETTLED]: 0 where they are
        right, NaN where not known.
        """
        aim = aims[np.take_along_axis(self.stop, own[:, None, None], 2)[:, :, 0]].T
        place = np.where(np.isnan(self.place[:, 0]), aim[0], self.place[:, 0]).astype(float)
        followed = np.empty(aim.shape)
        for step in range(len(aim)):
            followed[step] = place
            place = np.floor(place + pull * (aim[step] - place))
        least = self.place[:, SETTLED:] - followed.T[:, SETTLED:]
        return np.where(least > 0, least, np.minimum(least + self.grain - 1, 0))
