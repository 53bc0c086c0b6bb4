"""What the dream of cells is trained by, and judged by: the likelihood of the next frame."""

import torch
from torch.nn import functional as F

from dreamcart.dynamics.cells.chance import does, draw, draw_lead, leads, true_lead
from dreamcart.dynamics.cells.model import CellDynamics
from dreamcart.dynamics.cells.network import CHOICE, GLANCE, HINT, Sensed
from dreamcart.dynamics.cells.parts import Painter
from dreamcart.dynamics.cells.samples import Batch
from dreamcart.dynamics.cells.state import PLANES
from dreamcart.training.device import autocast

SCALE = 0.1  # brings a frame's negative log-likelihood (a sum over cells) near 1
# weight of the question whether anything changes: it is asked at every step, and a frame is wrong
# without it
EVENT = 3.0
# weight of painting where a known tile is right, too, so that painting is learned from all changes
PRACTICE = 0.05
# weight of what is expected before chance is drawn, from which the lead follows
FIRST = 2.0
# cells a frame that are painted in training, on average: of those that no known tile fits at most,
# and of others; a cell costs as much as a tenth of all else
MOST_PAINTED, PRACTISED = 4, 1
# a frame whose loss is larger pulls no harder: one freak must not outweigh its whole batch
MOST_PULL = 4.0


class Reading:
    """What the network reads of a batch, each distinct content of a cell once.

    Attributes:
        keys: [known, C], of the known tiles as choices; hints: [known + 2, C], what outcomes of a
            lead tell; sensed: see `Sensed`.
    """

    def __init__(self, model: CellDynamics, batch: Batch) -> None:
        network, tell, known = model.network, model.network.reader.tell, len(model.tiles)
        said = network.reader(torch.cat([model.tiles, batch.tiles]))
        self.keys, self.hints = tell[CHOICE](said[:known]), network.hints(tell[HINT](said[:known]))
        said = said[known:]
        planes = [F.embedding(batch.planes[:, plane], tell[plane](said)) for plane in range(PLANES)]
        glances = F.embedding(batch.planes[:, 0], tell[GLANCE](said))
        deeds = network.deed(batch.moved, batch.state.actions, batch.lasts)
        self.sensed: Sensed = network.sense(planes, glances, deeds, batch.state, batch.action)


def frame_loss(model: CellDynamics, batch: Batch, weight: torch.Tensor) -> torch.Tensor:
    """Return the negative log-likelihood of the next frames, scaled, [B].

    Args:
        weight: [B], of what must stay a probability, however often a frame is practised: whether
            anything changes, and what the lead does.
    """
    mask, network = model.screen.mask, model.network
    differs, moves = changes_of(model, batch)
    at = differs.nonzero(as_tuple=True)
    with autocast(mask.device):
        read = Reading(model, batch)
        known = batch.known[batch.following[at]]
        lead, outcome, expect, firsts = true_lead(
            network, read.sensed.features, read.keys, mask, differs, known
        )
        expected = leads(read.sensed, mask).float()
        even = torch.rand(2, len(moves), device=mask.device)
        warm = torch.ones((), device=mask.device)
        # where nothing changes the lead is drawn as in play: it must not tell that
        lead = torch.where(moves, lead, draw(expected, even[0], warm))
        doing = does(network, read.sensed, lead, read.keys).float()
        outcome = torch.where(moves, outcome, draw(doing, even[1], warm))
        event, gate, features, scene = network.believe(
            read.sensed, lead, F.embedding(outcome, read.hints)
        )
        choice, chosen = network.choices(features[at], read.keys)
        weights, drawn = to_paint(known == len(model.tiles), len(moves))
        spot = tuple(part[drawn] for part in at)
        colours = network.painter(around(model, batch, spot), chosen[drawn])
    loss = (
        EVENT
        * weight
        * F.binary_cross_entropy_with_logits(event.float(), moves.float(), reduction="none")
    )
    led = F.cross_entropy(expected, lead, reduction="none")
    led = led + (lead < model.cells) * F.cross_entropy(doing, outcome, reduction="none")
    gates = F.binary_cross_entropy_with_logits(gate.float(), differs.float(), reduction="none")
    scenes = F.cross_entropy(scene.float(), batch.backdrop, reduction="none")
    gates = gates + FIRST * F.binary_cross_entropy_with_logits(
        expect.view_as(gates), differs.float(), reduction="none"
    )
    loss = loss + moves * ((gates * mask).flatten(1).sum(1) + weight * led + scenes)
    chances = FIRST * firsts + F.cross_entropy(choice.float(), known, reduction="none")
    shown = batch.tiles[batch.following[spot]].long()
    pixels = F.cross_entropy(colours.float().transpose(1, 2), shown, reduction="none").sum(1)
    loss = loss.index_add(0, at[0], chances).index_add(0, spot[0], weights * pixels)
    return SCALE * loss


