"""Values of a log's slots as they count in means, and names of the columns that hold means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netsim.metrics.further import LOSSLESS_DB, Scale
from netsim.statistics.intervals import Estimate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["can_fail", "can_lose", "metric_values", "named", "one_or_mixed", "slot_quality", "within"]


def slot_quality(log: pd.DataFrame, failure_db: float) -> NDArray[np.float64]:
    """PSNR of each row as it counts in a mean: failure_db if failed, at most ``LOSSLESS_DB``; NaN if unresolved.

    One wrong sample in a large image is more than 100 dB: it may not count more than an image without any error.

    Args:
        log: Rows of slots.
        failure_db: What a failed slot counts as.

    Returns:
        float64 [rows], dB.
    """
    quality = log["psnr_db"].to_numpy(dtype=np.float64, na_value=np.nan).copy()
    status = log["status"].to_numpy()
    np.minimum(quality, LOSSLESS_DB, out=quality)
    quality[status == "failed"] = failure_db
    quality[status == "unresolved"] = np.nan
    return quality


def metric_values(part: pd.DataFrame, name: str, scale: Scale, failed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A further metric of each row, failed ones counted as its scale says.

    Args:
        part: Rows of slots.
        name: The metric.
        scale: How its values count.
        failed: bool [rows], which slots failed.

    Returns:
        float64 [rows]; NaN where a slot does not count.
    """
    values = part[name].to_numpy(dtype=np.float64, na_value=np.nan).copy()
    values[failed] = np.nan if scale.failed is None else scale.failed
    return values


def can_fail(part: pd.DataFrame) -> bool:
    """Whether a slot of these can fail at all.

    Args:
        part: Rows of a log.

    Returns:
        True where the log does not say.
    """
    return "can_fail" not in part.columns or bool(part["can_fail"].any())


def can_lose(part: pd.DataFrame) -> bool:
    """Whether the channel may lose a packet of these slots.

    Args:
        part: Rows of a log.

    Returns:
        False where the log does not say: an earlier version wrote it.
    """
    return "can_lose" in part.columns and bool(part["can_lose"].any())


def one_or_mixed(values: Iterable[Any]) -> str:
    """The value that all share; a controller may have chosen several.

    Args:
        values: Texts; missing ones count as empty.

    Returns:
        The text, or ``mixed``.

    >>> one_or_mixed(["LC", "LC"]), one_or_mixed(["LC", None])
    ('LC', 'mixed')
    """
    texts = {"" if value is None or value != value else str(value) for value in values}
    return texts.pop() if len(texts) == 1 else "mixed"


def named(name: str, estimate: Estimate, stem: str = "") -> dict[str, float]:
    """An estimate as columns.

    Args:
        name: Column of the value.
        estimate: Value and interval.
        stem: Of the other columns' names, if not ``name``.

    Returns:
        ``name``, ``stem_low`` and ``stem_high``.
    """
    stem = stem or name
    return {name: estimate.value, f"{stem}_low": estimate.low, f"{stem}_high": estimate.high}


def within(mean: Estimate, scale: Scale) -> Estimate:
    """An estimate whose interval stays inside the metric's range.

    Args:
        mean: Value and interval.
        scale: The metric's range.

    Returns:
        The same value; the interval's ends are moved to the range's where they are outside.
    """
    return mean._replace(low=max(mean.low, scale.lowest), high=min(mean.high, scale.highest))
