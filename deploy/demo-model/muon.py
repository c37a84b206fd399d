"""Muon: momentum whose matrices are made orthogonal, for the matrices of a decoder's blocks.

Source: https://kellerjordan.github.io/posts/muon/, with the rate scaled as https://arxiv.org/abs/2502.16982 says, so that AdamW's rates fit.
`torch.optim.Muon` does the same in bfloat16 only, which a CPU without AVX-512 computes tens of times slower than single precision, and does all of
it in every process of a run.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, distributed, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Processes of a run hold the same gradients; each makes its share of the updates, and all get all of them."""

    def __init__(self, matrices: Iterable[nn.Parameter], *, lr: float, weight_decay: float, momentum: float, half: bool) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self.kind = torch.bfloat16 if half else torch.float32

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            for weight, update in zip(weights, self._updates(weights, group["momentum"]), strict=True):
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(update, alpha=group["lr"] * 0.2 * max(weight.shape) ** 0.5)

    def _updates(self, weights: list[nn.Parameter], momentum: float) -> list[Tensor]:
        processes = distributed.get_world_size() if distributed.is_initialized() else 1
        own = distributed.get_rank() if distributed.is_initialized() else 0
        updates = []
        for place, weight in enumerate(weights):
            average = self.state[weight].setdefault("momentum_buffer", torch.zeros_like(weight))
            average.lerp_(weight.grad, 1 - momentum)
            looked_ahead = weight.grad.lerp(average, momentum)
            mine = place % processes == own
            updates.append(orthogonal(looked_ahead.to(self.kind)).to(weight.dtype) if mine else torch.zeros_like(weight))
        if processes > 1:
            flat = torch.cat([update.flatten() for update in updates])
            distributed.all_reduce(flat)
            parts = torch.split(flat, [update.numel() for update in updates])
            updates = [part.view_as(update) for part, update in zip(parts, updates, strict=True)]
        return updates


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest orthogonal matrix, roughly: singular values between 0.5 and 1.5, by Newton and Schulz's iteration."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    found = matrix.T if tall else matrix
    found = found / found.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = found @ found.T
        found = torch.addmm(found, torch.addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.T if tall else found
