"""Tables and range coding of the latent: with tables that are the same at both ends."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import erfc, ndtr, ndtri

from netcodecs.compressai_import import compressai
from netcodecs.transforms.fixed_point import scale_steps
from netcodecs.transforms.range_coder import PRECISION, RangeDecoder, encode
from netsim.errors import InputError

__all__ = ["LARGEST_SYMBOL", "StreamDecoder", "Tables", "bottleneck_tables", "latent_tables", "table_of"]

Ints = NDArray[np.int64]

_GAUSSIAN_COUNT = 200
_TAIL = 1e-9  # probability of both tails, as CompressAI's GaussianConditional
LARGEST_SYMBOL = 1 << 20


@dataclass(frozen=True)
class Tables:
    """Cumulative counts per table (the last symbol escapes to longer codes) and the value of each first symbol."""

    counts: list[list[int]]
    offsets: list[int]

    @cached_property
    def arrays(self) -> tuple[Ints, Ints, Ints]:
        """Counts (tables, longest), number of counts of each table, offsets: what ``range_coder.encode`` takes."""
        sizes = np.array(list(map(len, self.counts)))
        counts = np.full((len(sizes), sizes.max()), 1 << PRECISION)
        for row, given in zip(counts, self.counts, strict=True):
            row[: len(given)] = given
        return counts, sizes, np.array(self.offsets)

    @cached_property
    def _bits(self) -> NDArray[np.float64]:
        """Code length of each symbol, (tables, symbols), the escape's prefix included at its place."""
        longest = max(map(len, self.counts)) - 1
        bits = np.full((len(self.counts), longest), np.inf)
        for row, counts in zip(bits, self.counts, strict=True):
            row[: len(counts) - 1] = PRECISION - np.log2(np.diff(counts))
        return bits

    def bits(self, symbols: Ints, indexes: Ints) -> NDArray[np.float64]:
        """Code length of each symbol in bits, of any equal shape; a string has a third of a byte more on average.

        An escaped symbol takes 4 bits for each hexadecimal digit and 4 for their number.
        """
        escape = np.array([len(counts) - 2 for counts in self.counts])[indexes]
        value = symbols - np.array(self.offsets)[indexes]
        escaped = (value < 0) | (value >= escape)
        bits = self._bits[indexes, np.where(escaped, escape, value)]
        far = value[escaped]  # few
        beyond = np.where(far < 0, -2 * far - 1, 2 * (far - escape[escaped]))
        bits[escaped] += 4 + 4 * np.ceil(np.log2(beyond + 1.0) / 4)
        return bits

    def encode(self, symbols: Ints, indexes: Ints) -> bytes:
        """One string. symbols, indexes (which table): of any equal shape."""
        return encode(np.ravel(symbols), np.ravel(indexes), *self.arrays).ljust(self._least_bytes(indexes), b"\0")

    def _least_bytes(self, indexes: Ints) -> int:
        """Whole bytes of the likeliest symbols. The zeros that a string may end with are not left out below that, so
        that a decoder can refuse a string which is too short."""
        return int(self._least_bits[indexes].sum() // 8)

    @cached_property
    def _least_bits(self) -> NDArray[np.float64]:
        """Bits of the likeliest symbol of each table, (tables,)."""
        return self._bits.min(axis=1)

    def decode(self, coded: bytes, indexes: Ints) -> Ints:
        """Symbols of a string, in the shape of ``indexes``.

        Raises:
            InputError: The string has too few bits for that many symbols, or symbols that no image has.
        """
        self.refuse_short(coded, indexes)
        return StreamDecoder(self, coded).decode(indexes)

    def refuse_short(self, coded: bytes, indexes: Ints) -> None:
        """Raises InputError if a string has too few bits for symbols of these tables."""
        self._refuse(coded, self._least_bytes(indexes), indexes.size)

    def refuse_short_of_any(self, coded: bytes, count: int) -> None:
        """Raises InputError if a string has too few bits for so many symbols, whatever their tables."""
        self._refuse(coded, int(self._least_bits.min() * count // 8), count)

    @staticmethod
    def _refuse(coded: bytes, least_bytes: int, count: int) -> None:
        if least_bytes > len(coded):
            raise InputError(f"damaged payload: {len(coded)} bytes for {count} symbols")


class StreamDecoder:
    """Decodes a string in parts, where the tables of later symbols depend on earlier symbols.

    Args:
        tables: With which the string was encoded.
        coded: The string.
    """

    def __init__(self, tables: Tables, coded: bytes) -> None:
        self._tables = tables
        self._coder = RangeDecoder(coded)

    def decode(self, indexes: Ints) -> Ints:
        """The next symbols, in the shape of ``indexes``, their tables.

        Raises:
            InputError: There is a symbol that no image has: the string is damaged.
        """
        found = self._coder.decode(np.ravel(indexes), *self._tables.arrays)
        if found is None or np.abs(found).max(initial=0) > LARGEST_SYMBOL:
            raise InputError(f"damaged payload: a symbol beyond ±{LARGEST_SYMBOL}")
        return found.reshape(indexes.shape)


def latent_tables(counts: NDArray[np.int64] | None = None, fractions: int = 1) -> Tables:
    """Tables of the latent's symbols for each of ``scale_steps``, rounded to integers.

    Normal distributions; CompressAI's, but in float64 on one thread: in float32 the number of threads decides how a
    tail rounds. Where counts of real symbols are at hand, the tables of mean 0 follow them, and the normal distribution
    stands for ``_GAUSSIAN_COUNT`` symbols more.

    Args:
        counts: How often each magnitude 0, 1, … was seen at each scale, (64, magnitudes).
        fractions: Tables of each scale, with means 0, 1 / ``fractions``, …; scale by scale.
    """
    tables, offsets = [], []
    reach = -float(ndtri(_TAIL / 2))  # in standard deviations
    for number, scale in enumerate(scale_steps()):
        centre = math.ceil(scale * reach)
        for part in range(fractions):
            if part:
                edges = np.arange(-centre, centre + 3) - 0.5 - part / fractions
                below = ndtr(edges / scale)
                tables.append(table_of([*np.diff(below), below[0] + 1 - below[-1]]))
            else:
                tables.append(table_of(_centred(scale, centre, None if counts is None else counts[number])))
            offsets.append(-centre)
    return Tables(tables, offsets)


def _centred(scale: float, centre: int, counts: NDArray[np.int64] | None) -> list[float]:
    """Probabilities of −centre … centre, and of all others, with mean 0; arguments as for :func:`latent_tables`."""
    magnitude = np.arange(centre + 1)
    upper, lower = (0.5 * erfc(-(side - magnitude) / (scale * math.sqrt(2))) for side in (0.5, -0.5))
    mass = upper - lower
    if counts is not None:
        seen = counts[: centre + 1]
        both = np.where(magnitude[: len(seen)] > 0, 2.0, 1.0)  # a magnitude is two symbols
        total = seen.sum() + _GAUSSIAN_COUNT
        mass = mass * _GAUSSIAN_COUNT / total
        mass[: len(seen)] += seen / both / total
    return [*mass[:0:-1], *mass, 2 * float(lower[-1])]


def bottleneck_tables(bottleneck: Any) -> Tables:
    """Tables of CompressAI's EntropyBottleneck, one per channel, made in float64."""
    exact = copy.deepcopy(bottleneck).double()
    exact.update(force=True)
    lengths = exact.cdf_length.tolist()
    counts = [row[:length] for row, length in zip(exact.quantized_cdf.tolist(), lengths, strict=True)]
    return Tables(counts, exact.offset.tolist())


def table_of(probabilities: list[float]) -> list[int]:
    """Cumulative counts of symbols and, last, of the escape: CompressAI's rounding to whole counts, none of them 0."""
    made = compressai.entropy_models.entropy_models.pmf_to_quantized_cdf(torch.tensor(probabilities), PRECISION)
    counts: list[int] = made.tolist()
    return counts
