"""The exact engine: probabilities of masks against brute force, and against simulation."""

import numpy as np
import pytest

from netsim.channels.chains import bernoulli
from netsim.channels.markov import MarkovChannel
from netsim.channels.spec import channel_from_spec
from netsim.engines import exact
from netsim.errors import InputError
from netsim.links.packets import DELIVERED, LATE, LOST, PacketBurst
from netsim.links.profile import link_from_spec
from netsim.statistics.bounded import bounded_mean

PRESETS = ["uniform-5", "uniform-20", "ge-10", "ge-15", *(f"EP{i}" for i in range(1, 7)), "EP3-released"]


def chain(spec: object) -> MarkovChannel:
    found = channel_from_spec(spec)
    assert isinstance(found, MarkovChannel)
    return found


def test_all_masks_has_packet_zero_in_the_lowest_bit() -> None:
    assert exact.all_masks(3)[1].tolist() == [True, False, False]


@pytest.mark.parametrize("preset", PRESETS)
def test_long_streams_take_the_likeliest_masks_first(preset: str) -> None:
    channel = chain(preset)
    table = exact._table([channel.transition] * 12, channel.loss, channel.start_distribution, 0.9)
    probability = np.sort(channel.mask_probabilities(12))[::-1]
    few = exact.mask_table(channel, 12, channel.start_distribution, 0.9)
    assert table.residual_mass == 0
    assert few.residual_mass == 0
    np.testing.assert_allclose(np.sort(table.probability)[::-1], probability[probability > 0], rtol=1e-9)


def test_bounds_hold_where_losses_are_likelier_than_receptions() -> None:
    """Seventeen packets, 90 % loss: the likeliest masks hold two packets at most, the others hold more. A packet is
    worth 1 dB, so that the mean is known."""
    table = exact.mask_table(channel := bernoulli(0.9), 17, channel.start_distribution, 0.7)
    quality = np.append(20.0 + table.masks.sum(axis=1), np.nan)
    weights, rest = np.append(table.probability, table.residual_mass), np.arange(len(quality)) == len(table.masks)
    bounds = bounded_mean(quality, weights, np.zeros(len(quality), int), rest, 13.0, 100.0, within_known=True)
    assert bounds.low <= 20 + 17 * 0.1 <= bounds.high
    assert 0.2 < table.residual_mass < 0.3


@pytest.mark.parametrize("preset", ["EP1", "EP4", "ge-15"])
def test_coverage_is_reached_and_the_rest_is_stated(preset: str) -> None:
    channel = chain(preset)
    table = exact.mask_table(channel, 20, channel.start_distribution, 0.9)
    assert table.probability.sum() >= 0.9 or len(table.masks) > 50_000
    assert table.probability.sum() + table.residual_mass == pytest.approx(1, abs=1e-12)
    assert (np.diff(table.probability) <= 0).all()
    assert len(np.unique(table.masks, axis=0)) == len(table.masks)
    probability = channel.mask_probabilities(20)
    index = (table.masks @ (1 << np.arange(20))).astype(int)
    np.testing.assert_allclose(table.probability, probability[index], rtol=1e-9)
    left_out = np.delete(probability, index)
    assert left_out.max() <= table.probability.min() * (1 + 1e-9)


def _offer(slot: int) -> PacketBurst:
    return PacketBurst((900,) * 6, (True, *(False,) * 5))


def test_late_packets_are_late_in_every_outcome() -> None:
    link = link_from_spec({"geo": {"interval_s": 1.0, "deadline_s": 4.5, "rate_bps": 9600}})
    channel = chain("EP4")
    [batch] = exact.distributions(1, _offer, channel, link, 0.999, lambda _: None)
    assert batch.weight.sum() == pytest.approx(1, abs=1e-12)
    last = batch.outcome[:, -1]
    assert set(last.tolist()) == {LATE, LOST}
    assert (batch.outcome[:, 0] == DELIVERED).all()
    assert batch.weight[last == LOST].sum() == pytest.approx(channel.loss_rate, abs=1e-12)


def test_a_fixed_start_runs_on_from_slot_to_slot() -> None:
    channel = chain({"preset": "EP1", "start": "B"})
    rates = []
    for batch in exact.distributions(3, _offer, channel, link_from_spec(None), 0.999, lambda _: None):
        rates.append(float((batch.weight[:, None] * (batch.outcome[:, 1:] == LOST)).sum()) / 5)
    state, expected = np.array([0.0, 1.0, 0.0]), []
    for _ in range(15):
        state = state @ channel.transition
        expected.append(state @ channel.loss)
    np.testing.assert_allclose(rates, np.array(expected).reshape(3, 5).mean(axis=1), atol=1e-12)


