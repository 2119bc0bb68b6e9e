"""Means of the stratified engine's weighted outcomes, with their intervals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from netsim.statistics.intervals import Estimate, clopper_pearson, failure_drop, with_failures

__all__ = ["stratified_quality"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def stratified_quality(
    values: Floats,
    failed: NDArray[np.bool_],
    weights: Floats,
    slot: Integers,
    replicate: Integers,
    drawn: Integers,
    usable: Floats,
    failed_value: float,
) -> tuple[Estimate, Estimate]:
    """Mean quality and failure ratio over slots, each with its 95 % interval.

    Of each slot some outcomes stand with their own probability (replicate 0), the others in G independent replicates.
    The weights of the replicates are calibrated to the known mean number of usable packets, so what is left to chance
    are the residuals e_g of their means over a straight line in that number: a slot's variance is
    Σ_g (W_g·e_g)²·G/(G-2), with a t quantile of Satterthwaite's degrees of freedom (Särndal, Swensson, Wretman, "Model
    Assisted Survey Sampling", §6.6). Where the probabilities were estimated from R drawn masks, the
    variance of an independent sample of R comes on top. What the failures' number adds, see
    ``netsim.statistics.intervals.with_failures``.

    The failure ratio is exact where the probabilities are. Elsewhere it has the Clopper–Pearson interval of an
    effective sample, R masks in each slot.

    Args:
        values: float64 [n], quality of each outcome, failed ones counted as ``failed_value``.
        failed: bool [n].
        weights: float64 [n]; those of a slot sum to 1.
        slot: int64 [n], number of the slot.
        replicate: int64 [n].
        drawn: int64 [n], R of the slot; 0 where the probabilities are exact.
        usable: float64 [n], how many packets of each outcome are usable.
        failed_value: What a failed outcome counts as.

    Returns:
        The mean and the failure ratio.
    """
    from scipy.stats import t

    numbers, at = np.unique(slot, return_inverse=True)
    slots = len(numbers)
    mean = float((weights * values).sum() / weights.sum())
    share = float((weights * failed).sum() / weights.sum())
    masks = np.zeros(slots)
    masks[at] = drawn
    of_rest, free = _replicates_variance(values, usable, weights, at, replicate, slots)
    of_masks = _masks_variance(values, weights, at, masks)
    of_failures = _masks_variance(failed.astype(np.float64), weights, at, masks)
    ratio = _ratio(share, float(of_failures.sum()), masks)
    drop = failure_drop(mean, share, failed_value)
    further = np.maximum(of_masks - drop**2 * of_failures, 0.0)
    variance = float(of_rest.sum() + further.sum())
    if variance == 0:
        return with_failures(mean, 0.0, ratio, failed_value), ratio
    parts = [(of_rest[free > 0], free[free > 0]), (further[masks > 1], masks[masks > 1] - 1)]
    degrees = variance**2 / sum(float((part**2 / of).sum()) for part, of in parts)
    half = float(t.ppf(0.975, degrees)) * math.sqrt(variance)
    return with_failures(mean, half, ratio, failed_value), ratio


def _replicates_variance(
    values: Floats, usable: Floats, weights: Floats, at: Integers, replicate: Integers, slots: int
) -> tuple[Floats, Floats]:
    """Of each slot the variance that its sampled outcomes give the mean, and its degrees of freedom."""
    sampled = replicate > 0
    pairs, which = np.unique(np.column_stack([at[sampled], replicate[sampled]]), axis=0, return_inverse=True)
    which, of = which.reshape(-1), pairs[:, 0].astype(np.int64)
    mass = np.bincount(which, weights[sampled], len(pairs))
    y, x = (np.bincount(which, (weights * one)[sampled], len(pairs)) / mass for one in (values, usable))
    count = np.bincount(of, minlength=slots).astype(np.float64)

    def centred(one: Floats) -> Floats:
        return np.asarray(one - (np.bincount(of, one, slots) / np.maximum(count, 1))[of])

    x, y = centred(x), centred(y)
    squares = np.bincount(of, x * x, slots)
    slope = np.bincount(of, x * y, slots) / np.where(squares > 0, squares, 1.0)
    free = np.maximum(count - 1 - (squares > 0), 0)
    residuals = np.bincount(of, (mass * (y - slope[of] * x)) ** 2, slots)
    return residuals * count / np.maximum(free, 1) / slots**2, free


def _masks_variance(values: Floats, weights: Floats, at: Integers, masks: Floats) -> Floats:
    """Of each slot the variance that its estimated probabilities give the mean."""
    slots = len(masks)
    mass = np.bincount(at, weights, slots)
    centre = np.bincount(at, weights * values, slots) / mass
    spread = np.bincount(at, weights * (values - centre[at]) ** 2, slots) / mass
    return np.where(masks > 1, spread / np.maximum(masks - 1, 1), 0.0) / slots**2


def _ratio(share: float, variance: float, masks: Floats) -> Estimate:
    if not masks.any():
        return Estimate(share, share, share)
    effective = share * (1 - share) / variance if variance > 0 else float(masks.sum())
    return clopper_pearson(share, effective)
