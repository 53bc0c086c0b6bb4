"""Training that begins from a cart's weights instead of fresh ones: to train on, or to teach a
dream what new recordings show.

Weights mean something only for what they were trained on. So half of the tiles that the recordings
show must be the cart's own; they may have other numbers (by how often each is seen), and new ones,
new rows and columns of the screen and new backdrops begin as what is nearest to them (`grow.py`).
"""

import torch
from torch import nn

from dreamcart.core.errors import UserError
from dreamcart.dynamics.base import Trained
from dreamcart.dynamics.layout import MOST_BACKDROPS, Layout
from dreamcart.dynamics.tokens.grow import joint_window, renumber, unlike, widen
from dreamcart.dynamics.tokens.history import Summary
from dreamcart.dynamics.tokens.model import TokenDynamics


def take_over(start: Trained, pictures: torch.Tensor, buttons: list[str]) -> TokenDynamics:
    """The dynamics of another dream, trained on these buttons and on half of these tokens or more,
    its tokens numbered as here.

    Args:
        pictures: uint8 [vocabulary, ...], what the tokens look like; buttons: by name.

    Raises:
        UserError: it has other buttons, or hardly any of these tokens, or sums them in another way.
    """
    path = start.source
    if not isinstance(start.dynamics, TokenDynamics):
        raise UserError(
            f"{path} is no dream of tokens, so dynamics.init_from cannot begin from it; choose"
            " another cart."
        )
    if list(start.buttons) != list(buttons):
        raise _misfit(
            path, f"has the buttons {', '.join(start.buttons)}, and this game {', '.join(buttons)}"
        )
    known = start.pictures
    if not torch.equal(known, pictures):
        gaps = (
            unlike(pictures, known)
            if known.shape[1:] == pictures.shape[1:]
            else torch.ones(len(pictures), len(known))
        )
        if (gaps == 0).any(1).sum() < len(pictures) / 2:  # another game
            raise _misfit(path, "was trained on other tiles than these recordings show")
        # two kinds of `Summary`
        if (len(known) > Summary.LIMIT) != (len(pictures) > Summary.LIMIT):
            sizes = f"knows {len(known)} tiles and these recordings show {len(pictures)}"
            raise _misfit(
                path,
                f"{sizes}, which makes a network of another size where only one is above"
                f" {Summary.LIMIT}",
            )
        renumber(start.dynamics, gaps.argmin(1), gaps.argmin(0))
    return start.dynamics


def fit_layout(layout: Layout, trained: TokenDynamics, path: str) -> Layout:
    """`layout` and the trained dynamics' own in one: a window for both, its backdrops in the
    numbers that it has for them, and after them those that it does not know (as many as a layout
    may have).

    Raises UserError where the screen is another one, or the window cannot grow.
    """
    known = trained.layout
    cells = (
        joint_window(known, layout)
        if known.backdrops.shape[1:] == layout.backdrops.shape[1:]
        else None
    )
    if cells is None:
        raise _misfit(path, "looks at another part of the screen than these recordings change")
    still = torch.ones(layout.backdrops[0].numel(), dtype=torch.bool)
    for one in (known, layout):
        still[one.cells[one.mask]] = False
    mask = (cells >= 0) & ~still[cells]
    behind = {scene.numpy().tobytes() for scene in known.backdrops.flatten(1)[:, still]}
    fresh = []
    for number, scene in enumerate(layout.backdrops.flatten(1)[:, still]):
        if scene.numpy().tobytes() not in behind:
            behind.add(scene.numpy().tobytes())
            fresh.append(number)
    return Layout(
        cells, mask, torch.cat([known.backdrops, layout.backdrops[fresh]])[:MOST_BACKDROPS]
    )


def take_weights(model: TokenDynamics, trained: TokenDynamics, path: str) -> None:
    """Copy the trained network, grown to the fresh one's layout (see `fit_layout`), into the fresh
    one, whose looks begin at nothing: the trained tables hold theirs already. Where an older one
    has no glance, dials or inertia, the fresh one tells nothing of them yet; where it has no
    `Deed`, or knows less of its dials' past, it says what that said.

    Raises UserError where the networks are not of one size.
    """
    widen(trained, model.layout)
    fewer = (
        trained.network.dialled is not None and trained.network.dial_past < model.network.dial_past
    )
    older = {
        "glance.": trained.network.glance is None,
        "slot.": isinstance(trained.network.slot, nn.Linear),
        "dialled.": trained.network.dialled is None or fewer,
        "carry.": trained.network.carry is None,
    }
    fresh = ("looks.", *(name for name, lacking in older.items() if lacking))
    sizes = {
        name: weight.shape
        for name, weight in model.network.state_dict().items()
        if not name.startswith(fresh)
    }
    weights = {
        name: weight
        for name, weight in trained.network.state_dict().items()
        if not name.startswith(fresh)
    }
    if sizes != {name: weight.shape for name, weight in weights.items()}:
        raise _misfit(
            path,
            "is a network of another size (dynamics.history_frames, or a setting of"
            " dynamics.tokens)",
        )
    model.network.load_state_dict(weights, strict=False)
    if older["slot."]:
        model.network.slot.become(trained.network.slot)
    if fewer:
        model.network.dialled.become(trained.network.dialled)
    if model.network.looks is not None:
        nn.init.zeros_(model.network.looks.read.weight)


def _misfit(path: str, why: str) -> UserError:
    return UserError(
        f"{path} {why}; begin from another cart, or from nothing (dynamics.init_from: '')."
    )