def test_time_steps_between_packets_count() -> None:
    link = link_from_spec({"geo": {"interval_s": 1.0, "rate_bps": 96000}})
    channel = chain({"preset": "EP5", "step_s": 0.25})
    [batch] = exact.distributions(1, _offer, channel, link, 0.999, lambda _: None)
    both = (batch.outcome[:, 2] == LOST) & (batch.outcome[:, 3] == LOST)
    rho = channel.autocorrelation(4)
    rate = channel.loss_rate
    assert batch.weight[both].sum() == pytest.approx(rate**2 + rho * rate * (1 - rate), abs=1e-12)


def test_only_the_count_matters_where_the_receiver_says_so() -> None:
    def offer(slot: int) -> PacketBurst:
        return PacketBurst((100,) * 40, (False,) * 40)

    channel = chain("EP6")
    [batch] = exact.distributions(1, offer, channel, link_from_spec(None), 0.999, lambda _: 40)
    lost = (batch.outcome == LOST).sum(axis=1)
    np.testing.assert_allclose(batch.weight[np.argsort(lost)], channel.loss_count_probabilities(40), atol=1e-12)


@pytest.mark.parametrize("spec", ["EP4", "EP5", {"preset": "EP5", "start": "B"}, {"preset": "EP4", "step_s": 2.0}])
@pytest.mark.parametrize("deadline_s", [None, 13.6])
def test_counts_tell_late_packets_and_parity_apart(spec: object, deadline_s: float | None) -> None:
    """18 packets, 11 of them data, against the sum over all masks; the last five may be late."""
    link = link_from_spec({"ideal": {"interval_s": 1.0, "propagation_s": 0.7, "deadline_s": deadline_s}})
    packets, data_packets, channel = 18, 11, chain(spec)
    burst = PacketBurst((100,) * packets, (False,) * packets)
    [batch] = exact.distributions(1, lambda slot: burst, channel, link, 0.999, lambda _: data_packets)
    [slot] = exact.chain_slots(1, lambda slot: burst, channel, link)
    masks, late = exact.all_masks(packets), np.arange(packets) > 12
    every = slot.outcomes(masks, np.zeros(len(masks), dtype=np.int64), slot.mask_probabilities(masks))
    assert len(batch.weight) < 100

    for found in (batch, every):
        assert found.weight.sum() == pytest.approx(1, abs=1e-12)
        assert (found.outcome == LATE).any(axis=0).tolist() == (late & (deadline_s is not None)).tolist()
    for number in range(packets + 1):
        shares = [one.weight @ ((one.outcome == DELIVERED).sum(axis=1) == number) for one in (batch, every)]
        assert shares[0] == pytest.approx(shares[1], abs=1e-12)
    recovered = [
        one.weight @ ((one.outcome[:, :11] != DELIVERED).sum(axis=1) * ((one.outcome == DELIVERED).sum(axis=1) >= 11))
        for one in (batch, every)
    ]
    assert recovered[0] == pytest.approx(recovered[1], abs=1e-12)
    for outcome in (LOST, LATE):
        counts = [one.weight @ (one.outcome == outcome).sum(axis=1) for one in (batch, every)]
        assert counts[0] == pytest.approx(counts[1], abs=1e-12)


def test_weights_sum_to_one_however_many_steps_lie_between_two_packets() -> None:
    link = link_from_spec({"geo": {"interval_s": 1e9}})
    channel = chain({"preset": "EP4", "step_s": 1e-9})
    [batch] = exact.distributions(1, _offer, channel, link, 0.999, lambda _: None)
    assert batch.weight.sum() == pytest.approx(1, abs=1e-12)
    lost = batch.weight @ (batch.outcome == LOST).sum(axis=1)
    assert lost == pytest.approx(5 * channel.loss_rate, rel=1e-6)


def test_too_many_packets_are_refused() -> None:
    burst = PacketBurst((1,) * (exact.MOST_PACKETS + 1), (False,) * (exact.MOST_PACKETS + 1))
    with pytest.raises(InputError, match="3,001 packets of a slot can be lost") as caught:
        next(exact.distributions(1, lambda slot: burst, chain("EP4"), link_from_spec(None), 0.9, lambda _: 1))
    assert "array" in caught.value.hint


@pytest.mark.parametrize(
    ("channel", "link", "word"),
    [({"switch": ["EP3", "EP5"]}, None, "Markov"), ("EP4", {"mobile": {"deadline_s": 0.2, "jitter_s": 0.1}}, "jitter")],
)
def test_what_has_no_closed_form_is_refused(channel: object, link: object, word: str) -> None:
    with pytest.raises(InputError, match=word):
        list(exact.distributions(1, _offer, channel_from_spec(channel), link_from_spec(link), 0.999, lambda _: None))
