"""Sampling by loss count: exact strata, fair draws inside them, and less spread than plain sampling."""

import numpy as np
import pytest

from netsim.channels.markov import MarkovChannel
from netsim.channels.spec import channel_from_spec
from netsim.engines import stratified
from netsim.engines.event import LOST, Offer
from netsim.engines.exact import all_masks, chain_slots
from netsim.links.profile import link_from_spec
from netsim.streams import Streams


def chain(spec: object) -> MarkovChannel:
    found = channel_from_spec(spec)
    assert isinstance(found, MarkovChannel)
    return found


@pytest.mark.parametrize("preset", ["EP1", "EP4", "EP6", "ge-15"])
def test_masks_follow_the_chain_given_their_count(preset: str) -> None:
    channel, packets, draws = chain(preset), 8, 40_000
    [slot] = chain_slots(1, lambda _: Offer((9,) * packets, (False,) * packets), channel, link_from_spec(None))
    tables, start = slot.count_probabilities(), slot.start
    np.testing.assert_allclose(start @ tables[0], channel.loss_count_probabilities(packets), atol=1e-14)
    probability, lost = channel.mask_probabilities(packets), (~all_masks(packets)).sum(axis=1)
    for count in (1, 3):
        counts = np.full(draws, count)
        rng = np.random.default_rng(11)
        masks = stratified.masks_with_count(slot, tables, counts, rng)
        assert ((~masks).sum(axis=1) == count).all()
        seen = np.bincount(masks @ (1 << np.arange(packets)), minlength=1 << packets) / draws
        expected = np.where(lost == count, probability, 0) / probability[lost == count].sum()
        error = np.sqrt(expected * (1 - expected) / draws)
        assert (np.abs(seen - expected) <= 5.5 * error + 1e-12).all()  # 1e-6 over all masks of a count


@pytest.mark.parametrize("preset", ["EP1", "EP4", "EP6"])
def test_weights_are_the_exact_probabilities_of_the_counts(preset: str) -> None:
    channel, packets = chain(preset), 40

    def offer(slot: int) -> Offer:
        return Offer((100,) * packets, (False,) * packets)

    [batch] = stratified.simulate_strata(1, offer, channel, link_from_spec(None), Streams(3, "strata"), 200)
    assert batch.weight.sum() + batch.rest == pytest.approx(1, abs=1e-12)
    assert batch.rest <= 1e-7
    lost = (batch.fate == LOST).sum(axis=1)
    by_count = np.bincount(lost, batch.weight, packets + 1)
    exact = channel.loss_count_probabilities(packets)
    drawn = by_count > 0
    np.testing.assert_allclose(by_count[drawn], exact[drawn], rtol=1e-9)
    assert exact[~drawn].sum() == pytest.approx(batch.rest, abs=1e-12)
    assert (np.bincount(lost)[np.flatnonzero(np.bincount(lost))] >= 2).all()
    assert len(lost) <= 200 + 2 * (packets + 1)


def test_a_fixed_start_runs_on_and_protected_packets_stay() -> None:
    channel = chain({"preset": "EP5", "start": "B"})

    def offer(slot: int) -> Offer:
        return Offer((100,) * 21, (True, *(False,) * 20))

    batches = list(stratified.simulate_strata(2, offer, channel, link_from_spec(None), Streams(3, "strata"), 4000))
    state = np.array(channel.start_distribution)
    for batch in batches:
        rates = []
        for _ in range(20):
            state = state @ channel.transition
            rates.append(float(state @ channel.loss))
        assert (batch.fate[:, 0] != LOST).all()
        mean = float((batch.weight * (batch.fate == LOST).sum(axis=1)).sum())
        assert mean == pytest.approx(sum(rates), abs=1e-5)  # exact up to what is not covered


def test_spread_is_smaller_than_with_plain_sampling() -> None:
    """A quality that falls with the losses: the estimate's spread over seeds, at equal draws."""
    channel, packets, draws = chain("EP6"), 20, 60

    def offer(slot: int) -> Offer:
        return Offer((100,) * packets, (False,) * packets)

    strata, plain = [], []
    for seed in range(60):
        [batch] = stratified.simulate_strata(1, offer, channel, link_from_spec(None), Streams(seed, "s"), draws)
        first = (batch.fate[:, :6] == LOST).sum(axis=1) + (batch.fate == LOST).sum(axis=1)
        strata.append(float((batch.weight * first).sum()))
        u = np.random.default_rng(seed).random((len(batch.weight), packets, 2))
        states = np.searchsorted(np.cumsum(channel.stationary), np.random.default_rng([seed, 1]).random(len(u)))
        received, _ = channel.receive_many(u, states)
        plain.append(float(((~received[:, :6]).sum(axis=1) + (~received).sum(axis=1)).mean()))
    assert np.std(strata) < 0.5 * np.std(plain)
