"""Decoded slices of the last few streams, so that a slice is decoded once for many masks."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["SliceCache"]

Ints = NDArray[np.int64]


class SliceCache:
    """Symbols of slices by the bytes that decide them; the oldest are dropped first."""

    def __init__(self) -> None:
        self._symbols: OrderedDict[bytes, Ints] = OrderedDict()

    @staticmethod
    def keys(payloads: Sequence[bytes], contexts: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> dict[int, bytes]:
        """Keys of slices: a digest of the header, of the slice and of its contexts.

        Args:
            payloads: All packets of the stream.
            contexts: Context matrix, bool (L, L).
            wanted: Slices, bool (L,).
        """
        header, *slices = (hashlib.sha256(payload).digest() for payload in payloads)
        found = {}
        for number in map(int, np.flatnonzero(wanted)):
            parts = [header, slices[number], *(slices[n] for n in np.flatnonzero(contexts[number]))]
            found[number] = hashlib.sha256(b"".join(parts)).digest()
        return found

    def get(self, key: bytes) -> Ints | None:
        """The symbols of a slice; None if they are not in the cache."""
        if key in self._symbols:
            self._symbols.move_to_end(key)
        return self._symbols.get(key)

    def put(self, key: bytes, symbols: Ints, most: int) -> None:
        """Adds a slice and keeps the ``most`` latest."""
        self._symbols[key] = symbols
        while len(self._symbols) > most:
            self._symbols.popitem(last=False)
