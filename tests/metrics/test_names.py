"""A metric's name is free of the columns of logs and summaries."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import netsim
from netsim.errors import InputError
from netsim.metrics.further import LOG_COLUMNS, SUMMARY_COLUMNS

GOLDEN = Path(__file__).parents[1] / "golden"


def one(reference: np.ndarray, images: np.ndarray) -> np.ndarray:
    return np.ones(len(images))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("bpp", "column of every log"),
        ("status", "column of every log"),
        ("failure_ratio", "column of every summary"),
        ("psnr_low", "column of every summary"),
        ("trials", "column of every summary"),
        ("loss_rate", "column of every summary"),
        ("sharpness_low", "ends with `_low`"),
        ("sharpness_received", "ends with `_received`"),
        ("max error", "can't be a column"),
    ],
)
def test_a_name_that_would_take_a_column_is_refused(name: str, wrong: str) -> None:
    with pytest.raises(InputError, match=wrong):
        netsim.register("metric", name)(one)
    with pytest.raises(InputError, match=wrong):
        netsim.plan(
            images={"samples": ["coffee"]}, codecs=[{"jpeg": {"quality": 50}}], channels=["EP4"], metrics=[name]
        )


def test_the_columns_of_summaries_are_all_known() -> None:
    for path in sorted(GOLDEN.glob("*/summary.csv")):
        with path.open(newline="") as file:
            columns = set(next(csv.reader(file)))
        further = {column for column in columns if column.startswith(("ms_ssim", "mean_error"))}
        assert columns - further <= {*LOG_COLUMNS, *SUMMARY_COLUMNS}, path
        assert set(SUMMARY_COLUMNS) <= columns, path
