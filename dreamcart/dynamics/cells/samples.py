"""Transitions of a split as training samples for the dream of cells, and which to practise next."""

from dataclasses import dataclass

import numpy as np
import torch

from dreamcart.data.processed import Split
from dreamcart.dynamics.cells.model import CellDynamics
from dreamcart.dynamics.cells.state import MOST_HELD, MOST_IDLE, PATIENCE, State, look_back

FLOOR, POWER = 0.01, 0.6  # how far practice follows the last loss: chance ~ (loss + floor) ^ power
MOST_WEIGHT = 5.0
MOST_LOSS = 10.0
KEEP = 0.9  # of a kind's mean loss, at each batch that has any of it
REFRESH = 32  # steps between two looks at what is not practised yet
# cells that change, by which kinds differ
SIZES = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 40, 80])
CHUNK = 1024


@dataclass(frozen=True)
class Batch:
    """Samples as the network takes them.

    tiles: uint8 [D, p], the distinct contents of cells in the batch; known: int64 [D], which known
    tile each of them is, their number where none; planes: int64 [B, 3, h, w] and following: int64
    [B, h, w], their numbers, as frames: int64 [B, 3, h, w], now, one step ago and two; moved:
    float32 [B, K, S] and lasts: float32 [B, K, n], of which deeds are made; state: without planes,
    seen, sums and deeds; action: float32 [B, n]; backdrop: int64 [B], the next one.
    """

    tiles: torch.Tensor
    known: torch.Tensor
    planes: torch.Tensor
    following: torch.Tensor
    frames: torch.Tensor
    moved: torch.Tensor
    lasts: torch.Tensor
    state: State
    action: torch.Tensor
    backdrop: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        if device.type == "cpu":
            return self
        state = State(*(part.to(device) for part in self.state.tensors()))
        own = (getattr(self, name) for name in self.__dataclass_fields__ if name != "state")
        own = [part.to(device) for part in own]
        return Batch(*own[:7], state, *own[7:])


