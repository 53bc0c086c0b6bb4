"""Chance in the dream of cells: the least expected cell leads, and all others follow it.

Of a random event, such as a ball that comes from one of four places, each cell for itself is
unlikely to change; what is drawn cell by cell would show no ball, or two. So one cell is drawn
first: the one that does what is least expected, and what it does. In training that is the cell to
which the network, before its last block, gave the least probability of what it truly did.
"""

import math

import torch
from torch.nn import functional as F

from dreamcart.dynamics.cells.network import Network, Sensed

CHANCES = 3  # random numbers that a step takes: whether anything happens, the lead, what it does
SURE = 0.95  # what is more probable than this is not left to chance
EXPECTED = math.log(2)  # none leads where all that cells do is more likely than not


def draw(logits: torch.Tensor, noise: torch.Tensor, temperature: torch.Tensor) -> torch.Tensor:
    """Draw one of N kinds from logits [B, N], by noise [B] uniform on (0, 1): int64 [B]. What is
    most probable comes at temperature 0, and wherever it is SURE.
    """
    surely = (logits.softmax(1).amax(1) >= SURE) | (temperature <= 0)
    chances = (logits / temperature.clamp(min=1e-3)).softmax(1).cumsum(1)
    drawn = (chances < noise[:, None]).sum(1).clamp(max=logits.shape[1] - 1)
    return torch.where(surely, logits.argmax(1), drawn)


def leads(sensed: Sensed, mask: torch.Tensor) -> torch.Tensor:
    """Return logits of which cell leads, the last of none, [B, h * w + 1]; mask: bool [h, w], the
    cells that may.
    """
    return sensed.lead.masked_fill(~F.pad(mask.flatten(), (0, 1), value=True), -torch.inf)


def does(network: Network, sensed: Sensed, lead: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Return logits of what leads do, [B, known + 2]; of none they mean nothing.

    lead: int64 [B]; keys: [known, C], see `Network.choices`.
    """
    last = sensed.features.shape[1] - 1
    return network.outcomes(take(sensed.features, lead.clamp(max=last)[:, None])[:, 0], keys)


def draw_lead(
    network: Network,
    sensed: Sensed,
    keys: torch.Tensor,
    mask: torch.Tensor,
    noise: torch.Tensor,
    temperature: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which cell leads, and what it does, int64 [B] each: see `Network.believe` and
    `outcomes`. noise: [B, 2].
    """
    lead = draw(leads(sensed, mask), noise[:, 0], temperature)
    return lead, draw(does(network, sensed, lead, keys), noise[:, 1], temperature)


def true_lead(
    network: Network,
    features: torch.Tensor,
    keys: torch.Tensor,
    mask: torch.Tensor,
    differs: torch.Tensor,
    known: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return which cell truly leads, and what it does, int64 [B] each; and what was expected:
    logits that cells change [B, h * w], and the negative log-probability of what each changed cell
    became, [N].

    Args:
        features: [B, h * w, C], see `Sensed`; differs: bool [B, h, w], the cells that change;
        known: int64 [N], which known tile each of these becomes, their number where none.
    """
    expect = network.expect(features).squeeze(2).float()
    prefer = network.expected(features[differs.flatten(1)], keys).float()
    firsts = F.cross_entropy(prefer, known, reduction="none")
    told = expect.detach(), firsts.detach(), known, len(keys) + 1
    return *lead_of(mask, differs, *told), expect, firsts


def lead_of(
    mask: torch.Tensor,
    differs: torch.Tensor,
    expect: torch.Tensor,
    firsts: torch.Tensor,
    became: torch.Tensor,
    stays: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which cell did what was least expected, int64 [B], its flat number, h * w where all
    that cells did was more likely than not; and what it did, int64 [B], as `Network.outcomes`
    numbers it.

    Args:
        mask: bool [h, w], the cells that may lead; differs: bool [B, h, w], those that changed;
        expect: logits that cells change [B, h * w]; firsts, became: of each changed cell, the
        negative log-probability of what it became, float32 [N], and the number of that, int64 [N];
        stays: the number of a cell that stays as it is.
    """
    surprise = F.softplus(torch.where(differs.flatten(1), -expect, expect).float())
    surprise = surprise.view(differs.shape)
    outcome = torch.full(differs.shape, stays, device=differs.device)
    surprise[differs] += firsts
    outcome[differs] = became
    most, lead = surprise.masked_fill(~mask, -1.0).flatten(1).max(1)
    outcome = outcome.flatten(1).gather(1, lead[:, None])[:, 0]
    return torch.where(most > EXPECTED, lead, mask.numel()), outcome


def numbers_of(cells: torch.Tensor, tiles: torch.Tensor) -> torch.Tensor:
    """Return which of the tiles, uint8 [K, p], each cell is, uint8 [N, p]: int64 [N], K where none.

    By a sum of pixels with large random weights: the same sum means the same pixels.
    """
    weights = torch.randint(
        2**40, (tiles.shape[1],), generator=torch.Generator().manual_seed(0)
    ).to(cells.device)
    one, other = ((part.long() * weights).sum(1) for part in (cells, tiles))
    same = one[:, None] == other
    return torch.where(same.any(1), same.int().argmax(1), len(tiles))


def take(cells: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Return the cells [B, N, p] at their numbers [B, k]: [B, k, p]."""
    return cells.gather(1, at[:, :, None].expand(-1, -1, cells.shape[2]))
