"""95 % intervals for means and ratios of slots that are not independent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betaincinv, gammaincinv, ndtri, stdtrit  # scipy.stats takes half a second to load

__all__ = [
    "BatchSums",
    "Estimate",
    "Losses",
    "batch_labels",
    "batch_sums",
    "batch_variance",
    "clopper_pearson",
    "difference_interval",
    "failure_drop",
    "mean_interval",
    "median_interval",
    "quality_interval",
    "quality_interval_of_sums",
    "ratio_interval",
    "student_quantile",
    "variance_interval",
    "with_failures",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LEVEL = 0.95
_FEWEST = 5  # batches from which a t interval is taken as it is
_FEWEST_FOR_KURTOSIS = 10  # values
_RARE = 0.1  # share of the slots: losses that are rarer have a part of their own where no slot can fail
_SLOT_BATCHES = 20  # batches cut from the slots where there are fewer trials than that


class Estimate(NamedTuple):
    """A value with its 95 % interval; low and high are NaN where the data say nothing about the spread."""

    value: float
    low: float
    high: float


class BatchSums(NamedTuple):
    """The sums of a variable over slots that its intervals are made of.

    Sums of parts of the slots add, where they have the same origin and batches.

    Attributes:
        mass: float64 [batches], Σ w.
        sums: float64 [batches], Σ w·(v - origin).
        squares: Σ w·(v - origin)² over all slots.
        weight_squares: Σ w² over all slots.
        origin: Some value of the variable: a constant one has sums of exactly 0.
    """

    mass: FloatArray
    sums: FloatArray
    squares: float
    weight_squares: float
    origin: float

    @property
    def mean(self) -> float:
        """The weighted mean."""
        return self.origin + float(self.sums.sum() / self.mass.sum())

    @property
    def spread(self) -> float:
        """The weighted variance over slots (n, not n - 1)."""
        total = float(self.mass.sum())
        return max(self.squares / total - (float(self.sums.sum()) / total) ** 2, 0.0)


class Losses(NamedTuple):
    """The slots that lost packets. share: sums of 1 for each of them, 0 for others. quality: their mean quality."""

    share: BatchSums
    quality: float


def batch_sums(
    values: FloatArray | NDArray[np.bool_], weights: FloatArray, batch: IntArray, origin: float | None = None
) -> BatchSums:
    """The sums of a variable.

    Args:
        values: float64 or bool [n].
        weights: float64 [n].
        batch: int64 [n], from ``batch_labels``.
        origin: Of the sums; None: the first value, 0 for bool.

    Returns:
        The sums.
    """
    if origin is None:
        origin = float(values[0]) if values.dtype != bool and math.isfinite(values[0]) else 0.0
    apart = weights * (values - origin)
    squares = float((apart * (values - origin)).sum())
    mass, sums = (np.bincount(batch, one).astype(np.float64) for one in (weights, apart))
    return BatchSums(mass, sums, squares, float((weights**2).sum()), origin)


def batch_labels(trial: IntArray, slot: IntArray, images: int) -> IntArray:
    """The batch that each slot belongs to; batches are taken as independent, slots inside one are not.

    A batch is a trial if there are at least five trials. With fewer, each trial is cut into blocks of consecutive
    slots (up to twenty in all): of whole passes over the images where at least five passes were made, so that the
    images' differences do not count as spread; else of single slots or more, where they do count, which widens
    the interval.

    Args:
        trial: int [n], counted over all plan rows and trials.
        slot: int [n], the slot's number.
        images: Number of distinct images.

    Returns:
        int [n], labels from 0.

    >>> batch_labels(np.array([0, 0, 0, 0]), np.array([0, 1, 2, 3]), images=2)
    array([0, 1, 2, 3])
    """
    trials, of = np.unique(trial, return_inverse=True)
    if len(trials) >= _FEWEST:
        return of.astype(np.int64)
    positions, longest = _positions(of, slot)
    passes = longest // images
    unit = images if passes * len(trials) >= _FEWEST else 1
    blocks = max(1, min(_SLOT_BATCHES // len(trials), longest // unit))
    length = unit * math.ceil(longest / unit / blocks)
    return np.unique(of * longest + positions // length, return_inverse=True)[1].astype(np.int64)


def _positions(of: IntArray, slot: IntArray) -> tuple[IntArray, int]:
    """Place of each slot within its trial, from 0, and the length of the longest trial."""
    position = np.zeros(len(slot), dtype=np.int64)
    longest = 0
    for one in range(int(of.max()) + 1):
        mine = np.flatnonzero(of == one)
        position[mine[np.argsort(slot[mine], kind="stable")]] = np.arange(len(mine))
        longest = max(longest, len(mine))
    return position, longest


def student_quantile(degrees: float) -> float:
    """The .975 quantile of Student's t distribution.

    Args:
        degrees: Degrees of freedom; may be fractional.

    Returns:
        The quantile.
    """
    return float(stdtrit(degrees, (1 + _LEVEL) / 2))


def mean_interval(values: FloatArray, weights: FloatArray, batch: IntArray) -> Estimate:
    """Weighted mean with the t interval of its batch means.

    mean ± t(.975, b-1)·√v with v = Σ (W_b/W̄)²·(m_b - mean)² / (b·(b-1)) over the b batch means m_b with
    weights W_b: the ratio estimator's variance, the usual s²/b for batches of one size.
    Law and Kelton, "Simulation Modeling and Analysis", §9.5.3.

    Args:
        values: float64 [n], one for each slot.
        weights: float64 [n].
        batch: int64 [n], slots with one label belong together: from ``batch_labels``.

    Returns:
        The mean with its interval; the ends are NaN where there is one batch.

    >>> estimate = mean_interval(np.array([1.0, 2.0, 3.0]), np.ones(3), np.arange(3))
    >>> [round(x, 4) for x in estimate]
    [2.0, -0.4841, 4.4841]
    """
    mean, variance, batches = batch_variance(batch_sums(values, weights, batch))
    if batches < 2:
        return Estimate(mean, math.nan, math.nan)
    half = student_quantile(batches - 1) * math.sqrt(variance)
    return Estimate(mean, mean - half, mean + half)


def batch_variance(of: BatchSums) -> tuple[float, float, int]:
    """Weighted mean, the variance of that mean over batches (NaN for one batch), and the number of batches.

    Args:
        of: Sums of the variable.

    Returns:
        The mean, the variance of the mean, the number of batches.
    """
    mean, batches = of.mean, len(of.mass)
    if batches < 2:
        return mean, math.nan, batches
    residuals = (of.sums - (mean - of.origin) * of.mass) / of.mass.mean()
    return mean, float((residuals**2).sum() / (batches * (batches - 1))), batches


def ratio_interval(happened: NDArray[np.bool_], weights: FloatArray, batch: IntArray, proxy: FloatArray) -> Estimate:
    """Share of slots in which something happened, with the Clopper–Pearson interval of an effective sample.

    The effective sample is p(1-p) over the variance of p between batches, less where the batches are few
    (degrees of freedom), never more than the slots: Korn and Graubard, "Confidence intervals for proportions
    with small expected number of positive counts estimated from survey data", 1998. Where it never or always
    happened, p's variance is 0 and the slots' correlation is taken from ``proxy`` (float [n]: the share of packets
    lost in each slot) instead; where that is constant too, slots count as independent. So none in n independent
    slots gives 0 … 1-.025^(1/n), about 3.7/n.

    Args:
        happened: bool [n].
        weights: float64 [n].
        batch: int64 [n], slots with one label belong together: from ``batch_labels``.
        proxy: float64 [n], share of the packets lost in each slot.

    Returns:
        The share with its interval.

    >>> estimate = ratio_interval(np.zeros(100, bool), np.ones(100), np.arange(100), np.zeros(100))
    >>> [round(x, 4) for x in estimate]
    [0.0, 0.0, 0.0362]
    """
    return _ratio_interval(batch_sums(happened, weights, batch), batch_sums(proxy, weights, batch))


def _ratio_interval(share: BatchSums, proxy: BatchSums) -> Estimate:
    certain = share.mean in (0.0, 1.0)
    return clopper_pearson(share.mean, _effective_sample(proxy if certain else share))


def _effective_sample(of: BatchSums) -> float:
    """How many independent slots tell as much about the mean of a variable as these do."""
    slots = float(of.mass.sum() ** 2 / of.weight_squares)
    _, variance, batches = batch_variance(of)
    spread = of.spread * slots / max(slots - 1, 1)
    if spread == 0 or not variance > 0:
        return slots
    few = student_quantile(max(slots - 1, 1)) / student_quantile(batches - 1)
    return float(min(slots, spread / variance * few**2))


def quality_interval(
    values: FloatArray,
    failed: NDArray[np.bool_],
    weights: FloatArray,
    batch: IntArray,
    proxy: FloatArray,
    failed_value: float,
    can_fail: bool = True,
    can_lose: bool = False,
) -> tuple[Estimate, Estimate]:
    """Mean quality and failure ratio of sampled slots, each with its 95 % interval.

    The mean's interval is made of both parts, since a t interval takes rare failures for too small a risk: see
    ``with_failures``.

    Args:
        values: float64 [n], quality of each slot, failed ones counted as ``failed_value``.
        failed: bool [n], which slots failed.
        weights: float64 [n].
        batch: int64 [n], which slots belong together: from ``batch_labels``.
        proxy: float64 [n], as in ``ratio_interval``.
        failed_value: What a failed slot counts as.
        can_fail: False if it is known that no slot can fail.
        can_lose: True if the channel is known to lose packets, of the sample or not.

    Returns:
        The mean and the failure ratio.
    """
    struck = proxy > 0
    quality, share, lost, of_struck = (batch_sums(one, weights, batch) for one in (values, failed, proxy, struck))
    struck_mean = float(np.average(values[struck], weights=weights[struck])) if weights[struck].sum() else math.nan
    losses = Losses(of_struck, struck_mean) if can_lose else None
    return quality_interval_of_sums(quality, share, lost, failed_value, can_fail, losses)


def quality_interval_of_sums(
    values: BatchSums,
    failed: BatchSums,
    proxy: BatchSums,
    failed_value: float,
    can_fail: bool = True,
    losses: Losses | None = None,
    shown_is_greater: bool | None = True,
) -> tuple[Estimate, Estimate]:
    """The same as ``quality_interval`` from sums, which may have been added up from parts of the slots.

    If no slot can fail, rare losses take the part of failures in the mean's interval: the share of the slots that lose
    packets, and what that costs on average. If the channel can lose packets but lost none of the sample, nothing tells
    what a loss costs: then a loss counts as a failure.

    Args:
        values: Of each slot's quality, failed ones counted as ``failed_value``.
        failed: Of 1 for a slot that failed, 0 for others.
        proxy: As in ``ratio_interval``.
        failed_value: What a failed slot counts as.
        can_fail: False if it is known that no slot can fail.
        losses: Which slots lost packets; None: the channel is not known to lose any.
        shown_is_greater: As in ``with_failures``.

    Returns:
        The mean and the failure ratio.
    """
    ratio = _ratio_interval(failed, proxy) if can_fail else Estimate(0.0, 0.0, 0.0)
    mean, variance, batches = batch_variance(values)
    if batches < 2:
        return Estimate(mean, math.nan, math.nan), ratio
    event, cost, of_event = ratio, failed_value, failed
    if losses is not None and not can_fail:
        if proxy.mean == 0:
            event = _ratio_interval(failed, proxy)
        elif losses.share.mean < _RARE:
            event, cost, of_event = _ratio_interval(losses.share, proxy), losses.quality, losses.share
    drop = failure_drop(mean, event.value, cost)
    rest = max(variance - drop**2 * batch_variance(of_event)[1], 0.0)
    half = student_quantile(batches - 1) * math.sqrt(rest)
    return with_failures(mean, half, event, cost, shown_is_greater), ratio


def failure_drop(mean: float, share: float, failed_value: float) -> float:
    """By how much a failed slot lies below the mean of the slots that did not fail; 0 if all failed.

    Args:
        mean: The mean, failures included.
        share: Share of the slots that failed.
        failed_value: What a failed slot counts as.

    Returns:
        The difference, in the unit of the mean.
    """
    return 0.0 if share >= 1 else (mean - failed_value) / (1 - share)


def with_failures(
    mean: float, half: float, failures: Estimate, failed_value: float, shown_is_greater: bool | None = True
) -> Estimate:
    """The interval of a mean in which failures count as ``failed_value``, from that of its two parts.

    With p the failure ratio and D what a failure costs, the mean is f + (1 - p)·D. The distances of its ends add as
    squares: low = mean - √(half² + (D·(p_high - p))²), high = mean + √(half² + (D·(p - p_low))²). So failures that
    the sample did not meet, or met by luck, widen the side where they count. MOVER: Zou and Donner, "Construction of
    confidence limits about effect measures: a general approach", Statistics in Medicine 27, 2008.

    Args:
        mean: The mean, failures included.
        half: Half the interval's width that everything but the failures' number accounts for.
        failures: The failure ratio with its interval.
        failed_value: f.
        shown_is_greater: Whether slots that do not fail are above f (True) or below it (False); None: not known.

    Returns:
        The mean with its interval. If every slot failed, nothing tells what the others are: the end on their side is
        NaN.

    >>> with_failures(33.0, 0.0, Estimate(0.0, 0.0, 0.05), 13.0)
    Estimate(value=33.0, low=32.0, high=33.0)
    >>> with_failures(1.0, 0.0, Estimate(1.0, 0.8, 1.0), 1.0, shown_is_greater=False)
    Estimate(value=1.0, low=nan, high=1.0)
    """
    if failures.value >= 1:
        if failures.low == 1:
            return Estimate(mean, mean, mean)
        low, high = mean if shown_is_greater else math.nan, math.nan if shown_is_greater is not False else mean
        return Estimate(mean, low, high)
    drop = failure_drop(mean, failures.value, failed_value)
    more, fewer = drop * (failures.high - failures.value), drop * (failures.value - failures.low)
    down, up = (more, fewer) if drop >= 0 else (-fewer, -more)
    return Estimate(mean, mean - math.hypot(half, down), mean + math.hypot(half, up))


def difference_interval(
    values: Sequence[FloatArray],
    failed: Sequence[NDArray[np.bool_]],
    weights: FloatArray,
    batch: IntArray,
    proxy: FloatArray,
    failed_value: float,
    can_fail: Sequence[bool] = (True, True),
    struck: NDArray[np.bool_] | None = None,
) -> Estimate:
    """Mean difference of two schemes over the slots that both met, with its 95 % interval.

    The interval has three parts whose distances add as squares, as in ``with_failures``: the spread of the batch means,
    and how often the first, and the second, fails where the other does not.

    Args:
        values: Quality of the two schemes, float64 [n] each, failed slots counted as ``failed_value``.
        failed: Which slots failed, bool [n] each.
        weights: float64 [n].
        batch: int64 [n], which slots belong together: from ``batch_labels``.
        proxy: float64 [n], as in ``ratio_interval``.
        failed_value: What a failed slot counts as.
        can_fail: False for a scheme of which it is known that no slot can fail.
        struck: Slots in which either lost packets, bool [n]; None: the channel is not known to lose any. If neither
            scheme can fail, rare losses take the part of failures, as in ``quality_interval_of_sums``.

    Returns:
        First less second. If the first failed in every slot, nothing tells how good its other images are, and the upper
        end is NaN; if the second did, the lower end.
    """
    apart = values[0] - values[1]
    if struck is not None and not any(can_fail) and 0 < np.average(struck, weights=weights) < _RARE:
        cost = float(np.average(apart[struck], weights=weights[struck]))
        return quality_interval(apart, struck, weights, batch, proxy, cost)[0]
    mean, variance, batches = batch_variance(batch_sums(apart, weights, batch))
    if batches < 2:
        return Estimate(mean, math.nan, math.nan)
    below, above = 0.0, 0.0
    for mine, sign in ((0, 1.0), (1, -1.0)):
        if not can_fail[mine]:
            continue
        if failed[mine].all():
            below, above = (below, math.nan) if mine == 0 else (math.nan, above)
            continue
        shown, alone = ~failed[mine], failed[mine] & ~failed[1 - mine]
        drop = sign * (float(np.average(values[mine][shown], weights=weights[shown])) - failed_value)
        share = ratio_interval(alone, weights, batch, proxy)
        more, fewer = drop * (share.high - share.value), drop * (share.value - share.low)
        down, up = (more, fewer) if drop >= 0 else (-fewer, -more)
        below, above = math.hypot(below, down), math.hypot(above, up)
        variance -= drop**2 * batch_variance(batch_sums(alone, weights, batch))[1]
    half = student_quantile(batches - 1) * math.sqrt(max(variance, 0.0))
    return Estimate(mean, mean - math.hypot(half, below), mean + math.hypot(half, above))


def clopper_pearson(share: float, sample: float) -> Estimate:
    """The exact binomial 95 % interval of a share.

    Args:
        share: From 0 to 1.
        sample: How many were sampled; may be fractional.

    Returns:
        The share and its interval.
    """
    count, tail = share * sample, (1 - _LEVEL) / 2
    low = 0.0 if count <= 0 else float(betaincinv(count, sample - count + 1, tail))
    high = 1.0 if count >= sample else float(betaincinv(count + 1, sample - count, 1 - tail))
    return Estimate(share, min(low, share), max(high, share))


def variance_interval(values: FloatArray) -> Estimate:
    """Sample variance (n - 1) of independent values with its 95 % interval, also where they are not normal.

    exp(ln(c·s²) ± z·c·√((γ - (n-3)/n) / (n-1))) with c = n/(n - z) and the kurtosis γ taken about a trimmed mean, since
    the χ² interval is wrong where values have a long tail: Bonett, "Approximate confidence interval for standard
    deviation of nonnormal distributions", Computational Statistics & Data Analysis 50, 2006. With fewer than ten values
    χ², which is exact where they are normal. NaN for fewer than two values; without any spread the upper end is NaN.

    Args:
        values: float64 [n].

    Returns:
        The variance and its interval.

    >>> [round(x, 3) for x in variance_interval(np.arange(10.0))]
    [9.167, 4.908, 26.484]
    """
    count = len(values)
    if count < 2:
        return Estimate(math.nan, math.nan, math.nan)
    squares, tail = float(((values - values.mean()) ** 2).sum()), (1 - _LEVEL) / 2
    variance = squares / (count - 1)
    if squares == 0:
        return Estimate(0.0, 0.0, math.nan)
    if count < _FEWEST_FOR_KURTOSIS:
        free = count - 1
        ends = [squares / float(2 * gammaincinv(free / 2, share)) for share in (1 - tail, tail)]  # quantiles of χ²
        return Estimate(variance, *ends)
    quantile = float(ndtri(1 - tail))
    cut = int(count / (2 * math.sqrt(count - 4)))
    centre = float(np.partition(values, (cut, count - cut - 1))[cut : count - cut].mean())
    kurtosis = count * float(((values - centre) ** 4).sum()) / squares**2
    widening = count / (count - quantile)
    half = quantile * widening * math.sqrt(max(kurtosis - (count - 3) / count, 0.0) / (count - 1))
    middle = math.log(widening * variance)
    return Estimate(variance, math.exp(middle - half), math.exp(middle + half))


def median_interval(values: FloatArray) -> Estimate:
    """Median of independent values, with the interval between two of them that holds it with 95 % or more.

    The k-th value from either end, with the largest k for which P(Binomial(n, ½) < k) ≤ .025: no assumption about the
    distribution. NaN for fewer than six values, where no two of them will do.

    Args:
        values: float64 [n].

    Returns:
        The median and its interval.

    >>> median_interval(np.array([5.0, 1.0, 4.0, 2.0, 3.0, 9.0]))
    Estimate(value=3.5, low=1.0, high=9.0)
    """
    count, ordered = len(values), np.sort(values)
    least = int((bdtr(np.arange(count), count, 0.5) <= (1 - _LEVEL) / 2).sum())
    if least < 1:
        return Estimate(float(np.median(values)), math.nan, math.nan)
    return Estimate(float(np.median(values)), float(ordered[least - 1]), float(ordered[count - least]))
