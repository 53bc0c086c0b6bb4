"""What is remembered of things that move: where they were, how they went and what was pressed, for
as long as it tells anything.

What a console works out in each frame leaves more traces than a few screens show. Pong's enemy
walks two lines a frame to where the ball is, but stands still in every eighth, which is told only
by when it was slow before; whether a ball lies on an odd line by how the enemy that follows it
trembles (found in its RAM: docs/lab). A recurrent network (GRU, Cho et al. 2014) sees where all
things are at every step of an episode; what it remembers is told to the network that says where
each goes.
"""

from dataclasses import dataclass, fields

import torch
from torch import nn

from dreamcart.dynamics.tokens.inertia import FAR
from dreamcart.dynamics.tokens.movers.kinds import UNSEEN

UNITS, HIDDEN, WAY = 96, 64, 6
# steps: what a console does in every second, fourth, … frame is told by a count of steps
BEATS = 16
LONG = 64  # steps: that a thing has not been seen for longer tells no more
OCTAVES = 8


@dataclass(frozen=True)
class Seen:
    """What N steps show. places: float32 [*N, K, 2], see `followers.exact`; ways: int64 [*N, K, 2],
    how the thing of each kind came there, see `ways_of`; absent: float32 [*N, K], see `lately`;
    told: float32 [*N, D + n + M], see `told_of`; beat: int64 [*N], a count of steps; size: height
    and width of the screen in pixels.
    """

    places: torch.Tensor
    ways: torch.Tensor
    absent: torch.Tensor
    told: torch.Tensor
    beat: torch.Tensor
    size: tuple[int, int]

    def to(self, device: torch.device) -> "Seen":
        """The same on a device."""
        return Seen(
            *(getattr(self, field.name).to(device) for field in fields(self)[:-1]), self.size
        )

    def each(self) -> "Seen":
        """The same, each of N steps as all that is seen of its own episode: [N, 1]."""
        parts = (getattr(self, field.name)[:, None] for field in fields(self)[:-1])
        return Seen(*parts, self.size)


class Memory(nn.Module):
    """A recurrent network over what is seen of the things of K kinds."""

    def __init__(self, kinds: int, told: int, units: int = UNITS) -> None:
        """told: D + n + M of `Seen`."""
        super().__init__()
        self.way = nn.Embedding(2 * kinds * (UNSEEN + 1), WAY)
        self.see = nn.Linear(kinds * (2 + 2 * (WAY + 1 + 2 * OCTAVES)) + told + BEATS, HIDDEN)
        self.remember = nn.GRU(HIDDEN, units, batch_first=True)
        self.register_buffer("angles", torch.pi * 2.0 ** torch.arange(OCTAVES), persistent=False)

    def forward(self, seen: Seen, before: torch.Tensor | None = None) -> torch.Tensor:
        """What is remembered after each of T steps of B episodes, float32 [B, T, units]; before:
        [B, units], before the first one (nothing).
        """
        there, places = scaled(seen.places, seen.size)
        waves = (places[..., None] * self.angles).flatten(-3)
        which = torch.arange(seen.ways.shape[-2] * 2, device=seen.ways.device) * (UNSEEN + 1)
        ways = self.way(seen.ways.flatten(-2) + which).flatten(-2)
        beat = nn.functional.one_hot(seen.beat % BEATS, BEATS)
        parts = (
            there,
            seen.absent,
            places.flatten(-2),
            waves.sin(),
            waves.cos(),
            ways,
            seen.told,
            beat,
        )
        first = None if before is None else before[None].contiguous()
        return self.remember(self.see(torch.cat(parts, -1)).relu(), first)[0]

    @property
    def units(self) -> int:
        return self.remember.hidden_size


def scaled(places: torch.Tensor, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Of places [..., K, 2] in pixels, NaN where there is nothing: 1 where there is something,
    [..., K], and shares of a screen's height and width, 0 where there is nothing.
    """
    return 1.0 - places[..., 0].isnan().to(places.dtype), (
        places / places.new_tensor(size)
    ).nan_to_num(0.0)


def ways_of(before: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
    """How things came from places float32 [..., K, 2] to others: int64, pixels down and to the
    right, FAR added; UNSEEN where they were not there, or come from further away.
    """
    way = (now - before).round()
    near = (way.abs() <= FAR).all(-1, keepdim=True)  # nor is what was not there
    return torch.where(near, way.nan_to_num(0.0).long() + FAR, UNSEEN)


def lately(absent: torch.Tensor) -> torch.Tensor:
    """For how many steps kinds have not been seen, int, as a share of LONG, 1 at most: float32."""
    return absent.clamp(max=LONG) / LONG


def told_of(dials: torch.Tensor, last: torch.Tensor, moments: torch.Tensor) -> torch.Tensor:
    """`Seen.told`: where dials stand, [..., D], what was pressed before, [..., n], and how likely
    it is that the dials are read at each moment, [..., M], from `followers.believe`.
    """
    return torch.cat([dials, last, moments.softmax(-1)], -1)
