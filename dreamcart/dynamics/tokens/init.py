"""Training that begins from a cart's weights instead of fresh ones: to train on, or to teach a dream what new recordings show.

Weights mean something only for the numbers they were trained on. So the recordings must show the cart's tiles, in the same
window of the screen and before its backdrops; the tiles' numbers (by how often each is seen) and which cells may change
within a scene may differ.
"""

from pathlib import Path

import torch
from torch import nn

from dreamcart.cart import load_cart
from dreamcart.dynamics.tokens.history import Summary
from dreamcart.dynamics.tokens.layout import Layout
from dreamcart.dynamics.tokens.model import TokenDynamics
from dreamcart.dynamics.tokens.network import Deed
from dreamcart.errors import UserError


def load_trained(path: Path, pictures: torch.Tensor, buttons: list[str]) -> TokenDynamics:
    """The dynamics of a cart, trained on these tokens and buttons, its tokens numbered as here.

    Args:
        pictures: uint8 [vocabulary, ...], what the tokens look like; buttons: by name.

    Raises:
        UserError: no such cart, or it has other tokens or buttons.
    """
    world, _ = load_cart(path, torch.device("cpu"))
    if not isinstance(world.dynamics, TokenDynamics):
        raise UserError(f"{path} is no dream of tokens, so dynamics.init_from cannot begin from it; choose another cart.")
    if list(world.spec.buttons) != list(buttons):
        raise _misfit(path, f"has the buttons {', '.join(world.spec.buttons)}, and this game {', '.join(buttons)}")
    if not torch.equal(world.representation.pictures, pictures):
        numbers = {tile.numpy().tobytes(): number for number, tile in enumerate(world.representation.pictures)}
        order = [numbers.get(tile.numpy().tobytes(), -1) for tile in pictures]
        if sorted(order) != list(range(len(numbers))):
            raise _misfit(path, "was trained on other tiles than these recordings show")
        if len(order) > Summary.LIMIT:  # which random sums stand for a token cannot be told from its number
            raise _misfit(path, f"numbers its {len(order)} tiles in another order, which can be followed for {Summary.LIMIT} only")
        renumber(world.dynamics, torch.tensor(order))
    return world.dynamics


@torch.no_grad()
def renumber(dynamics: TokenDynamics, order: torch.Tensor) -> None:
    """Give the tokens of a trained dynamics other numbers: the new n is the old `order[n]`, int64 [vocabulary]. Regions and
    moves, which training finds anew, keep the old ones."""
    network = dynamics.network
    nowhere = dynamics.cells < 0  # places of the window that stand for no cell always show token 0
    network.place[nowhere] += sum(table.weight[0] - table.weight[order[0]] for table in (network.token, network.before))
    tables = [network.token, network.before, network.paint[2]]
    if network.glance is not None:
        value, where = network.glance.value.weight, network.glance.where[nowhere].sum(0)
        network.glance.tell.bias += network.glance.tell.weight @ (where * (value[0] - value[order[0]]))
        tables.append(network.glance.value)
    for table in tables:
        table.weight.copy_(table.weight[order])
    network.paint[2].bias.copy_(network.paint[2].bias[order])
    network.known.weight[1:] = network.known.weight[1:][order]  # row 0 is "not known"
    reads = (network.slot.look if isinstance(network.slot, Deed) else network.slot).weight[:, : network.summary.size]
    sums = reads.unflatten(1, (-1, len(order)))  # three for each kind of token, see `Summary`
    reads.copy_(sums[:, :, order].flatten(1))
    dynamics.backdrops.copy_(order.argsort()[dynamics.backdrops.long()])


def fit_layout(layout: Layout, trained: TokenDynamics, path: Path) -> Layout:
    """`layout`, with the backdrops in the numbers that the trained dynamics has for them.

    Raises UserError where the window is another one, or a backdrop is unknown to it.
    """
    known = trained.layout
    if known.cells.shape != layout.cells.shape or not torch.equal(known.cells, layout.cells):
        raise _misfit(path, "looks at another part of the screen than these recordings change")
    fitted = Layout(layout.cells, layout.mask | known.mask, known.backdrops)
    still = torch.ones(fitted.backdrops[0].numel(), dtype=torch.bool)
    still[fitted.cells[fitted.mask]] = False
    nearest = fitted.backdrops[fitted.backdrop_of(layout.backdrops)]
    if not torch.equal(nearest.flatten(1)[:, still], layout.backdrops.flatten(1)[:, still]):
        raise _misfit(path, "does not know all backdrops that these recordings show")
    return fitted


def take_weights(model: TokenDynamics, trained: TokenDynamics, path: Path) -> None:
    """Copy the trained network into a fresh one, whose looks begin at nothing: the trained tables hold theirs already. Where an
    older one has no glance, dials or inertia, the fresh one tells nothing of them yet; where it has no `Deed`, or knows less of its
    dials' past, it says what that said.

    Raises UserError where the networks are not of one size.
    """
    fewer = trained.network.dialled is not None and trained.network.dial_past < model.network.dial_past
    older = {
        "glance.": trained.network.glance is None,
        "slot.": isinstance(trained.network.slot, nn.Linear),
        "dialled.": trained.network.dialled is None or fewer,
        "carry.": trained.network.carry is None,
    }
    fresh = ("looks.", *(name for name, lacking in older.items() if lacking))
    sizes = {name: weight.shape for name, weight in model.network.state_dict().items() if not name.startswith(fresh)}
    weights = {name: weight for name, weight in trained.network.state_dict().items() if not name.startswith(fresh)}
    if sizes != {name: weight.shape for name, weight in weights.items()}:
        raise _misfit(path, "is a network of another size (dynamics.channels, blocks, memory, history_frames)")
    model.network.load_state_dict(weights, strict=False)
    if older["slot."]:
        model.network.slot.become(trained.network.slot)
    if fewer:
        model.network.dialled.become(trained.network.dialled)
    if model.network.looks is not None:
        nn.init.zeros_(model.network.looks.read.weight)


def _misfit(path: Path, why: str) -> UserError:
    return UserError(f"{path} {why}; begin from another cart, or from nothing (dynamics.init_from: '').")
