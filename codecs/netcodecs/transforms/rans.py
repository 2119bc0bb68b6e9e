"""Decodes range asymmetric numeral systems (Duda 2013): strings of CompressAI's encoder, within their bounds.

A string is the state (64 bits, low word first) and then words of 32 bits. A symbol's table has cumulative counts that
end at 2^16. The last symbol of a table is an escape: digits of 4 bits follow, their number first. CompressAI's own
decoder reads past the end of a damaged string; here, bytes behind the end are zeros.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.compiling import compiled

__all__ = ["PRECISION", "RansDecoder"]

Ints = NDArray[np.int64]

PRECISION = 16
_DIGIT_BITS, _MOST_DIGITS = 4, 8
_LEAST = 1 << 31  # of the state; below it, the next word comes in


class RansDecoder:
    """Decodes a string in parts.

    Args:
        coded: The string.
    """

    def __init__(self, coded: bytes) -> None:
        words = np.frombuffer(coded + bytes(-len(coded) % 4), "<u4").astype(np.uint64)
        self._words = np.concatenate([words, np.zeros(max(0, 2 - len(words)), np.uint64)])
        self._state = self._words[:1] | self._words[1:2] << np.uint64(32)
        self._read = np.array([2])

    def decode(self, indexes: Ints, counts: Ints, sizes: Ints, offsets: Ints) -> Ints | None:
        """The next symbols.

        Args:
            indexes: Number of each symbol's table, (n,).
            counts: Cumulative counts of each table, (tables, longest).
            sizes: How many of them a table has, (tables,), at least 2.
            offsets: Value of each table's first symbol, (tables,).

        Returns:
            int64 (n,); None if an escaped symbol has more digits than any real one: the string is damaged.

        Raises:
            IndexError: There is no table of such a number.
        """
        if indexes.size and not 0 <= indexes.min() <= indexes.max() < len(counts):
            raise IndexError(f"tables {indexes.min()} to {indexes.max()} of {len(counts)}")
        found = np.empty(indexes.size, np.int64)
        whole = _decode(self._words, self._state, self._read, indexes, counts, sizes, offsets, found)
        return found if whole else None


@compiled
def _renewed(words: Any, state: Any, read: Any, value: Any) -> None:
    """Sets the state, with the next word where it has become small."""
    if value < np.uint64(_LEAST):
        word = words[read[0]] if read[0] < len(words) else np.uint64(0)
        value = value << np.uint64(32) | word
        read[0] += 1
    state[0] = value


@compiled
def _digit(words: Any, state: Any, read: Any) -> Any:
    value = state[0]
    _renewed(words, state, read, value >> np.uint64(_DIGIT_BITS))
    return np.int64(value & np.uint64((1 << _DIGIT_BITS) - 1))


@compiled
def _decode(words: Any, state: Any, read: Any, indexes: Any, counts: Any, sizes: Any, offsets: Any, found: Any) -> bool:
    """Writes symbols to ``found``. Returns whether they can be real."""
    for place in range(len(indexes)):
        table = indexes[place]
        row, last = counts[table], sizes[table] - 2
        value = state[0]
        point = np.int64(value & np.uint64((1 << PRECISION) - 1))
        low, high = 0, last + 1
        while high - low > 1:  # row[low] <= point < row[high]
            middle = (low + high) // 2
            if row[middle] <= point:
                low = middle
            else:
                high = middle
        rest = np.uint64(point - row[low])
        _renewed(words, state, read, np.uint64(row[low + 1] - row[low]) * (value >> np.uint64(PRECISION)) + rest)
        symbol = low
        if symbol == last:
            digit = _digit(words, state, read)
            digits = digit
            while digit == (1 << _DIGIT_BITS) - 1 and digits <= _MOST_DIGITS:
                digit = _digit(words, state, read)
                digits += digit
            if digits > _MOST_DIGITS:
                return False
            escaped = 0
            for number in range(digits):
                escaped |= _digit(words, state, read) << (number * _DIGIT_BITS)
            symbol = -(escaped >> 1) - 1 if escaped & 1 else last + (escaped >> 1)
        found[place] = offsets[table] + symbol
    return True
