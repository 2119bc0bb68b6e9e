"""Gains: one set of weights for a range of rates.

In front of the hyperprior and of the quantiser each channel of the latent is multiplied by a learned gain, and before
the synthesis transform by a learned inverse gain (Cui et al., "Asymmetric gained deep image compression with
continuous rate adaptation", CVPR 2021, eq. 3-5). A gain belongs to a λ; between two λ it is interpolated.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["LAMBDAS", "first_log_gains", "interpolated", "lambda_of", "quality_of"]

#: of quality 0, 1, … : paper 1, §4.1, has those of 1, 2 and 3; 0 reaches the lowest rates of its Table 1
LAMBDAS = (0.0005, 0.0018, 0.0035, 0.0067, 0.013)


def first_log_gains(lambdas: Sequence[float], reference: float) -> Tensor:
    """Log-gains before training, (λ,): at high rate, quantisation steps are proportional to 1/√λ.

    >>> first_log_gains([0.0067], 0.0067).tolist()
    [0.0]
    """
    return torch.tensor([0.5 * math.log(lam / reference) for lam in lambdas])


def lambda_of(quality: float) -> float:
    """λ of a quality: log-linear between those of ``LAMBDAS``.

    >>> lambda_of(0), lambda_of(1), lambda_of(3), round(lambda_of(1.5), 6)
    (0.0005, 0.0018, 0.0067, 0.00251)
    """
    left = min(int(quality), len(LAMBDAS) - 2)
    if quality == int(quality):
        return LAMBDAS[int(quality)]
    low, high = (math.log(lam) for lam in LAMBDAS[left : left + 2])
    return math.exp(low + (quality - left) * (high - low))


def quality_of(lam: float) -> float:
    """The quality of a λ: the inverse of :func:`lambda_of`; outside of ``LAMBDAS``, that of the nearest.

    >>> quality_of(0.0018), quality_of(0.0035), round(quality_of(0.001), 3)
    (1.0, 2.0, 0.541)
    """
    for left, (low, high) in enumerate(itertools.pairwise(LAMBDAS)):
        if lam <= high:
            return left + max(0.0, math.log(lam / low) / math.log(high / low))
    return len(LAMBDAS) - 1.0


def interpolated(log_gains: Tensor, lambdas: Sequence[float], lam: Tensor) -> Tensor:
    """Gains for each λ of a batch.

    Args:
        log_gains: (len(lambdas), C).
        lambdas: Ascending. A single one gives its gain to every λ.
        lam: (B,), within the range of ``lambdas``.

    Returns:
        (B, C), log-linear in log λ between the rows of ``log_gains``.
    """
    if len(lambdas) == 1:
        return torch.exp(log_gains).expand(len(lam), -1)
    knots = torch.log(torch.tensor(lambdas, dtype=log_gains.dtype, device=lam.device))
    where = torch.log(lam.to(log_gains.dtype))
    right = torch.bucketize(where, knots).clamp(1, len(lambdas) - 1)
    share = ((where - knots[right - 1]) / (knots[right] - knots[right - 1])).clamp(0, 1)[:, None]
    return torch.exp(log_gains[right - 1] * (1 - share) + log_gains[right] * share)
