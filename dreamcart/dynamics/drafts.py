"""Jacobi decoding of a frame's tokens.

Decoding is sequential in its result, not in its time. Each cell's random number is fixed first, so
its token is a function of those before it. A draft goes through the network in one pass; up to its
first wrong token all is final, and keys and values of that part are kept. What the pass says is the
next draft, until nothing is wrong (Jacobi decoding, Song et al. 2021). The first draft is what the
past alone says of each cell (a head of its own, as in blockwise decoding, Stern et al. 2018): where
nothing is left to chance it is right, and a frame takes one pass in place of hundreds.
"""

from collections.abc import Callable

import torch

from dreamcart.dynamics.attention import Cache
from dreamcart.dynamics.base import UNTOLD

# a token at least this probable is not left to chance: hundreds of cells a frame would break it
# somewhere
SURE = 0.9
MOST_PASSES = 32  # drafts of a frame; what is open then is taken as the last one says


def decide(
    write: Callable[..., tuple[torch.Tensor, list[Cache]]],
    past: tuple[torch.Tensor, ...],
    result: torch.Tensor,
    caches: list[Cache],
    noise: torch.Tensor | None,
    truth: torch.Tensor | None,
) -> torch.Tensor:
    """Return the next frame's tokens, int64 [B, N], as if decided one by one.

    Args:
        write: `TransformerDynamics.write`; past: what it takes first, a row each; result: int64 [B,
            N], a first draft, changed in place; caches: see `write`; noise: [B, N, vocabulary],
            added to the logits of what is not sure; truth: int64 [B, N], taken in its place.
    """
    rows = torch.arange(len(result), device=result.device)  # those with something open
    first = 0
    for _ in range(MOST_PASSES):
        draft = result[rows]
        logits, extended = write(*(part[rows] for part in past), draft, caches, first)
        choice = choose(
            logits,
            None if noise is None else noise[rows, first:],
            None if truth is None else truth[rows, first:],
        )
        wrong = choice != draft[:, first:]
        result[rows, first:] = choice
        left = wrong[:, :-1].any(1)  # a last cell that was wrong is right now
        if not left.any():
            break
        # the cells up to the first wrong one are final
        settled = int(wrong[left].int().argmax(1).min()) + 1
        keep = result.shape[1] + first + settled
        caches = [(key[left, :, :keep], value[left, :, :keep]) for key, value in extended]
        rows, first = rows[left], first + settled
    return result


def choose(
    logits: torch.Tensor, noise: torch.Tensor | None, truth: torch.Tensor | None
) -> torch.Tensor:
    """Tokens from their logits [B, T, vocabulary]: the best, or where that is not SURE the drawn or
    the true one.
    """
    best = logits.argmax(2)
    if noise is None and truth is None:
        return best
    sure = logits.softmax(2).amax(2) >= SURE
    other = (
        (logits + noise).argmax(2) if truth is None else torch.where(truth == UNTOLD, best, truth)
    )
    return torch.where(sure, best, other)
