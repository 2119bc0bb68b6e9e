"""What a coder expects of a symbol from symbols that were decoded before it: shared by latent and hyperprior.

Means and log-scales are sums in fixed point, the same on every machine. A mean's whole part is taken off the symbol,
the rest chooses one of eight tables.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from netsim.compiling import compiled

__all__ = ["COLUMNS", "FRACTIONS", "ONE_BITS", "ROWS", "in_fixed_point", "neighbours", "whole_and_part"]

ONE_BITS = 10  # fixed point: 1 is 2^10
_FRACTION_BITS = 3
FRACTIONS = 1 << _FRACTION_BITS  # tables for the part of a mean behind the binary point
#: left, above, above left, above right: places in an array with a border of one row above and one column either side
ROWS, COLUMNS = (1, 0, 0, 0), (0, 1, 0, 2)


def neighbours(symbols: Tensor) -> Tensor:
    """(C, h, w) → the symbols to the left, above, above left and above right, (4, C, h, w); zero outside."""
    padded, (height, width) = functional.pad(symbols, (1, 1, 1, 0)), symbols.shape[1:]
    places = zip(ROWS, COLUMNS, strict=True)
    return torch.stack([padded[:, row : row + height, column : column + width] for row, column in places])


def in_fixed_point(weights: Tensor, unit: float = 1.0) -> NDArray[np.int64]:
    """Weights in multiples of ``unit`` / 2^10."""
    return np.rint(weights.detach().cpu().double().numpy() / unit * (1 << ONE_BITS)).astype(np.int64)


@compiled
def whole_and_part(mean: Any) -> Any:
    """The nearest multiple of ⅛ of a mean in fixed point: its whole part, and how many eighths are left."""
    mean += 1 << (ONE_BITS - _FRACTION_BITS - 1)
    return mean >> ONE_BITS, (mean & ((1 << ONE_BITS) - 1)) >> (ONE_BITS - _FRACTION_BITS)