class Samples:
    """Records of a split, seen as the dream would see them."""

    def __init__(
        self, split: Split, cells: np.ndarray, tiles: torch.Tensor, model: CellDynamics
    ) -> None:
        """cells: int [U, H / t, W / t], tile numbers of the split's distinct frames; tiles: uint8
        [tiles, p], what they show.
        """
        screen, summary = model.screen, model.network.summary
        self.depth, self.tiles = model.depth, tiles
        place = {tile.tobytes(): n for n, tile in enumerate(model.tiles.numpy())}
        number = [place.get(tile.tobytes(), len(place)) for tile in tiles.numpy()]
        self.known = torch.tensor(number)
        frame, step = split.index["frame"], split.index["step"]
        self.frame, self.action = frame, split.index["action"]
        self.windows = torch.empty(len(cells), *screen.mask.shape, dtype=torch.int32)
        self.sums = torch.empty(len(cells), summary.size)
        self.backdrop = torch.zeros(len(cells), dtype=torch.int64)
        known = screen.backdrops
        for first in range(0, len(cells), CHUNK):
            part = slice(first, first + CHUNK)
            chunk = torch.from_numpy(np.array(cells[part]).astype(np.int32)).flatten(1)
            window = chunk[:, screen.cells.clamp(min=0)]
            window = torch.where(screen.cells >= 0, window, 0)
            self.windows[part] = window
            among, number = torch.unique(window, return_inverse=True)
            self.sums[part] = summary.sums(summary.codes(tiles[among.long()])[number])
            if len(known) > 1:
                shown, number = torch.unique(chunk[:, screen.outside], dim=0, return_inverse=True)
                near = [(known != tiles[one.long()]).sum((1, 2)).argmin() for one in shown]
                self.backdrop[part] = torch.stack(near)[number]
        self.start = split.episode_start
        same = np.r_[False, frame[1:] == frame[:-1]] & (step > 0)
        last_change = np.maximum.accumulate(np.where(same, 0, np.arange(len(frame))))
        self.idle = np.minimum(np.arange(len(frame)) - last_change, MOST_IDLE)
        ticks = (self.idle <= PATIENCE) | (step == 0)
        self.kept = np.flatnonzero(ticks)  # the records at which the clock of `state` ticks
        self.place = np.cumsum(ticks) - 1  # for every record, its place in `kept`
        self.held = held_of(self.action, self.start)
        self.all = split.transitions
        still = frame[self.all] == frame[self.all + 1]
        self.changed, self.unchanged = self.all[~still], self.all[still]
        self.kind, kinds = self._kinds()
        # what the network gets wrong is drawn more often: by its own last loss, or by its kind's
        # before it was drawn
        self.hardness = torch.ones(len(frame))
        self.drawn = torch.zeros(len(frame), dtype=torch.bool)
        self.kind_loss = torch.ones(kinds)

    def _kinds(self) -> tuple[np.ndarray, int]:
        """Return kinds of transitions, int [N] and their number: alike in the buttons that go down
        and the cells that change, and all within an episode's first steps, of which there are few,
        are apart from later ones.
        """
        at = self.all
        before = np.where((at == self.start[at])[:, None], 0, self.action[at - 1])
        fresh = self.action[at] * (1 - before)
        cells = np.concatenate(
            [
                (self.windows[self.frame[some]] != self.windows[self.frame[some + 1]])
                .flatten(1)
                .sum(1)
                .numpy()
                for some in np.split(at, range(CHUNK, len(at), CHUNK))
            ]
        )
        scene = (self.backdrop[self.frame[at]] != self.backdrop[self.frame[at + 1]]).numpy()
        early = at - self.start[at] < self.depth
        sizes = np.searchsorted(SIZES, cells)
        table = np.concatenate([fresh, sizes[:, None], scene[:, None], early[:, None]], 1)
        kinds, number = np.unique(table.astype(np.uint8), axis=0, return_inverse=True)
        kind = np.zeros(len(self.frame), np.int64)
        kind[at] = number.ravel()
        return kind, len(kinds)

    def past(self, at: np.ndarray, depth: int) -> np.ndarray:
        """Return the records of the screens that are remembered at records `at`, int64 [B, depth +
        1], oldest first, `at` the last.
        """
        ticks = self.place[at][:, None] - np.arange(depth + 1)[::-1]
        return np.maximum(self.kept[np.maximum(ticks, 0)], self.start[at][:, None])

    def pressed(self, at: np.ndarray, back: int) -> np.ndarray:
        """Return what was pressed `back` steps before the records `at` (of any shape), uint8 [...,
        n]; before an episode's begin nothing was.
        """
        there = (at - back >= self.start[at])[..., None]
        return np.where(there, self.action[np.maximum(at - back, 0)], 0)

    def get(self, at: np.ndarray) -> Batch:
        """Return the samples of the records `at`."""
        records = self.past(at, self.depth)
        rows = torch.from_numpy(self.frame[records].astype(np.int64))
        planes, ages = look_back(self.windows[rows])
        following = torch.from_numpy(self.frame[at + 1].astype(np.int64))
        frames = self.windows[rows[:, -3:].flip(1)]
        ids = torch.cat([planes, self.windows[following][:, None], frames], 1)
        distinct, number = torch.unique(ids, return_inverse=True)
        sums = self.sums[rows]
        moved = sums[:, 1:] - sums[:, :-1]
        changed = (rows[:, 1:] != rows[:, :-1]).float()
        # a repeat of the episode's first frame, before its begin, is no step
        real = (records[:, 1:] > self.start[at][:, None])[:, :, None]
        actions, lasts = (self.pressed(records[:, 1:], back) * real for back in (1, 2))
        last = self.pressed(at, 1)
        held = np.where((at == self.start[at])[:, None], MOST_HELD, self.held[at - 1])
        state = State(
            torch.empty(0),
            torch.empty(0),
            ages,
            torch.empty(0),
            torch.empty(0),
            changed,
            torch.from_numpy(actions.astype(np.float32)),
            torch.from_numpy(last.astype(np.float32)),
            torch.from_numpy(held.astype(np.int64)),
            torch.from_numpy(self.idle[at]),
            self.backdrop[rows[:, -1]],
        )
        return Batch(
            self.tiles[distinct.long()],
            self.known[distinct.long()],
            number[:, :3],
            number[:, 3],
            number[:, 4:],
            moved,
            torch.from_numpy(lasts.astype(np.float32)),
            state,
            torch.from_numpy(self.action[at].astype(np.float32)),
            self.backdrop[following],
        )

    def draw(
        self, rng: np.random.Generator, count: int, changed_share: float
    ) -> tuple[np.ndarray, torch.Tensor]:
        """Draw records, `changed_share` of them with a changing picture, hard ones more often
        (Schaul et al. 2016).

        Returns them with weights, float32 [count], that undo both for what must stay a probability:
        whether anything changes.
        """
        some = round(count * changed_share) if len(self.unchanged) else count
        some = some if len(self.changed) else 0
        drawn = [
            self._draw(rng, pool, n)
            for pool, n in ((self.changed, some), (self.unchanged, count - some))
        ]
        at, weight = (np.concatenate(part) for part in zip(*drawn, strict=True))
        weight = np.minimum(weight * count / len(self.all), MOST_WEIGHT)
        return at, torch.from_numpy(weight.astype(np.float32))

    def _draw(
        self, rng: np.random.Generator, pool: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw `count` records of a pool; return also how many each of them stands for."""
        if count == 0:
            return pool[:0], np.zeros(0)
        total = np.cumsum(self.hardness.numpy()[pool].astype(np.float64))
        chosen = np.searchsorted(total, rng.random(count) * total[-1]).clip(max=len(pool) - 1)
        hardness = np.diff(total, prepend=0.0)[chosen]
        return pool[chosen], total[-1] / hardness / count

    def learn(self, step: int, at: np.ndarray, loss: torch.Tensor) -> None:
        """Note the losses, float32 [B], of the records `at` that `step` practised."""
        loss = loss.clamp(max=MOST_LOSS)
        at, kind = torch.from_numpy(at), torch.from_numpy(self.kind[at])
        self.hardness[at] = (loss + FLOOR) ** POWER
        self.drawn[at] = True
        among, where = kind.unique(return_inverse=True)
        mean = torch.zeros(len(among)).index_add(0, where, loss) / where.bincount()
        self.kind_loss[among] = KEEP * self.kind_loss[among] + (1 - KEEP) * mean
        if step % REFRESH == 0:
            fresh = (~self.drawn).nonzero().squeeze(1)
            hardness = (self.kind_loss + FLOOR) ** POWER
            self.hardness[fresh] = hardness[torch.from_numpy(self.kind)[fresh]]

    @property
    def progress(self) -> dict[str, torch.Tensor]:
        """What a checkpoint must hold for practice to go on as it was."""
        return {"hardness": self.hardness, "drawn": self.drawn, "kind_loss": self.kind_loss}


def held_of(action: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return for how many steps before it each button has been as it is in each record, int16 [R,
    n]: see `state.hold`.

    Args:
        action: uint8 [R, n]; start: int64 [R], the first record of each one's episode.
    """
    number = np.arange(len(action))[:, None]
    before = np.where(number == start[:, None], 0, np.roll(action, 1, 0))
    since = np.maximum.accumulate(np.where(action != before, number, -1))
    # a button that has not been touched since the episode's begin has been up for ever
    held = np.where(since < start[:, None], MOST_HELD, np.minimum(number - since, MOST_HELD))
    return held.astype(np.int16)
