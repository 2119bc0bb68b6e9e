"""Means over probability mass of which a part was not decoded: the value and rigorous bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.statistics.intervals import Estimate

__all__ = ["bounded_mean"]

FloatArray = NDArray[np.float64]


def bounded_mean(
    values: FloatArray,
    weights: FloatArray,
    image: NDArray[np.int64],
    unresolved: NDArray[np.bool_],
    worst: float,
    best: float,
    within_known: bool = False,
) -> Estimate:
    """Mean over images of each image's expectation, with bounds for the mass that was not decoded.

    The value in between takes an image's unknown mass to be like its known mass (or halfway, if nothing is known).
    Without unknown mass all three are the weighted sum.

    Args:
        values: float [n], one row per distinct usable mask of an image; an image's weights sum to one.
        weights: float [n], likewise.
        image: int [n], its number from 0.
        unresolved: bool [n], rows that stand for mass of unknown value.
        worst: The least value that unknown mass can have.
        best: The greatest value that unknown mass can have.
        within_known: The greatest is the image's best known value instead (the decoded masks are the likeliest and
            contain the fullest; fewer packets do not make a better image), and a known value below ``worst`` lowers it.

    Returns:
        The mean and its bounds.

    >>> row_values, mass = np.array([30.0, np.nan]), np.array([0.9, 0.1])
    >>> bounds = bounded_mean(row_values, mass, np.zeros(2, int), np.array([False, True]), 13.0, 100.0, True)
    >>> [round(x, 6) for x in bounds]
    [30.0, 28.3, 30.0]
    """
    value = low = high = 0.0
    for one in range(int(image.max()) + 1):
        mine = image == one
        known = mine & ~unresolved
        rest = float(weights[mine & unresolved].sum())
        mass, total = float(weights[known].sum()), float((values[known] * weights[known]).sum())
        least, most = _ends(values[known], worst, best, within_known)
        like_known = total / mass if mass > 0 else _between(least, most)
        value, low, high = value + total, low + total, high + total
        if rest > 0:  # a bound may be infinite
            value, low, high = value + rest * like_known, low + rest * least, high + rest * most
    everything = float(weights.sum())
    return Estimate(value / everything, min(low, value) / everything, max(high, value) / everything)


def _between(least: float, most: float) -> float:
    return (least + most) / 2 if np.isfinite([least, most]).all() else np.nan


def _ends(known: FloatArray, worst: float, best: float, within_known: bool) -> tuple[float, float]:
    if not within_known or known.size == 0:
        return worst, best
    return min(worst, float(known.min())), max(worst, float(known.max()))
