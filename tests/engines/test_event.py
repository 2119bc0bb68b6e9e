"""The event engine: times, outcomes, feedback, random numbers."""

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
from netsim.errors import InputError
from netsim.links.packets import DELIVERED, DROPPED, LATE, LOST, PacketBurst
from netsim.links.profile import LinkProfile, link_from_spec
from netsim.links.timing import chain_steps
from netsim.streams import Streams
from tests.links.fifo import Wire, timetable
from tests.links.test_timing import profile

LOSSES, JITTER = Streams(7, "losses"), Streams(7, "jitter")
CLEAR = bernoulli(0.0)


def simulate(link, sizes=(900,) * 4, slots=1, channel=CLEAR, protected=None, trial=0, offer=None):
    constant = PacketBurst(tuple(sizes), tuple(protected or (False,) * len(sizes)))
    return simulate_trial(slots, offer or (lambda slot, reports: constant), channel, link, LOSSES, JITTER, trial)


# times ----------------------------------------------------------------------------------------------------


def test_geo_packets_arrive_when_geometry_and_rate_say_to_the_microsecond():
    link = link_from_spec({"geo": {"elevation_deg": [35, 42], "rate_bps": 9600, "interval_s": 2}})
    sizes = (900, 900, 120)
    [slot] = simulate(link, sizes)

    def leg_s(elevation_deg):  # law of sines: nadir angle at the satellite, then the earth's central angle
        elevation = math.radians(elevation_deg)
        nadir = math.asin(6371 * math.cos(elevation) / (6371 + 35786))
        central = math.pi / 2 - elevation - nadir
        return (6371 + 35786) * math.sin(central) / math.cos(elevation) / 299_792.458

    hop_s = leg_s(35) + leg_s(42)
    expected = [2 * i + (size + 28) * 8 / 9600 + hop_s for i, size in enumerate(sizes)]
    np.testing.assert_allclose(slot.arrival_s, expected, rtol=0, atol=1e-6)
    assert slot.end_s == slot.arrival_s[-1]


def test_slow_rate_rather_than_interval_spaces_packets():
    [slot] = simulate(LinkProfile(rate_bps=800, interval_s=0.5, overhead_bytes=20), sizes=(80, 80, 80))
    assert slot.sent_s.tolist() == [0.0, 1.0, 2.0]
    assert slot.arrival_s.tolist() == [1.0, 2.0, 3.0]


def test_ideal_link_takes_no_time_and_reports_at_once():
    seen = []

    def offer(slot, reports):
        seen.append([report.slot for report in reports])
        return PacketBurst((900,) * 3, (False,) * 3, choice=slot)

    slots = simulate(LinkProfile(), slots=3, offer=offer)
    assert seen == [[], [0], [0, 1]]
    for s, slot in enumerate(slots):
        assert (slot.slot, slot.choice, slot.start_s, slot.end_s) == (s, s, 0.0, 0.0)
        assert slot.received.all()
        assert slot.arrival_s.tolist() == [0.0] * 3


def test_next_slot_starts_when_the_last_packet_has_left():
    slots = simulate(LinkProfile(rate_bps=8000, propagation_s=9.0), sizes=(1000, 500), slots=3)
    assert [slot.start_s for slot in slots] == [0.0, 1.5, 3.0]
    assert [slot.end_s for slot in slots] == [10.5, 12.0, 13.5]


def test_slots_with_nothing_to_send():
    slots = simulate(LinkProfile(rate_bps=8000), sizes=(), slots=3)
    assert [(slot.start_s, slot.end_s, len(slot.outcome)) for slot in slots] == [(0.0, 0.0, 0)] * 3


def test_period_starts_slots_whatever_the_queue():
    slots = simulate(LinkProfile(rate_bps=8000, period_s=0.1), sizes=(1000,), slots=4)
    assert [slot.start_s for slot in slots] == [0.0, 0.1, 0.2, 0.3]
    assert [slot.sent_s[0] for slot in slots] == [0.0, 1.0, 2.0, 3.0]


def test_lost_packets_occupy_the_link_like_others():
    link = LinkProfile(rate_bps=8000, propagation_s=0.5)
    [all_lost], [clear] = simulate(link, channel=bernoulli(1.0)), simulate(link)
    assert all_lost.outcome.tolist() == [LOST] * 4
    assert np.isnan(all_lost.arrival_s).all()
    assert all_lost.sent_s.tolist() == clear.sent_s.tolist()
    assert all_lost.end_s == clear.end_s


def test_jitter_is_uniform_added_per_packet_and_lets_packets_overtake():
    link = LinkProfile(rate_bps=8e6, propagation_s=0.01, jitter_s=0.05)
    [slot] = simulate(link, sizes=(1000,) * 400, trial=5)
    added = slot.arrival_s - (slot.sent_s + 0.001 + 0.01)
    np.testing.assert_allclose(added, 0.05 * JITTER.at(5, 0).random(400), rtol=0, atol=1e-12)
    assert (np.diff(slot.arrival_s) < 0).any()
    assert slot.end_s == slot.arrival_s.max()


# outcomes ----------------------------------------------------------------------------------------------------


