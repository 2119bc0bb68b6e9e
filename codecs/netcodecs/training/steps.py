"""What the steps of all trainers have in common: the learning rate's course, spikes, the weight average."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["Spikes", "follow", "rate_factor"]

_SETTLED = 100  # steps after which a gradient's usual size is known


def rate_factor(share: float, warm: float) -> float:
    """Learning rate as a share of its highest: a cosine over the run to a hundredth, after a short rise.

    share: of the run that is over. warm: share over which the rate rises.

    >>> rate_factor(0.0, 0.02), round(rate_factor(0.5, 0.02), 3), rate_factor(1.0, 0.02)
    (0.01, 0.505, 0.01)
    """
    return (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))) * min(1.0, share / warm + 0.01)


class Spikes:
    """Gradients that are better left out. skipped: how many were. usual_norm: of a gradient, a running mean."""

    def __init__(self) -> None:
        self.skipped, self.usual_norm = 0, 0.0

    def is_one(self, norm: float, steps: int) -> bool:
        """Whether a gradient is not finite or ten times the usual one; else it counts towards the usual one.

        steps: done so far. Each spike raises what is usual by a fifth: where gradients have grown for good, few steps
        are lost.
        """
        known = steps > _SETTLED and self.usual_norm > 0
        if not math.isfinite(norm) or (known and norm > 10 * self.usual_norm):
            self.usual_norm *= 1.2
            self.skipped += 1
            return True
        self.usual_norm = norm if self.usual_norm == 0 else 0.98 * self.usual_norm + 0.02 * norm
        return False


@torch.no_grad()
def follow(average: Iterable[Tensor], now: Iterable[Tensor], decay: float, steps: int) -> None:
    """Moves a weight average towards the weights after step ``steps``; the first steps count for more than ``decay``
    lets them."""
    mine = [tensor for tensor in average if tensor.is_floating_point()]
    theirs = [tensor for tensor in now if tensor.is_floating_point()]
    torch._foreach_lerp_(mine, theirs, 1 - min(decay, (1 + steps) / (10 + steps)))
