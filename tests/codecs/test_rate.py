"""The search for a rate: the nearest setting, with few encodings."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netcodecs.common.rate import nearest_setting

from netsim.errors import InputError


@settings(derandomize=True)
@given(
    st.floats(0.02, 8),
    st.integers(0, 63),
    st.floats(4, 9),
    st.lists(st.floats(0.7, 1.3), min_size=64, max_size=64),
)
def test_finds_the_nearest_on_any_falling_curve(target: float, guess: int, halving: float, wobble: list[float]) -> None:
    curve = [16.0]
    for factor in wobble[1:]:
        curve.append(curve[-1] * 2 ** (-factor / halving))  # every step is at least half of the usual one
    if curve[-1] > target:
        return
    calls: list[int] = []

    def bpp_of(qp: int) -> float:
        calls.append(qp)
        return curve[qp]

    found = nearest_setting(bpp_of, target, 0, 63, guess, per_octave=-7)
    assert found == min(range(64), key=lambda qp: abs(math.log2(curve[qp] / target)))
    assert len(calls) == len(set(calls)) <= 8


def test_rising_scales_too() -> None:
    assert nearest_setting(lambda quality: 0.1 * 2 ** (quality / 20), 0.4, 0, 100, 70, per_octave=20) == 40


def test_the_ends_are_taken_or_refused() -> None:
    assert nearest_setting(lambda quality: 1 + quality / 100, 24, 0, 100, 50, per_octave=30) == 100
    assert nearest_setting(lambda quality: 1 + quality / 100, 0.95, 0, 100, 50, per_octave=30) == 0
    with pytest.raises(InputError, match=r"bpp 0\.5 can't be reached") as caught:
        nearest_setting(lambda quality: 1 + quality / 100, 0.5, 0, 100, 50, per_octave=30)
    assert caught.value.hint == "the smallest stream has 1 bpp"
