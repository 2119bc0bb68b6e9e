"""Tables of the functions that lead to a probability, computed with integers: equal on every machine, to the last bit.

exp, Φ, GELU and softplus differ in their last bits between mathematical libraries, and one such bit can change a
rounding and destroy a packet. Python's integers are the same everywhere: series and integrals are summed in fixed point
with 96 fraction bits, and only the result is rounded to a float.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "GELU_END",
    "POINTS",
    "SOFTMAX_END",
    "SOFTPLUS_END",
    "Floats",
    "falling",
    "gelu_rest",
    "softplus_rest",
    "tail",
]

Floats = NDArray[np.float64]

POINTS = 2048  # entries per unit of the argument, in all tables
SOFTMAX_END = 16  # e^-16 is less than half a step of the table
GELU_END, SOFTPLUS_END, TAIL_END = 6, 12, 12  # beyond these arguments the tabled values vanish

_BITS = 96
_ONE = 1 << _BITS
_STEPS = 2 * POINTS  # Simpson's rule needs the middle between two entries


def _exp_of_minus(numerator: int, denominator: int) -> int:
    """e^(-numerator/denominator) with ``_BITS`` fraction bits, by its series; for small arguments."""
    total, term, order = 0, _ONE, 0
    while term:
        total += term if order % 2 == 0 else -term
        order += 1
        term = term * numerator // (denominator * order)
    return total


def _powers(base: int, count: int) -> list[int]:
    """base^0 … base^count."""
    made = [_ONE]
    for _ in range(count):
        made.append(made[-1] * base >> _BITS)
    return made


@lru_cache(maxsize=1)
def _exponentials() -> Sequence[int]:
    """e^(-n / _STEPS) for n up to SOFTMAX_END · _STEPS."""
    return _powers(_exp_of_minus(1, _STEPS), SOFTMAX_END * _STEPS)


def _inward(integrand: Sequence[int], beyond: int) -> list[int]:
    """Integral from every second entry to infinity (1 / _STEPS apart) by Simpson's rule; beyond: past the last."""
    sums = [beyond]
    for n in range(len(integrand) - 1, 0, -2):
        sums.append(sums[-1] + (integrand[n] + 4 * integrand[n - 1] + integrand[n - 2]) // (3 * _STEPS))
    return sums[::-1]


@lru_cache(maxsize=1)
def _normal_tail() -> Sequence[int]:
    """1 - Φ(n / POINTS): the bell curve by its second differences of logarithms, brought to ½ at 0."""
    bell, ratio, falls = [_ONE], _exp_of_minus(1, 2 * _STEPS**2), _exp_of_minus(1, _STEPS**2)
    for _ in range(TAIL_END * _STEPS):
        bell.append(bell[-1] * ratio >> _BITS)
        ratio = ratio * falls >> _BITS
    sums = _inward(bell, 0)
    return [(value << (_BITS - 1)) // sums[0] for value in sums]


def _floats(values: Sequence[int], bits: int) -> Floats:
    """Rounded to multiples of 2^-bits."""
    half = 1 << (_BITS - bits - 1)
    made = np.array([((value + half) >> (_BITS - bits)) / (1 << bits) for value in values])
    made.flags.writeable = False
    return made


@lru_cache(maxsize=1)
def falling() -> Floats:
    """e^-x at x = n / POINTS up to SOFTMAX_END, in multiples of 2⁻²⁰.

    >>> bool(abs(falling()[POINTS] - np.exp(-1)) < 2**-20)
    True
    """
    return _floats(_exponentials()[::2], 20)


@lru_cache(maxsize=1)
def gelu_rest() -> Floats:
    """x·(1 - Φ(x)) at x = n / POINTS up to GELU_END, in multiples of 2⁻¹⁶: GELU(x) = max(x, 0) - rest(|x|)."""
    return _floats([n * q // POINTS for n, q in enumerate(_normal_tail()[: GELU_END * POINTS + 1])], 16)


@lru_cache(maxsize=1)
def softplus_rest() -> Floats:
    """ln(1 + e^-x) at x = n / POINTS up to SOFTPLUS_END, in multiples of 2⁻²⁰: softplus(x) = max(x, 0) + rest(|x|)."""
    last = _exponentials()[-1]
    beyond = last - (last * last >> (_BITS + 1))
    slope = [(e << _BITS) // (_ONE + e) for e in _exponentials()]
    return _floats(_inward(slope, beyond)[: SOFTPLUS_END * POINTS + 1], 20)


@lru_cache(maxsize=4)
def tail(points: int, end: int) -> Floats:
    """Φ(n / points) for n = -end·points … end·points. The lower tail keeps its relative precision.

    Args:
        points: Entries per unit, a divisor of POINTS.
        end: Largest argument, below TAIL_END.

    Raises:
        ValueError: There is no such table.

    >>> table = tail(1024, 8)
    >>> float(table[8 * 1024]), bool(table[0] < 1e-15)
    (0.5, True)
    """
    if POINTS % points or not 0 < end < TAIL_END:
        raise ValueError(f"no table of {points} points a unit up to {end}")
    lower = _floats(_normal_tail()[: end * POINTS + 1 : POINTS // points], 64)
    made = np.concatenate([lower[::-1], 1 - lower[1:]])
    made.flags.writeable = False
    return made
