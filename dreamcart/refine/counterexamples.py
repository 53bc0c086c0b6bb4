"""Where a dream goes wrong first: it is played beside recorded streams of the emulator.

A stream is cut into stretches. Each is dreamed from its true past with the buttons that were
pressed, until the first pixel differs; what comes after that says nothing new. In a game with
random events the dream is told what happened where it is in doubt, and only there: what it could
not know is no mistake.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from dreamcart.data.collect import Episode, share_out
from dreamcart.data.processed import Split
from dreamcart.evaluation.single_step import start_at
from dreamcart.games.spec import GameSpec
from dreamcart.params import RefineConfig
from dreamcart.world.model import WorldModel

STRETCH = 30  # steps
SOON = 10  # steps, for the report
BATCH = 32  # stretches dreamed at once: a bound on memory, for each has a long past
REGION = 8  # side in pixels of the squares of the screen that are told apart
EACH = 4  # differences of a stream at most, on average, that branches are made of
NOTHING_NEW = "no new button"
# Seeds of streams count from here, far from those of training (from 0), of the test (1,000,000) and
# of controllability (2,000,000), ten thousand for each seed of params: a thousand for the streams
# that measure (round 0), and for those of each round.
SEEDS = 3_000_000
ROUND = 1000
ORDINARY = 500  # of a round's thousand, those from here on are of ordinary play


@dataclass(frozen=True)
class Found:
    """What comparing found, for each stretch.

    at: int64 [S], the record it begins at; steps: int64 [S], its length; first: int64 [S], the step
    (from 1) of the first difference, 0 where there is none; regions: bool [S, h, w], the squares of
    REGION pixels that differ there.
    """

    at: np.ndarray
    steps: np.ndarray
    first: np.ndarray
    regions: np.ndarray


def first_seed(seed: int, number: int) -> int:
    """Return the first seed of the streams of round `number`; round 0 is what measures."""
    return SEEDS + seed * 10_000 + number * ROUND


def plan_streams(spec: GameSpec, config: RefineConfig, seed: int, number: int) -> list[Episode]:
    """Plan the streams of a round: the game's scripts, in proportion to their shares."""
    return share_out(spec, config.streams, config.stream_steps, first_seed(seed, number))


