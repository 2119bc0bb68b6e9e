"""Range coding of integers under mixtures of Gaussians, as a tree of binary decisions.

The decisions for one integer: is it the centre (the rounded mean of the mixture)? If not, is it above? Then: is its
distance 2 or more, 4 or more, …? Last: which of the remaining 2^j values is it? Each decision is coded for all integers
of a packet at once. A decoder makes some thirty passes over arrays that soon are short; most integers are their centre
and end with the first decision. Probabilities come from single IEEE operations and a table made of integers, so they
are the same on every machine. Constriction (Bamler 2022) does the range coding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import constriction
import numpy as np
from numpy.typing import NDArray

from netcodecs.resicomp import fixed_point_tables as tables
from netcodecs.resicomp.mixture import FLOOR, LAPLACE_SCALE, LEAST_SCALE

__all__ = ["LARGEST", "Mixtures", "coded_bits", "counted_bits", "decode", "encode"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Decide = Callable[[Floats, Bools | None, Ints], Bools]
"""(probability of yes, answers of an encoder or None, places of the integers) -> answers."""

LARGEST = 1 << 13
"""Integers are from -LARGEST to LARGEST."""

_LEVELS = 15  # of distances from a centre: up to 2 · LARGEST

_COUNTS = 1 << 22  # probabilities are multiples of 1/_COUNTS, as small a step as float32 has just below one
_POINTS, _END = 1024, 8  # of the table of Φ; at this step the rounding costs less than 1e-6 bit a number
_FAR = tables.SOFTMAX_END * int(LAPLACE_SCALE)  # distance from zero at which the floor's tail vanishes


@dataclass(frozen=True)
class Mixtures:
    """The distributions of n integers: mixtures of Gaussians in quantisation steps.

    Attributes:
        weights: float64 (mixtures, n), which sum to 1.
        means: float64 (mixtures, n).
        scales: Standard deviations, float64 (mixtures, n).
    """

    weights: Floats
    means: Floats
    scales: Floats

    def part(self, start: int, end: int) -> Mixtures:
        """The distributions of integers start … end-1."""
        return Mixtures(*(part[:, start:end] for part in (self.weights, self.means, self.scales)))

    def at(self, places: Ints) -> Mixtures:
        """The distributions at some places, in this order; a place may be repeated."""
        return Mixtures(*(part[:, places] for part in (self.weights, self.means, self.scales)))

    @cached_property
    def centres(self) -> Floats:
        """The rounded mean of each mixture, clipped to the range of integers, (n,)."""
        mean = self.weights[0] * self.means[0]
        for weight, other in zip(self.weights[1:], self.means[1:], strict=True):
            mean = mean + weight * other
        return np.clip(np.rint(mean), -LARGEST, LARGEST)

    @cached_property
    def _finer(self) -> Floats:
        """Table entries per quantisation step."""
        return _POINTS / np.maximum(self.scales, LEAST_SCALE)

    def beyond(self, edges: Floats, sign: Ints | int, which: Ints | slice = slice(None)) -> Floats:
        """Probability of P(X > edge) where ``sign`` is 1, and of P(X < edge) where it is -1.

        Args:
            edges: Odd multiples of ½, (len(which),).
            sign: 1 or -1, or one per edge.
            which: Places of the integers; by default all.
        """
        lower = _normal()
        total: Floats | float = 0.0
        for weight, mean, finer in zip(self.weights, self.means, self._finer, strict=True):
            places = (mean[which] - edges) * (sign * finer[which])
            np.clip(places, -_POINTS * _END, _POINTS * _END, out=places)
            total = total + weight[which] * lower.take(np.rint(places, out=places).astype(np.int32) + _POINTS * _END)
        return (1 - FLOOR) * total + FLOOR * _wide(edges * sign)


@lru_cache(maxsize=1)
def _normal() -> Floats:
    return tables.tail(_POINTS, _END)


def _wide(edges: Floats) -> Floats:
    """P(X > edge) under the floor's Laplace distribution."""
    half_steps = np.minimum(np.abs(edges) * 2, 2 * _FAR).astype(np.int32)
    tail = _laplace_tail().take(half_steps)
    return np.where(edges > 0, tail, 1 - tail)


