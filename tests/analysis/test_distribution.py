"""The distribution of a quality over slots."""

import numpy as np
import pytest

from netsim.analysis.distribution import SET, distributions, weighted_quantiles
from netsim.analysis.summary import GROUP
from tests.figures.synthetic import sampled_log


def test_quantiles_of_equal_weights_are_the_sorted_values() -> None:
    values = np.random.default_rng(3).random(100)
    quantiles = weighted_quantiles(values, np.full(100, 0.01), [0.01, 0.5, 1.0])
    np.testing.assert_array_equal(quantiles, np.sort(values)[[0, 49, 99]])


def test_rows_per_image_and_over_all() -> None:
    log = sampled_log()
    log = log[log["packet"].isna()]
    groups = [group for _, group in log.groupby(GROUP, sort=False)]
    found = distributions(groups, 13.0)
    psnr = found[found["metric"] == "psnr_db"]
    assert len(psnr) == len(groups) * (log["image"].nunique() + 1)
    first = groups[0]
    values = first["psnr_db"].fillna(13.0)
    whole = psnr[psnr["image"] == SET].iloc[0]
    assert whole["mean"] == pytest.approx(values.mean())
    assert whole["variance"] == pytest.approx(values.var(ddof=0))
    assert whole["failure_ratio"] == pytest.approx((first["status"] == "failed").mean())
    assert (psnr["q05"] <= psnr["q50"]).all()
    assert (psnr["q50"] <= psnr["q95"]).all()
    image = first[first["image"] == psnr.iloc[0]["image"]]["psnr_db"].fillna(13.0)
    assert psnr.iloc[0]["mean"] == pytest.approx(image.mean())


def test_weights_and_unresolved_mass() -> None:
    log = sampled_log()
    group = log[log["packet"].isna()].iloc[:3].copy()
    group["image"], group["weight"], group["ms_ssim"] = "a", [0.6, 0.3, 0.1], np.nan
    group["status"], group["psnr_db"] = ["full", "failed", "unresolved"], [30.0, np.nan, np.nan]
    for name in GROUP:
        group[name] = "x"
    row = distributions([group], 13.0).iloc[-1]
    assert row["mean"] == pytest.approx((0.6 * 30 + 0.3 * 13) / 0.9)
    assert row["failure_ratio"] == pytest.approx(0.3)
    assert row["unresolved"] == pytest.approx(0.1)
    assert (row["q25"], row["q50"]) == (13.0, 30.0)
