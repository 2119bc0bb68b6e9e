"""The element-wise half of the fixed-point Transformer, compiled for processors: one pass through memory, not ten.

Each function does, element by element, the IEEE operations of ``fixed_point_functions.Functions``, and sums without
rounding; so both give the same bits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from netsim.compiling import compiled

__all__ = ["gelu", "normed", "softmax"]


@compiled
def normed(features: Any, out: Any, rough: float, fine: float, largest: float, bound: float) -> None:
    """Layer norm without scale and shift, clamped to ±bound.

    Args:
        features: float64 (n, width).
        out: The same shape.
        rough: Anchor of what is squared (``fixed_point_functions.anchor``).
        fine: Anchor of the result.
        largest: What is squared is clamped to ± this.
        bound: Of the result.
    """
    rows, width = features.shape
    share = 1 / width
    for i in range(rows):
        total = 0.0
        for j in range(width):
            total += features[i, j]
        mean = (total * share + fine) - fine
        squares = 0.0
        for j in range(width):
            off = features[i, j] - mean
            out[i, j] = off
            kept = (min(max(off, -largest), largest) + rough) - rough
            squares += kept * kept
        spread = math.sqrt(squares * share + 1e-5)
        for j in range(width):
            out[i, j] = min(max((out[i, j] / spread + fine) - fine, -bound), bound)


@compiled
def gelu(values: Any, bias: Any, grid: float, rest: Any, points: float, bound: float) -> None:
    """GELU of values + bias on a grid, clamped to ±bound, in place.

    Args:
        values: float64 (n, width).
        bias: float64 (width,).
        grid: Anchor of the table's arguments.
        rest: The table.
        points: Its entries per unit.
        bound: Of the result.
    """
    rows, width = values.shape
    last = len(rest) - 1
    for i in range(rows):
        for j in range(width):
            value = ((values[i, j] + bias[j]) + grid) - grid
            place = min(int(abs(value) * points), last)
            values[i, j] = min(max(max(value, 0.0) - rest[place], -bound), bound)


@compiled
def softmax(
    scores: Any, bias: Any, apart: Any, no_attention: float, grid: float, fine: float, falling: Any, points: float
) -> None:
    """Softmax of scores + bias, in place: scores on a grid before, shares on the fine grid after.

    Args:
        scores: float64 (windows, heads, n, n).
        bias: float64 (heads, n, n).
        apart: bool (windows, n, n), pairs without attention; or without windows if there are none.
        no_attention: Their score.
        grid: Anchor of the scores.
        fine: Anchor of the shares.
        falling: Table of e^-x.
        points: Its entries per unit.
    """
    windows, heads, rows, columns = scores.shape
    last = float(len(falling) - 1)
    for w in range(windows):
        for h in range(heads):
            for i in range(rows):
                largest = -np.inf
                for j in range(columns):
                    score = ((scores[w, h, i, j] + grid) - grid) + bias[h, i, j]
                    if len(apart) and apart[w, i, j]:
                        score = no_attention
                    scores[w, h, i, j] = score
                    largest = max(largest, score)
                total = 0.0
                for j in range(columns):
                    power = falling[int(np.rint(min((largest - scores[w, h, i, j]) * points, last)))]
                    scores[w, h, i, j] = power
                    total += power
                for j in range(columns):
                    scores[w, h, i, j] = (scores[w, h, i, j] / total + fine) - fine
