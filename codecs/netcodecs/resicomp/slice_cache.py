"""Decoded slices of recent streams, so that a slice is decoded once for many masks.

Encoders add slices, too: what their range decoder made of the code that they wrote (``rate_control.EncodedSlices``).
"""

from __future__ import annotations

import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["SliceCache"]

Ints = NDArray[np.int64]

_KEPT_BYTES = 16 << 20  # of compressed symbols: a stream of 768 × 512 pixels takes some 60 kB


class SliceCache:
    """Symbols of slices by the bytes that decide them, compressed; the oldest are dropped first."""

    def __init__(self) -> None:
        self._symbols: OrderedDict[bytes, tuple[int, bytes]] = OrderedDict()
        self._bytes = 0

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
        if key not in self._symbols:
            return None
        self._symbols.move_to_end(key)
        tokens, packed = self._symbols[key]
        return np.frombuffer(zlib.decompress(packed), np.int16).reshape(tokens, -1).astype(np.int64)

    def put(self, key: bytes, symbols: NDArray[np.signedinteger], least: int) -> None:
        """Adds a slice, and drops the oldest while there are too many bytes.

        Args:
            key: Of the slice.
            symbols: Within 16 bits, (tokens, C).
            least: Number of slices that are kept, however many bytes they have.
        """
        packed = zlib.compress(symbols.astype(np.int16).tobytes(), 1)
        self._bytes += len(packed) - len(self._symbols.pop(key, (0, b""))[1])
        self._symbols[key] = len(symbols), packed
        while self._bytes > _KEPT_BYTES and len(self._symbols) > least:
            self._bytes -= len(self._symbols.popitem(last=False)[1][1])