@lru_cache(maxsize=1)
def _laplace_tail() -> Floats:
    """½·e^(-x / LAPLACE_SCALE) at x = 0, ½, 1, … _FAR, from the table of e^-x."""
    tail = tables.falling()[:: tables.POINTS // (2 * int(LAPLACE_SCALE))] / 2
    tail[-1] = 0.0
    return tail


def _odds(part: Floats, whole: Floats) -> Floats:
    """part / whole as a multiple of 1/_COUNTS, neither 0 nor 1; ½ where ``whole`` is 0."""
    share = np.divide(part, whole, out=np.full(len(part), 0.5), where=whole > 0)
    return np.clip(np.rint(share * _COUNTS), 1, _COUNTS - 1) / _COUNTS


def _walk(mixtures: Mixtures, decide: Decide, numbers: Ints | None) -> Ints:
    """Goes through all decisions and returns the integers.

    Args:
        mixtures: Distributions of the integers.
        decide: Codes or decodes one decision.
        numbers: The integers, for an encoder; None for a decoder.
    """
    centres, everybody = mixtures.centres, np.arange(len(mixtures.centres))
    off = None if numbers is None else numbers - centres.astype(np.int64)
    above, below = mixtures.beyond(centres + 0.5, 1), mixtures.beyond(centres - 0.5, -1)
    elsewhere = np.flatnonzero(
        decide(_odds(above + below, np.ones_like(above)), None if off is None else off != 0, everybody)
    )
    found = centres.astype(np.int64)
    if len(elsewhere) == 0:
        return found
    above, below = above[elsewhere], below[elsewhere]
    off = None if off is None else off[elsewhere]
    upwards = decide(_odds(above, above + below), None if off is None else off > 0, elsewhere)
    signs = np.where(upwards, 1, -1)
    tree = _Distances(mixtures, elsewhere, signs, np.where(upwards, above, below), decide)
    found[elsewhere] += signs * tree.walk(None if off is None else np.abs(off))
    return found


class _Distances:
    """Distances ≥ 1 from the centre, on a known side.

    Args:
        mixtures: Distributions of all integers.
        which: Places of those that are not their centre.
        signs: Their side, 1 or -1.
        first: Their P(distance ≥ 1 on this side).
        decide: Codes or decodes one decision.
    """

    def __init__(self, mixtures: Mixtures, which: Ints, signs: Ints, first: Floats, decide: Decide) -> None:
        self._mixtures, self._which, self._signs, self._first, self._decide = mixtures, which, signs, first, decide

    def _reaching(self, distance: Ints, which: Ints) -> Floats:
        """P(distance or more, on this side)."""
        places, signs = self._which[which], self._signs[which]
        return self._mixtures.beyond(self._mixtures.centres[places] + signs * (distance - 0.5), signs, places)

    def walk(self, distances: Ints | None) -> Ints:
        """The distances. distances: the same, for an encoder; None for a decoder."""
        count = len(self._which)
        low, span = np.ones(count, np.int64), np.ones(count, np.int64)
        at_low, at_high = self._first.copy(), np.zeros(count)
        alive, here = np.arange(count), self._first
        for level in range(1, _LEVELS):  # is it 2^level or more?
            there = self._reaching(np.full(len(alive), 1 << level), alive)
            true = None if distances is None else distances[alive] >= 1 << level
            answers = self._decide(_odds(there, here), true, self._which[alive])
            at_high[alive[~answers]] = there[~answers]
            alive, here = alive[answers], there[answers]
            if len(alive) == 0:
                break
            low[alive], span[alive], at_low[alive] = 1 << level, 1 << level, here
        alive = np.flatnonzero(span > 1)
        while len(alive):  # is it in the upper half?
            half = span[alive] // 2
            middle = self._reaching(low[alive] + half, alive)
            odds = _odds(middle - at_high[alive], at_low[alive] - at_high[alive])
            true = None if distances is None else distances[alive] >= low[alive] + half
            answers = self._decide(odds, true, self._which[alive])
            low[alive] += half * answers
            at_low[alive], at_high[alive] = np.where(answers, (middle, at_high[alive]), (at_low[alive], middle))
            span[alive] = half
            alive = alive[half > 1]
        return low


def coded_bits(numbers: Ints, mixtures: Mixtures) -> Floats:
    """Bits of each integer, (n,): exact except for the range coder's few bytes per packet.

    Args:
        numbers: int64 (n,).
        mixtures: Their distributions.

    >>> one = Mixtures(np.ones((1, 3)), np.zeros((1, 3)), np.ones((1, 3)))
    >>> coded_bits(np.array([0, 1, -20]), one).round(2)
    array([ 1.38,  2.05, 24.22])
    """
    bits = np.zeros(len(numbers))

    def decide(odds: Floats, answers: Bools | None, which: Ints) -> Bools:
        assert answers is not None
        bits[which] -= np.log2(np.where(answers, odds, 1 - odds))
        return answers

    _walk(mixtures, decide, numbers)
    return bits


def counted_bits(symbols: Ints, mixtures: Mixtures) -> float:
    """Bits of all symbols where each channel has one distribution.

    Equal symbols of a channel are evaluated once.

    Args:
        symbols: int64 (..., C).
        mixtures: Distributions of C integers.

    >>> one = Mixtures(np.ones((1, 3)), np.zeros((1, 3)), np.ones((1, 3)))
    >>> round(counted_bits(np.array([[0, 1, -20], [0, 1, 1]]), one), 1)
    33.1
    """
    channels = symbols.shape[-1]
    lowest = int(symbols.min())
    counts = np.bincount(((symbols - lowest) * channels + np.arange(channels)).reshape(-1))
    numbers, which = np.divmod(there := np.flatnonzero(counts), channels)
    return float(counts[there] @ coded_bits(numbers + lowest, mixtures.at(which)))


def encode(numbers: Ints, mixtures: Mixtures) -> bytes:
    """One packet's code.

    Args:
        numbers: int64 (n,), from -LARGEST to LARGEST.
        mixtures: Their distributions.
    """
    coder = constriction.stream.queue.RangeEncoder()
    model = constriction.stream.model.Bernoulli(perfect=False)

    def decide(odds: Floats, answers: Bools | None, which: Ints) -> Bools:
        assert answers is not None
        if len(odds):
            coder.encode(answers.astype(np.int32), model, odds)
        return answers

    _walk(mixtures, decide, numbers)
    return _sealed(coder)


def decode(coded: bytes, mixtures: Mixtures) -> Ints:
    """The integers, int64 (n,), of a code that :func:`encode` made with the same mixtures.

    Raises:
        ValueError: The coder finds that the code is none of these; most damaged codes give other integers instead.
    """
    whole = coded + bytes(-len(coded) % 4 + 8)  # zeros at the end were left out
    coder = constriction.stream.queue.RangeDecoder(np.frombuffer(whole, ">u4").astype(np.uint32))
    model = constriction.stream.model.Bernoulli(perfect=False)

    def decide(odds: Floats, answers: Bools | None, which: Ints) -> Bools:
        return np.asarray(coder.decode(model, odds), dtype=bool) if len(odds) else np.zeros(0, bool)

    try:
        return _walk(mixtures, decide, None)
    except AssertionError as error:  # what constriction raises
        raise ValueError(str(error)) from None


def _sealed(coder: constriction.stream.queue.RangeEncoder) -> bytes:
    """The shortest bytes that, followed by zeros, lie inside the coder's last interval."""
    words = coder.get_compressed()
    full, (lower, span) = coder.pos()
    if len(words) == full + 1:  # one word says which number of the interval; the fewest bytes of it
        for count in range(5):
            unit = 1 << (64 - 8 * count)
            point = -(-lower // unit) * unit
            if point - lower < span and point >> 64 == 0:
                last = (point >> 32).to_bytes(4, "big")[:count]
                return (words[:full].astype(">u4").tobytes() + last).rstrip(b"\0")
    return bytes(words.astype(">u4").tobytes()).rstrip(b"\0")
