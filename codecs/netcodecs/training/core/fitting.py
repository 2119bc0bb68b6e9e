"""Fits a few weights of entropy coding to samples: after training, in seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["FITTED_IMAGES", "minimise"]

FITTED_IMAGES = 256  # photos to which entropy coding is fitted


def minimise(
    weights: Sequence[Tensor], bits: Callable[[Tensor], Tensor], places: int, steps: int, batch: int, rate: float
) -> None:
    """Adam on random places; the same at every call with the same number of threads.

    Args:
        weights: Are changed.
        bits: Of the chosen places: int64 (batch,) → (channels, batch).
        places: How many there are.
        steps: How many.
        batch: Places of a step.
        rate: Learning rate, which falls to zero as a cosine.
    """
    for part in weights:
        part.requires_grad_()
    optimiser = torch.optim.Adam(weights, lr=rate)
    generator = torch.Generator().manual_seed(0)
    with torch.enable_grad():
        for step in range(steps):
            for group in optimiser.param_groups:
                group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps))
            loss = bits(torch.randint(places, (batch,), generator=generator)).sum(0).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    for part in weights:
        part.requires_grad_(False)
