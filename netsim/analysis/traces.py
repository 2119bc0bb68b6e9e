"""What a sampled run's loss traces say: the mean PSNR of each trace over all images, and their spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.analysis.slot_values import can_fail, can_lose, slot_quality
from netsim.analysis.summary import GROUP
from netsim.errors import InputError
from netsim.statistics.intervals import quality_interval, variance_interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["trace_spread"]


def trace_spread(log: pd.DataFrame, failure_db: float = 13.0) -> pd.DataFrame:
    """One row per (scheme, codec, operating point, channel, link, engine), in the log's order.

    A trace is one trial: a realisation of the channel that runs on through all images. Its dataset mean is the mean
    PSNR over its slots (failed ones count as failure_db); all columns are about these means, one per trace:

    - traces: how many; bpp: all that was sent, mean over slots
    - psnr_mean_db, psnr_mean_low, psnr_mean_high: their mean with its 95 % interval over the traces
    - psnr_variance, psnr_variance_low, psnr_variance_high: sample variance (n-1), dB², with Bonett's interval
    - psnr_least_db, psnr_most_db: their range

    Source: Sha et al., Table 1 ("mean" and "var" of ten test samples), Fig. 6 ("range").

    Args:
        log: The table that a run writes.
        failure_db: What a failed slot counts as.

    Returns:
        One row per group, the columns above; NaN for what a single trace can't tell.

    Raises:
        InputError: No row was sampled (the exact and the stratified engine know no traces).
    """
    import pandas as pd

    slots = log[log["packet"].isna() & log["engine"].isin(["event", "array"])]
    if slots.empty:
        hint = "the scenario needs `engine: array` (or event) and `trials`"
        raise InputError("this run has no traces: nothing in it was sampled trial by trial", hint=hint)
    rows = [
        dict(zip(GROUP, key, strict=True)) | _spread(part, failure_db)
        for key, part in slots.groupby(GROUP, sort=False, observed=True)
    ]
    return pd.DataFrame(rows)


def _spread(part: pd.DataFrame, failure_db: float) -> dict[str, Any]:
    trace = np.array(part.groupby(["row", "seed", "trial"], sort=False, observed=True).ngroup(), dtype=np.int64)
    quality, failed = slot_quality(part, failure_db), (part["status"] == "failed").to_numpy()
    lost = part["packets_lost"].to_numpy(dtype=np.float64) / np.maximum(part["packets_sent"].to_numpy(), 1)
    ones = np.ones(len(part))
    means = np.bincount(trace, quality) / np.bincount(trace)
    possible = can_fail(part), can_lose(part)
    mean, _ = quality_interval(quality, failed, ones, trace, lost, failure_db, *possible)
    variance = variance_interval(means)
    return {
        "traces": len(means),
        "bpp": float(part["bpp"].mean()),
        "psnr_mean_db": mean.value,
        "psnr_mean_low": mean.low,
        "psnr_mean_high": mean.high,
        "psnr_variance": variance.value,
        "psnr_variance_low": variance.low,
        "psnr_variance_high": variance.high,
        "psnr_least_db": float(means.min()),
        "psnr_most_db": float(means.max()),
    }
