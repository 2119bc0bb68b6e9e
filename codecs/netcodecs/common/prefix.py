"""Receivers that use what arrives before the first loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["received_prefix"]

BoolArray = NDArray[np.bool_]


def received_prefix(received: BoolArray, ends: Sequence[int]) -> BoolArray:
    """Packets of the whole parts before the first lost packet.

    Args:
        received: bool [..., n].
        ends: One past each part's last packet, ascending; packets behind the last part are never used.

    Returns:
        bool [..., n].

    >>> received_prefix(np.array([True, True, True, False, True]), [1, 2, 4, 5]).tolist()
    [True, True, False, False, False]
    """
    prefix = np.logical_and.accumulate(received, axis=-1)
    whole = np.zeros_like(prefix)
    start = 0
    for end in ends:
        whole[..., start:end] = prefix[..., end - 1 : end]
        start = end
    return whole