def to_paint(unknown: torch.Tensor, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose changed cells that are painted in training: those that no known tile fits, and a few
    of the others.

    Args:
        unknown: bool [N]; frames: in which they are.

    Returns:
        Weights of the chosen ones, float32 [n], that make up for those left out, and their numbers,
        int64 [n].
    """
    order = (torch.rand(len(unknown), device=unknown.device) + unknown).argsort(descending=True)
    drawn = order[: min(MOST_PAINTED * frames, int(unknown.sum()) + PRACTISED * frames)]
    left_out = unknown.sum() / unknown[drawn].sum().clamp(min=1)
    return torch.where(unknown[drawn], left_out, PRACTICE), drawn


def changes_of(model: CellDynamics, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which cells change within the scene, bool [B, h, w], and whether anything does [B]."""
    differs = batch.following != batch.planes[:, 0]
    moves = differs.flatten(1).any(1) | (batch.backdrop != batch.state.backdrop)
    return differs & model.screen.mask, moves


def around(model: CellDynamics, batch: Batch, at: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return the pixels in and around cells of the window, int32 [N, 3, t + 2 m, t + 2 m]; `at`:
    their rows of the batch, y and x, int64 [N] each.
    """
    side, margin, row = model.screen.side, Painter.MARGIN, at[0]
    beyond = batch.tiles.new_zeros(1, side * side).int() + model.network.painter.colours
    tiles = torch.cat([batch.tiles.int(), beyond])
    near = torch.arange(3, device=row.device)
    y, x = ((part[:, None] + near)[:, None] for part in at[1:])
    padded = F.pad(batch.frames, (1, 1, 1, 1), value=len(batch.tiles))
    cells = padded[row[:, None, None, None], near[:, None, None], y[..., None], x[:, :, None]]
    pixels = tiles[cells].unflatten(4, (side, side)).transpose(3, 4)
    pixels = pixels.reshape(len(row), 3, 3 * side, 3 * side)
    return pixels[..., side - margin : 2 * side + margin, side - margin : 2 * side + margin]


def bounded(loss: torch.Tensor) -> torch.Tensor:
    """Return losses [B], those above MOST_PULL scaled down to it, gradients and all."""
    return loss * (MOST_PULL / loss.detach()).clamp(max=1)


@torch.no_grad()
def wrong(model: CellDynamics, batch: Batch) -> torch.Tensor:
    """Return which next frames are not exact at temperature 0, bool [B]."""
    mask, network = model.screen.mask, model.network
    differs, moves = changes_of(model, batch)
    read = Reading(model, batch)
    even = torch.full((len(moves), 2), 0.5, device=moves.device)
    lead, outcome = draw_lead(
        network, read.sensed, read.keys, mask, even, torch.zeros_like(even[0, 0])
    )
    event, gate, features, scene = network.believe(read.sensed, lead, read.hints[outcome])
    at = differs.nonzero(as_tuple=True)
    choice, chosen = network.choices(features[at], read.keys)
    painted = network.painter(around(model, batch, at), chosen).argmax(2)
    best = choice.argmax(1)
    whole = model.tiles[best.clamp(max=len(model.tiles) - 1)]
    content = torch.where((best == len(model.tiles))[:, None], painted, whole)
    missed = (content != batch.tiles[batch.following[at]]).any(1)
    bad = torch.zeros(len(moves), device=moves.device).index_add(0, at[0], missed.float()) > 0
    bad |= (((gate > 0) & mask) != differs).flatten(1).any(1)
    bad |= scene.argmax(1) != batch.backdrop
    return ((event > 0) != moves) | (moves & bad)
