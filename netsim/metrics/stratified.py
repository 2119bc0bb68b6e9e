"""Means of outcomes drawn by loss count (the stratified engine), with their intervals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from netsim.metrics.intervals import Estimate

__all__ = ["stratified_mean"]

_NORMAL_975 = 1.959963984540054


def stratified_mean(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    slot: NDArray[np.int64],
    stratum: NDArray[np.int64],
    unresolved: NDArray[np.bool_],
    worst: float,
    best: float,
) -> Estimate:
    """Weighted mean over slots with its 95 % interval.

    Var = Σ W_h² s_h² / n_h over the strata h of each slot, W_h a stratum's weight, s_h² the variance of its n_h draws
    (Cochran, "Sampling Techniques", theorem 5.3), over the square of the number of slots; the normal quantile.
    What was not drawn (unresolved) widens the interval to all values between worst and best.

    values, weights: float [n]. slot, stratum: int [n], which slot and which loss count. Weights of a slot sum to 1.

    >>> v, w, z = np.array([1.0, 3.0, 7.0, 7.0]), np.array([0.4, 0.4, 0.1, 0.1]), np.zeros(4, int)
    >>> [round(x, 3) for x in stratified_mean(v, w, z, np.array([0, 0, 1, 1]), z.astype(bool), 0.0, 9.0)]
    [3.0, 1.432, 4.568]
    """
    drawn = ~unresolved
    total = weights.sum()
    rest = weights[unresolved].sum() / total
    inside = weights[drawn] / total
    mean = float((inside * values[drawn]).sum() / inside.sum())
    _, group = np.unique(np.column_stack([slot[drawn], stratum[drawn]]), axis=0, return_inverse=True)
    group = group.reshape(-1)
    size, mass = np.bincount(group), np.bincount(group, inside)
    centre = np.bincount(group, values[drawn]) / size
    squares = np.bincount(group, (values[drawn] - centre[group]) ** 2)
    variance = squares / np.maximum(size - 1, 1)
    half = _NORMAL_975 * math.sqrt(float((mass**2 * variance / size).sum()))
    share = float(inside.sum())
    low, high = (rest * worst, rest * best) if rest > 0 else (0.0, 0.0)  # a bound may be infinite
    return Estimate(mean, (mean - half) * share + low, (mean + half) * share + high)
