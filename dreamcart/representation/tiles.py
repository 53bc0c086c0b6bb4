"""Lossless tokens for games that are drawn from tiles: a frame is a grid of numbers into a
dictionary of tiles.

Nothing is learned: the dictionary is the tiles that the training frames show; of more than
MOST_TILES (a game that moves its figures by single pixels shows ever new pieces of them) those that
are seen most. A frame of nothing but known tiles comes back exact in every pixel; an unknown tile
becomes the nearest known one.
"""

import torch

from dreamcart.representation.base import Representation

MOST_TILES = 4096
CHUNK = 16  # frames looked up at once: a bound on memory


class Tiles(Representation):
    """Latents are tokens, int16 [B, H / t, W / t]."""

    def __init__(self, shape: list[int], tile: int, vocabulary: int) -> None:
        """shape: (H, W, C) of the frames; tile: side t in pixels; vocabulary: number of tiles."""
        super().__init__()
        self.shape, self.tile, self.vocabulary = tuple(shape), tile, vocabulary
        self.latent_shape = (shape[0] // tile, shape[1] // tile)
        self.latent_dtype = torch.int16
        self.register_buffer(
            "tiles", torch.zeros(vocabulary, tile, tile, shape[2], dtype=torch.uint8)
        )
        factors = torch.randint(
            -(2**62), 2**62, (tile * tile * shape[2],), generator=torch.Generator().manual_seed(0)
        )
        self.register_buffer("factors", factors | 1, persistent=False)

    @property
    def pictures(self) -> torch.Tensor:
        """uint8 [vocabulary, t, t, C]: what the tokens look like."""
        return self.tiles

    def lookup(self, tiles: torch.Tensor) -> torch.Tensor:
        """The numbers of the nearest known tiles: uint8 [N, t, t, C] → int64 [N]; a known tile is
        its own nearest.
        """
        known = (self.tiles.flatten(1).long() * self.factors).sum(1)
        order = known.argsort()
        wanted = (tiles.flatten(1).long() * self.factors).sum(1)  # a 64-bit hash, wrapping round
        number = order[torch.searchsorted(known[order], wanted).clamp(max=len(known) - 1)]
        foreign = (known[number] != wanted).nonzero().squeeze(1)
        if len(foreign):
            different, back = tiles[foreign].flatten(1).float().unique(dim=0, return_inverse=True)
            number[foreign] = torch.cdist(different, self.tiles.flatten(1).float(), p=1).argmin(1)[
                back
            ]
        return number

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        """uint8 [B, H, W, C] → int16 [B, H / t, W / t]."""
        rows, columns = self.latent_shape
        tokens = []
        for chunk in frames.split(CHUNK):
            tiles = chunk.view(len(chunk), rows, self.tile, columns, self.tile, -1).transpose(2, 3)
            tokens.append(
                self.lookup(tiles.flatten(0, 2)).to(torch.int16).view(len(chunk), rows, columns)
            )
        return torch.cat(tokens)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """int [B, H / t, W / t] → uint8 [B, H, W, C]."""
        return self.tiles[latents.long()].transpose(2, 3).reshape(len(latents), *self.shape)
