"""What tokens may be where things have gone: those that show each thing where it is now, and no
longer where it was.

What else a cell shows (a brick beside the ball, or none any more) is left to the network.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from dreamcart.dynamics.tokens.inertia import Thing, stamp


class Tiles:
    """What tokens look like, uint8 [V, t, t], see `inertia.colours`; and of each colour the pixels
    that show it, as bits, for tokens are many and asked about at every step.
    """

    def __init__(self, tiles: np.ndarray, colours: Iterable[int]) -> None:
        self.tiles, self.side = tiles, tiles.shape[1]
        self.bits = {colour: _bits(tiles == colour) for colour in colours}


def claims(
    tiles: Tiles,
    tokens: np.ndarray,
    leave: Sequence[Thing],
    come: Sequence[Thing],
    other: Sequence[Thing] = (),
) -> Iterator[tuple[int, int, np.ndarray]]:
    """The cells that things leave or come to, and which tokens they may show: row, column, bool
    [V]. A cell that no tile shows as it must be is left out.

    Args:
        tiles: with all of the things' colours; tokens: int [H, W], the screen now; leave, come:
            things as they are, and as they will be (in both, if they stay); other: things that
            might have come and do not.
    """
    side = tiles.side
    shape = tokens.shape[0] * side, tokens.shape[1] * side
    colours = {thing.colour for thing in (*leave, *come, *other)}
    wanted, bared = (
        np.full(shape, -1, np.int16),
        {colour: np.zeros(shape, bool) for colour in colours},
    )
    cells = np.zeros(tokens.shape, bool)
    for thing in (*leave, *come, *other):
        cells[
            _span(thing.y, thing.mask.shape[0], side), _span(thing.x, thing.mask.shape[1], side)
        ] = True
    for thing in leave:
        stamp(bared[thing.colour], thing, True)
    for thing in come:
        stamp(wanted, thing, thing.colour)
    for row, column in np.argwhere(cells):
        part = np.s_[row * side : (row + 1) * side, column * side : (column + 1) * side]
        need, now, fits = (
            wanted[part],
            tiles.tiles[tokens[row, column]],
            np.ones(len(tiles.tiles), bool),
        )
        for colour in colours:
            must = need == colour
            may = must | ((now == colour) & ~bared[colour][part] & (need < 0))
            shown, wanted_bits, other_bits = tiles.bits[colour], _bits(must), ~_bits(may)
            fits &= ((shown & wanted_bits) == wanted_bits).all(1) & ((shown & other_bits) == 0).all(
                1
            )
        if fits.any():
            yield int(row), int(column), fits


def _bits(pixels: np.ndarray) -> np.ndarray:
    """bool [..., t, t] → uint64 [..., W]."""
    packed = np.packbits(pixels.reshape(*pixels.shape[:-2], -1), axis=-1)
    if packed.shape[-1] % 8:
        packed = np.pad(packed, [(0, 0)] * (packed.ndim - 1) + [(0, -packed.shape[-1] % 8)])
    return np.ascontiguousarray(packed).view(np.uint64)


def _span(first: int, size: int, side: int) -> slice:
    """The cells of a span of pixels; what is beyond the screen's begin is cut off."""
    return slice(max(first // side, 0), max((first + size - 1) // side + 1, 0))
