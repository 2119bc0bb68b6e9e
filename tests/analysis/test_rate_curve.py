"""Means of rate–distortion curves over a range of rates."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.analysis.rate_curve import mean_over_range


def test_mean_over_range_agrees_with_a_fine_sum() -> None:
    rng = np.random.default_rng(8)
    points = np.column_stack([rng.uniform(0.1, 0.6, 9), *rng.uniform(20, 40, (3, 9))])
    points[:2, 0] = 0.1, 0.6
    order = np.argsort(points[:, 0])
    fine = np.linspace(0.3, 0.4, 200_001)
    expected = np.interp(np.log(fine), np.log(points[order, 0]), points[order, 1]).mean()
    assert mean_over_range(points, 0.3, 0.4).psnr_db == pytest.approx(expected, abs=1e-4)


def test_rates_that_nearly_agree_keep_their_digits() -> None:
    """By hand: a tenth of the range rises from 30 to 31 dB, the rest stays there."""
    points = np.column_stack([[0.4, 0.400000001, 0.40000001], *[[30.0, 31.0, 31.0]] * 3])
    assert mean_over_range(points, 0.4, 0.40000001).psnr_db == pytest.approx(30.95, abs=1e-6)


def test_a_mean_lies_in_its_interval_however_narrow_that_is() -> None:
    rng = np.random.default_rng(3)
    for _ in range(300):
        rates, quality = np.sort(rng.uniform(0.1, 0.6, 5)), rng.uniform(20, 40, 5)
        points = np.column_stack([rates, quality, np.nextafter(quality, 0), np.nextafter(quality, 99)])
        found = mean_over_range(points, 0.3, 0.4)
        if found.kind != "none":
            assert found.low_db <= found.psnr_db <= found.high_db


def test_a_target_of_the_ranges_end_that_is_nearly_met_covers_the_range() -> None:
    """An encoder asked for .3 bit/pixel gives .3003: no mark. One that gives .303 covers a part."""
    points = np.array([[0.3003, 30, 30, 30], [0.3999, 32, 32, 32]], dtype=float)
    assert mean_over_range(points, 0.3, 0.4).kind == "range"
    assert mean_over_range(points + np.array([[0.0027, 0, 0, 0], [0, 0, 0, 0]]), 0.3, 0.4).kind == "part"
