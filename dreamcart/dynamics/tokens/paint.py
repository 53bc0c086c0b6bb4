"""Deciding the cells of the next frame: first those that must show where things went, then those in
doubt, one by one.
"""

import torch

from dreamcart.dynamics.base import UNTOLD
from dreamcart.dynamics.tokens.beliefs import SURE, Beliefs, chances, choices, draw
from dreamcart.dynamics.tokens.movers.play import Claims
from dreamcart.dynamics.tokens.network import Network, Sensed


def meet(
    network: Network,
    sensed: Sensed,
    believed: Beliefs,
    claims: Claims,
    temperature: float,
    generator: torch.Generator | None,
    rounds: int,
) -> tuple[Beliefs, torch.Tensor]:
    """What is believed when cells show what they must, and the cells decided for that: int64 [B, h,
    w], 0 or 1 + their token.

    Cells of which the network already believes it are left as they are. Of the others those with
    one choice are told to it at once, and those with several one after another, in so many rounds
    at most.
    """
    known = torch.zeros(believed.now.shape, dtype=torch.int64, device=believed.now.device)
    rows, cells, may = (part.to(known.device) for part in claims)
    if not len(rows):
        return believed, known
    for _ in range(rounds):
        logs = chances(network, believed.cells(rows, cells)).masked_fill(
            known.flatten(1)[rows, cells][:, None] > 0, 0.0
        )
        inside = logs.masked_fill(~may, -torch.inf)
        open_cells = (inside.exp().sum(1) < SURE).nonzero().squeeze(1)
        if not len(open_cells):
            break
        among = inside[open_cells].softmax(1)
        sure = among.amax(1)
        chosen = sure >= SURE
        at = rows[open_cells]
        for row in set(at.tolist()) - set(at[chosen].tolist()):
            own = (at == row).nonzero().squeeze(1)
            chosen[own[sure[own].argmax()]] = True
        open_cells, among = open_cells[chosen], among[chosen]
        if temperature == 0:
            token = among.argmax(1)
        else:
            token = torch.multinomial(
                (among.log() / temperature).softmax(1), 1, generator=generator
            ).squeeze(1)
        known.flatten(1)[rows[open_cells], cells[open_cells]] = token + 1
        again = rows[open_cells].unique()
        _, _, gate, features = network.believe(sensed.rows(again), known[again])
        believed = believed.put(again, believed.rows(again)._replace(gate=gate, features=features))
    return believed, known


def paint(
    network: Network,
    mask: torch.Tensor,
    sensed: Sensed,
    believed: Beliefs,
    known: torch.Tensor | None,
    temperature: float,
    generator: torch.Generator | None,
    truth: torch.Tensor | None,
    rounds: int,
) -> tuple[torch.Tensor, Beliefs, torch.Tensor]:
    """The next windows of frames that change, int16 [B, h, w]; doubtful cells one by one, as
    `truth` has them (int16 [B, h, w]) tells or else drawn. known: int64 [B, h, w], what is decided
    already, 0 or 1 + the token; rounds: how many cells are decided so, at most.

    With them what was believed at last, and the cells that were decided by themselves, int64 [B, h,
    w], 0 or 1 + their token.
    """
    last = believed
    known = (
        torch.zeros(believed.now.shape, dtype=torch.int64, device=believed.now.device)
        if known is None
        else known.clone()
    )
    result = believed.now.clone()
    rows = torch.arange(len(result), device=result.device)
    for turn in range(rounds + 1):
        chance, token, certainty = choices(network, believed)
        chance = torch.where(mask, chance, 0.0)
        certainty = torch.where(mask & (known[rows] == 0), certainty, 1.0)
        settled = torch.where(
            known[rows] > 0,
            known[rows].to(torch.int16) - 1,
            torch.where(chance > 0.5, token, believed.now),
        )
        result[rows] = settled
        doubt = certainty.flatten(1).min(1)
        open_rows = (doubt.values < SURE).nonzero().squeeze(1)
        if turn == rounds or not len(open_rows):
            return result, last, known
        rows = rows[open_rows]
        cell = doubt.indices[open_rows]
        decided = draw(network, believed.cells(open_rows, cell), temperature, generator)
        if truth is not None:
            said = truth[rows].flatten(1).gather(1, cell[:, None]).squeeze(1)
            decided = torch.where(said == UNTOLD, decided, said)
        known[rows] = (
            known[rows]
            .flatten(1)
            .scatter(1, cell[:, None], decided[:, None].long() + 1)
            .view_as(known[rows])
        )
        _, _, gate, features = network.believe(sensed.rows(rows), known[rows])
        believed = believed.rows(open_rows)._replace(gate=gate, features=features)
        last = last.put(rows, believed)
    raise AssertionError("unreachable")


def keep(
    network: Network, painted: torch.Tensor, believed: Beliefs, claims: Claims
) -> torch.Tensor:
    """Windows int16 [B, h, w] in which cells show what they must: where other choices have led away
    from it, the likeliest that does.
    """
    rows, cells, may = (part.to(painted.device) for part in claims)
    shown = painted.flatten(1)[rows, cells].long()
    away = (~may.gather(1, shown[:, None]).squeeze(1)).nonzero().squeeze(1)
    if not len(away):
        return painted
    rows, cells = rows[away], cells[away]
    token = (
        chances(network, believed.cells(rows, cells)).masked_fill(~may[away], -torch.inf).argmax(1)
    )
    kept = painted.clone()
    kept.flatten(1)[rows, cells] = token.to(kept.dtype)
    return kept
