"""Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): momentum, made orthogonal, for
weight matrices.

On dynamics of tiles it needed about a third fewer steps than AdamW for the same loss (docs/lab).
torch has one too, but for two-dimensional weights only and in bfloat16, which most CPUs emulate:
this one takes convolutions and is fp32.
"""

import torch

MOMENTUM = 0.95
ROUNDS = 5  # Newton–Schulz iterations
QUINTIC = (3.4445, -4.7750, 2.0315)  # their polynomial: quick rather than exact
# size of an update, of AdamW's (0.2 gives the same root mean square; twice that trained faster)
MATCH = 0.4


class Muon(torch.optim.Optimizer):
    """For weights of two dimensions or more; those of convolutions count as [out, in · kernel]."""

    def __init__(self, params: list[torch.nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            alike: dict[torch.Size, list[torch.nn.Parameter]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    alike.setdefault(weight.shape, []).append(weight)
            # equal shapes at once: the matrices are small, and calls are what costs
            for weights in alike.values():
                ahead = torch.stack([self._ahead(weight) for weight in weights]).flatten(2)
                updates = orthogonal(ahead) * (MATCH * max(ahead.shape[1:]) ** 0.5)
                for weight, update in zip(weights, updates, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(
                        update.view_as(weight), alpha=-group["lr"]
                    )

    def _ahead(self, weight: torch.nn.Parameter) -> torch.Tensor:
        """The gradient with momentum, looking ahead (Nesterov)."""
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
        return weight.grad.lerp(state["momentum"], MOMENTUM)


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """About the nearest (semi-)orthogonal matrices: float32 [N, m, n] → [N, m, n], singular values
    all near 1.
    """
    a, b, c = QUINTIC
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    for _ in range(ROUNDS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x
