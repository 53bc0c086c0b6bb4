"""Transitions of a split as training samples for the token dynamics, and which to practise next."""

import numpy as np
import torch

from dreamcart.data.processed import Split
from dreamcart.dynamics.tokens.dials import positions_of, turned
from dreamcart.dynamics.tokens.history import MOST_HELD, MOST_IDLE, PATIENCE
from dreamcart.dynamics.tokens.inertia import Inertia
from dreamcart.dynamics.tokens.model import TokenDynamics
from dreamcart.dynamics.tokens.movers.births import unborn
from dreamcart.dynamics.tokens.state import State, nothing_live

FLOOR, POWER = 0.01, 0.6  # how far practice follows the last loss: chance ~ (loss + floor) ^ power
MOST_WEIGHT = 5.0
MOST_LOSS = 10.0
KEEP = 0.9  # of a kind's mean loss, at each batch that has any of it
REFRESH = 32  # steps between two looks at what is not practised yet
# cells that change, by which kinds differ
SIZES = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 40, 80])
CHUNK = 4096
CPU = torch.device("cpu")


class Samples:
    """Records of a split, seen as the dream would see them (the same `State`, made from the
    record).
    """

    def __init__(self, split: Split, tokens: np.ndarray, model: TokenDynamics) -> None:
        """tokens: int [U, H, W] of the split's distinct frames."""
        layout, network = model.layout, model.network
        self.depth, self.dial_past, self.turns = model.depth, network.dial_past, network.dials
        frame, step = split.index["frame"], split.index["step"]
        self.frame, self.action = frame, split.index["action"]
        # memory grows with the frames by these alone
        small = torch.uint8 if len(network.token.weight) <= 256 else torch.int16
        self.windows = torch.empty(len(tokens), *layout.mask.shape, dtype=small)
        self.sums = torch.empty(len(tokens), network.summary.size)
        self.backdrop = torch.empty(len(tokens), dtype=torch.int64)
        for first in range(0, len(tokens), CHUNK):
            part = slice(first, first + CHUNK)
            chunk = torch.from_numpy(np.array(tokens[part]).astype(np.int16))
            window = layout.window(chunk)
            self.windows[part], self.sums[part], self.backdrop[part] = (
                window,
                network.summary(window),
                layout.backdrop_of(chunk),
            )
        self.start = split.episode_start
        same = np.r_[False, frame[1:] == frame[:-1]] & (step > 0)
        last_change = np.maximum.accumulate(np.where(same, 0, np.arange(len(frame))))
        self.idle = np.minimum(np.arange(len(frame)) - last_change, MOST_IDLE)
        ticks = (self.idle <= PATIENCE) | (step == 0)
        self.kept = np.flatnonzero(ticks)  # the records at which the clock of `history` ticks
        self.place = np.cumsum(ticks) - 1  # for every record, its place in `kept`
        self.held = held_of(self.action, self.start)
        self.dials = positions_of(self.action, self.start, network.dials)
        self.tokens, self.layout, self.movers = tokens, layout, len(model.kinds.colours)
        self.frame_skip, self.moments = split.spec.frame_skip, model.moments
        self.recalled, self.ticks = model.recalled, len(model.kinds.ticks)
        self.inertia = Inertia(model.tiles.cpu().numpy()) if model.side else None
        before = frame[np.maximum(np.arange(len(frame)) - 1, self.start)]
        self.pairs, pair = np.unique(np.stack([before, frame], 1), axis=0, return_inverse=True)
        self.pair, self.worked_out = pair.ravel(), np.zeros(len(self.pairs), bool)
        self.onward = torch.empty(
            len(self.pairs), *(layout.mask.shape if model.side else [0]), dtype=torch.int16
        )
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
        """Kinds of transitions, int [N] and their number: alike in the buttons that go down and the
        cells that change, and all within an episode's first steps, of which there are few, are
        apart from later ones.
        """
        at = self.all
        fresh = self.action[at] * (
            1 - np.where((at == self.start[at])[:, None], 0, self.action[at - 1])
        )
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
        table = np.concatenate(
            [fresh, np.searchsorted(SIZES, cells)[:, None], scene[:, None], early[:, None]], 1
        ).astype(np.uint8)
        kinds, number = np.unique(table, axis=0, return_inverse=True)
        kind = np.zeros(len(self.frame), np.int64)
        kind[at] = number.ravel()
        return kind, len(kinds)

    def _onward(self, at: np.ndarray) -> torch.Tensor:
        """What comes by inertia at records `at`: int16 [B, h, w], or [B, 0]. Worked out when it is
        first asked for: a training does not come to all of a long recording.
        """
        numbers = self.pair[at]
        for number in np.unique(numbers[~self.worked_out[numbers]]) if self.inertia else ():
            before, now = (np.asarray(self.tokens[row]) for row in self.pairs[number])
            self.onward[number] = self.layout.window(
                torch.from_numpy(self.inertia.onward(before, now))
            )
            self.worked_out[number] = True
        return self.onward[numbers]

    def past(self, at: np.ndarray, depth: int) -> np.ndarray:
        """The records of the screens that are remembered at records `at`, int64 [B, depth + 1],
        oldest first, `at` the last.
        """
        ticks = self.place[at][:, None] - np.arange(depth + 1)[::-1]
        return np.maximum(self.kept[np.maximum(ticks, 0)], self.start[at][:, None])

    def last(self, at: np.ndarray) -> np.ndarray:
        """What was pressed in the steps before the records `at`, uint8 [B, n]."""
        return np.where((at == self.start[at])[:, None], 0, self.action[at - 1])

    def dialled(self, at: np.ndarray) -> np.ndarray:
        """Where the dials stood in the last steps and stand after this one, as `Dialled` is told:
        float32 [B, (P + 1) D].
        """
        past = torch.from_numpy(self.dials[self._dial_records(at)])
        after = turned(
            past[:, -1], torch.from_numpy(self.action[at].astype(np.float32)), self.turns
        )
        return torch.cat([past.flatten(1), after], 1).numpy()

    def _dial_records(self, at: np.ndarray) -> np.ndarray:
        return np.maximum(at[:, None] - np.arange(self.dial_past)[::-1], self.start[at][:, None])

    def get(
        self, at: np.ndarray, device: torch.device = CPU
    ) -> tuple[State, torch.Tensor, torch.Tensor, torch.Tensor]:
        """States, actions float32 [B, n], next windows int16 [B, h, w] and next backdrops int64 [B]
        at records `at`.
        """
        begin, records = self.start[at][:, None], self.past(at, self.depth)
        rows = torch.from_numpy(self.frame[records].astype(np.int64))
        # a step's action is that of the record before it; before the episode's begin nothing was
        # pressed
        pressed = self.action[records[:, 1:] - 1] * (records[:, 1:] > begin)[:, :, None]
        first = (at == begin[:, 0])[:, None]
        last = self.last(at)
        held = np.where(first, MOST_HELD, self.held[at - 1])
        now = torch.from_numpy(self.frame[at].astype(np.int64))
        following = torch.from_numpy(self.frame[at + 1].astype(np.int64))
        state = State(
            self.windows[rows].to(torch.int16),
            self.sums[rows],
            torch.from_numpy(pressed.astype(np.float32)),
            torch.from_numpy(last.astype(np.float32)),
            torch.from_numpy(held.astype(np.int64)),
            torch.from_numpy(self.idle[at]),
            self.backdrop[now],
            torch.from_numpy(self.dials[self._dial_records(at)]),
            self._onward(at),
            unborn(len(at), self.movers),  # nothing that is trained looks at it, nor at these
            torch.zeros(len(at), self.movers, self.moments),
            torch.zeros(len(at), self.moments),
            torch.full((len(at), self.movers if self.recalled else 0, 2), torch.nan),
            torch.zeros(len(at), self.recalled),
            torch.zeros(len(at), dtype=torch.int64),
            torch.zeros(len(at), self.ticks),
            *nothing_live(len(at)),
        )
        action = torch.from_numpy(self.action[at].astype(np.float32))
        return (
            state.to(device),
            action.to(device),
            self.windows[following].to(torch.int16).to(device),
            self.backdrop[following].to(device),
        )

    def draw(
        self, rng: np.random.Generator, count: int, changed_share: float
    ) -> tuple[np.ndarray, torch.Tensor]:
        """Records, `changed_share` of them with a changing picture, hard ones more often (Schaul et
        al. 2016).

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
        return at, torch.from_numpy(
            np.minimum(weight * count / len(self.all), MOST_WEIGHT).astype(np.float32)
        )

    def _draw(
        self, rng: np.random.Generator, pool: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """`count` records of a pool, and how many each of them stands for."""
        if count == 0:
            return pool[:0], np.zeros(0)
        hardness = self.hardness.numpy()[pool].astype(np.float64)
        total = np.cumsum(hardness)
        chosen = np.searchsorted(total, rng.random(count) * total[-1]).clip(max=len(pool) - 1)
        return pool[chosen], total[-1] / hardness[chosen] / count

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
            self.hardness[fresh] = ((self.kind_loss + FLOOR) ** POWER)[
                torch.from_numpy(self.kind)[fresh]
            ]

    @property
    def progress(self) -> dict[str, torch.Tensor]:
        """What a checkpoint must hold for practice to go on as it was."""
        return {"hardness": self.hardness, "drawn": self.drawn, "kind_loss": self.kind_loss}


def held_of(action: np.ndarray, start: np.ndarray) -> np.ndarray:
    """For how many steps before it each button has been as it is in each record, int16 [R, n]: see
    `history.hold`.

    Args:
        action: uint8 [R, n]; start: int64 [R], the first record of each one's episode.
    """
    number = np.arange(len(action))[:, None]
    turned = action != np.where(number == start[:, None], 0, np.roll(action, 1, 0))
    since = np.maximum.accumulate(np.where(turned, number, -1))
    # a button that has not been touched since the episode's begin has been up for ever
    return np.where(
        since < start[:, None], MOST_HELD, np.minimum(number - since, MOST_HELD)
    ).astype(np.int16)
