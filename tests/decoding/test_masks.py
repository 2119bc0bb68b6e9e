"""Distinct masks, against numpy's own search over rows."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.decoding.masks import distinct_masks


@pytest.mark.parametrize("packets", [0, 1, 7, 8, 9, 17, 64, 65])
def test_distinct_masks_are_those_of_numpy_in_its_order(packets: int) -> None:
    rng = np.random.default_rng(packets)
    masks = rng.random((300, packets)) < 0.5
    masks = masks[rng.integers(0, 200, 1000)]
    found, which = distinct_masks(masks)
    expected, of = np.unique(masks, axis=0, return_inverse=True)
    assert np.array_equal(found, expected)
    assert np.array_equal(which, of.reshape(-1))
    assert which.dtype == np.int64
