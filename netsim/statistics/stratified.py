"""Means of the stratified engine's weighted outcomes, with their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.statistics.intervals import Estimate, clopper_pearson, failure_drop, student_quantile, with_failures
from netsim.statistics.surrogate import residuals

__all__ = ["StratifiedSample", "stratified_quality"]

BoolArray = NDArray[np.bool_]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class StratifiedSample:
    """The outcomes of one slot.

    Attributes:
        weight: float64 [n], summing to 1; may be negative.
        design_weight: float64 [n], Horvitz–Thompson weights.
        replicate: int64 [n], 0 for outcomes taken with certainty.
        usable: bool [n, k], the usable packets; an outcome without any failed.
        drawn: How many masks the probabilities were estimated from; 0 where they are exact.
    """

    weight: Floats
    design_weight: Floats
    replicate: Integers
    usable: BoolArray
    drawn: int = 0

    @property
    def failed(self) -> BoolArray:
        """bool [n], which outcomes failed."""
        return np.asarray(~self.usable.any(axis=1))

    def mean(self, values: Floats) -> float:
        """The estimate of the slot's mean.

        Args:
            values: float64 [n], one per row of the sample.

        Returns:
            In their unit.
        """
        return float(self.weight @ values)

    def sampling_variance(self, values: Floats) -> tuple[float, int]:
        """The variance of the mean that sampling causes.

        Each of the replicates estimates the mean error of the surrogate from its own residuals, so the variance is that
        of a mean of independent numbers.

        Args:
            values: float64 [n].

        Returns:
            (variance, degrees of freedom); (0, 0) where nothing was drawn.
        """
        left = self.replicate > 0
        if not left.any():
            return 0.0, 0
        residual = residuals(self.usable, values, self.replicate)
        means = np.bincount(self.replicate[left] - 1, (self.design_weight * residual)[left]) * self.replicate.max()
        return float(means.var(ddof=1) / len(means)), len(means) - 1

    def masks_variance(self, values: Floats) -> float:
        """The variance of the mean that estimated probabilities cause: that of ``drawn`` independent masks.

        Args:
            values: float64 [n].

        Returns:
            0 where the probabilities are exact.
        """
        if self.drawn < 2:
            return 0.0
        spread = float(self.design_weight @ (values - self.mean(values)) ** 2)
        return max(spread, 0.0) / (self.drawn - 1)


def stratified_quality(
    slots: list[tuple[StratifiedSample, Floats]],
    failed_value: float,
    shown_is_greater: bool | None = True,
    can_fail: bool = True,
) -> tuple[Estimate, Estimate]:
    """Mean quality and failure ratio over slots, each with its 95 % interval.

    The variances of the slots add, with a t quantile of Satterthwaite's degrees of freedom; failures widen the interval
    as in ``netsim.statistics.intervals.with_failures``. The failure ratio is exact where the probabilities are.
    Elsewhere it has the Clopper–Pearson interval of an effective sample, ``drawn`` masks in each slot; 0 where no slot
    can fail.

    Args:
        slots: Of each slot its outcomes and their quality, float64 [n], failed ones counted as ``failed_value``.
        failed_value: What a failed outcome counts as.
        shown_is_greater: As in ``netsim.statistics.intervals.with_failures``.
        can_fail: Whether a slot can fail at all, as by a protected packet that suffices it cannot.

    Returns:
        The mean and the failure ratio.
    """
    mean = math.fsum(one.mean(values) for one, values in slots) / len(slots)
    share = math.fsum(one.mean(one.failed.astype(np.float64)) for one, _ in slots) / len(slots)
    drop = failure_drop(mean, share, failed_value)
    parts: list[tuple[float, int]] = []
    of_failures = 0.0
    for one, values in slots:
        parts.append(one.sampling_variance(values))
        mine = one.masks_variance(one.failed.astype(np.float64))
        of_failures += mine
        parts.append((max(one.masks_variance(values) - drop**2 * mine, 0.0), one.drawn - 1))
    variance = sum(part for part, _ in parts) / len(slots) ** 2
    drawn = sum(one.drawn for one, _ in slots) if can_fail else 0
    ratio = _ratio(share, of_failures / len(slots) ** 2, drawn)
    if variance == 0:
        return with_failures(mean, 0.0, ratio, failed_value, shown_is_greater), ratio
    degrees = (variance * len(slots) ** 2) ** 2 / sum(part**2 / free for part, free in parts if free > 0)
    half = student_quantile(degrees) * math.sqrt(variance)
    return with_failures(mean, half, ratio, failed_value, shown_is_greater), ratio


def _ratio(share: float, variance: float, drawn: int) -> Estimate:
    if not drawn:
        return Estimate(share, share, share)
    effective = share * (1 - share) / variance if variance > 0 else float(drawn)
    return clopper_pearson(share, effective)
