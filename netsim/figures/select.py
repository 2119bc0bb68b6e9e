"""What several figures choose in the same way: panels, operating points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NEAR_BPP", "interval_note", "nearest_point", "with_condition"]

NEAR_BPP = 0.35
"""Where a figure shows one operating point of each scheme, it is the one nearest to this rate."""


def with_condition(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a column ``condition``: the channel, with the link where the frame has several.

    Args:
        frame: Has columns channel, link.

    Returns:
        A copy with one more column.
    """
    condition = [str(name) for name in frame["channel"]]
    if frame["link"].nunique() > 1:
        condition = [f"{one}, {link}" for one, link in zip(condition, frame["link"], strict=True)]
    return frame.assign(condition=condition)


def interval_note(numbers: pd.DataFrame, low: str = "psnr_low", high: str = "psnr_high") -> str:
    """What the bars are.

    Args:
        numbers: Has the column engine.
        low: The column of the lower ends.
        high: That of the upper ends.

    Returns:
        A sentence, or two.
    """
    exact = numbers["engine"] == "exact"
    bounded = exact & (numbers[high] - numbers[low] > _WIDTH)  # a part of the masks was not decoded
    if not exact.all():
        return "Bars: 95 % interval." + (" Of exact numbers: bounds." if bounded.any() else "")
    return "Exact; bars: bounds, whatever was not decoded." if bounded.any() else "Exact: no sampling, no interval."


_WIDTH = 1e-9  # sums of an exact number and its ends may differ in their last bits


def nearest_point(frame: pd.DataFrame, near_bpp: float) -> np.ndarray:
    """Which rows are of the operating point nearest to a rate, for each condition and scheme.

    Args:
        frame: Columns condition, scheme, operating_point, bpp (one value per operating point or many).
        near_bpp: The rate, in bit/pixel.

    Returns:
        bool [rows of the frame]. Of two operating points equally near, the one of lower rate is taken.
    """
    keys = ["condition", "scheme", "operating_point"]
    rates = frame.groupby(keys, sort=False, observed=True)["bpp"].mean().reset_index()
    rates["distance"] = (rates["bpp"] - near_bpp).abs().round(9)
    best = rates.sort_values(["distance", "bpp"], kind="stable").drop_duplicates(keys[:2])
    chosen = set(best[keys].itertuples(index=False, name=None))
    return np.array([key in chosen for key in frame[keys].itertuples(index=False, name=None)], dtype=bool)