def test_queue_overflow_drops_what_cannot_wait():
    link = LinkProfile(rate_bps=8000, queue_packets=2)
    [slot] = simulate(link, sizes=(1000,) * 5)
    assert slot.outcome.tolist() == [DELIVERED] * 3 + [DROPPED] * 2  # one on the wire, two waiting
    assert slot.sent_s[:3].tolist() == [0.0, 1.0, 2.0]
    assert np.isnan(slot.sent_s[3:]).all()
    [none_waits] = simulate(LinkProfile(rate_bps=8000, queue_packets=0), sizes=(1000,) * 3)
    assert none_waits.outcome.tolist() == [DELIVERED, DROPPED, DROPPED]


def test_a_packet_that_starts_as_a_slot_begins_no_longer_waits():
    # slot 1 begins at 1 s, exactly when the second packet of slot 0 starts: one place in the queue is free
    slots = simulate(LinkProfile(rate_bps=8000, queue_packets=1, period_s=1.0), sizes=(1000, 1000), slots=2)
    assert [slot.outcome.tolist() for slot in slots] == [[DELIVERED, DELIVERED], [DELIVERED, DROPPED]]


def test_protected_packets_are_neither_dropped_nor_lost_but_can_be_late():
    link = LinkProfile(rate_bps=8000, queue_packets=0, deadline_s=3.5)
    [slot] = simulate(link, sizes=(1000,) * 5, protected=(True, False, True, True, True), channel=bernoulli(1.0))
    assert slot.outcome.tolist() == [DELIVERED, DROPPED, DELIVERED, DELIVERED, LATE]


def test_late_is_told_from_lost_and_arrival_at_the_deadline_is_in_time():
    link = LinkProfile(rate_bps=8000, propagation_s=0.5, deadline_s=2.5)
    [slot] = simulate(link, sizes=(1000,) * 4)
    assert slot.outcome.tolist() == [DELIVERED, DELIVERED, LATE, LATE]
    assert slot.arrival_s.tolist() == [1.5, 2.5, 3.5, 4.5]
    assert slot.end_s == 2.5
    [lost] = simulate(link, sizes=(1000,) * 4, channel=bernoulli(1.0))
    assert lost.outcome.tolist() == [LOST] * 4


def test_packet_above_the_limit_is_refused_by_number():
    with pytest.raises(InputError, match="packet 1 of slot 0 has 901 bytes; link geo takes 900"):
        simulate(link_from_spec("geo"), sizes=(900, 901))


LINKS = st.builds(
    Wire,
    rate_bps=st.sampled_from(["inf", "8000", "1e5"]),
    interval_s=st.sampled_from(["0", "0.1", "2.0"]),
    propagation_s=st.sampled_from(["0", "0.25"]),
    queue_packets=st.sampled_from([None, 0, 1, 4]),
    overhead_bytes=st.sampled_from([0, 28]),
    period_s=st.sampled_from([None, "0.1", "1.0", "7.3"]),
    deadline_s=st.sampled_from([None, "0.2", "3.0"]),
)
PACKETS = st.lists(st.tuples(st.integers(0, 1200), st.booleans()), max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    LINKS,
    st.sampled_from([0.0, 0.3, 5.0]),
    st.sampled_from([0.0, 0.4]),
    st.lists(PACKETS, min_size=1, max_size=5),
    st.sampled_from([None, 0.05, 1.0]),
    st.floats(0, 1),
)
def test_every_packet_has_one_fate_and_reports_count_them(wire, jitter_s, feedback_s, slots, step_s, loss_rate):
    link = profile(wire, jitter_s=jitter_s, feedback_delay_s=feedback_s)
    offers = [PacketBurst(tuple(s for s, _ in packets), tuple(p for _, p in packets)) for packets in slots]
    channel = channel_from_spec({"loss_rate": loss_rate, **({"step_s": step_s} if step_s else {})})
    reported = []

    def offer(slot, reports):
        reported[:] = reports
        return offers[slot]

    receptions = simulate_trial(len(offers), offer, channel, link, LOSSES, JITTER, 3)
    for slot, (one, expected) in enumerate(zip(receptions, timetable(wire, slots), strict=True)):
        sent = len(one.outcome)
        assert sent == one.count(DELIVERED) + one.count(LOST) + one.count(LATE) + one.count(DROPPED)
        assert (one.outcome == DROPPED).tolist() == [start is None for start in expected.sent]
        assert not (one.outcome == LOST)[np.array(offers[slot].protected, dtype=bool)].any()
        deadline_s = math.inf if expected.deadline is None else float(expected.deadline)
        jitter = (jitter_s * JITTER.at(3, slot).random(sent)).tolist()
        due = [float(a) + j for a, j in zip(expected.arrival, jitter, strict=True) if a is not None]
        assert one.end_s == max([one.start_s, *(min(time_s, deadline_s) for time_s in due)])
    for report in reported:
        one, given_offer = receptions[report.slot], offers[report.slot]
        droppable = ~np.array(given_offer.protected, dtype=bool)
        assert report.time_s == pytest.approx(one.end_s + link.feedback_delay_s, abs=2e-12)
        assert report.time_s <= receptions[-1].start_s
        assert (report.sent, report.lost) == (droppable.sum(), (droppable & ~one.received).sum())


