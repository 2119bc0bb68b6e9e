"""Reed–Solomon as linear algebra over GF(256): reedsolo's code, applied to whole arrays.

A systematic code word is the message followed by parity, and each parity byte is a linear form of the
message bytes. Its coefficients are read off reedsolo's own encoder; after that a block of packets is one
small matrix product per byte column, done for all columns at once.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["SYMBOLS", "inverse", "parity_matrix", "product"]

ByteArray = NDArray[np.uint8]

SYMBOLS = 255
"""Longest code word over GF(256): no block has more packets."""


@cache
def _tables() -> tuple[ByteArray, ByteArray]:
    """(product table uint8 [256, 256], inverses uint8 [256]; the inverse of 0 is 0) of reedsolo's field."""
    import reedsolo

    log, exp, _ = reedsolo.init_tables(0x11D)  # the polynomial that RSCodec takes by default
    logs = np.array(log, dtype=np.int64)
    exps = np.array(exp[:SYMBOLS], dtype=np.uint8)
    times = exps[(logs[:, None] + logs[None, :]) % SYMBOLS]
    times[0, :] = times[:, 0] = 0
    inverses = exps[-logs % SYMBOLS]
    inverses[0] = 0
    return times, inverses


@cache
def parity_matrix(n: int, k: int) -> ByteArray:
    """Coefficients of the parity: parity = parity_matrix · data over GF(256).

    Column j is the parity that reedsolo computes for the j-th unit vector.

    Args:
        n: Packets of a block, up to 255.
        k: Data packets among them, 1 ≤ k < n.

    Returns:
        uint8 [n − k, k].
    """
    import reedsolo

    coder = reedsolo.RSCodec(n - k)
    units = np.eye(k, dtype=np.uint8)
    columns = [np.frombuffer(bytes(coder.encode(unit.tobytes())), dtype=np.uint8)[k:] for unit in units]
    return np.stack(columns, axis=1)


def product(matrix: ByteArray, rows: ByteArray) -> ByteArray:
    """Matrix product over GF(256).

    Args:
        matrix: uint8 [m, k].
        rows: uint8 [k, length].

    Returns:
        uint8 [m, length].

    >>> product(np.array([[1, 1], [2, 0]], dtype=np.uint8), np.array([[3], [5]], dtype=np.uint8))
    array([[6],
           [6]], dtype=uint8)
    """
    times, _ = _tables()
    result = np.zeros((len(matrix), rows.shape[1]), dtype=np.uint8)
    for j, row in enumerate(rows):  # the k terms one by one: no [m, k, length] array
        result ^= times[matrix[:, j, None], row[None, :]]
    return result


def inverse(matrix: ByteArray) -> ByteArray:
    """Inverse over GF(256) by Gauss–Jordan elimination.

    Args:
        matrix: uint8 [k, k].

    Returns:
        uint8 [k, k].

    Raises:
        ValueError: The matrix is singular.
    """
    times, inverses = _tables()
    k = len(matrix)
    work = np.concatenate([matrix, np.eye(k, dtype=np.uint8)], axis=1)
    for column in range(k):
        pivots = np.flatnonzero(work[column:, column])
        if not pivots.size:
            raise ValueError("matrix is singular over GF(256)")
        pivot = column + pivots[0]
        work[[column, pivot]] = work[[pivot, column]]
        work[column] = times[inverses[work[column, column]], work[column]]
        factors = work[:, column].copy()
        factors[column] = 0
        work ^= times[factors[:, None], work[column][None, :]]
    return work[:, k:]
