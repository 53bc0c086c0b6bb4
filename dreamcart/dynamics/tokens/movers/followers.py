"""Things that follow a dial: where they go is known from the buttons alone, but for when in a step
the game reads its dial.

A console keeps a bat's place as a whole number and moves it a share of the way to where its knob
points, rounded down: Pong's half of it in each step, found in 200 recorded episodes and right in
all 59,000 steps of 40 others (docs/lab). A step is several frames, and a console looks at its knobs
in some of them only; which, depends on when the episode began, and no picture shows it. So the
bat's place is followed for every moment at which the dial may be read, and each screen tells which
of them were wrong.
"""

from collections.abc import Sequence

import numpy as np
import torch

from dreamcart.dynamics.tokens.dials import Dial, turns

MOST_OFF = 4.0  # pixels: what is further off is off for another reason
DOUBT = 12.0  # nats: no moment is ever less likely by more, so that it can be told anew

Table = dict[str, np.ndarray]  # see `Kinds.numpy`


def moments_of(frames: int) -> int:
    """At how many moments of a step of so many frames a dial may be read: before each, and after
    the last.
    """
    return frames + 1


def readings(
    positions: torch.Tensor, action: torch.Tensor, dials: Sequence[Dial], moments: int
) -> torch.Tensor:
    """Where dials stand at each moment of a step, float32 [N, M, B], from their positions before
    it, [N, B], and what is pressed, multi-hot [N, n].
    """
    if not moments or not dials:
        return positions[:, None].repeat(1, moments, 1)
    shares = torch.linspace(0, 1, moments, device=positions.device)[:, None]
    return (positions[:, None] + shares * turns(action, dials)[:, None]).clamp(0, 1)


def places_of(found: np.ndarray, kinds: int) -> np.ndarray:
    """Top and left of the thing of each kind, float32 [N, K, 2], NaN where there is none, or are
    several. See `Finder.find`.
    """
    own = found[:, :, :1] == np.arange(kinds)  # [N, M, K]
    place = (own[:, :, :, None] * found[:, :, None, 1:]).sum(1).astype(np.float32)
    return np.where((own.sum(1) == 1)[:, :, None], place, np.nan)


def led(table: Table, place: np.ndarray) -> np.ndarray:
    """Of places [N, K, 2] the top or left that follows a dial: [N, K], NaN where none does."""
    axis = table["leads"][:, 1]
    own = np.take_along_axis(place, axis.clip(min=0)[None, :, None], 2)[:, :, 0]
    return np.where(axis >= 0, own, np.nan)


def aims(table: Table, read: np.ndarray) -> np.ndarray:
    """Where kinds are drawn to, float32 [N, K, M]. read: float32 [N, M, B], see `readings`."""
    dial = table["leads"][:, 0].clip(min=0)
    at = read[:, :, dial].transpose(0, 2, 1)  # [N, K, M]
    drawn_to = np.full(at.shape, np.nan, np.float32)
    for kind in np.flatnonzero(table["leads"][:, 0] >= 0):
        stops = table["stops"][kind]
        right = np.searchsorted(stops, at[:, kind]).clip(1, len(stops) - 1)
        nearest = right - (at[:, kind] - stops[right - 1] < stops[right] - at[:, kind])
        drawn_to[:, kind] = table["aims"][kind][nearest]
    return drawn_to


def begin_at(table: Table, place: np.ndarray, read: np.ndarray) -> np.ndarray:
    """Followed places at first, float32 [N, K, M]: at rest at the dial, as far as the screen's
    places [N, K, 2] allow it.
    """
    first = led(table, place)[:, :, None]
    at_rest = np.floor(aims(table, read))
    shown = np.clip(at_rest, first, first + table["grids"][:, :1] - 1)
    return np.where(np.isnan(first), at_rest, shown).astype(np.float32)


def onward(table: Table, followed: np.ndarray, read: np.ndarray) -> np.ndarray:
    """Followed places a step later, float32 [N, K, M]."""
    return np.floor(followed + table["pulls"][:, None] * (aims(table, read) - followed))


