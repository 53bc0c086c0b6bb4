"""The kinds of movers in a flight."""

import torch

from dreamcart.dynamics.tokens.movers.kinds import Kinds
from toys.flight import HEIGHT, WIDTH


def kinds(*shapes: tuple[int, int, int], **parts: list) -> Kinds:
    """Kinds that are boxes (colour, height, width), seen everywhere; parts:

    `ways`, `births` and others.
    """
    height, width = (max(shape[axis] for shape in shapes) for axis in (1, 2))
    table = Kinds.empty(
        len(shapes), height, width, len(parts.get("ways", ())), len(parts.get("births", ()))
    )
    for number, (colour, *size) in enumerate(shapes):
        table.colours[number], table.sizes[number] = colour, torch.tensor(size)
        table.masks[number, : size[0], : size[1]] = True
    table = table.everywhere(HEIGHT, WIDTH)
    for name, part in parts.items():
        getattr(table, name)[:] = torch.tensor(part)
    return table
