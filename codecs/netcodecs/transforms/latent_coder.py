"""Codes channels of a latent: tables by the hyperprior's scale, moved by what ``LatentContext`` expects.

A packet's channels are coded one after the other, each row by row, with neighbours within the packet only: a packet
decodes whatever else is lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcodecs.transforms.contexts import COLUMNS, FRACTIONS, ONE_BITS, ROWS, in_fixed_point, whole_and_part
from netcodecs.transforms.entropy_tables import LARGEST_SYMBOL, latent_tables
from netcodecs.transforms.fixed_point import SCALE_COUNT, log_scale_step
from netcodecs.transforms.latent_context import LARGEST_MAGNITUDE, LatentContext
from netcodecs.transforms.range_coder import RangeDecoder, decode_symbol
from netsim.compiling import compiled
from netsim.errors import InputError

__all__ = ["LatentCoder"]

Ints = NDArray[np.int64]


class LatentCoder:
    """Codes symbols of a latent.

    Args:
        context: Its weights count in multiples of 2⁻¹⁰.
        counts: As for ``latent_tables``.
    """

    def __init__(self, context: LatentContext, counts: Ints | None = None) -> None:
        self._tables = latent_tables(counts, FRACTIONS)
        step = log_scale_step()
        self._bias = in_fixed_point(context.bias, step)
        self._around = np.stack([in_fixed_point(context.around[0]), in_fixed_point(context.around[1], step)])

    def encode(self, symbols: Ints, indexes: Ints, first: int) -> bytes:
        """One string.

        Args:
            symbols: Of consecutive channels, (c, h, w), all rows or some.
            indexes: Number of the hyperprior's scale for each, (c, h, w).
            first: Number of the first channel.
        """
        return self._tables.encode(*self._placed(symbols, indexes, first))

    def bits(self, symbols: Ints, indexes: Ints) -> NDArray[np.float64]:
        """Information of each channel, (M,), of symbols and indexes (M, h, w)."""
        bits = self._tables.bits(*self._placed(symbols, indexes, 0))
        return bits.reshape(len(symbols), -1).sum(axis=1)

    def decode(self, coded: bytes, indexes: Ints, first: int) -> Ints:
        """Symbols of a string, in the shape of ``indexes``; arguments as for :meth:`encode`.

        Raises:
            InputError: The string has too few bits for that many symbols, or symbols that no image has.
        """
        self._tables.refuse_short_of_any(coded, indexes.size)
        channels, rows, columns = indexes.shape
        used = np.empty(indexes.size, np.int64)
        padded = np.zeros((channels, rows + 1, columns + 2), np.int64)
        weights = self._weights(first, channels)
        if not _decode(*RangeDecoder(coded).parts, padded, indexes, *weights, *self._tables.arrays, used):
            raise InputError(f"damaged payload: a symbol beyond ±{LARGEST_SYMBOL}")
        self._tables.refuse_short(coded, used)
        return padded[:, 1:, 1:-1]

    def count(self, symbols: Ints, indexes: Ints, counts: Ints) -> None:
        """Adds to ``counts``, (scales, magnitudes), how often each magnitude occurs at each scale, of symbols (M, h, w)
        whose expected mean is zero; magnitudes that have no place are left out."""
        values, tables = self._placed(symbols, indexes, 0)
        magnitudes = np.abs(values)
        counted = (tables % FRACTIONS == 0) & (magnitudes < counts.shape[1])
        np.add.at(counts, (tables[counted] // FRACTIONS, magnitudes[counted]), 1)

    def _weights(self, first: int, channels: int) -> tuple[Ints, Ints]:
        return self._bias[first : first + channels], self._around[:, :, first : first + channels]

    def _placed(self, symbols: Ints, indexes: Ints, first: int) -> tuple[Ints, Ints]:
        """Symbols less the whole part of their means, and their tables, in coding order."""
        padded = np.pad(symbols, ((0, 0), (1, 0), (1, 1)))
        values, tables = np.empty((2, symbols.size), np.int64)
        _place(padded, indexes, *self._weights(first, len(symbols)), values, tables)
        return values, tables


@compiled
def _expected(padded: Any, channel: Any, row: Any, column: Any, index: Any, bias: Any, around: Any) -> Any:
    """The whole part of a symbol's mean, and its table. ``padded``: (c, 1 + h, 1 + w + 1)."""
    mean, level = 0, (index << ONE_BITS) + bias[channel] + (1 << (ONE_BITS - 1))
    for number in range(len(ROWS)):
        symbol = padded[channel, row + ROWS[number], column + COLUMNS[number]]
        if symbol:
            mean += around[0, number, channel] * symbol
            level += around[1, number, channel] * min(abs(symbol), LARGEST_MAGNITUDE)
    whole, part = whole_and_part(mean)
    return whole, min(max(level >> ONE_BITS, 0), SCALE_COUNT - 1) * FRACTIONS + part


@compiled
def _place(padded: Any, indexes: Any, bias: Any, around: Any, values: Any, tables: Any) -> None:
    channels, rows, columns = indexes.shape
    number = 0
    for channel in range(channels):
        for row in range(rows):
            for column in range(columns):
                index = indexes[channel, row, column]
                whole, tables[number] = _expected(padded, channel, row, column, index, bias, around)
                values[number] = padded[channel, row + 1, column + 1] - whole
                number += 1


@compiled
def _decode(
    coded: Any,
    state: Any,
    padded: Any,
    indexes: Any,
    bias: Any,
    around: Any,
    counts: Any,
    sizes: Any,
    offsets: Any,
    tables: Any,
) -> bool:
    """Writes symbols to ``padded``, and which tables they are of. Returns whether they can be real."""
    number = 0
    channels, rows, columns = indexes.shape
    for channel in range(channels):
        for row in range(rows):
            for column in range(columns):
                index = indexes[channel, row, column]
                whole, table = _expected(padded, channel, row, column, index, bias, around)
                tables[number] = table
                number += 1
                symbol = whole + decode_symbol(coded, state, counts[table], sizes[table], offsets[table])
                if abs(symbol) > LARGEST_SYMBOL:
                    return False
                padded[channel, row + 1, column + 1] = symbol
    return True
