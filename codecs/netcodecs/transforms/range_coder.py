"""Range coding (Martin 1979): symbols of known tables to a string, and back.

A table has cumulative counts that end at 2^16; its last symbol is an escape, after which the number of hexadecimal
digits and the digits follow, 4 bits each. Of all numbers in the last interval, the string is the one with the fewest
bytes, and zeros are read behind its end: on average it is a third of a byte longer than its symbols' information.
CompressAI's coder (rANS) adds six, since its state starts at 2^31 and ends in whole words: .8 % of a packet of 700
bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.compiling import compiled
from netsim.errors import InputError

__all__ = [
    "DAMAGED",
    "PRECISION",
    "RangeDecoder",
    "decode_symbol",
    "encode",
    "encoder_state",
    "enter",
    "finish",
    "narrow",
]

Ints = NDArray[np.int64]

PRECISION = 16
#: from :func:`decode_symbol`: an escaped symbol has more digits than any real one
DAMAGED = -(1 << 62)
_DIGIT_BITS, _MOST_DIGITS = 4, 8
_FARTHEST = 1 << (_DIGIT_BITS * _MOST_DIGITS - 1)  # of a symbol from its table's first
_BITS = 48  # of the interval's lower end
_LEAST = 1 << (_BITS - 8)  # width of the interval; below it, a byte goes out


def encode(symbols: Ints, indexes: Ints, counts: Ints, sizes: Ints, offsets: Ints) -> bytes:
    """One string of symbols, of at least one byte.

    Args:
        symbols: (n,).
        indexes: Number of each symbol's table, (n,).
        counts: Cumulative counts of each table, (tables, longest).
        sizes: How many of them a table has, (tables,), at least 2.
        offsets: Value of each table's first symbol, (tables,).

    Raises:
        IndexError: There is no table of such a number.
        InputError: A symbol lies 2^31 or more from its table's first value.

    >>> coin = np.array([[0, 1 << 15, (1 << 16) - 1, 1 << 16]]), np.array([4]), np.array([0])
    >>> coded = encode(np.array([1, 0] * 16), np.zeros(32, int), *coin)
    >>> len(coded), RangeDecoder(coded).decode(np.zeros(4, int), *coin).tolist()
    (4, [1, 0, 1, 0])
    """
    _refuse_unknown(indexes, counts)
    _refuse_far(symbols - offsets[indexes])
    written = np.empty(7 * len(symbols) + _BITS // 8 + 1, np.uint8)  # a symbol has 16 bits at most, an escape 36 more
    return written[: _encode(symbols, indexes, counts, sizes, offsets, written)].tobytes()


class RangeDecoder:
    """Decodes a string in parts.

    Args:
        coded: The string.
    """

    def __init__(self, coded: bytes) -> None:
        head = _BITS // 8
        #: the string; how far it is read, the number within the interval, the interval's width
        self.parts = (
            np.frombuffer(coded, np.uint8),
            np.array([head, int.from_bytes(coded[:head].ljust(head, b"\0"), "big"), 1 << _BITS]),
        )

    def decode(self, indexes: Ints, counts: Ints, sizes: Ints, offsets: Ints) -> Ints | None:
        """The next symbols. Arguments as for :func:`encode`.

        Returns:
            int64 (n,); None if an escaped symbol has more digits than any real one: the string is damaged.

        Raises:
            IndexError: There is no table of such a number.
        """
        _refuse_unknown(indexes, counts)
        found = np.empty(indexes.size, np.int64)
        return found if _decode(*self.parts, indexes, counts, sizes, offsets, found) else None


def _refuse_unknown(indexes: Ints, counts: Ints) -> None:
    if indexes.size and not 0 <= indexes.min() <= indexes.max() < len(counts):
        raise IndexError(f"tables {indexes.min()} to {indexes.max()} of {len(counts)}")


def _refuse_far(values: Ints) -> None:
    """More digits than ``_MOST_DIGITS`` would be written beyond the string."""
    least, most = values.min(initial=0), values.max(initial=0)
    if not -_FARTHEST < least <= most < _FARTHEST:
        raise InputError("a symbol is too large to be coded", hint="the network's weights are damaged")


@compiled
def _encode(symbols: Any, indexes: Any, counts: Any, sizes: Any, offsets: Any, written: Any) -> Any:
    """Writes bytes. Returns their number."""
    state = encoder_state()
    digit_width = 1 << (PRECISION - _DIGIT_BITS)
    for place in range(len(symbols)):
        table = indexes[place]
        row, escape = counts[table], sizes[table] - 2
        value = symbols[place] - offsets[table]
        inside = 0 <= value < escape
        symbol = value if inside else escape
        narrow(state, written, row[symbol], row[symbol + 1] - row[symbol], PRECISION)
        if not inside:
            rest = -2 * value - 1 if value < 0 else 2 * (value - escape)
            digits = 0
            while rest >> (digits * _DIGIT_BITS):
                digits += 1
            narrow(state, written, digits * digit_width, digit_width, PRECISION)
            for number in range(digits):
                digit = (rest >> (number * _DIGIT_BITS)) & ((1 << _DIGIT_BITS) - 1)
                narrow(state, written, digit * digit_width, digit_width, PRECISION)
    return finish(state, written)


@compiled
def encoder_state() -> Any:
    """For compiled callers: an encoder's state. Bytes written; lower end and width of the interval."""
    return np.array([0, 0, 1 << _BITS])


