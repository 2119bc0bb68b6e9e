"""Weighted sampling by outcome: exact shares, unbiased estimates, and far less spread than without the surrogate."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.channels.markov import MarkovChannel
from netsim.channels.spec import channel_from_spec
from netsim.engines.exact import all_masks, chain_slots
from netsim.engines.stratified import (
    DRAWN_MASKS,
    Selection,
    drawn_masks,
    estimator_weights,
    given_a_loss,
    select,
    simulate_strata,
)
from netsim.links.packets import DELIVERED, LOST, PacketBurst
from netsim.links.profile import link_from_spec
from netsim.statistics.surrogate import features
from netsim.streams import Streams

IDEAL = link_from_spec(None)


def chain(spec: object) -> MarkovChannel:
    found = channel_from_spec(spec)
    assert isinstance(found, MarkovChannel)
    return found


def offer_of(packets: int, protected: int = 0) -> PacketBurst:
    return PacketBurst((100,) * (protected + packets), (True,) * protected + (False,) * packets)


def first_needed(received: np.ndarray) -> np.ndarray:
    """ResiComp's SLC: each slice needs the first."""
    return received & received[:, :1]


@pytest.mark.parametrize("preset", ["EP1", "EP2", "EP4", "EP6", "ge-15"])
def test_failures_and_likely_outcomes_have_their_exact_probability(preset: str) -> None:
    channel, packets = chain(preset), 10
    offer = offer_of(packets)
    [batch] = simulate_strata(
        1, lambda _: offer, [channel], 0, IDEAL, Streams(3, "strata"), 60, lambda _, r: first_needed(r)
    )
    received = batch.outcome == DELIVERED
    assert batch.weight.sum() == pytest.approx(1, abs=1e-9)
    assert batch.drawn == 0
    probability, masks = channel.mask_probabilities(packets), all_masks(packets)
    assert batch.weight[~received[:, 0]].sum() == pytest.approx(probability[~masks[:, 0]].sum(), abs=1e-12)
    assert batch.design_weight is not None
    assert batch.design_weight[received.all(axis=1)].sum() == pytest.approx(probability[-1], abs=1e-12)
    decoded = {tuple(one) for one in first_needed(received) if one.any()}
    assert len(decoded) <= 60 + 20


def test_slc_fails_as_often_as_its_first_packet_is_lost_under_ep2() -> None:
    offer = offer_of(10)
    [batch] = simulate_strata(
        1, lambda _: offer, [chain("EP2")], 0, IDEAL, Streams(1, "s"), 60, lambda _, r: first_needed(r)
    )
    lost_first = batch.weight[(batch.outcome == LOST)[:, 0]].sum()
    assert lost_first == pytest.approx(chain("EP2").loss_rate, abs=1e-12)
    assert lost_first == pytest.approx(0.0311, abs=5e-5)


def test_with_enough_decodings_nothing_is_left_to_chance() -> None:
    channel, masks = chain("EP4"), all_masks(8)
    selection = select(masks, channel.mask_probabilities(8), 255, np.random.default_rng(1))
    assert (selection.replicate == 0).all()
    assert sorted(selection.index) == list(range(256))


def estimate(
    usable: np.ndarray, probabilities: np.ndarray, which: int, values: np.ndarray, draws: int, seed: int
) -> float:
    """The estimated mean of ``values`` over one of several distributions of masks, from one sample."""
    sample = select(usable, probabilities.mean(axis=0), draws, np.random.default_rng(seed))
    return estimate_of(sample, usable, probabilities[which], values)


def estimate_of(sample: Selection, usable: np.ndarray, probabilities: np.ndarray, values: np.ndarray) -> float:
    """The estimated mean of ``values`` over a distribution of masks."""
    design = sample.design_weight(probabilities)
    left = ~sample.certain & usable.any(axis=1)
    mean = probabilities[left] @ features(usable[left])
    weight = estimator_weights(usable[sample.index], sample.replicate, design, mean)
    assert weight.sum() == pytest.approx(probabilities.sum(), abs=1e-9)
    return float(weight @ values[sample.index])


@pytest.mark.parametrize("seeds", [300, pytest.param(3_000, marks=pytest.mark.slow)])
def test_estimates_are_unbiased_for_any_quality_and_each_of_the_channels(seeds: int) -> None:
    """A quality that the surrogate can't follow: random numbers. Unbiased means right on average over seeds."""
    masks = all_masks(7)
    probabilities = np.stack([chain(name).mask_probabilities(7) for name in ("EP4", "EP6")])
    values = np.random.default_rng(9).normal(30, 5, len(masks))
    usable = first_needed(masks)
    _, outcome = np.unique(usable, axis=0, return_inverse=True)
    values = values[outcome.reshape(-1)]
    samples = [select(usable, probabilities.mean(axis=0), 0, np.random.default_rng(seed)) for seed in range(seeds)]
    for which in (0, 1):
        found = np.array([estimate_of(sample, usable, probabilities[which], values) for sample in samples])
        error = found.std() / np.sqrt(seeds)
        assert 0 < error < 0.05 * np.sqrt(3_000 / seeds)
        assert abs(found.mean() - probabilities[which] @ values) < 4 * error


