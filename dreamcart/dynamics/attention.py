"""Transformer blocks with cached keys and values, conditioned by one vector."""

import torch
from torch import nn
from torch.nn import functional as F

Cache = tuple[torch.Tensor, torch.Tensor]  # keys and values, [B, heads, S, D / heads] each


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) over what is cached and what comes now."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.read, self.write = nn.Linear(size, 3 * size), nn.Linear(size, size)

    def forward(
        self, x: torch.Tensor, cache: Cache | None, causal: bool
    ) -> tuple[torch.Tensor, Cache]:
        """x [B, T, D] → the same, and the cache with its keys and values added.

        Where `causal`, a place sees everything cached and, of x, itself and what lies before it;
        else all of both.
        """
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.read(x).chunk(3, 2)
        )
        if cache is not None:
            key, value = torch.cat([cache[0], key], 2), torch.cat([cache[1], value], 2)
        mask = None
        if causal:
            now, all_of_it = query.shape[2], key.shape[2]
            mask = torch.ones(now, all_of_it, dtype=torch.bool, device=x.device).tril(
                all_of_it - now
            )
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.write(seen.transpose(1, 2).flatten(2)), (key, value)


class Block(nn.Module):
    """Pre-norm attention and a layer a place, each scaled and shifted by the condition (adaptive
    norm, Peebles & Xie 2023).
    """

    def __init__(self, size: int, heads: int, condition: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(size, elementwise_affine=False) for _ in range(2))
        self.film = nn.Linear(condition, 4 * size)
        self.attention = Attention(size, heads)
        self.layers = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))
        for layer in (self.attention.write, self.layers[2]):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        x: torch.Tensor,
        condition: torch.Tensor,
        cache: Cache | None = None,
        causal: bool = False,
    ) -> tuple[torch.Tensor, Cache]:
        """x [B, T, D], condition [B, M] → x, and the cache; see `Attention`."""
        scale_a, shift_a, scale_b, shift_b = self.film(condition)[:, None].chunk(4, 2)
        seen, cache = self.attention(
            torch.addcmul(shift_a, self.norms[0](x), 1 + scale_a), cache, causal
        )
        x = x + seen
        return x + self.layers(torch.addcmul(shift_b, self.norms[1](x), 1 + scale_b)), cache