def plan_ordinary(
    spec: GameSpec, steps: int, episode_steps: int, seed: int, number: int
) -> list[Episode]:
    """Plan ordinary play of so many steps in all, in episodes as long as those of `collect`."""
    count = -(-steps // episode_steps)
    first = first_seed(seed, number) + ORDINARY
    *whole, last = share_out(spec, count, episode_steps, first)
    rest = steps - episode_steps * len(whole)
    return [*whole, Episode(last.number, last.seed, last.script, rest)]


def compare(world: WorldModel, streams: Split, title: str) -> Found:
    """Dream all stretches of the streams; `title` is that of the progress bar."""
    ends = np.flatnonzero(np.diff(streams.index["episode"], append=-1))
    last = np.repeat(ends, np.diff(ends, prepend=-1))  # of every record, its episode's last one
    at = np.flatnonzero((streams.index["step"] % STRETCH == 0) & (np.arange(len(last)) < last))
    steps = np.minimum(STRETCH, last[at] - at)
    first, regions = [], []
    with tqdm(total=len(at), unit="stretch", desc=title) as bar:
        for begin in range(0, len(at), BATCH):
            part = slice(begin, begin + BATCH)
            found = _dream(world, streams, at[part], steps[part])
            first.append(found[0])
            regions.append(found[1])
            bar.update(len(found[0]))
    return Found(at, steps, np.concatenate(first), np.concatenate(regions))


def _dream(
    world: WorldModel, streams: Split, at: np.ndarray, steps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Dream a batch of stretches; returns `first` and `regions`, see `Found`."""
    tell = world.spec.random and world.dynamics.takes_truth
    _, state = start_at(world, streams, at)
    first = np.zeros(len(at), np.int64)
    regions = np.zeros((len(at), *(-(-side // REGION) for side in world.shape[:2])), bool)
    for step in range(1, int(steps.max()) + 1):
        goes_on = (first == 0) & (step <= steps)
        if not goes_on.any():
            break
        # beyond a stretch's end its last record is dreamed again, and not looked at
        records = at + np.minimum(step, steps)
        true = streams.frames[streams.index["frame"][records]]
        action = streams.index["action"][records - 1]
        dreamed, state = world.step(state, action, truth=true if tell else None)
        parted = np.flatnonzero(goes_on & (dreamed != true).any((1, 2, 3)))
        if len(parted):
            # what the representation cannot show is no mistake of the dream
            wrong = (dreamed[parted] != world.reconstruct(true[parted])).any(3)
            regions[parted] = in_regions(wrong)
            first[parted] = np.where(wrong.any((1, 2)), step, 0)
    return first, regions


def in_regions(wrong: np.ndarray) -> np.ndarray:
    """bool [B, H, W] of pixels → bool [B, h, w]: the squares that have any."""
    rows, columns = (np.arange(0, side, REGION) for side in wrong.shape[1:])
    return np.logical_or.reduceat(np.logical_or.reduceat(wrong, rows, 1), columns, 2)


def places(found: Found, streams: Split, seed: int) -> list[list[int]]:
    """Choose the differences that branches are made of: for each stream, the steps of the frames
    that came out wrong.

    EACH times as many as there are streams at most, spread over them, drawn by `seed` where there
    are more.
    """
    episodes, rng = streams.index["episode"], np.random.default_rng([seed, SEEDS])
    at = (found.at + found.first)[found.first > 0]
    number = int(episodes[-1]) + 1
    order = [rng.permutation(at[episodes[at] == one]) for one in range(number)]
    dealt = [
        record
        for turn in range(max(map(len, order), default=0))
        for record in (records[turn] for records in order if turn < len(records))
    ]
    chosen: list[list[int]] = [[] for _ in range(number)]
    for record in dealt[: EACH * number]:
        chosen[int(episodes[record])].append(int(streams.index["step"][record]))
    return [sorted(steps) for steps in chosen]


def summary(found: Found, streams: Split) -> dict[str, Any]:
    """Say what went wrong first, in numbers for a report.

    Returns:
        "stretches"; "differences"; "exact": the share of stretches without a difference within SOON
        and STRETCH steps, of those so long; "by_button": for each button the steps at which it had
        just gone down, and of these the wrong ones ("differences") and their share; "regions": by
        "row,column" of the screen's squares the differences that they had a part in.
    """
    clean = np.where(found.first == 0, STRETCH + 1, found.first)
    exact = {
        f"{horizon:03}": round(float((clean > horizon)[found.steps >= horizon].mean()), 4)
        for horizon in (SOON, STRETCH)
        if (found.steps >= horizon).any()
    }
    counts = found.regions.sum(0)
    return {
        "stretches": len(found.at),
        "differences": int((found.first > 0).sum()),
        "exact": exact,
        "by_button": _by_button(found, streams),
        "regions": {
            f"{row},{column}": int(counts[row, column]) for row, column in np.argwhere(counts)
        },
    }


def _by_button(found: Found, streams: Split) -> dict[str, dict[str, Any]]:
    """Count steps, and those that went wrong, by the button that had just gone down."""
    action = streams.index["action"].astype(bool)
    begins = streams.index["step"] == 0
    fresh = action & ~(np.roll(action, 1, 0) & ~begins[:, None])
    fresh = np.c_[fresh, ~fresh.any(1)]
    # the steps that were looked at: up to the first difference
    seen = np.where(found.first > 0, found.first, found.steps)
    records = np.concatenate([np.arange(at, at + n) for at, n in zip(found.at, seen, strict=True)])
    wrong = (found.at + found.first - 1)[found.first > 0]
    told = {}
    for number, name in enumerate([*streams.spec.buttons, NOTHING_NEW]):
        steps, bad = int(fresh[records, number].sum()), int(fresh[wrong, number].sum())
        share = round(bad / steps, 4) if steps else None
        told[name] = {"steps": steps, "differences": bad, "share": share}
    return told
