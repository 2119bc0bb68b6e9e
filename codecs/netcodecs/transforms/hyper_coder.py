"""Coders of the hyperprior's symbols: a table for each channel, or tables that follow what was decoded before."""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from netcodecs.common.latent_spans import channel_tables
from netcodecs.transforms.contexts import COLUMNS, FRACTIONS, ONE_BITS, ROWS, in_fixed_point, whole_and_part
from netcodecs.transforms.entropy_tables import LARGEST_SYMBOL, Tables, table_of
from netcodecs.transforms.hyper_context import LARGEST_MAGNITUDE, HyperContext
from netcodecs.transforms.range_coder import RangeDecoder, decode_symbol
from netsim.compiling import compiled
from netsim.errors import InputError

__all__ = ["ChannelCoder", "ContextCoder", "HyperCoder"]

Ints = NDArray[np.int64]

_LEVELS, _LOG_SCALE_STEP, _LOWEST_LOG_SCALE = 25, 0.25, -3.0  # of the tables
_TAIL_SCALES = 21.5  # a logistic distribution's mass beyond is 1e-9


class HyperCoder(Protocol):
    """Codes a hyperprior."""

    channels: int

    def encode(self, symbols: Ints, quality: float) -> bytes:
        """One string of symbols (N, h, w)."""

    def bits(self, symbols: Ints, quality: float) -> float:
        """Information of symbols (N, h, w)."""

    def decode(self, coded: bytes, height: int, width: int, quality: float) -> Ints:
        """Symbols (N, height, width) of a string. Raises InputError if it can't be one of so many symbols."""


