"""Range coding of tokens under mixtures of Gaussians, channel after channel, each as a tree of binary decisions.

The decisions for one integer: is it the centre (the rounded mean of the mixture)? If not, is it above? Then: is its
distance 2 or more, 4 or more, …? Last: which of the remaining 2^j values is it? Most integers are their centre and end
with the first decision. What a token's earlier channels say moves and widens the mixtures of later ones
(``TokenContext``). Probabilities come from single IEEE operations and tables made of integers, so they are the same on
every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from netcodecs.resicomp import fixed_point_tables as tables
from netcodecs.resicomp.mixture import FLOOR, LAPLACE_SCALE, LEAST_SCALE, log_likelihood
from netcodecs.resicomp.token_context import FAR, MOST_LOG_SCALE, STEPS, TokenContext
from netcodecs.threads import one_thread
from netcodecs.transforms.range_coder import RangeDecoder, encoder_state, enter, finish, narrow
from netsim.compiling import compiled
from netsim.errors import InputError

__all__ = ["LARGEST", "Mixtures", "TokenCoder"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGEST = 1 << 13
"""Integers are from -LARGEST to LARGEST."""

_LEVELS = 15  # of distances from a centre: up to 2 · LARGEST
_PRECISION = 22  # bits of a probability, as small a step as float32 has just below one
_COUNTS = 1 << _PRECISION
_POINTS, _END = 1024, 8  # of the table of Φ; at this step the rounding costs less than 1e-6 bit a number
_FAR_STEPS = 2 * tables.SOFTMAX_END * int(LAPLACE_SCALE)  # half steps from zero at which the floor's tail vanishes
_ONE = 1 << 14  # of log-scales and means in fixed point
_PER_ENTRY = _ONE // tables.POINTS
_MOST_BITS = 80  # about what the coder's decisions take for a far symbol, where the floor's density vanishes
_DECISIONS_BYTES = 90  # at most, of one integer
_FARTHEST = FAR * STEPS
_MOST_SHIFT = MOST_LOG_SCALE * _ONE
_BITS, _ENCODE, _DECODE = 0, 1, 2  # what the walk does


@dataclass(frozen=True)
class Mixtures:
    """The distributions of the symbols of n tokens: mixtures of K Gaussians in quantisation steps.

    Attributes:
        parameters: Weights, which sum to 1, means and standard deviations, float64 (m, 3, K, C).
        rows: Which of the m each token has, int64 (n,).
        with_known: Whether they were predicted from any known token.
    """

    parameters: Floats
    rows: Ints
    with_known: bool = True

    def part(self, start: int, end: int) -> Mixtures:
        """The distributions of tokens start … end-1."""
        return Mixtures(self.parameters, self.rows[start:end], self.with_known)

    def probabilities(self, token: int, channel: int, symbols: Ints) -> Floats:
        """Of some values of one symbol, before the token's other channels are known; symbols: (k,)."""
        return np.asarray(2 ** -_information(self.parameters[self.rows[token], :, :, channel][..., None], symbols))

    def counted_bits(self, symbols: Ints) -> float:
        """Bits of symbols int64 (..., C) under the first token's distributions without context. Equal ones count once.

        >>> one = Mixtures(np.array([1.0, 0.0, 1.0]).reshape(1, 3, 1, 1).repeat(3, axis=3), np.zeros(1, np.int64))
        >>> round(one.counted_bits(np.array([[0, 1, -2], [0, 1, 1]])), 1)
        13.0
        """
        lowest, channels = int(symbols.min()), symbols.shape[-1]
        counts = np.bincount(((symbols - lowest) * channels + np.arange(channels)).reshape(-1))
        numbers, channel = np.divmod(there := np.flatnonzero(counts), channels)
        return float(counts[there] @ _information(self.parameters[self.rows[0]][:, :, channel], numbers + lowest))


@one_thread()
def _information(parameters: Floats, symbols: Ints) -> Floats:
    """Bits of symbols (n,) under mixtures (3, K, n), for estimates: the last digits differ from machine to machine."""
    weights, means, scales = torch.from_numpy(parameters)
    nats = -log_likelihood(torch.from_numpy(symbols).double(), weights.log(), means, scales)
    return np.minimum(nats.numpy() / math.log(2), _MOST_BITS)


