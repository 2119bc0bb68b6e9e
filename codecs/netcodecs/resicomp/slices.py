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
    """Tokens in each slice: N_l = N · (1 + C_l/L)^β / Σ_i (1 + C_i/L)^β (Eq. 10), in whole tokens.

    The cumulative sizes are rounded up. A slice that would be empty gets one token.

    Args:
        tokens: N.
        contexts: bool (L, L), a context matrix; row l has C_l contexts.
        beta: At 0 all slices are alike; the larger, the more tokens go to slices with many contexts, whose tokens cost
            fewest bits.

    Returns:
        int64 (L,).

    Raises:
        InputError: There are more slices than tokens, or ``beta`` is not between -100 and 100.

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
    """The cells of the token grid in each slice: consecutive QLDS ranks.

    Args:
        height: Of the grid.
        width: Of the grid.
        sizes: Of the slices, int64 (L,).

    Returns:
        For each slice int64 (N_l,): cells, numbered row by row, in rank order.

    Raises:
        ValueError: The sizes do not add up to the grid.

    >>> [cells.tolist() for cells in slice_cells(2, 3, np.array([2, 4]))]
    [[3, 2], [1, 5, 4, 0]]
    """
    if int(sizes.sum()) != height * width:
        raise ValueError(f"slices of {int(sizes.sum())} tokens on a grid of {height} × {width}")
    return tuple(np.split(qlds_order(height, width), np.cumsum(sizes)[:-1]))


def slice_map(height: int, width: int, sizes: IntArray) -> IntArray:
    """The slice of every token, counted from 0: int64 (height, width). Arguments and errors as :func:`slice_cells`.

    >>> slice_map(2, 3, np.array([2, 4]))
    array([[1, 1, 0],
           [0, 1, 1]])
    """
    found = np.empty(height * width, dtype=np.int64)
    for number, cells in enumerate(slice_cells(height, width, sizes)):
        found[cells] = number
    return found.reshape(height, width)