class ChannelCoder:
    """A table for each channel, whatever the quality.

    Args:
        tables: One a channel.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables, self.channels = tables, len(tables.offsets)

    def encode(self, symbols: Ints, quality: float) -> bytes:
        """See ``HyperCoder``."""
        return self._tables.encode(symbols, channel_tables(symbols.shape))

    def bits(self, symbols: Ints, quality: float) -> float:
        """See ``HyperCoder``."""
        return float(self._tables.bits(symbols, channel_tables(symbols.shape)).sum())

    def decode(self, coded: bytes, height: int, width: int, quality: float) -> Ints:
        """See ``HyperCoder``."""
        return self._tables.decode(coded, channel_tables((self.channels, height, width)))


class ContextCoder:
    """Tables that follow ``HyperContext``, in whole numbers: the same on every machine.

    Symbols go place by place, row by row; at a place, channel by channel.

    Args:
        context: Its weights count in multiples of 2⁻¹⁰.
    """

    def __init__(self, context: HyperContext) -> None:
        self.channels = context.channels
        bias, self._quality, around, earlier = (
            np.stack([in_fixed_point(weights[0]), in_fixed_point(weights[1], _LOG_SCALE_STEP)])
            for weights in (context.bias, context.quality, context.around, context.earlier_channels())
        )
        lowest = np.array([0, round((0.5 - _LOWEST_LOG_SCALE / _LOG_SCALE_STEP) * (1 << ONE_BITS))])  # to the nearest
        self._bias, self._weights = bias + lowest[:, None], (around, earlier)

    def encode(self, symbols: Ints, quality: float) -> bytes:
        """See ``HyperCoder``."""
        values, tables = self._placed(symbols, quality)
        return _logistic_tables().encode(values, tables)

    def bits(self, symbols: Ints, quality: float) -> float:
        """See ``HyperCoder``."""
        return float(_logistic_tables().bits(*self._placed(symbols, quality)).sum())

    def decode(self, coded: bytes, height: int, width: int, quality: float) -> Ints:
        """See ``HyperCoder``."""
        tables = _logistic_tables()
        tables.refuse_short_of_any(coded, self.channels * height * width)
        used = np.empty(self.channels * height * width, np.int64)
        padded = np.zeros((height + 1, width + 2, self.channels), np.int64)
        whole = _decode(*RangeDecoder(coded).parts, padded, self._start(quality), *self._weights, *tables.arrays, used)
        symbols = np.ascontiguousarray(padded[1:, 1:-1].transpose(2, 0, 1))
        if not whole:
            raise InputError(f"damaged payload: a symbol beyond ±{LARGEST_SYMBOL}")
        tables.refuse_short(coded, used)
        return symbols

    def _start(self, quality: float) -> Ints:
        """What mean and log-scale begin with, (2, N)."""
        return self._bias + (self._quality * round(quality * (1 << ONE_BITS)) >> ONE_BITS)

    def _placed(self, symbols: Ints, quality: float) -> tuple[Ints, Ints]:
        """Symbols less the whole part of their means, and their tables, in coding order."""
        padded = np.pad(symbols.transpose(1, 2, 0), ((1, 0), (1, 1), (0, 0)))
        values, tables = np.empty((2, symbols.size), np.int64)
        _place(padded, self._start(quality), *self._weights, values, tables)
        return values, tables


@cache
def _logistic_tables() -> Tables:
    """Logistic distributions rounded to integers: means 0, ⅛, … ⅞ of each log-scale −3, −2¾, … 3."""
    rows, offsets = [], []
    for level in range(_LEVELS):
        scale = float(np.exp(_LOWEST_LOG_SCALE + level * _LOG_SCALE_STEP))
        reach = int(np.ceil(_TAIL_SCALES * scale))
        for part in range(FRACTIONS):
            edges = np.arange(-reach, reach + 3) - 0.5 - part / FRACTIONS
            below = expit(edges / scale)
            rows.append(table_of([*np.diff(below), below[0] + 1 - below[-1]]))
            offsets.append(-reach)
    return Tables(rows, offsets)


@compiled
def _expected(padded: Any, row: Any, column: Any, channel: Any, start: Any, around: Any, earlier: Any) -> Any:
    """The whole part of a symbol's mean, and its table. ``padded``: (1 + h, 1 + w + 1, N)."""
    mean, level = start[0, channel], start[1, channel]
    for number in range(len(ROWS)):
        symbol = padded[row + ROWS[number], column + COLUMNS[number], channel]
        mean += around[0, number, channel] * symbol
        level += around[1, number, channel] * min(abs(symbol), LARGEST_MAGNITUDE)
    here = padded[row + 1, column + 1]
    for other in range(channel):
        symbol = here[other]
        if symbol:
            mean += earlier[0, channel, other] * symbol
            level += earlier[1, channel, other] * min(abs(symbol), LARGEST_MAGNITUDE)
    whole, part = whole_and_part(mean)
    return whole, min(max(level >> ONE_BITS, 0), _LEVELS - 1) * FRACTIONS + part


@compiled
def _place(padded: Any, start: Any, around: Any, earlier: Any, values: Any, tables: Any) -> None:
    rows, columns, channels = padded.shape
    number = 0
    for row in range(rows - 1):
        for column in range(columns - 2):
            for channel in range(channels):
                whole, tables[number] = _expected(padded, row, column, channel, start, around, earlier)
                values[number] = padded[row + 1, column + 1, channel] - whole
                number += 1


@compiled
def _decode(
    coded: Any,
    state: Any,
    padded: Any,
    start: Any,
    around: Any,
    earlier: Any,
    counts: Any,
    sizes: Any,
    offsets: Any,
    tables: Any,
) -> bool:
    """Writes symbols to ``padded``, and which tables they are of. Returns whether they can be real."""
    number = 0
    rows, columns, channels = padded.shape
    for row in range(rows - 1):
        for column in range(columns - 2):
            for channel in range(channels):
                whole, table = _expected(padded, row, column, channel, start, around, earlier)
                tables[number] = table
                number += 1
                symbol = whole + decode_symbol(coded, state, counts[table], sizes[table], offsets[table])
                if abs(symbol) > LARGEST_SYMBOL:
                    return False
                padded[row + 1, column + 1, channel] = symbol
    return True
