"""Spread over loss traces, and the intervals of a variance and of a median, against what they promise."""

import numpy as np
import pandas as pd
import pytest

from netsim.analysis.traces import trace_spread
from netsim.errors import InputError
from netsim.statistics.intervals import median_interval, variance_interval
from tests.figures.synthetic import exact_log, sampled_log


def test_the_spread_is_of_the_traces_means() -> None:
    log = sampled_log(["vvc", "hevc"], ["EP4"], (0.35,), trials=7, slots=6, packet_rows=True)
    spread = trace_spread(log, failure_db=10.0).set_index("scheme")
    slots = log[log["packet"].isna() & (log["scheme"] == "hevc")]
    quality = slots["psnr_db"].where(slots["status"] != "failed", 10.0)
    means = quality.groupby(slots["trial"]).mean()
    row = spread.loc["hevc"]
    assert row["traces"] == 7
    expected = (means.mean(), means.var(ddof=1), means.min(), means.max())
    assert tuple(row[["psnr_mean_db", "psnr_variance", "psnr_least_db", "psnr_most_db"]]) == pytest.approx(expected)
    assert row["psnr_variance_low"] < row["psnr_variance"] < row["psnr_variance_high"]
    assert len(spread) == 2


def test_one_trace_has_no_variance_and_an_exact_run_no_traces() -> None:
    alone = trace_spread(sampled_log(["vvc"], ["EP4"], (0.35,), trials=1)).iloc[0]
    assert np.isnan(alone[["psnr_variance", "psnr_mean_low"]].to_numpy(dtype=float)).all()
    with pytest.raises(InputError, match="no traces"):
        trace_spread(exact_log())
    both = pd.concat([exact_log(["vvc"], ["EP4"]), sampled_log(["vvc"], ["EP4"], (0.35,), trials=3)])
    assert list(trace_spread(both)["traces"]) == [3]


def test_intervals_hold_what_they_promise_in_95_of_100_samples() -> None:
    rng = np.random.default_rng(5)
    variances = [variance_interval(sample) for sample in rng.normal(30, 2, (2000, 10))]
    assert np.mean([one.low <= 4 <= one.high for one in variances]) == pytest.approx(0.95, abs=0.015)
    for count in (6, 10, 24):
        medians = [median_interval(sample) for sample in rng.exponential(1, (2000, count))]
        held = np.mean([one.low <= np.log(2) <= one.high for one in medians])
        assert 0.94 < held < 0.985  # never much less; as only values of the sample are ends, more
    assert np.isnan(median_interval(np.arange(5.0)).low)
