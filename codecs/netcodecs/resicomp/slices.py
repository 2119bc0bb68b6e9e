"""Slices: how many tokens each packet holds (ResiComp, Eq. 10), and which."""

from __future__ import annotations

from math import isfinite

import numpy as np
from numpy.typing import NDArray

from netcodecs.resicomp.order import qlds_order
from netsim.errors import InputError

__all__ = ["slice_cells", "slice_map", "slice_sizes"]

IntArray = NDArray[np.int64]

_LARGEST_BETA = 100.0
_DIGITS = 6  # of cumulative sizes: what remains is beyond what powers may differ by from machine to machine


def slice_sizes(tokens: int, contexts: NDArray[np.bool_], beta: float) -> IntArray:
    """Tokens in each slice: N_l = N · (1 + C_l/L)^β / Σ_i (1 + C_i/L)^β in whole tokens (Eq. 10). int64 [L].

    tokens: N. contexts: bool [L, L], a context matrix; row l has C_l contexts. beta: at 0 all slices are alike;
    the greater it is, the more tokens go to slices with many contexts, whose tokens cost fewest bits.
    A slice ends where the sum of all sizes so far, rounded up, says; one that would be empty gets one token.

    Raises InputError for more slices than tokens or an exponent that is no number from -100 to 100.

    >>> slice_sizes(1536, np.tri(10, k=-1, dtype=bool), 2.2).tolist()
    [65, 80, 96, 115, 135, 157, 182, 207, 235, 264]
    """
    slices = len(contexts)
    if not 1 <= slices <= tokens:
        raise InputError(
            f"{slices} slices for {tokens} tokens", hint=f"a slice holds a token or more: 1 to {tokens} slices"
        )
    if not (isfinite(beta) and abs(beta) <= _LARGEST_BETA):
        raise InputError(f"beta {beta:g} is out of range", hint="the exponent of Eq. 10 is between -100 and 100: 2.2")
    weight = (1 + contexts.sum(axis=1) / slices) ** beta
    ends = np.ceil(np.round(tokens * np.cumsum(weight) / weight.sum(), _DIGITS)).astype(np.int64)
    number = np.arange(1, slices + 1)
    ends = np.maximum.accumulate(np.maximum(ends - number, 0)) + number  # each one token or more after the last
    ends = np.minimum(ends, tokens - slices + number)  # and leaves one for each that follows
    return np.diff(ends, prepend=0)


def slice_cells(height: int, width: int, sizes: IntArray) -> tuple[IntArray, ...]:
    """Which cells of the token grid each slice holds: consecutive QLDS ranks. L times int64 [N_l], in rank order.

    Cells are numbered row by row. Raises ValueError if the sizes don't add up to the grid.

    >>> [cells.tolist() for cells in slice_cells(2, 3, np.array([2, 4]))]
    [[3, 2], [1, 5, 4, 0]]
    """
    if int(sizes.sum()) != height * width:
        raise ValueError(f"slices of {int(sizes.sum())} tokens on a grid of {height} × {width}")
    return tuple(np.split(qlds_order(height, width), np.cumsum(sizes)[:-1]))


def slice_map(height: int, width: int, sizes: IntArray) -> IntArray:
    """Slice (0-based) of every token: int64 [height, width].

    Raises ValueError if the sizes don't add up to the grid.

    >>> slice_map(2, 3, np.array([2, 4]))
    array([[1, 1, 0],
           [0, 1, 1]])
    """
    found = np.empty(height * width, dtype=np.int64)
    for number, cells in enumerate(slice_cells(height, width, sizes)):
        found[cells] = number
    return found.reshape(height, width)
