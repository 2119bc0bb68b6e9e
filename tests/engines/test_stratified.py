"""Weighted sampling by outcome: exact shares, fair draws of the rest, and less spread than plain sampling."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.channels.markov import MarkovChannel
from netsim.channels.spec import channel_from_spec
from netsim.engines.exact import all_masks, chain_slots
from netsim.engines.stratified import DRAWN_MASKS, drawn_masks, select, simulate_strata
from netsim.links.packets import DELIVERED, LOST, PacketBurst
from netsim.links.profile import link_from_spec
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
        1, lambda _: offer, channel, IDEAL, Streams(3, "strata"), 60, lambda _, r: first_needed(r)
    )
    received = batch.outcome == DELIVERED
    assert batch.weight.sum() == pytest.approx(1, abs=1e-12)
    assert batch.drawn == 0
    probability, masks = channel.mask_probabilities(packets), all_masks(packets)
    assert batch.weight[~received[:, 0]].sum() == pytest.approx(probability[~masks[:, 0]].sum(), abs=1e-12)
    assert batch.weight[received.all(axis=1)].sum() == pytest.approx(probability[-1], abs=1e-12)
    decoded = {tuple(one) for one in first_needed(received) if one.any()}
    assert len(decoded) <= 60 + 20


def test_slc_fails_as_often_as_its_first_packet_is_lost_under_ep2() -> None:
    offer = offer_of(10)
    [batch] = simulate_strata(
        1, lambda _: offer, chain("EP2"), IDEAL, Streams(1, "s"), 60, lambda _, r: first_needed(r)
    )
    lost_first = batch.weight[(batch.outcome == LOST)[:, 0]].sum()
    assert lost_first == pytest.approx(chain("EP2").loss_rate, abs=1e-12)
    assert lost_first == pytest.approx(0.0311, abs=5e-5)


def test_with_enough_decodings_nothing_is_left_to_chance() -> None:
    channel, masks = chain("EP4"), all_masks(8)
    selection = select(masks, channel.mask_probabilities(8), 255, np.random.default_rng(1))
    assert (selection.replicate == 0).all()
    assert sorted(selection.index) == list(range(256))


def test_sampled_outcomes_stand_for_their_own_share() -> None:
    """Over many seeds, a rare outcome's mean weight is its probability."""
    channel, masks = chain("EP6"), all_masks(10)
    probability = channel.mask_probabilities(10)
    usable = first_needed(masks)
    weight = np.zeros(len(masks))
    seeds = 400
    squares = np.zeros(len(masks))
    for seed in range(seeds):
        selection = select(usable, probability, 60, np.random.default_rng(seed))
        once = np.bincount(selection.index, selection.weight, len(masks))
        weight += once / seeds
        squares += once**2 / seeds
    error = np.sqrt((squares - weight**2).clip(0) / seeds)
    lost = (~masks).sum(axis=1)
    for count in range(11):  # over all masks of a count the calibration's bias of order 1/n is far below the error
        mine = lost == count
        assert abs(weight[mine].sum() - probability[mine].sum()) < 5.5 * np.sqrt((error[mine] ** 2).sum()) + 1e-12


def test_usable_packets_have_their_exact_mean() -> None:
    channel, masks = chain("EP4"), all_masks(10)
    probability = channel.mask_probabilities(10)
    usable = first_needed(masks)
    right, off = float((probability * usable.sum(axis=1)).sum()), []
    for seed in range(40):
        selection = select(usable, probability, 60, np.random.default_rng(seed))
        assert (selection.weight > 0).all()
        off.append(float((selection.weight * usable[selection.index].sum(axis=1)).sum()) - right)
    assert np.median(np.abs(off)) < 1e-12  # a few would need a weight below zero, and stop short
    assert np.max(np.abs(off)) < 0.1


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
    [batch] = simulate_strata(1, lambda _: offer, chain("EP6"), IDEAL, Streams(3, "strata"), 100)
    assert batch.drawn == DRAWN_MASKS
    assert batch.weight.sum() == pytest.approx(1, abs=1e-12)
    share = float((batch.weight * (batch.outcome == LOST).sum(axis=1)).sum()) / 40
    assert share == pytest.approx(chain("EP6").loss_rate, abs=0.005)


def test_a_fixed_start_runs_on_and_protected_packets_stay() -> None:
    channel, offer = chain({"preset": "EP5", "start": "B"}), offer_of(10, protected=1)
    batches = list(simulate_strata(2, lambda _: offer, channel, IDEAL, Streams(3, "strata"), 4000))
    state = np.array(channel.start_distribution)
    for batch in batches:
        rates = []
        for _ in range(10):
            state = state @ channel.transition
            rates.append(float(state @ channel.loss))
        assert (batch.outcome[:, 0] != LOST).all()
        mean = float((batch.weight * (batch.outcome == LOST).sum(axis=1)).sum())
        assert mean == pytest.approx(sum(rates), abs=1e-9)


def test_spread_is_smaller_than_with_plain_sampling() -> None:
    """A quality that falls with the losses: the estimate's spread over seeds, at equal decodings."""
    channel, packets, draws = chain("EP6"), 10, 60
    masks, probability = all_masks(packets), channel.mask_probabilities(packets)
    cost = (~masks).sum(axis=1) + (~masks[:, :4]).sum(axis=1)
    strata, plain = [], []
    for seed in range(200):
        selection = select(masks, probability, draws, np.random.default_rng(seed))
        strata.append(float((selection.weight * cost[selection.index]).sum()))
        plain.append(float(cost[np.random.default_rng(seed).choice(len(cost), draws, p=probability)].mean()))
    assert np.std(strata) < 0.3 * np.std(plain)
