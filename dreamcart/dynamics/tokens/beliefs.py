"""What the network believes of cells, and choosing their next tokens by it."""

from typing import Any, NamedTuple

import torch
from torch.nn import functional as F

from dreamcart.dynamics.tokens.network import Network

SURE = 0.9  # a choice at least this probable needs no second look


class Beliefs(NamedTuple):
    """Of the cells of windows, [B, h, w], or of some of them, [N].

    now: int16, their tokens; onward: int16, what they show by inertia (`State.onward`, [B, 0] where
    there is none); gate: logits that each changes, if anything does; features [..., C], see
    `Network.forward`.
    """

    now: torch.Tensor
    onward: torch.Tensor
    gate: torch.Tensor
    features: torch.Tensor

    def rows(self, chosen: torch.Tensor) -> "Beliefs":
        """Those of some windows."""
        return Beliefs(*(part[chosen] for part in self))

    def put(self, chosen: torch.Tensor, other: "Beliefs") -> "Beliefs":
        """With those of some windows replaced."""
        return Beliefs(
            *(part.index_copy(0, chosen, new) for part, new in zip(self, other, strict=True))
        )

    def cells(self, *where: Any) -> "Beliefs":
        """Of windows laid out flat, those at an index: [row, cells], or a mask [B, h w]."""
        now, gate = self.now.flatten(1), self.gate.flatten(1)
        onward = self.onward.flatten(1) if self.onward.numel() else now
        return Beliefs(now[where], onward[where], gate[where], self.features.flatten(1, 2)[where])


def choices(network: Network, cells: Beliefs) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Chance that each cell of windows changes, its most probable new token, and the probability of
    the better choice.

    Colours are looked at only where a change is thinkable: the most of the screen is spared.
    """
    chance = cells.gate.sigmoid()
    token = cells.now.clone()
    certainty = torch.maximum(chance, 1 - chance)
    where = chance > 1 - SURE
    some = cells.cells(where.flatten(1))
    logits = network.tokens(some.features, some.onward)
    # a change is never to the same token
    logits = logits.scatter(1, some.now.long()[:, None], -torch.inf)
    best = logits.softmax(1).max(1)
    token[where] = best.indices.to(torch.int16)
    certainty[where] = torch.maximum(chance[where] * best.values, 1 - chance[where])
    return chance, token, certainty


def chances(network: Network, cells: Beliefs) -> torch.Tensor:
    """Log-probabilities of the next tokens of N cells, the present one included: [N,
    vocabulary].
    """
    old = cells.now.long()[:, None]
    logits = network.tokens(cells.features, cells.onward).scatter(1, old, -torch.inf)
    change, stay = (F.logsigmoid(sign * cells.gate)[:, None] for sign in (1, -1))
    return (logits.log_softmax(1) + change).scatter(1, old, stay)


def draw(
    network: Network, cells: Beliefs, temperature: float, generator: torch.Generator | None
) -> torch.Tensor:
    """Decide N cells: int16 [N]; at temperature 0 by what is most probable."""
    logs = chances(network, cells)
    if temperature == 0:
        return logs.argmax(1).to(torch.int16)
    return (
        torch.multinomial((logs / temperature).softmax(1), 1, generator=generator)
        .squeeze(1)
        .to(torch.int16)
    )


def decide(
    logit: torch.Tensor, temperature: float, generator: torch.Generator | None
) -> torch.Tensor:
    """bool [B]: whether it happens; drawn only where the network is not sure."""
    if temperature == 0:
        return logit > 0
    drawn = (
        torch.rand(logit.shape, generator=generator, device=logit.device)
        < (logit / temperature).sigmoid()
    )
    return torch.where((logit.sigmoid() - 0.5).abs() < SURE - 0.5, drawn, logit > 0)
