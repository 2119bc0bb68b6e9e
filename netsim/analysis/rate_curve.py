"""Rate–distortion curves between their points: quality is linear in the logarithm of the rate, as in BD-rate."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["RangeMean", "mean_over_range", "share_between"]

_RATE_DIGITS = 9  # of rates that are compared
_SLACK = 0.02
"""Share of the range that a curve may miss at an end and still cover it: codecs meet a target rate nearly."""


class RangeMean(NamedTuple):
    """Mean over a range of rates. kind: ``range`` (covered whole), ``part``, ``point`` (one rate), ``none``."""

    kind: str
    from_bpp: float
    to_bpp: float
    psnr_db: float
    low_db: float
    high_db: float


def mean_over_range(points: NDArray[np.float64], low_bpp: float, high_bpp: float) -> RangeMean:
    """Mean PSNR of a rate–distortion curve over [low_bpp, high_bpp]; no extrapolation.

    Between two points PSNR is linear in the logarithm of the rate, as in BD-rate (VCEG-M33): rate–distortion curves
    are nearly straight there, so that a curve's mean hardly depends on how many points it has. Straight lines over the
    rate itself would put a curve of two points (.39 and .54 bit/pixel) up to .03 dB below one of three.

    A curve that covers a part of the range is averaged over that part; one that meets the range in a single rate
    counts as it is there. A curve that misses an end by up to 2 % of the range's width counts as covering it.
    The interval is the mean of the interval's ends along the curve: the points of a curve share their losses, so
    they err together.

    Args:
        points: float64 [n, 4]: bpp, PSNR in dB and the ends of its interval, in any order.
        low_bpp: Lower end of the range, in bit/pixel.
        high_bpp: Upper end.

    Returns:
        The mean in dB with its interval, what of the range the curve covers, and from where to where; kind ``none``
        where the curve misses the range.

    >>> round(mean_over_range(np.array([[0.2, 30, 30, 30], [0.4, 34, 34, 34]]), 0.3, 0.4).psnr_db, 2)
    33.21
    """
    # a mean of equal rates may be off by a bit
    points = np.column_stack([points[:, 0].round(_RATE_DIGITS), points[:, 1:]])
    low_bpp, high_bpp = round(low_bpp, _RATE_DIGITS), round(high_bpp, _RATE_DIGITS)
    rates = np.unique(points[:, 0])
    merged = np.array([points[points[:, 0] == rate].mean(axis=0) for rate in rates])
    slack = _SLACK * (high_bpp - low_bpp)
    start, end = max(low_bpp, rates[0]), min(high_bpp, rates[-1])
    if start > end:
        return RangeMean("none", rates[0], rates[-1], *[math.nan] * 3)
    if start == end:
        values = merged[np.searchsorted(rates, start), 1:]
        return RangeMean("point", start, end, *values.tolist())
    knots = np.concatenate([[start], rates[(rates > start) & (rates < end)], [end]])
    curves = (np.interp(_log(knots), _log(rates), curve) for curve in merged[:, 1:].T)
    mean, low, high = (_area(knots, curve) / (end - start) for curve in curves)
    whole = start - low_bpp <= slack and high_bpp - end <= slack
    low, high = float(np.minimum(low, mean)), float(np.maximum(high, mean))  # sums are rounded one by one
    return RangeMean("range" if whole else "part", start, end, mean, low, high)


def share_between(low_bpp: float, high_bpp: float, at_bpp: float) -> float:
    """How much the upper of two points counts in the quality of their curve at a rate between them, 0 to 1.

    Args:
        low_bpp: Rate of the lower point, bit/pixel.
        high_bpp: Rate of the upper one.
        at_bpp: The rate between them.

    >>> share_between(0.1, 0.4, 0.2)
    0.5
    """
    low, high, at = _log(np.array([low_bpp, high_bpp, at_bpp]))
    return round(float(np.interp(at, (low, high), (0.0, 1.0))), 12)


def _log(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log(np.maximum(rates, 10.0**-_RATE_DIGITS)))


def _area(rates: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """The integral over the rate of a curve that is linear in its logarithm between points; rates rise."""
    steps, rise = np.diff(rates), np.diff(values)
    widths = np.log1p(steps / np.maximum(rates[:-1], 10.0**-_RATE_DIGITS))  # keeps its digits where rates nearly agree
    return float(np.sum(values[1:] * steps - rise * (steps / widths - rates[:-1])))