@compiled
def narrow(state: Any, written: Any, start: Any, count: Any, precision: Any) -> None:
    """For compiled callers: narrows the interval to a symbol's part of it; bytes that are settled go out.

    Args:
        state: Of :func:`encoder_state`.
        written: Where bytes go; the caller sees to it that there is room.
        start: Cumulative count of the symbol.
        count: Its own count, at least 1.
        precision: Counts add up to 2^``precision``, at most 2^40.
    """
    share = state[2] >> precision
    state[1] += share * start
    state[2] = share * count
    _carry(state, written)
    while state[2] < _LEAST:
        written[state[0]] = state[1] >> (_BITS - 8)
        state[0] += 1
        state[1] = (state[1] & (_LEAST - 1)) << 8
        state[2] <<= 8


@compiled
def _carry(state: Any, written: Any) -> None:
    """Adds a lower end's overflow to the bytes that are out."""
    if state[1] >> _BITS:
        state[1] -= 1 << _BITS
        place = state[0] - 1
        while written[place] == 255:
            written[place] = 0
            place -= 1
        written[place] += 1


@compiled
def finish(state: Any, written: Any) -> Any:
    """For compiled callers: writes the interval's number of fewest bytes, at least one in all. Returns their number."""
    end, kept, number = state[1] + state[2], 0, state[1] + state[2]
    while number >= end:  # the lower end, rounded up to 0, 1, … bytes
        bits = _BITS - 8 * kept
        number = ((state[1] + (1 << bits) - 1) >> bits) << bits
        kept += 1
    state[1] = number
    _carry(state, written)
    for place in range(kept - 1):
        written[state[0]] = (state[1] >> (_BITS - 8 - 8 * place)) & 255
        state[0] += 1
    while state[0] > 1 and written[state[0] - 1] == 0:  # the decoder reads zeros there
        state[0] -= 1
    if state[0] == 0:
        written[0] = 0
        state[0] = 1
    return state[0]


@compiled
def _point(state: Any) -> Any:
    """In which of 2^16 equal parts of the interval the number is."""
    return min(state[1] // (state[2] >> PRECISION), (1 << PRECISION) - 1)


@compiled
def enter(coded: Any, state: Any, start: Any, count: Any, precision: Any) -> None:
    """For compiled callers: narrows the decoder's interval to a symbol's part, and reads on. Arguments as elsewhere."""
    share = state[2] >> precision
    state[1] -= share * start
    state[2] = share * count
    while state[2] < _LEAST:
        state[1] = state[1] << 8 | (np.int64(coded[state[0]]) if state[0] < len(coded) else 0)
        state[2] <<= 8
        state[0] += 1


@compiled
def _digit(coded: Any, state: Any) -> Any:
    digit = _point(state) >> (PRECISION - _DIGIT_BITS)
    enter(coded, state, digit << (PRECISION - _DIGIT_BITS), 1 << (PRECISION - _DIGIT_BITS), PRECISION)
    return digit


@compiled
def decode_symbol(coded: Any, state: Any, row: Any, size: Any, offset: Any) -> Any:
    """For compiled callers: the next symbol, or ``DAMAGED``.

    Args:
        coded: The string, of ``RangeDecoder.parts``.
        state: The decoder's, of the same.
        row: Cumulative counts of the symbol's table.
        size: How many of them count.
        offset: Value of the table's first symbol.
    """
    last, point = size - 2, _point(state)
    low, high = 0, last + 1
    while high - low > 1:  # row[low] <= point < row[high]
        middle = (low + high) // 2
        if row[middle] <= point:
            low = middle
        else:
            high = middle
    enter(coded, state, row[low], row[low + 1] - row[low], PRECISION)
    if low < last:
        return offset + low
    digits = _digit(coded, state)
    if digits > _MOST_DIGITS:
        return DAMAGED
    escaped = 0
    for number in range(digits):
        escaped |= _digit(coded, state) << (number * _DIGIT_BITS)
    return offset + (-(escaped >> 1) - 1 if escaped & 1 else last + (escaped >> 1))


@compiled
def _decode(coded: Any, state: Any, indexes: Any, counts: Any, sizes: Any, offsets: Any, found: Any) -> bool:
    """Writes symbols to ``found``. Returns whether they can be real."""
    for place in range(len(indexes)):
        table = indexes[place]
        found[place] = decode_symbol(coded, state, counts[table], sizes[table], offsets[table])
        if found[place] == DAMAGED:
            return False
    return True
