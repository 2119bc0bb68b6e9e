"""Selective-repeat ARQ: closed forms, times by hand, limits, conservation, random numbers."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.channels.base import Channel
from netsim.channels.chains import bernoulli
from netsim.channels.spec import channel_from_spec
from netsim.engines.event import simulate_trial
from netsim.links.packets import DELIVERED, DROPPED, LATE, LOST, UNSENT, Arq, PacketBurst
from netsim.links.profile import LinkProfile, link_from_spec
from netsim.streams import Streams

LOSSES, JITTER = Streams(7, "losses"), Streams(7, "jitter")
WIRE = LinkProfile(rate_bps=8000, propagation_s=0.25, feedback_delay_s=0.75)  # 1000 bytes take 1 s; answer after 1 s


class Scripted(Channel):
    """Loses the transmissions whose number, in sending order, is in ``lost``; notes the numbers it is given."""

    name = "scripted"

    def __init__(self, *lost):
        self.lost, self.numbers = lost, []

    def initial_state(self, u):
        return 0

    def receive_one(self, u_step, u_loss, state, steps=1):
        self.numbers.append((u_step, u_loss))
        return state not in self.lost, state + steps

    def receive(self, uniforms, state, steps=1):
        done = [self.receive_one(*pair, state + i) for i, pair in enumerate(uniforms.tolist())]
        return np.array([one for one, _ in done], dtype=bool), state + len(done)


def simulate(link, arq, channel, sizes=(1000,) * 3, slots=1, trial=0, protected=None):
    offer = PacketBurst(tuple(sizes), tuple(protected or (False,) * len(sizes)), arq=arq)
    return simulate_trial(slots, lambda slot, reports: offer, channel, link, LOSSES, JITTER, trial)


# closed forms ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("loss_rate", "retries"), [(0.1, 1), (0.3, 2), (0.5, 3), (0.2, 5)])
@pytest.mark.parametrize("link", [LinkProfile(), link_from_spec({"wlan": {"queue_packets": None}})], ids=str)
def test_independent_loss_gives_the_geometric_law(loss_rate, retries, link):
    slots = simulate(link, Arq(retries), bernoulli(loss_rate), (200,) * 10, 1500)
    packets = 10 * len(slots)
    missing = loss_rate ** (retries + 1)
    measured = sum((~slot.received).sum() for slot in slots) / packets
    assert abs(measured - missing) < 4.9 * math.sqrt(missing * (1 - missing) / packets)
    law = loss_rate ** np.arange(1 + retries)  # P(at least k + 1 transmissions)
    mean = law.sum()
    assert mean == pytest.approx((1 - missing) / (1 - loss_rate))
    variance = ((2 * np.arange(1 + retries) + 1) * law).sum() - mean**2
    made = sum((slot.outcome != UNSENT).sum() for slot in slots) / packets
    assert abs(made - mean) < 4.9 * math.sqrt(variance / packets)


# times, by hand -------------------------------------------------------------------------------------------


def test_a_packet_lost_once_comes_one_round_trip_and_its_wait_later():
    # lost 0–1 s; missed at 1.25 s, known at 2 s; the wire is taken until 3 s; sent 3–4 s
    [slot] = simulate(WIRE, Arq(2), Scripted(0))
    assert slot.outcome.tolist() == [LOST, DELIVERED, DELIVERED, DELIVERED, *(UNSENT,) * 5]
    assert slot.sent_s[:4].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert slot.arrival_s[1:4].tolist() == [2.25, 3.25, 4.25]
    assert slot.received.all()
    assert slot.end_s == 4.25


def test_over_geo_it_comes_as_much_later_as_the_orbit_is_high():
    link = link_from_spec({"geo": {"elevation_deg": 90, "orbit_height_km": 30_000, "interval_s": 0}})
    hop_s = 2 * 30_000 / 299_792.458
    assert link.feedback_delay_s == pytest.approx(hop_s, abs=1e-12)
    [slot] = simulate(link, Arq(3), Scripted(0, 1), (900,))
    packet_s = 8 * 928 / 9600
    expected = [k * (packet_s + 2 * hop_s) + packet_s + hop_s for k in range(3)]
    np.testing.assert_allclose(slot.arrival_s[2], expected[2], rtol=0, atol=1e-6)
    np.testing.assert_allclose(slot.sent_s[:3], np.array(expected) - packet_s - hop_s, rtol=0, atol=1e-6)
    assert slot.outcome.tolist() == [LOST, LOST, DELIVERED, UNSENT]


def test_geo_answers_cross_the_same_orbit_unless_told_otherwise():
    assert link_from_spec("geo").feedback_delay_s == link_from_spec("geo").propagation_s
    assert link_from_spec({"geo": {"propagation_s": 0.1}}).feedback_delay_s == 0.1
    assert link_from_spec({"geo": {"propagation_s": 0.1, "feedback_delay_s": 2.0}}).feedback_delay_s == 2.0


def test_the_receiver_misses_a_packet_when_jitter_can_no_longer_excuse_it():
    link = LinkProfile(rate_bps=8000, propagation_s=0.25, jitter_s=0.5, feedback_delay_s=0.25)
    [slot] = simulate(link, Arq(1), Scripted(0), (1000,))
    assert slot.sent_s.tolist() == [0.0, 2.0]
    assert slot.arrival_s[1] == 3.25 + 0.5 * JITTER.at(0, 0, 1).random()


def test_the_next_slot_starts_when_nothing_can_be_asked_for_again():
    starts = [slot.start_s for slot in simulate(WIRE, Arq(1), Scripted(0), (1000,), 3)]
    # slot 0: lost at 1 s, sent again 2–3 s, and that was its last; slot 1: sent 3–4 s, acknowledged at 5 s
    assert starts == [0.0, 3.0, 5.0]


def test_with_a_period_retries_wait_behind_what_waits():
    link = LinkProfile(rate_bps=8000, period_s=1.5)
    first, second = simulate(link, Arq(1), Scripted(0), (1000, 1000), 2)
    assert first.sent_s[:3].tolist() == [0.0, 1.0, 2.0]  # known at 1 s, while the second packet starts
    assert second.sent_s[:2].tolist() == [3.0, 4.0]


def test_a_timer_shorter_than_the_answer_sends_in_vain():
    link = LinkProfile(rate_bps=8000, propagation_s=1.0, feedback_delay_s=1.0)
    first, second = simulate(link, Arq(2, timeout_s=0.5), Scripted(), (1000,), 2)
    assert first.outcome.tolist() == [DELIVERED, DELIVERED, UNSENT]
    assert first.sent_s[:2].tolist() == [0.0, 1.5]  # the second's timer ends at 3 s, as the acknowledgement comes
    assert (first.end_s, second.start_s) == (2.0, 3.0)


def test_a_retry_that_waits_is_withdrawn_when_the_acknowledgement_comes():
    link = LinkProfile(rate_bps=8000, propagation_s=0.5, feedback_delay_s=1.0)
    [slot] = simulate(link, Arq(1, timeout_s=0.5), Scripted())
    np.testing.assert_array_equal(slot.sent_s, [0.0, 1.0, 2.0, math.nan, 3.0, 4.0])


# limits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("retries", [1, 2, 7])
def test_the_retry_limit_holds(retries):
    [slot] = simulate(WIRE, Arq(retries), bernoulli(1.0))
    assert (slot.outcome == LOST).sum() == slot.outcome.size == 3 * (1 + retries)
    assert not slot.received.any()


@pytest.mark.parametrize(("deadline_s", "made"), [(3.24, 1), (3.25, 2), (5.24, 2), (5.25, 3)])
def test_nothing_is_sent_that_would_come_late(deadline_s, made):
    link = LinkProfile(rate_bps=8000, propagation_s=0.25, feedback_delay_s=0.75, deadline_s=deadline_s)
    [slot] = simulate(link, Arq(5), bernoulli(1.0), (1000,))  # sent at 0, 2 and 4 s
    assert (slot.outcome != UNSENT).sum() == made
    assert slot.end_s == 2 * (made - 1) + 1.25  # when the last would have arrived
    [slot] = simulate(link, Arq(5), Scripted(*range(made - 1)), (1000,))
    assert slot.received.all()


def test_a_retry_that_waited_too_long_is_not_sent():
    # known at 2 s, the wire is free at 3 s: in time if sent at once (3.25 s), not after the wait (4.25 s)
    link = LinkProfile(rate_bps=8000, propagation_s=0.25, feedback_delay_s=0.75, deadline_s=4.2)
    [slot] = simulate(link, Arq(5), Scripted(0))
    assert (slot.outcome != UNSENT).tolist() == [True] * 3 + [False] * 15
    assert slot.end_s == 3.25


def test_a_full_queue_drops_retries_too_and_protected_packets_need_none():
    link = LinkProfile(rate_bps=8000, queue_packets=0)
    [slot] = simulate(link, Arq(1), bernoulli(1.0), (1000,) * 2, protected=(True, False))
    assert slot.outcome.tolist() == [DELIVERED, DROPPED, UNSENT, DROPPED]
    assert np.isnan(slot.sent_s[1])
    assert slot.sent_s[3] == 0.0


CHANNELS = ["uniform-20", "EP4", {"switch": ["EP3", "EP5"]}, {"preset": "EP4", "step_s": 0.05}]
LINKS = {
    "rate_bps": st.sampled_from([math.inf, 8000.0, 1e5]),
    "interval_s": st.sampled_from([0.0, 0.1, 2.0]),
    "propagation_s": st.sampled_from([0.0, 0.25]),
    "jitter_s": st.sampled_from([0.0, 0.3]),
    "queue_packets": st.sampled_from([None, 0, 1, 4]),
    "overhead_bytes": st.sampled_from([0, 28]),
    "period_s": st.sampled_from([None, 0.1, 1.0, 7.3]),
}
PACKETS = st.lists(st.tuples(st.integers(0, 1200), st.booleans()), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries(LINKS), st.sampled_from(CHANNELS), st.lists(PACKETS, min_size=1, max_size=4))
def test_a_deadline_shorter_than_a_round_trip_makes_it_no_arq_at_all(numbers, channel, slots):
    link = LinkProfile(**numbers, feedback_delay_s=0.4, deadline_s=0.39)

    def run(arq):
        def offer(slot, reports):
            return _offer(slots[slot], arq)

        return simulate_trial(len(slots), offer, channel_from_spec(channel), link, LOSSES, JITTER, 5)

    plain, again = run(None), run(Arq(3))
    for one, other in zip(plain, again, strict=True):
        n = len(one.outcome)
        np.testing.assert_array_equal(one.received, other.received)
        for name in ("outcome", "sent_s", "arrival_s"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name)[:n])
        assert (other.outcome[n:] == UNSENT).all()
        assert (one.start_s, one.end_s) == (other.start_s, other.end_s)


def _offer(packets, arq):
    return PacketBurst(tuple(s for s, _ in packets), tuple(p for _, p in packets), arq=arq)


# conservation ---------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    st.builds(
        LinkProfile,
        **LINKS,
        feedback_delay_s=st.sampled_from([0.0, 0.4]),
        deadline_s=st.sampled_from([None, 0.5, 3.0, 20.0]),
    ),
    st.lists(st.tuples(PACKETS, st.sampled_from([None, 1, 3])), min_size=1, max_size=4),
    st.sampled_from([None, 0.05, 1.0]),
    st.sampled_from(CHANNELS),
)
def test_every_transmission_has_one_fate_and_every_retry_a_reason(link, slots, timeout_s, channel):
    offers = [_offer(packets, Arq(retries, timeout_s) if retries else None) for packets, retries in slots]
    reports = []

    def offer(slot, known):
        reports[:] = known
        return offers[slot]

    receptions = simulate_trial(len(offers), offer, channel_from_spec(channel), link, LOSSES, JITTER, 3)
    answer_s = link.propagation_s + link.jitter_s + link.feedback_delay_s if timeout_s is None else timeout_s
    on_wire = []
    for one, given_offer in zip(receptions, offers, strict=True):
        n = len(given_offer.sizes_bytes)
        outcome, sent_s, arrival_s = (x.reshape(one.attempts, n) for x in (one.outcome, one.sent_s, one.arrival_s))
        made = outcome != UNSENT
        assert made.sum() == sum(one.count(what) for what in (DELIVERED, LOST, LATE, DROPPED))
        assert (np.isnan(arrival_s) == (np.isin(outcome, (LOST, DROPPED)) | ~made)).all()
        assert made[0].all()
        assert (made[:-1] | ~made[1:]).all()  # no retry without the one before
        deadline_s = math.inf if link.deadline_s is None else one.start_s + link.deadline_s
        for i in range(n):
            packet_s = 8 * (given_offer.sizes_bytes[i] + link.overhead_bytes) / link.rate_bps
            took = [(sent_s[k, i], packet_s) for k in range(one.attempts) if made[k, i] and outcome[k, i] != DROPPED]
            on_wire += took
            for k in range(1, one.attempts):
                if not made[k, i]:
                    continue
                assert not given_offer.protected[i]
                assert sent_s[k, i] + packet_s + link.propagation_s <= deadline_s
                if outcome[k - 1, i] != DROPPED:
                    assert sent_s[k, i] >= sent_s[k - 1, i] + packet_s + answer_s - 1e-9
                known_s = arrival_s[:k, i] + link.feedback_delay_s  # nan where nothing came
                assert not (known_s <= sent_s[k, i]).any()
            if timeout_s is None:
                assert (outcome[:, i] == DELIVERED).sum() <= 1
            if link.deadline_s is None and not one.received[i]:
                assert made[:, i].all()
    for (start_s, packet_s), (next_s, _) in pairwise(sorted(on_wire)):
        assert next_s >= max(start_s + packet_s, start_s + link.interval_s) - 1e-9
    for report in reports:
        one, given_offer = receptions[report.slot], offers[report.slot]
        droppable = ~np.array(given_offer.protected, dtype=bool)
        assert (report.sent, report.lost) == (droppable.sum(), (droppable & ~one.received).sum())


# random numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["geo", {"wlan": {"period_s": 0.01, "deadline_s": 0.05}}])
def test_first_transmissions_meet_what_they_meet_without_arq(link):
    profile, channel = link_from_spec(link), bernoulli(0.3)
    runs = [simulate(profile, arq, channel, (900,) * 8, 40, 2) for arq in (None, Arq(1), Arq(3))]
    for plain, one, three in zip(*runs, strict=True):
        np.testing.assert_array_equal(plain.outcome == LOST, one.outcome[:8] == LOST)
        np.testing.assert_array_equal(one.outcome[:8] == LOST, three.outcome[:8] == LOST)
        both = (one.outcome[8:] != UNSENT) & (three.outcome[8:16] != UNSENT)
        np.testing.assert_array_equal((one.outcome[8:] == LOST)[both], (three.outcome[8:16] == LOST)[both])


def test_retries_draw_from_streams_of_their_own_and_step_the_chain_in_sending_order():
    channel = Scripted(1, 3)  # packet 1, and its first retry: the fourth transmission
    [slot] = simulate(WIRE, Arq(2), channel, trial=4)
    assert slot.outcome.tolist() == [DELIVERED, LOST, DELIVERED, UNSENT, LOST, UNSENT, UNSENT, DELIVERED, UNSENT]
    rng = LOSSES.at(4, 0)
    rng.random(2)
    retries = [tuple(LOSSES.at(4, 0, k).random((3, 2))[1]) for k in (1, 2)]
    assert channel.numbers == [*map(tuple, rng.random((3, 2)).tolist()), *retries]
    assert len({number for pair in channel.numbers for number in pair}) == 10


def test_same_seed_same_trial_same_bits():
    link = link_from_spec({"wlan": {"period_s": 0.004, "deadline_s": 0.01}})
    runs = [simulate(link, Arq(2), channel_from_spec("EP6"), (900,) * 8, 50, trial) for trial in (0, 0, 1)]
    for name in ("outcome", "sent_s", "arrival_s"):
        first, again, other = (np.concatenate([getattr(slot, name) for slot in run]) for run in runs)
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other, equal_nan=True)
