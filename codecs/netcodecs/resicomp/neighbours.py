"""What the known neighbours of a token say about it: weighted means of their values and magnitudes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["neighbour_statistics", "statistics_of"]

_RADIUS = 2
_FLOOR = 0.25  # of the weight that a mean is divided by: few far neighbours say little


def statistics_of(channels: int) -> int:
    """Number of statistics per token, of tokens with so many channels."""
    return 2 * channels + 1


def neighbour_statistics(tokens: Tensor, known: Tensor) -> Tensor:
    """Weighted means over the known tokens within two rows and columns.

    A token at distance (i, j) has the weight w = 2^-(i² + j²). Of S = Σ w and T = Σ w·t the mean is T / (S + 1/4).
    All weights are powers of two and each sum is of shifted arrays: where tokens are multiples of 2⁻¹⁶ in float64, no
    sum is rounded, and the one division per element is the same on every machine.

    Args:
        tokens: (B, H, W, C); B may be 1 for several masks of one image. Ignored where not known.
        known: bool (B, H, W).

    Returns:
        (B, H, W, 2·C + 1) of the tokens' dtype: means of values and of magnitudes, and S / (S + 1/4).

    >>> tokens = torch.tensor([-4.0, 0.0, 2.0]).view(1, 1, 3, 1)
    >>> known = torch.tensor([True, False, True]).view(1, 1, 3)
    >>> neighbour_statistics(tokens, known)[0, 0, 1].tolist()  # S = 1/2 + 1/2
    [-0.800000011920929, 2.4000000953674316, 0.800000011920929]
    """
    here = known[..., None]
    both = torch.where(here, torch.cat([tokens, tokens.abs()], -1), tokens.new_zeros(()))
    sums = _weighted(_weighted(torch.cat([both, here.to(tokens.dtype)], -1), 1), 2)
    weight = sums[..., -1:]
    return sums / (weight + _FLOOR)


def _weighted(values: Tensor, axis: int) -> Tensor:
    """Σ 2^-i² · values shifted by i along an axis of (B, H, W, C), |i| ≤ 2; zeros outside."""
    size, growth = values.shape[axis], [0] * 2 * (values.dim() - axis)
    growth[-2:] = [_RADIUS, _RADIUS]
    padded = functional.pad(values, growth)
    total = values
    for step in (1, 2):
        pair = padded.narrow(axis, _RADIUS - step, size) + padded.narrow(axis, _RADIUS + step, size)
        total = total + pair * 2.0 ** -(step * step)
    return total