class TokenCoder:
    """Codes tokens.

    Args:
        context: What channels tell later ones.
    """

    def __init__(self, context: TokenContext) -> None:
        unit = _ONE // STEPS
        self._context = []
        for number in range(2):
            bias, *others = (part.detach().cpu().double().numpy() for part in context.weights(number))
            fixed = (np.rint(part.T * unit).astype(np.int32) for part in others)  # a row for each earlier channel
            self._context.append((np.rint(bias * _ONE).astype(np.int32), *map(np.ascontiguousarray, fixed)))
        self._tables = tables.tail(_POINTS, _END), _laplace_tail(), tables.falling()

    def bits(self, symbols: Ints, mixtures: Mixtures) -> Floats:
        """Information of each token, (n,), of symbols (n, C); a code has a third of a byte more on average."""
        bits = np.zeros(len(symbols))
        self._walk(_BITS, symbols, mixtures, np.zeros(3, np.int64), np.zeros(0, np.uint8), bits)
        return bits

    def encode(self, symbols: Ints, mixtures: Mixtures) -> bytes:
        """One packet's code.

        Args:
            symbols: int64 (n, C), from -LARGEST to LARGEST.
            mixtures: Their distributions.

        Raises:
            InputError: A symbol is out of range.
        """
        if symbols.min(initial=0) < -LARGEST or symbols.max(initial=0) > LARGEST:  # no room would be enough
            raise InputError("a symbol is too large to be coded", hint="the network's weights are damaged")
        room = symbols.shape[1] * _DECISIONS_BYTES
        while True:
            state, written = encoder_state(), np.empty(room + symbols.size // 2, np.uint8)
            if self._walk(_ENCODE, symbols, mixtures, state, written, np.zeros(0)):
                return written[: finish(state, written)].tobytes()
            room *= 4

    def decode(self, coded: bytes, mixtures: Mixtures) -> Ints:
        """The symbols, int64 (n, C), of a code that :meth:`encode` made with the same mixtures.

        Raises:
            ValueError: There is an integer that is never encoded; most damaged codes give other integers instead.
        """
        symbols = np.zeros((len(mixtures.rows), mixtures.parameters.shape[3]), np.int64)
        read, state = RangeDecoder(coded).parts
        if not self._walk(_DECODE, symbols, mixtures, state, read.copy(), np.zeros(0)):  # compiled for what is writable
            raise ValueError(f"an integer beyond ±{LARGEST}")
        return symbols

    def _walk(
        self, task: int, symbols: Ints, mixtures: Mixtures, state: Ints, coded: NDArray[np.uint8], bits: Floats
    ) -> bool:
        context = self._context[int(mixtures.with_known)]
        given = map(np.ascontiguousarray, (symbols, mixtures.parameters, mixtures.rows))
        return bool(_walk(task, *given, *context, *self._tables, state, coded, bits))


def _laplace_tail() -> Floats:
    """½·e^(-x / LAPLACE_SCALE) at x = 0, ½, 1, … from the table of e^-x, which ends where it vanishes."""
    tail = tables.falling()[:: tables.POINTS // (2 * int(LAPLACE_SCALE))] / 2
    tail[-1] = 0.0
    return tail


@compiled
def _walk(
    task: Any,
    symbols: Any,
    parameters: Any,
    rows: Any,
    bias: Any,
    of_log_scales: Any,
    of_means: Any,
    normal: Any,
    laplace: Any,
    falling: Any,
    state: Any,
    coded: Any,
    bits: Any,
) -> bool:
    """Goes through all decisions; returns False where there is no room for bytes, or an integer is out of range."""
    mixtures, channels = parameters.shape[2:]
    weights, means, finer, spent = np.empty(mixtures), np.empty(mixtures), np.empty(mixtures), np.zeros(1)
    wider, moved = np.empty(channels, np.int32), np.empty(channels, np.int32)
    for token in range(len(rows)):
        if task == _ENCODE and state[0] + channels * _DECISIONS_BYTES > len(coded):
            return False
        row = parameters[rows[token]]
        wider[:], moved[:], spent[0] = bias, 0, 0.0
        for channel in range(channels):
            mean, variance = 0.0, 0.0
            for k in range(mixtures):
                weights[k], means[k] = row[0, k, channel], row[1, k, channel]
                mean += weights[k] * means[k]
            for k in range(mixtures):
                off, scale = means[k] - mean, row[2, k, channel]
                variance += weights[k] * (scale * scale + off * off)
            deviation = max(math.sqrt(variance), LEAST_SCALE)
            factor, shift = _exponential(wider[channel], falling), deviation * (moved[channel] / _ONE)
            for k in range(mixtures):
                means[k] += shift
                finer[k] = _POINTS / max(row[2, k, channel] * factor, LEAST_SCALE)
            centre = np.rint(min(max(mean + shift, -float(LARGEST)), float(LARGEST)))
            distance = symbols[token, channel] - centre
            symbol = centre + _integer(
                task, distance, centre, weights, means, finer, normal, laplace, state, coded, spent
            )
            if abs(symbol) > LARGEST:
                return False
            if task == _DECODE:
                symbols[token, channel] = int(symbol)
            off = int(min(max(np.rint((symbol - mean) / deviation * STEPS), -_FARTHEST), _FARTHEST))
            if off:
                for later in range(channel + 1, channels):
                    wider[later] += abs(off) * of_log_scales[channel, later]
                    moved[later] += off * of_means[channel, later]
        if task == _BITS:
            bits[token] = spent[0]
    return True


@compiled
def _exponential(shift: Any, falling: Any) -> Any:
    """e^shift, of a log-scale in fixed point."""
    kept = min(max(shift, -_MOST_SHIFT), _MOST_SHIFT)
    power = falling[(abs(kept) + _PER_ENTRY // 2) // _PER_ENTRY]
    return power if kept < 0 else 1 / power


@compiled
def _integer(
    task: Any,
    distance: Any,
    centre: Any,
    weights: Any,
    means: Any,
    finer: Any,
    normal: Any,
    laplace: Any,
    state: Any,
    coded: Any,
    spent: Any,
) -> Any:
    """Codes or decodes one integer. Returns its distance from the centre; a decoder does not read ``distance``."""
    above = _beyond(centre + 0.5, 1.0, weights, means, finer, normal, laplace)
    below = _beyond(centre - 0.5, -1.0, weights, means, finer, normal, laplace)
    if not _decide(task, above + below, 1.0, distance != 0, state, coded, spent):
        return 0.0
    sign = 1.0 if _decide(task, above, above + below, distance > 0, state, coded, spent) else -1.0
    far, here, there = abs(distance), above if sign > 0 else below, 0.0
    low, at_low, at_high = 1, here, 0.0
    for level in range(1, _LEVELS):  # is it 2^level or more?
        there = _beyond(centre + sign * ((1 << level) - 0.5), sign, weights, means, finer, normal, laplace)
        if not _decide(task, there, here, far >= 1 << level, state, coded, spent):
            at_high = there
            break
        low, at_low, here = 1 << level, there, there
    half = low // 2
    while half:  # is it in the upper half?
        middle = _beyond(centre + sign * (low + half - 0.5), sign, weights, means, finer, normal, laplace)
        if _decide(task, middle - at_high, at_low - at_high, far >= low + half, state, coded, spent):
            low, at_low = low + half, middle
        else:
            at_high = middle
        half //= 2
    return sign * low


@compiled
def _beyond(edge: Any, sign: Any, weights: Any, means: Any, finer: Any, normal: Any, laplace: Any) -> Any:
    """P(X > edge) where ``sign`` is 1, P(X < edge) where it is -1. edge: an odd multiple of ½."""
    total, end = 0.0, float(_POINTS * _END)
    for k in range(len(weights)):
        place = min(max((means[k] - edge) * (sign * finer[k]), -end), end)
        total += weights[k] * normal[int(np.rint(place)) + _POINTS * _END]
    wide = laplace[int(min(abs(edge) * 2, float(_FAR_STEPS)))]
    return (1 - FLOOR) * total + FLOOR * (wide if edge * sign > 0 else 1 - wide)


@compiled
def _decide(task: Any, part: Any, whole: Any, answer: Any, state: Any, coded: Any, spent: Any) -> Any:
    """Codes or decodes a decision that is true with the probability part / whole, or ½ where ``whole`` is 0."""
    share = part / whole if whole > 0 else 0.5
    count = int(min(max(np.rint(share * _COUNTS), 1.0), _COUNTS - 1.0))
    if task == _DECODE:
        answer = state[1] < (state[2] >> _PRECISION) * count
    start, counted = (0, count) if answer else (count, _COUNTS - count)
    if task == _DECODE:
        enter(coded, state, start, counted, _PRECISION)
        state[1] = min(state[1], state[2] - 1)  # of a damaged code
    elif task == _ENCODE:
        narrow(state, coded, start, counted, _PRECISION)
    else:
        spent[0] += _PRECISION - math.log2(counted)
    return answer
