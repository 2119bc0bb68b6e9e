"""Mixtures of Gaussians over whole numbers: their likelihood for training, their tables for range coding."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["FLOOR", "LAPLACE_SCALE", "LEAST_SCALE", "log_likelihood", "mixture_mean"]

FLOOR = 1e-5  # share of a wide Laplace distribution in every mixture, so that each symbol can be coded
LEAST_SCALE = 0.05  # in quantisation steps: below it, a symbol is nearly certain
LAPLACE_SCALE = 8.0


def log_likelihood(symbols: Tensor, logits: Tensor, means: Tensor, scales: Tensor) -> Tensor:
    """ln P of whole numbers, (..., C), under mixtures (..., K, C) in quantisation steps (ResiComp, Eq. 6).

    P(s) = (1 - f) Σ_k w_k [Φ((s + ½ - μ_k)/σ_k) - Φ((s - ½ - μ_k)/σ_k)] + f · Laplace, f = ``FLOOR``.

    >>> far = log_likelihood(torch.tensor([40.0]), torch.zeros(1, 1), torch.zeros(1, 1), torch.ones(1, 1))
    >>> bool(-25 < far < -15)
    True
    """
    scales = scales.clamp(min=LEAST_SCALE)
    distance = (symbols.unsqueeze(-2) - means).abs()  # both tails become the lower one, where erfc is exact
    root = scales * 2**0.5
    mass = 0.5 * (torch.erfc((distance - 0.5) / root) - torch.erfc((distance + 0.5) / root))
    gaussian = (logits.softmax(-2) * mass).sum(-2)
    wide = torch.exp(-symbols.abs() / LAPLACE_SCALE) * 0.5 / LAPLACE_SCALE
    return torch.log((1 - FLOOR) * gaussian + FLOOR * wide)


def mixture_mean(logits: Tensor, means: Tensor) -> Tensor:
    """The mixtures' mean, (..., C)."""
    return (logits.softmax(-2) * means).sum(-2)
