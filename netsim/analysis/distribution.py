"""The distribution of a quality over slots: per image and over the set, exact where the rows are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.slot_values import metric_values, slot_quality
from netsim.analysis.summary import GROUP
from netsim.metrics.further import further_metrics, scale_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["QUANTILES", "SET", "Distribution", "distributions", "weighted_quantiles"]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
SET = "all"
"""The image column's entry in the rows over the whole set."""


def distributions(groups: Iterable[pd.DataFrame], failure_db: float) -> pd.DataFrame:
    """One row per summary group, metric and image, and one over all images (image = ``all``).

    A failed slot counts as ``failure_db`` (PSNR) or as the metric says (``netsim.metrics.further``; MS-SSIM: 0), and is
    left out where it does not say. Weighted by ``weight``: for exact rows these are the distribution itself, with no
    sampling error; mass that was not resolved is left out of mean, variance and quantiles and stated.

    Args:
        groups: Logs of one group each (equal scheme, operating point, channel, link, engine), slot rows only.
        failure_db: What a failed slot counts as in PSNR.

    Returns:
        Columns: the group's, metric, image, mean, variance (of a slot's quality), quantiles q01 … q99, failure_ratio,
        unresolved.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for group in groups:
        key = {name: str(group[name].iloc[0]) for name in GROUP}
        spread = Distribution(failure_db)
        spread.add(group)
        rows += [{**key, **row} for row in spread.rows()]
    return pd.DataFrame(rows)


class Distribution:
    """The distribution of one group's slots, which are added in parts: memory grows with distinct values."""

    def __init__(self, failure_db: float) -> None:
        self.failure_db = failure_db
        self._images: dict[str, int] = {}
        self._metrics: dict[str, _Histogram] = {}
        self._shown = False

    def add(self, group: pd.DataFrame) -> None:
        """Add slots of the group.

        Args:
            group: Slots, without rows of single packets.
        """
        import pandas as pd

        codes, names = pd.factorize(group["image"])
        numbers = [self._images.setdefault(str(name), len(self._images)) for name in names]
        image = np.array(numbers, dtype=np.int64)[codes]
        weight = group["weight"].to_numpy(dtype=np.float64)
        share = weight  # never negative
        if "design_weight" in group and group["design_weight"].notna().any():
            share = group["design_weight"].to_numpy(dtype=np.float64)
        failed = (group["status"] == "failed").to_numpy()
        unresolved = (group["status"] == "unresolved").to_numpy()
        self._shown |= not (failed | unresolved).all()
        for name in ("psnr_db", *further_metrics(group.columns)):
            histogram = self._metrics.setdefault(name, _Histogram())
            if name == "psnr_db":
                values = slot_quality(group, self.failure_db)
            else:
                values = metric_values(group, name, scale_of(name), failed)
                histogram.measured |= bool(group[name].notna().any())
            histogram.add(image, values, weight, share, failed, unresolved)

    def rows(self) -> list[dict[str, Any]]:
        """The distribution of each metric and image, and of all images.

        Returns:
            Keys metric, image, mean … unresolved.
        """
        found = []
        for metric, histogram in self._metrics.items():
            if metric != "psnr_db" and self._shown and not histogram.measured:
                continue  # older logs have a column of MS-SSIM also where nobody asked for it
            for image, number in [*self._images.items(), (SET, None)]:
                found.append({"metric": metric, "image": image, **histogram.describe(number)})
        return found


class _Histogram:
    """Weights of distinct values by image."""

    def __init__(self) -> None:
        self.measured = False
        self._image = np.zeros(0, dtype=np.int64)
        self._value, self._weight, self._share = np.zeros((3, 0))
        self._waiting: list[tuple[NDArray[Any], ...]] = []
        self._new = 0
        self._totals = np.zeros((3, 0))  # by image: all weight, that of failed slots, that of unresolved ones

    def add(
        self,
        image: NDArray[np.int64],
        values: NDArray[np.float64],
        weight: NDArray[np.float64],
        share: NDArray[np.float64],
        failed: NDArray[np.bool_],
        unresolved: NDArray[np.bool_],
    ) -> None:
        images = int(image.max()) + 1
        if images > self._totals.shape[1]:
            self._totals = np.pad(self._totals, ((0, 0), (0, images - self._totals.shape[1])))
        for total, mass in zip(self._totals, (weight, weight * failed, weight * unresolved), strict=True):
            total += np.bincount(image, mass, len(total))
        known = ~unresolved & ~np.isnan(values)
        self._waiting.append(_distinct(image[known], values[known], weight[known], share[known]))
        self._new += len(self._waiting[-1][0])
        if self._new > max(len(self._value), _WAITING):
            self._merge()

    def _merge(self) -> None:
        if not self._waiting:
            return
        pieces = zip((self._image, self._value, self._weight, self._share), *self._waiting, strict=True)
        self._image, self._value, self._weight, self._share = _distinct(*map(np.concatenate, pieces))
        self._waiting, self._new = [], 0

    def describe(self, image: int | None) -> dict[str, float]:
        """mean … unresolved of an image's slots; None: of all."""
        self._merge()
        mine = slice(None) if image is None else slice(*np.searchsorted(self._image, [image, image + 1]))
        values, inside, share = self._value[mine], self._weight[mine], self._share[mine]
        total, failed, unresolved = self._totals.sum(axis=1) if image is None else self._totals[:, image]
        if len(values):
            inside = inside / inside.sum()
            mean = float((values * inside).sum())
            quantiles = weighted_quantiles(values, share, QUANTILES)
        else:  # no slot showed an image
            mean, quantiles = np.nan, np.full(len(QUANTILES), np.nan)
        return {
            "mean": mean,
            "variance": max(float((inside * (values - mean) ** 2).sum()), 0.0) if len(values) else np.nan,
            **{f"q{round(100 * q):02d}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)},
            "failure_ratio": float(failed / total),
            "unresolved": float(unresolved / total),
        }


_WAITING = 1 << 16  # entries that are merged at least


def _distinct(
    image: NDArray[np.int64], value: NDArray[np.float64], weight: NDArray[np.float64], share: NDArray[np.float64]
) -> tuple[NDArray[Any], ...]:
    """Entries of equal image and value added up, in the order of image and value."""
    if not len(image):
        return image, value, weight, share
    order = np.lexsort((value, image))
    image, value, weight, share = (one[order] for one in (image, value, weight, share))
    new = (np.diff(image) != 0) | (value[1:] != value[:-1])
    starts = np.concatenate([[0], np.flatnonzero(new) + 1])
    return image[starts], value[starts], np.add.reduceat(weight, starts), np.add.reduceat(share, starts)


def weighted_quantiles(
    values: NDArray[np.float64], weights: NDArray[np.float64], quantiles: Iterable[float]
) -> NDArray[np.float64]:
    """The smallest value whose cumulative weight reaches each quantile (inverse of the distribution function).

    Args:
        values: float64 [n].
        weights: float64 [n], above 0 in sum.
        quantiles: From 0 to 1.

    Returns:
        float64, one value per quantile.

    >>> weighted_quantiles(np.array([3.0, 1.0, 2.0]), np.array([0.5, 0.25, 0.25]), [0.25, 0.5, 0.51])
    array([1., 2., 3.])
    """
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    asked = np.array(list(quantiles)) * cumulative[-1]
    index = np.searchsorted(cumulative, asked * (1 - 1e-12), side="left")
    return np.asarray(values[order][np.minimum(index, len(values) - 1)])
