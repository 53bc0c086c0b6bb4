"""A trained token dynamics made to fit more recordings: tiles that it does not know, a larger
window, more backdrops.

What is known keeps its weights, under its new number or at its new place. What is new begins as
what is nearest to it, so that training goes on where it stood, and has only the differences to
learn.
"""

import torch
from torch import nn

from dreamcart.dynamics.layout import Layout
from dreamcart.dynamics.tokens.history import Summary
from dreamcart.dynamics.tokens.model import TokenDynamics
from dreamcart.dynamics.tokens.parts import Deed

# nats by which a new tile (or backdrop) is less likely than the known one of which it is a copy:
# alike they would share the known one's chance, and be shown in its place
SELDOM = 3.0


def unlike(pictures: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """How far tiles differ from known ones, uint8 [V, ...] and [K, ...]: float32 [V, K], sums over
    their pixels, 0 for the same tile.
    """
    # of whole numbers: exact
    return torch.cdist(pictures.flatten(1).float(), known.flatten(1).float(), p=1)


@torch.no_grad()
def renumber(dynamics: TokenDynamics, order: torch.Tensor, back: torch.Tensor) -> None:
    """Give a trained dynamics other tokens. Regions and moves, which training finds anew, and tiles
    keep the old numbers.

    Args:
        order: int64 [vocabulary], what each new token begins as: itself under its old number, or
            the nearest one.
        back: int64 [old vocabulary], which new token shows each old one: itself, or the nearest.
            Both vocabularies or none are larger than `Summary.LIMIT`.
    """
    network = dynamics.network
    nowhere = dynamics.cells < 0  # places of the window that stand for no cell always show token 0
    network.place[nowhere] += sum(
        table.weight[0] - table.weight[order[0]] for table in (network.token, network.before)
    )
    tables = [network.token, network.before, network.paint[2]]
    if network.glance is not None:
        value, where = network.glance.value.weight, network.glance.where[nowhere].sum(0)
        network.glance.tell.bias += network.glance.tell.weight @ (
            where * (value[0] - value[order[0]])
        )
        tables.append(network.glance.value)
    for table in tables:
        _take(table, "weight", order)
    _take(network.paint[2], "bias", order)
    network.paint[2].bias -= SELDOM * (back[order] != torch.arange(len(order)))
    # row 0 is "not known"
    _take(network.known, "weight", torch.cat([order.new_zeros(1), 1 + order]))
    _resum(dynamics, order)
    dynamics.backdrops.copy_(back[dynamics.backdrops.long()])


def _resum(dynamics: TokenDynamics, order: torch.Tensor) -> None:
    """Let the summary, and what the slots read of it, follow the tokens."""
    network = dynamics.network
    old, new = network.summary, Summary(len(order), *network.place.shape[:2])
    network.summary = new
    # which random sums stand for a token cannot be told from its number any more
    if len(order) > Summary.LIMIT:
        fresh = new.code
        new.code = old.code[order]
        if network.codes or not torch.equal(new.code, fresh):
            network.keep_codes()
        return
    slot = network.slot.look if isinstance(network.slot, Deed) else network.slot
    # three for each kind of token, see `Summary`
    sums = slot.weight[:, : old.size].unflatten(1, (-1, old.code.shape[1]))
    slot.weight = nn.Parameter(
        torch.cat([sums[:, :, order].flatten(1), slot.weight[:, old.size :]], 1)
    )
    if isinstance(network.slot, Deed):
        network.slot.sums = new.size


def joint_window(known: Layout, layout: Layout) -> torch.Tensor | None:
    """The window for what either layout has in its mask, int64 [h, w]: the known one where that has
    all of it, else one with more rows and columns of the screen; None where the known one is no
    rows and columns, as parts set one above the other.
    """
    active = torch.zeros(layout.backdrops.shape[1:], dtype=torch.bool)
    for cells in (known.cells, layout.cells[layout.mask]):
        active.view(-1)[cells[cells >= 0]] = True
    if int(active.sum()) == int((known.cells >= 0).sum()):
        return known.cells
    if _lines(known) is None:
        return None
    return torch.arange(active.numel()).view(active.shape)[active.any(1)][:, active.any(0)]


def _lines(layout: Layout) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The screen's rows and columns of which the window consists, int64 [h] and [w];

    None where it is no such grid.
    """
    width = layout.backdrops.shape[2]
    rows, columns = layout.cells[:, 0] // width, layout.cells[0] % width
    return (rows, columns) if torch.equal(rows[:, None] * width + columns, layout.cells) else None


@torch.no_grad()
def widen(dynamics: TokenDynamics, layout: Layout) -> None:
    """Give a trained dynamics the window and the backdrops of a layout that `fit_layout` made for
    it. Regions, which training finds anew, keep the old places.
    """
    known = dynamics.layout
    if not torch.equal(known.cells, layout.cells):
        _widen_window(dynamics, known, layout)
    count = len(known.backdrops)
    if len(layout.backdrops) > count:
        nearest = Layout(layout.cells, layout.mask, known.backdrops).backdrop_of(
            layout.backdrops[count:]
        )
        source, network = torch.cat([torch.arange(count), nearest]), dynamics.network
        _take(network.scene, "weight", source)
        for name in ("weight", "bias"):  # of which the first is for whether anything changes
            _take(network.event[2], name, torch.cat([source.new_zeros(1), 1 + source]))
        network.event[2].bias[1 + count :] -= SELDOM
    for name in ("cells", "mask", "backdrops"):
        setattr(dynamics, name, getattr(layout, name).clone())


def _widen_window(dynamics: TokenDynamics, known: Layout, layout: Layout) -> None:
    """More rows and columns, each beginning as the nearest known one. What the network sums over
    the window shifts, and so do the numbers of rows and columns in its `Summary` where new ones
    come before others: that is left to training to mend.
    """
    network, lines = dynamics.network, zip(_lines(layout), _lines(known), strict=True)
    rows, columns = ((new[:, None] - old).abs().argmin(1) for new, old in lines)
    network.place = nn.Parameter(network.place[rows][:, columns])
    if network.glance is not None:  # a sum over places, to which a new one adds nothing yet
        own = torch.isin(layout.cells, known.cells)
        network.glance.where = nn.Parameter(
            network.glance.where[rows][:, columns] * own[:, :, None]
        )
    if network.dialled is not None:
        network.dialled.rows = nn.Parameter(network.dialled.rows[:, rows])
        network.dialled.columns = nn.Parameter(network.dialled.columns[:, :, columns])
    code, network.summary = (
        network.summary.code,
        Summary(len(network.token.weight), *layout.cells.shape),
    )
    network.summary.code = code
    if network.codes:
        network.keep_codes()


def _take(module: nn.Module, name: str, rows: torch.Tensor) -> None:
    """Make a module's weight of its own rows."""
    setattr(module, name, nn.Parameter(getattr(module, name)[rows]))