def shown_at(table: Table, followed: np.ndarray) -> np.ndarray:
    """The tops or lefts on the screen of followed places, float32 [N, K, M]: a screen may show
    every second pixel only.
    """
    grain, first = table["grids"].T[:, :, None]
    return np.floor((followed - first) / grain) * grain + first


def told_by(table: Table, followed: np.ndarray, place: np.ndarray) -> np.ndarray:
    """What a screen that shows places [N, K, 2] tells of the moments, in nats: float32 [N, M], 0
    where nothing.
    """
    off = np.abs(shown_at(table, followed) - led(table, place)[:, :, None])
    return -np.nan_to_num(off, nan=0.0).clip(max=MOST_OFF).sum(1).astype(np.float32)


def believe(moments: np.ndarray, told: np.ndarray) -> np.ndarray:
    """What is believed of the moments when more is told, in nats below the likeliest, float32 [N,
    M]. told: see `told_by`.
    """
    joined = moments + told
    return np.maximum(joined - joined.max(1, keepdims=True), -DOUBT) if joined.shape[1] else joined


def chances(believed: np.ndarray) -> np.ndarray:
    """What is believed, in nats, see `believe`, as probabilities, float32 [N, M]."""
    return np.exp(believed) / np.exp(believed).sum(1, keepdims=True)


def sure_of(
    table: Table,
    moments: np.ndarray,
    followed: np.ndarray,
    read: np.ndarray,
    place: np.ndarray,
    least: float,
) -> np.ndarray:
    """Tops or lefts of things after this step, float32 [N, K], NaN where they are not known.

    Args:
        moments: float32 [N, M], see `believe`; followed: float32 [N, K, M], places now; read: see
            `readings`; place: float32 [N, K, 2], where things are seen now: a moment that has them
            elsewhere says nothing; least: chance of a place that is known.
    """
    if not followed.shape[2]:
        return np.full(followed.shape[:2], np.nan, np.float32)
    chance = chances(moments)[:, None] * (
        shown_at(table, followed) == led(table, place)[:, :, None]
    )
    after = shown_at(table, onward(table, followed, read))
    # of moments that foretell the same
    together = ((after[:, :, :, None] == after[:, :, None]) * chance[:, :, None]).sum(3)
    best = together.argmax(2)[:, :, None]
    known = np.take_along_axis(together, best, 2) >= least
    return np.where(known, np.take_along_axis(after, best, 2), np.nan)[:, :, 0].astype(np.float32)


def exact(table: Table, place: np.ndarray, followed: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Places float32 [N, K, 2], see `places_of`, of which those that follow a dial are where they
    are believed to be, whether or not they are drawn there. followed, moments: see `sure_of`.
    """
    if not followed.shape[2]:
        return place
    chance, place = chances(moments), place.copy()
    for kind in np.flatnonzero(table["leads"][:, 1] >= 0):
        place[:, kind, table["leads"][kind, 1]] = (followed[:, kind] * chance).sum(1)
    return place


def believed_along(
    table: Table, places: np.ndarray, read: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What is believed of the moments at each record before its step, float32 [N, M], as a dream
    would believe it, and the exact places then, see `exact`.

    Args:
        places: float32 [N, K, 2], on each record's screen; read: float32 [N, M, B]; start: int [N],
            its episode's first record.
    """
    along = np.zeros((len(places), read.shape[1]), np.float32)
    if not read.shape[1]:
        return along, places
    at, exactly = np.unique(start), places.copy()
    followed = begin_at(table, places[at], read[at])
    exactly[at] = exact(table, places[at], followed, along[at])
    while len(at):
        goes_on = (at + 1 < len(start)) & (start[np.minimum(at + 1, len(start) - 1)] == start[at])
        before, followed = at[goes_on], onward(table, followed[goes_on], read[at[goes_on]])
        at = before + 1
        along[at] = believe(along[before], told_by(table, followed, places[at]))
        exactly[at] = exact(table, places[at], followed, along[at])
    return along, exactly
