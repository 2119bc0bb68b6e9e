"""Closed forms against sums over all state paths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.channels import MarkovChannel, bernoulli, burst, preset, statistics
from netsim.errors import InputError
from tests.channels import brute_force
from tests.channels.brute_force import counts_of, valid_presets

PRESETS = list(valid_presets())


@pytest.mark.parametrize("channel", PRESETS, ids=lambda c: c.name)
def test_masks_and_counts_against_all_paths(channel: MarkovChannel) -> None:
    from_good = np.eye(len(channel.states))[0]
    for start, lengths in ((channel.start_distribution, range(1, 9)), (from_good, (1, 5))):
        for packets in lengths:
            exact = brute_force.mask_probabilities(channel.transition, channel.loss, start, packets)
            counts = counts_of(exact, packets)
            np.testing.assert_allclose(channel.mask_probabilities(packets, start), exact, rtol=0, atol=1e-12)
            np.testing.assert_allclose(channel.loss_count_probabilities(packets, start), counts, rtol=0, atol=1e-12)


@st.composite
def chains(draw: st.DrawFn) -> MarkovChannel:
    """Chains of one to four states, zeros included, from a start that always exists."""
    size = draw(st.integers(1, 4))
    weights = st.lists(st.integers(0, 5), min_size=size, max_size=size).filter(any)
    rows = np.array([draw(weights) for _ in range(size)], dtype=float)
    loss = draw(st.lists(st.sampled_from([0.0, 0.05, 0.5, 1.0]), min_size=size, max_size=size))
    return MarkovChannel("random", rows / rows.sum(axis=1, keepdims=True), loss, start="uniform")


@settings(max_examples=60, deadline=None)
@given(chains(), st.integers(1, 4))
def test_random_chains_against_all_paths(channel: MarkovChannel, packets: int) -> None:
    masks = channel.mask_probabilities(packets)
    counts = channel.loss_count_probabilities(packets)
    exact = brute_force.mask_probabilities(channel.transition, channel.loss, channel.start_distribution, packets)
    np.testing.assert_allclose(masks, exact, rtol=0, atol=1e-12)
    np.testing.assert_allclose(counts, counts_of(exact, packets), rtol=0, atol=1e-12)
    assert abs(masks.sum() - 1) < 1e-12
    assert abs(counts.sum() - 1) < 1e-12
    assert min(masks.min(), counts.min()) >= 0


@settings(max_examples=60, deadline=None)
@given(chains())
def test_stationary_solves_its_equation_and_the_rest_follows(channel: MarkovChannel) -> None:
    if len(statistics.closed_classes(channel.transition)) > 1:
        with pytest.raises(InputError, match="no single stationary distribution"):
            _ = channel.stationary
        return
    pi = channel.stationary
    np.testing.assert_allclose(pi @ channel.transition, pi, atol=1e-14)
    assert abs(pi.sum() - 1) < 1e-14
    # two packets in stationarity give the rate, the burst and the first correlation by their definitions
    both, only_second, only_first, _ = channel.mask_probabilities(2, pi)  # lost: both, second… of bits (1, 0)
    rate = both + only_first
    assert channel.loss_rate == pytest.approx(rate, abs=1e-12)
    assert channel.loss_rate == pytest.approx(both + only_second, abs=1e-12)
    if only_second > 1e-9:  # a run of losses begins
        assert channel.mean_burst == pytest.approx(rate / only_second, rel=1e-9)
        lengths = channel.burst_length_probabilities(60)
        assert lengths.sum() <= 1 + 1e-12
        if lengths.sum() > 1 - 1e-9:
            assert (lengths * np.arange(61)).sum() == pytest.approx(channel.mean_burst, rel=1e-6)
    if rate * (1 - rate) > 1e-9:
        assert channel.autocorrelation(1) == pytest.approx((both - rate**2) / (rate * (1 - rate)), abs=1e-9)
    assert channel.autocorrelation(0) == 1


@pytest.mark.parametrize("channel", PRESETS, ids=lambda c: c.name)
def test_autocorrelation_by_definition(channel: MarkovChannel) -> None:
    for lag in (1, 2, 5):
        masks = channel.mask_probabilities(lag + 1)
        index = np.arange(len(masks))
        both_lost = masks[(index & 1 == 0) & (index >> lag & 1 == 0)].sum()
        rate = channel.loss_rate
        assert channel.autocorrelation(lag) == pytest.approx((both_lost - rate**2) / (rate * (1 - rate)), abs=1e-9)


@pytest.mark.parametrize("channel", PRESETS, ids=lambda c: c.name)
def test_burst_lengths_by_definition(channel: MarkovChannel) -> None:
    """P(run of k) from masks: received, k lost, received, given received then lost."""
    lengths = channel.burst_length_probabilities(6)
    begins = channel.mask_probabilities(2)[0b01]
    for k in range(1, 7):
        run = channel.mask_probabilities(k + 2)[1 | 1 << (k + 1)]
        assert lengths[k] == pytest.approx(run / begins, abs=1e-12)


def test_windows_of_any_length_sum_to_one() -> None:
    for packets in (1, 10, 16):
        assert preset("EP4").mask_probabilities(packets).shape == (2**packets,)
        assert preset("EP4").mask_probabilities(packets).sum() == pytest.approx(1, abs=1e-12)
    counts = preset("EP5").loss_count_probabilities(500)
    assert counts.sum() == pytest.approx(1, abs=1e-12)
    assert (counts * np.arange(501)).sum() == pytest.approx(500 * preset("EP5").loss_rate, rel=1e-9)


@pytest.mark.parametrize("packets", [0, -1, 25])
def test_impossible_windows_are_refused(packets: int) -> None:
    with pytest.raises(InputError, match=str(packets)):
        preset("EP4").mask_probabilities(packets)
    if packets < 1:
        with pytest.raises(InputError, match=str(packets)):
            preset("EP4").loss_count_probabilities(packets)
        with pytest.raises(InputError, match=str(packets)):
            preset("EP4").burst_length_probabilities(packets)


def test_a_periodic_chain_has_its_stationary_distribution() -> None:
    channel = MarkovChannel("turns", [[0, 1], [1, 0]], [0, 1], ("G", "B"))
    assert channel.stationary.tolist() == [0.5, 0.5]
    assert channel.mean_burst == 1
    assert [channel.autocorrelation(k) for k in range(4)] == [1, -1, 1, -1]


def test_states_left_for_ever_have_no_weight() -> None:
    rows = [[0.5, 0.5, 0], [0, 0.25, 0.75], [0, 0.5, 0.5]]
    assert statistics.stationary(np.array(rows)).tolist() == pytest.approx([0, 0.4, 0.6])
    assert statistics.stationary(np.array(rows))[0] == 0


def test_several_stationary_distributions_are_refused_with_their_states() -> None:
    rows, loss = np.array([[1, 0, 0], [0.2, 0.4, 0.4], [0, 0, 1]]), [0, 0.5, 1]
    with pytest.raises(InputError, match=r"\{up\} nor \{down\}"):
        MarkovChannel("stuck", rows, loss, ("up", "on the way", "down"))
    channel = MarkovChannel("stuck", rows, loss, ("up", "on the way", "down"), start="on the way")
    assert channel.loss_count_probabilities(1).tolist() == pytest.approx([0.2 + 0.4 * 0.5, 0.4 * 0.5 + 0.4])
    with pytest.raises(InputError, match="no single stationary distribution"):
        _ = channel.loss_rate


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 0.0), (1.0, float("inf"))])
def test_nothing_or_everything_lost(rate: float, expected: float) -> None:
    assert bernoulli(rate).mean_burst == expected
    assert bernoulli(rate).autocorrelation(3) == 0
    assert bernoulli(rate).burst_length_probabilities(4).sum() == 0


@pytest.mark.parametrize("start", [[1.0], [0.7, 0.7], [-0.1, 1.1]])
def test_a_start_that_is_no_distribution_is_refused(start: Any) -> None:
    with pytest.raises(InputError, match="not a distribution over G, B") as caught:
        burst(0.1, 4).mask_probabilities(3, start)
    assert caught.value.key == ("start",)


def test_a_negative_lag_is_refused() -> None:
    with pytest.raises(InputError, match="-1"):
        preset("EP4").autocorrelation(-1)


def test_rounding_does_not_add_up_over_many_steps() -> None:
    assert preset("ge-15").autocorrelation(10**18) == pytest.approx(0, abs=1e-12)


def test_every_is_the_chain_at_every_kth_step() -> None:
    channel, apart = preset("EP6"), preset("EP6").decimated(3)
    assert apart.loss_rate == pytest.approx(channel.loss_rate, abs=1e-12)
    for lag in (1, 2):
        assert apart.autocorrelation(lag) == pytest.approx(channel.autocorrelation(3 * lag), abs=1e-12)
    masks = channel.mask_probabilities(4)
    ends = [masks[[m for m in range(16) if (m & 1, m >> 3 & 1) == (a, b)]].sum() for b in (0, 1) for a in (0, 1)]
    np.testing.assert_allclose(apart.mask_probabilities(2), ends, rtol=0, atol=1e-12)
