"""The order in which tokens are visited: a quantised low-discrepancy sequence over the grid (QLDS).

Consecutive ranks lie far apart, and every part of the order covers the image evenly. So each slice samples the whole
image, and a lost slice leaves neighbours everywhere (ResiComp, §IV-B; Mentzer et al., M2T, 2023, appendix).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["PLASTIC", "qlds_order"]

PLASTIC = 1.32471795724474602596
"""The plastic number g, g³ = g + 1: steps 1/g and 1/g² fill the unit square with the least discrepancy known."""

_LEAST_POINTS = 256


@lru_cache(maxsize=64)
def qlds_order(height: int, width: int) -> NDArray[np.int64]:
    """Cells of a grid in QLDS order.

    Point n = 1, 2, … of the sequence is in row = round(frac(½ + n/g) · height) mod height and column =
    round(frac(½ + n/g²) · width) mod width (half to even). The rank of a cell is the order of its first visit. Only
    basic IEEE operations are used: the order is the same on every machine.

    Args:
        height: Of the grid.
        width: Of the grid.

    Returns:
        int64 (height · width,), read-only: entry r is the cell of rank r; cell = row · width + column.

    Raises:
        ValueError: The grid has no cells.

    >>> [divmod(int(cell), 48) for cell in qlds_order(32, 48)[:4]]
    [(8, 3), (0, 31), (24, 10), (17, 37)]
    """
    if height < 1 or width < 1:
        raise ValueError(f"a grid of {height} × {width} has no cells")
    cells = height * width
    never = np.iinfo(np.int64).max
    first_visit = np.full(cells, never)
    start, points = 1, max(cells, _LEAST_POINTS)
    while (first_visit == never).any():  # two or three passes: points that round to the edge meet opposite ones
        n = np.arange(start, start + points)
        row = np.rint((0.5 + n / PLASTIC) % 1 * height).astype(np.int64) % height
        column = np.rint((0.5 + n / PLASTIC**2) % 1 * width).astype(np.int64) % width
        np.minimum.at(first_visit, row * width + column, n)
        start += points
    order = np.argsort(first_visit, kind="stable")
    order.flags.writeable = False
    return order
