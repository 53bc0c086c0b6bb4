"""Where a thing goes next, from what is around it: a small network that looks at pixels, wherever
on the screen they are.
"""

from dataclasses import dataclass, fields

import torch
from torch import nn
from torch.nn import functional as F

from dreamcart.dynamics.tokens.inertia import FAR
from dreamcart.dynamics.tokens.movers.kinds import PAST, UNSEEN
from dreamcart.dynamics.tokens.movers.memory import Memory

SIDE = 32  # pixels that it sees around a thing
HIDDEN, WAY = 192, 12
MOST_CODES = 12  # numbers that stand for a colour
OCTAVES = 8
ROUGHLY = 128  # pixels: brings distances near 1
NOWHERE = 2 * FAR + 3
LOOKS = 2  # screens, the one before and the one now


@dataclass(frozen=True)
class Views:
    """What is seen of N things.

    crops: uint8 [N, LOOKS, SIDE, SIDE], colours plus one, 0 beyond the screen; ways: int64 [N,
    PAST, 2], see `kinds.ways_before`; kind: int64 [N]; numbers: float32 [N, R], where they are,
    where the dials stand, and how far behind them they are, 0 to 1; pressed: float32 [N, 2 n];
    moments: float32 [N, M], how likely it is that dials are read at each, or [N, 0]; absent:
    float32 [N, K], for how long each kind has not been seen, 0 to 1; scene: float32 [N, K, 2],
    pixels from it down and to the right to the thing of each kind, NaN where there is none;
    recalled: float32 [N, G], see `Memory`.
    """

    crops: torch.Tensor
    ways: torch.Tensor
    kind: torch.Tensor
    numbers: torch.Tensor
    pressed: torch.Tensor
    moments: torch.Tensor
    absent: torch.Tensor
    scene: torch.Tensor
    recalled: torch.Tensor

    def to(self, device: torch.device) -> "Views":
        """The same on a device."""
        return Views(*(getattr(self, field.name).to(device) for field in fields(self)))


class Mover(nn.Module):
    """Of each thing, which of the known ways it goes, or to which of the places where things come
    from nowhere (Pong's enemy is at once where a ball is served), or none of them: it is gone,
    hidden, or not what it was.
    """

    def __init__(
        self,
        colours: int,
        kinds: int,
        ways: int,
        numbers: int,
        buttons: int,
        moments: int = 0,
        absent: int = 0,
        recalled: int = 0,
        dials: int = 0,
    ) -> None:
        """ways: D known ways and N places (older files: ways alone); numbers: R of `Views`,
        buttons: n, moments: M, absent: K, recalled: G, dials: D of `Seen` (older files have none of
        these; without G they have no memory, and are not told where other things are).
        """
        super().__init__()
        code = torch.eye(colours + 1)
        if colours + 1 > MOST_CODES:
            code = (
                2.0
                * torch.randint(
                    0, 2, (colours + 1, MOST_CODES), generator=torch.Generator().manual_seed(0)
                )
                - 1
            )
        self.register_buffer("code", code, persistent=False)
        layers = ((LOOKS * code.shape[1], 16, 5), (16, 32, 3), (32, 48, 3))
        self.look = nn.Sequential(
            *(part for a, b, k in layers for part in (nn.Conv2d(a, b, k, 2, k // 2), nn.ReLU()))
        )
        self.way = nn.Embedding(2 * PAST * (UNSEEN + 1), WAY)
        self.kind = nn.Embedding(kinds, HIDDEN)
        self.moments, self.absent, self.recalled = moments, absent, recalled
        told = 2 * PAST * WAY + (numbers + absent) * (1 + 2 * OCTAVES) + 2 * buttons + moments
        if recalled:
            self.memory = Memory(kinds, dials + buttons + moments, recalled)
            self.near = nn.Embedding(2 * kinds * (NOWHERE + 1), WAY)
            told += 2 * kinds * (WAY + 1) + recalled
        self.see, self.tell = nn.Linear(48 * (SIDE // 8) ** 2, HIDDEN), nn.Linear(told, HIDDEN)
        self.decide = nn.Sequential(
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, ways + 1),
        )
        self.register_buffer("angles", torch.pi * 2.0 ** torch.arange(OCTAVES), persistent=False)

    def forward(self, views: Views) -> torch.Tensor:
        """Logits [N, ways + 1] of the choices, the last one for none of them."""
        # channels last in memory
        seen = self.code[views.crops.permute(0, 2, 3, 1).long()].flatten(3).permute(0, 3, 1, 2)
        which = torch.arange(2 * PAST, device=views.ways.device) * (UNSEEN + 1)
        ways = self.way(views.ways.flatten(1) + which).flatten(1)
        numbers = torch.cat([views.numbers, views.absent[:, : self.absent]], 1)
        waves = (numbers[:, :, None] * self.angles).flatten(1)
        parts = [ways, 2 * numbers - 1, waves.sin(), waves.cos(), views.pressed, views.moments]
        if self.recalled:
            parts += [*self._scene(views.scene.flatten(1)), views.recalled]
        told = torch.cat(parts, 1)
        looked = self.see(self.look(seen).flatten(1))
        return self.decide(looked + self.tell(told) + self.kind(views.kind))

    def _scene(self, scene: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Where things are, in pixels [N, 2 K]: to the pixel where they are near, and else
        roughly.
        """
        steps = torch.where(
            scene.isnan(),
            NOWHERE,
            scene.nan_to_num(0.0).round().clamp(-FAR - 1, FAR + 1).long() + FAR + 1,
        )
        which = torch.arange(scene.shape[1], device=scene.device) * (NOWHERE + 1)
        return self.near(steps + which).flatten(1), scene.nan_to_num(0.0) / ROUGHLY

    def chances(self, views: Views) -> torch.Tensor:
        """The same as probabilities."""
        return F.softmax(self(views).float(), 1)
