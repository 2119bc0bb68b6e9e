"""The distribution of a quality over slots: per image and over the set, exact where the rows are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.summary import GROUP, slot_quality
from netsim.metrics.further import further_metrics, scale_of, was_measured

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["QUANTILES", "SET", "distributions", "weighted_quantiles"]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
SET = "all"
"""The image column's entry in the rows over the whole set."""


def distributions(groups: Iterable[pd.DataFrame], failure_db: float) -> pd.DataFrame:
    """One row per summary group, metric and image, and one over all images (image = ``all``).

    groups: logs of one group each (equal scheme, operating point, channel, link, engine), slot rows only.
    Columns: the group's, metric, image, mean, variance (of a slot's quality), quantiles q01 … q99, failure_ratio,
    unresolved. A failed slot counts as failure_db (PSNR) or as the metric says (``netsim.metrics.further``; MS-SSIM:
    0), and is left out where it does not say. Weighted by ``weight``: for exact rows
    these are the distribution itself, with no sampling error; mass that was not resolved is left out of mean,
    variance and quantiles and stated.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for group in groups:
        key = {name: str(group[name].iloc[0]) for name in GROUP}
        slots = _Slots(group, failure_db)
        for metric, values in slots.metrics.items():
            for number, image in enumerate([*slots.images, SET]):
                mine = slots.image == number if image != SET else np.ones(len(values), dtype=bool)
                rows.append({**key, "metric": metric, "image": image} | slots.describe(values, mine))
    return pd.DataFrame(rows)


class _Slots:
    """A group's columns as arrays: a group may hold millions of slots."""

    def __init__(self, group: pd.DataFrame, failure_db: float) -> None:
        import pandas as pd

        self.image, names = pd.factorize(group["image"])
        self.images = [str(name) for name in names]
        self.weight = group["weight"].to_numpy(dtype=np.float64)
        self.share = self.weight  # never negative
        if "design_weight" in group and group["design_weight"].notna().any():
            self.share = group["design_weight"].to_numpy(dtype=np.float64)
        self.failed = (group["status"] == "failed").to_numpy()
        self.unresolved = (group["status"] == "unresolved").to_numpy()
        self.metrics = {"psnr_db": slot_quality(group, failure_db)}
        for name in (name for name in further_metrics(group.columns) if was_measured(group, name)):
            failed = scale_of(name).failed
            values = group[name].to_numpy(dtype=np.float64, na_value=np.nan)
            self.metrics[name] = np.where(self.failed, np.nan if failed is None else failed, values)

    def describe(self, values: NDArray[np.float64], mine: NDArray[np.bool_]) -> dict[str, float]:
        """mean … unresolved of some of the slots."""
        known = mine & ~self.unresolved & ~np.isnan(values)
        total, inside = self.weight[mine].sum(), self.weight[known]
        values = values[known]
        if len(values):
            inside = inside / inside.sum()
            mean = float((values * inside).sum())
            quantiles = weighted_quantiles(values, self.share[known], QUANTILES)
        else:  # no slot showed a picture
            mean, quantiles = np.nan, np.full(len(QUANTILES), np.nan)
        return {
            "mean": mean,
            "variance": max(float((inside * (values - mean) ** 2).sum()), 0.0) if len(values) else np.nan,
            **{f"q{round(100 * q):02d}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)},
            "failure_ratio": float(self.weight[mine & self.failed].sum() / total),
            "unresolved": float(self.weight[mine & self.unresolved].sum() / total),
        }


def weighted_quantiles(
    values: NDArray[np.float64], weights: NDArray[np.float64], quantiles: Iterable[float]
) -> NDArray[np.float64]:
    """The smallest value whose cumulative weight reaches each quantile (inverse of the distribution function).

    >>> weighted_quantiles(np.array([3.0, 1.0, 2.0]), np.array([0.5, 0.25, 0.25]), [0.25, 0.5, 0.51])
    array([1., 2., 3.])
    """
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    asked = np.array(list(quantiles)) * cumulative[-1]
    index = np.searchsorted(cumulative, asked * (1 - 1e-12), side="left")
    return np.asarray(values[order][np.minimum(index, len(values) - 1)])