def test_a_quality_of_the_surrogates_own_form_is_estimated_without_error() -> None:
    masks = all_masks(10)
    probabilities = np.stack([chain(name).mask_probabilities(10) for name in ("EP4", "EP6")])
    values = 20 + masks @ np.linspace(0.1, 0.4, 10) + np.sqrt(masks.sum(axis=1))
    found = [estimate(masks, probabilities, 1, values, 200, seed) for seed in range(5)]
    assert found == pytest.approx([float(probabilities[1] @ values)] * 5, abs=2e-3)  # the ridge shrinks a little


def test_spread_is_far_smaller_than_that_of_horvitz_thompson_weights() -> None:
    """Mean squared error adds up over lost packets; its logarithm, PSNR, does not."""
    masks, draws, seeds = all_masks(10), 60, 100
    probabilities = chain("EP6").mask_probabilities(10)[None]
    share = np.random.default_rng(1).uniform(0.5, 1.5, 10)
    values = 10 * np.log10(255**2 / (30 + 40 * (~masks @ share)))
    ours, plain = [], []
    for seed in range(seeds):
        ours.append(estimate(masks, probabilities, 0, values, draws, seed))
        sample = select(masks, probabilities[0], draws, np.random.default_rng(seed))
        plain.append(float(sample.design_weight(probabilities[0]) @ values[sample.index]))
    truth = float(probabilities[0] @ values)
    ours_db, plain_db = (float(np.sqrt(np.mean((np.array(found) - truth) ** 2))) for found in (ours, plain))
    assert ours_db < 0.05
    assert ours_db < plain_db / 10


def test_channels_share_their_decodings() -> None:
    channels, offer = [chain(name) for name in ("EP2", "EP4", "EP6")], offer_of(10)
    found = [
        next(simulate_strata(1, lambda _: offer, channels, which, IDEAL, Streams(3, "strata"), 60))
        for which in range(3)
    ]
    assert len(np.unique(found[0].outcome, axis=0)) <= 60 + 20
    for one in found[1:]:
        np.testing.assert_array_equal(one.outcome, found[0].outcome)
        np.testing.assert_array_equal(one.trials, found[0].trials)
        assert (one.weight != found[0].weight).any()
    for one, channel in zip(found, channels, strict=True):
        lost = float((one.weight * (one.outcome == LOST).sum(axis=1)).sum()) / 10
        assert lost == pytest.approx(channel.loss_rate, abs=2e-3)


def test_a_channel_with_few_losses_has_its_share_of_the_sample() -> None:
    masks = all_masks(10)
    probabilities = np.stack([chain(name).mask_probabilities(10) for name in ("EP1", "EP6")])
    shares = given_a_loss(masks, probabilities)
    expected = sum(0.5 * one / (1 - one[-1]) for one in probabilities)
    np.testing.assert_allclose(shares, expected, rtol=1e-9)
    clear = np.eye(1024)[-1:]  # loses nothing
    np.testing.assert_array_equal(given_a_loss(masks, clear), clear[0])


@pytest.mark.parametrize("packets", [1, 6])
def test_probabilities_of_masks_are_the_channels_own(packets: int) -> None:
    channel = chain({"preset": "EP6", "start": "B"})
    [slot] = chain_slots(1, lambda _: offer_of(packets), channel, IDEAL)
    np.testing.assert_allclose(
        slot.mask_probabilities(all_masks(packets)), channel.mask_probabilities(packets), atol=1e-15
    )


@pytest.mark.parametrize("preset", ["EP1", "EP4", "EP6", "ge-15"])
def test_drawn_masks_follow_the_chain(preset: str) -> None:
    channel, packets, draws = chain(preset), 8, 100_000
    [slot] = chain_slots(1, lambda _: offer_of(packets), channel, IDEAL)
    masks = drawn_masks(slot, draws, np.random.default_rng(11))
    seen = np.bincount(masks @ (1 << np.arange(packets)), minlength=1 << packets) / draws
    expected = channel.mask_probabilities(packets)
    error = np.sqrt(expected * (1 - expected) / draws)
    assert (np.abs(seen - expected) <= 5.5 * error + 1e-12).all()  # 1e-5 over all masks


def test_long_streams_are_drawn_and_say_from_how_many_masks() -> None:
    offer = offer_of(40)
    [batch] = simulate_strata(1, lambda _: offer, [chain("EP6")], 0, IDEAL, Streams(3, "strata"), 100)
    assert batch.drawn == DRAWN_MASKS
    assert batch.weight.sum() == pytest.approx(1, abs=1e-9)
    share = float((batch.weight * (batch.outcome == LOST).sum(axis=1)).sum()) / 40
    assert share == pytest.approx(chain("EP6").loss_rate, abs=0.005)


def test_a_fixed_start_runs_on_and_protected_packets_stay() -> None:
    channel, offer = chain({"preset": "EP5", "start": "B"}), offer_of(10, protected=1)
    batches = list(simulate_strata(2, lambda _: offer, [channel], 0, IDEAL, Streams(3, "strata"), 4000))
    state = np.array(channel.start_distribution)
    for batch in batches:
        rates = []
        for _ in range(10):
            state = state @ channel.transition
            rates.append(float(state @ channel.loss))
        assert (batch.outcome[:, 0] != LOST).all()
        mean = float((batch.weight * (batch.outcome == LOST).sum(axis=1)).sum())
        assert mean == pytest.approx(sum(rates), abs=1e-6)