# feedback -------------------------------------------------------------------------------------------------


def test_reports_come_after_the_feedback_delay():
    link = LinkProfile(rate_bps=8000, propagation_s=0.25, feedback_delay_s=2.75, period_s=1.0)
    seen = {}

    def offer(slot, reports):
        seen[slot] = [(report.slot, report.time_s) for report in reports]
        return PacketBurst((1000,), (False,))

    simulate(link, slots=7, offer=offer)
    assert seen[3] == []
    assert seen[4] == [(0, 4.0)]  # 1 s on the wire + 0.25 + 2.75: arrives as slot 4 starts, and is seen
    assert seen[6] == [(0, 4.0), (1, 5.0), (2, 6.0)]


# random numbers -------------------------------------------------------------------------------------------


def test_same_streams_same_trial_other_trial_differs():
    link = link_from_spec({"wlan": {"period_s": 0.002, "deadline_s": 0.003}})
    runs = [simulate(link, slots=50, channel=channel_from_spec("EP6"), trial=trial) for trial in (0, 0, 1)]
    outcomes = [np.concatenate([slot.outcome for slot in run]) for run in runs]
    arrivals = [np.concatenate([slot.arrival_s for slot in run]) for run in runs]
    assert (outcomes[0] == outcomes[1]).all()
    np.testing.assert_array_equal(arrivals[0], arrivals[1])
    assert (outcomes[0] != outcomes[2]).any()


@pytest.mark.parametrize("packets", [10, 150])  # plain calls, and arrays at once
@pytest.mark.parametrize("spec", ["ge-15", "EP4", {"switch": ["EP3", "EP5"]}])
def test_draws_are_taken_in_the_stated_order(spec, packets):
    channel = channel_from_spec(spec)
    protected = tuple(i % 4 == 0 for i in range(packets))
    slots = simulate(LinkProfile(), (900,) * packets, 20, channel, protected, trial=2)
    state = None
    for s, slot in enumerate(slots):
        rng = LOSSES.at(2, s)
        if s == 0:
            state = channel.initial_state(rng.random())
        state = channel.enter_slot(rng.random(), state)
        droppable = ~np.array(protected)
        received, state = channel.receive(rng.random((droppable.sum(), 2)), state)
        assert slot.received[droppable].tolist() == received.tolist()
        assert slot.received[~droppable].all()


def test_dropped_packets_keep_their_numbers_and_do_not_step_the_chain():
    channel = channel_from_spec({"loss_rate": 0.3, "mean_burst": 3})
    [slot] = simulate(LinkProfile(rate_bps=8000, queue_packets=3), (1000,) * 8, 1, channel, (False, True) * 4)
    assert slot.outcome[[4, 6]].tolist() == [DROPPED] * 2
    rng = LOSSES.at(0, 0)
    state = channel.initial_state(rng.random())
    rng.random()
    received, _ = channel.receive(rng.random((4, 2))[:2], state)
    assert slot.received[[0, 2]].tolist() == received.tolist()


class Counting(Channel):
    """Receives everything and notes the steps it is asked for."""

    name = "counting"

    def __init__(self, step_s):
        self.step_s, self.steps, self.entered = step_s, [], []

    def initial_state(self, u):
        return None

    def enter_slot(self, u, state):
        self.entered.append(len(self.steps))
        return state

    def receive_one(self, u_step, u_loss, state, steps=1):
        self.steps.append(steps)
        return True, state

    def receive(self, uniforms, state, steps=1):
        return np.ones(len(uniforms), dtype=bool), state


def test_a_channel_that_keeps_time_steps_by_the_spacing_of_packets():
    channel = Counting(0.5)
    link = LinkProfile(interval_s=1.2)
    slots = simulate(link, slots=3, channel=channel, protected=(False, True, False, False))
    sent_s = np.concatenate([slot.sent_s[[0, 2, 3]] for slot in slots])
    assert channel.steps == [0] + [int(chain_steps(a, b, 0.5)) for a, b in pairwise(sent_s)]
    assert sum(channel.steps) == int(sent_s[-1] / 0.5)
    assert channel.entered == [0, 3, 6]


def test_spacing_thins_out_bursts():
    # one packet per 20 steps of a bursty chain: losses are nearly independent again
    bursty = {"loss_rate": 0.3, "mean_burst": 8, "step_s": 1.0}
    link = LinkProfile(interval_s=20.0)
    channel = channel_from_spec(bursty)
    slots = simulate(link, (900,) * 50, 120, channel)
    lost = np.concatenate([slot.outcome == LOST for slot in slots])
    pairs = np.corrcoef(lost[:-1], lost[1:])[0, 1]
    assert abs(lost.mean() - 0.3) < 5 * math.sqrt(0.21 / lost.size) * 1.1
    assert abs(pairs - channel.decimated(20).autocorrelation(1)) < 5 / math.sqrt(lost.size)
    assert channel.autocorrelation(1) > 0.8
