"""QLDS order: the rule of the paper's source word for word, all cells once, quick."""

from math import floor
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netcodecs.resicomp.order import PLASTIC, qlds_order


def half_even(value):
    return round(value)  # Python rounds halves to even


def order_by_the_rule(height, width):
    """The rule, one point at a time."""
    seen, n = [], 0
    taken = set()
    while len(seen) < height * width:
        n += 1
        across, down = 0.5 + n / PLASTIC**2, 0.5 + n / PLASTIC
        row = half_even((down - floor(down)) * height) % height
        column = half_even((across - floor(across)) * width) % width
        if (row, column) not in taken:
            taken.add((row, column))
            seen.append(row * width + column)
    return seen


def test_plastic_number_solves_its_equation():
    assert abs(PLASTIC**3 - PLASTIC - 1) < 1e-15


def test_first_cells_of_a_kodak_image():
    assert [divmod(int(cell), 48) for cell in qlds_order(32, 48)[:4]] == [(8, 3), (0, 31), (24, 10), (17, 37)]


@pytest.mark.parametrize(("height", "width"), [(32, 48), (48, 32), (1, 1), (1, 9), (7, 1), (4, 4), (13, 29)])
def test_order_is_the_rule(height, width):
    assert qlds_order(height, width).tolist() == order_by_the_rule(height, width)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60))
def test_every_cell_once(height, width):
    order = qlds_order(height, width)
    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(height * width))


def test_any_tenth_covers_the_image():
    """The point of it: in every tenth of the order each quarter of the image has about a quarter of the cells."""
    row, column = np.divmod(qlds_order(32, 48), 48)
    quarter = 2 * (row >= 16) + (column >= 24)
    for tenth in np.array_split(quarter, 10):
        assert np.bincount(tenth, minlength=4) == pytest.approx(len(tenth) / 4, abs=8)


def test_quick_and_cached():
    assert qlds_order(32, 48) is qlds_order(32, 48)
    with pytest.raises(ValueError, match="read-only"):
        qlds_order(32, 48)[0] = 1
    times = []
    for _ in range(3):
        qlds_order.cache_clear()
        start = perf_counter()
        qlds_order(128, 192)
        times.append(perf_counter() - start)
    assert min(times) < 1.0  # some .07 s; the machine may be busy


def test_a_grid_without_cells_is_refused():
    with pytest.raises(ValueError, match="0 × 5"):
        qlds_order(0, 5)
