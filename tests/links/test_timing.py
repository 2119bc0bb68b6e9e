"""Chain steps between two transmissions."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netsim.links.profile import LinkProfile
from netsim.links.timing import chain_steps, serialisation_s


def test_serialisation_counts_headers():
    assert serialisation_s((900, 0), LinkProfile(rate_bps=9600, overhead_bytes=60)) == [0.8, 0.05]
    assert serialisation_s((900,), LinkProfile()) == [0.0]


def test_packets_a_step_apart_are_one_step_apart_despite_rounding():
    times = np.cumsum(np.full(100_000, 0.1))  # accumulates rounding errors
    assert (np.floor(times[1:] / 0.1) - np.floor(times[:-1] / 0.1) != 1).any()  # which plain floors do not survive
    assert (chain_steps(times[:-1], times[1:], 0.1) == 1).all()


@given(
    st.lists(st.floats(0, 1e4), min_size=3, max_size=30).map(sorted),
    st.floats(1e-3, 1e3),
)
def test_steps_add_up(times, step_s):
    steps = chain_steps(np.array(times[:-1]), np.array(times[1:]), step_s)
    assert (steps >= 0).all()
    assert steps.sum() == chain_steps(times[0], times[-1], step_s)
    assert abs(int(steps.sum()) - (times[-1] - times[0]) / step_s) <= 1
    assert [int(chain_steps(a, b, step_s)) for a, b in pairwise(times)] == steps.tolist()
