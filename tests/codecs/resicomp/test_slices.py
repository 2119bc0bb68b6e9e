"""Slices by Eq. 10."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netcodecs.resicomp.modes import MODES, context_matrix
from netcodecs.resicomp.order import qlds_order
from netcodecs.resicomp.slices import slice_cells, slice_map, slice_sizes

from netsim.errors import InputError

PUBLISHED = [65, 80, 96, 115, 135, 157, 182, 207, 235, 264]  # LC, N = 1536, L = 10, beta 2.2


def test_sizes_of_the_layered_mode():
    assert slice_sizes(1536, context_matrix("LC", 10), 2.2).tolist() == PUBLISHED


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(MODES), st.integers(1, 400), st.floats(0, 1), st.floats(-40, 40))
def test_sizes_sum_up_and_none_is_empty(mode, tokens, share, beta):
    slices = 1 + round(share * (tokens - 1))
    contexts = context_matrix(mode, slices)
    sizes = slice_sizes(tokens, contexts, beta)
    assert sizes.dtype == np.int64
    assert len(sizes) == slices
    assert sizes.sum() == tokens
    assert sizes.min() >= 1
    weight = (1 + contexts.sum(axis=1) / slices) ** beta
    ideal = tokens * weight / weight.sum()
    if ideal.min() >= 1:  # nobody needed a token as a gift: whole numbers next to Eq. 10's
        assert np.abs(sizes - ideal).max() < 1 + 1e-5


def test_equal_slices_where_nothing_tells_them_apart():
    for beta, mode in ((2.2, "ISC"), (0, "LC")):
        sizes = slice_sizes(1536, context_matrix(mode, 10), beta)
        assert np.bincount(sizes)[153:].tolist() == [4, 6]
        assert np.cumsum(sizes)[4] == 768  # halves meet in the middle, to the token
    assert slice_sizes(24, context_matrix("LC", 24), 2.2).tolist() == [1] * 24
    assert slice_sizes(24, context_matrix("LC", 1), 2.2).tolist() == [24]


def test_steep_exponents_leave_a_token_for_everyone():
    assert slice_sizes(12, context_matrix("LC", 10), 30).tolist() == [1] * 9 + [3]
    assert slice_sizes(12, context_matrix("LC", 10), -30).tolist() == [3] + [1] * 9


def test_slices_are_consecutive_ranks():
    sizes = slice_sizes(1536, context_matrix("LC", 10), 2.2)
    cells = slice_cells(32, 48, sizes)
    assert [len(one) for one in cells] == PUBLISHED
    assert np.array_equal(np.concatenate(cells), qlds_order(32, 48))
    found = slice_map(32, 48, sizes)
    assert found.shape == (32, 48)
    for number, one in enumerate(cells):
        assert (found.reshape(-1)[one] == number).all()


@pytest.mark.parametrize(
    ("tokens", "slices", "beta", "telling"),
    [
        (6, 7, 2.2, "7 slices for 6 tokens"),
        (6, 3, float("nan"), "beta nan"),
        (6, 3, float("inf"), "beta inf"),
        (6, 3, 101, "beta 101"),
    ],
)
def test_refusals(tokens, slices, beta, telling):
    with pytest.raises(InputError, match=telling):
        slice_sizes(tokens, context_matrix("LC", slices), beta)


def test_sizes_that_are_not_the_grids():
    with pytest.raises(ValueError, match="5 tokens on a grid of 2 × 3"):
        slice_cells(2, 3, np.array([2, 3]))
