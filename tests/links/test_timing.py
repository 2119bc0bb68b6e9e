"""Exact times against an oracle that knows nothing of netsim; chain steps between two transmissions."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.channels.chains import bernoulli
from netsim.engines.array import simulate_trials
from netsim.engines.event import simulate_trial
from netsim.engines.exact import distributions
from netsim.engines.stratified import simulate_strata
from netsim.links.packets import DELIVERED, DROPPED, LATE, Arq, PacketBurst
from netsim.links.profile import LinkProfile
from netsim.links.timing import chain_steps, link_ticks
from netsim.streams import Streams
from tests.links.fifo import Wire, timetable

LOSSES, JITTER = Streams(7, "losses"), Streams(7, "jitter")


def profile(wire: Wire, **more) -> LinkProfile:
    times = ("interval_s", "propagation_s", "rate_bps", "period_s", "deadline_s")
    numbers = {key: float(getattr(wire, key)) for key in times if getattr(wire, key) is not None}
    return LinkProfile(**numbers, overhead_bytes=wire.overhead_bytes, queue_packets=wire.queue_packets, **more)


def bursts(slots):
    return [PacketBurst(tuple(size for size, _ in one), tuple(protected for _, protected in one)) for one in slots]


def outcomes_of(engine, link, slots, channel):
    """(start_s, sent_s, arrival_s, outcome) of each slot in one outcome without losses, by any engine."""
    sent = bursts(slots)
    if engine == "event":
        found = simulate_trial(len(slots), lambda slot, _: sent[slot], channel, link, LOSSES, JITTER, 4)
        return [(one.start_s, one.sent_s, one.arrival_s, one.outcome) for one in found]
    each = {
        "array": lambda: simulate_trials(len(slots), sent.__getitem__, channel, link, LOSSES, JITTER, 4, 6),
        "exact": lambda: distributions(len(slots), sent.__getitem__, channel, link, 1.0, lambda slot: None),
        "stratified": lambda: simulate_strata(len(slots), sent.__getitem__, [channel], 0, link, LOSSES, 2),
    }
    return [(b.start_s[0], b.sent_s[0], b.arrival_s[0], b.outcome[0]) for b in each[engine]()]


def check(wire, slots, engine):
    for one, expected in zip(
        outcomes_of(engine, profile(wire), slots, bernoulli(0.0)), timetable(wire, slots), strict=True
    ):
        start_s, sent_s, arrival_s, outcome = one
        assert start_s == float(expected.start)
        for i in range(len(outcome)):
            if expected.sent[i] is None:
                assert outcome[i] == DROPPED
                assert math.isnan(sent_s[i])
                assert math.isnan(arrival_s[i])
            else:
                assert (sent_s[i], arrival_s[i]) == (float(expected.sent[i]), float(expected.arrival[i]))
                assert outcome[i] == (LATE if expected.late(i) else DELIVERED)


DECIMALS = st.sampled_from(["0", "0.1", "0.2", "0.3", "0.7", "1.1", "0.05", "2.3", "0.0001", "1e-07", "0.0123456789"])
SOME = DECIMALS.filter(lambda text: float(text) > 0)
WIRES = st.builds(
    Wire,
    rate_bps=st.sampled_from(["inf", "8000", "9600", "2400", "7000", "24000000.0", "1234.5", "0.3"]),
    interval_s=DECIMALS,
    propagation_s=DECIMALS,
    overhead_bytes=st.sampled_from([0, 28, 40]),
    queue_packets=st.sampled_from([None, None, 0, 1, 3]),
    period_s=st.none() | SOME,
    deadline_s=st.none() | SOME,
)
SLOTS = st.lists(st.lists(st.tuples(st.integers(0, 1200), st.booleans()), max_size=6), min_size=1, max_size=6)


@pytest.mark.parametrize("engine", ["event", "array", "exact", "stratified"])
@settings(max_examples=120, deadline=None)
@given(wire=WIRES, slots=SLOTS)
def test_every_engine_keeps_the_timetable_of_first_principles(engine, wire, slots):
    check(wire, slots, engine)


@pytest.mark.parametrize("engine", ["event", "array", "exact", "stratified"])
def test_sums_of_decimals_compare_as_decimals_do(engine):
    # 0.1 + 0.2 and 0.3 differ as float64; the third packet of every slot arrives just at the deadline
    wire = Wire(interval_s="0.1", deadline_s="0.2", period_s="0.3")
    slots = [[(100, False)] * 3] * 40
    assert not any(slot.late(i) for slot in timetable(wire, slots) for i in range(3))
    check(wire, slots, engine)
    assert all(
        (outcome == DELIVERED).all() for *_, outcome in outcomes_of(engine, profile(wire), slots, bernoulli(0.0))
    )


@pytest.mark.parametrize("engine", ["event", "array", "exact", "stratified"])
def test_a_third_of_a_second_thrice_is_a_second(engine):
    # 1000 bytes at 24,000 bit/s take 1/3 s, no finite decimal; three of them end with the deadline, in any slot
    wire = Wire(rate_bps="24000", deadline_s="1", period_s="1", queue_packets=2)
    check(wire, [[(1000, False)] * 3] * 100, engine)


@pytest.mark.parametrize("engine", ["event", "array"])
def test_late_by_less_than_a_float_can_tell_is_late(engine):
    # a million seconds after the start float64 can't tell the arrival from the deadline
    wire = Wire(period_s="1000000", deadline_s="0.3", propagation_s="0.30000000001")
    check(wire, [[(10, False)]] * 3, engine)


@settings(max_examples=60, deadline=None)
@given(wire=WIRES, slots=SLOTS, jitter_s=st.sampled_from([0.001, 0.3, 5.0]))
def test_jitter_comes_on_top_in_event_and_array_alike(wire, slots, jitter_s):
    link, channel = profile(wire, jitter_s=jitter_s), bernoulli(0.2)
    event, array = (outcomes_of(engine, link, slots, channel) for engine in ("event", "array"))
    for number, (one, other, expected) in enumerate(zip(event, array, timetable(wire, slots), strict=True)):
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        added = jitter_s * JITTER.at(4, number).random(len(one[1]))
        for i in np.flatnonzero(~np.isnan(one[2])):
            assert one[2][i] == float(expected.arrival[i]) + added[i]
            deadline_s = math.inf if expected.deadline is None else float(expected.deadline)
            assert one[3][i] == (LATE if expected.late(i) or one[2][i] > deadline_s else DELIVERED)


@settings(max_examples=60, deadline=None)
@given(
    rate_bps=st.floats(1e-3, 1e15),
    times=st.lists(st.just(0.0) | st.floats(1e-15, 1e9), min_size=4, max_size=4),
    ends=st.lists(st.none() | st.floats(1e-15, 1e9), min_size=2, max_size=2),
    retries=st.integers(0, 2),
)
def test_any_numbers_of_a_link_can_be_summed(rate_bps, times, ends, retries):
    names = ("interval_s", "propagation_s", "jitter_s", "feedback_delay_s", "period_s", "deadline_s")
    link = LinkProfile(rate_bps=rate_bps, **dict(zip(names, [*times, *ends], strict=True)))
    offer = PacketBurst((0, 900, 10**6), (False,) * 3, arq=Arq(retries, 1e-9) if retries else None)
    for slot in simulate_trial(4, lambda slot, _: offer, bernoulli(0.5), link, LOSSES, JITTER, 0):
        assert math.isfinite(slot.end_s)
        assert slot.start_s <= slot.end_s <= slot.deadline_s


def test_serialisation_counts_headers():
    ticks = link_ticks(LinkProfile(rate_bps=9600, overhead_bytes=60))
    assert [ticks.seconds(ticks.end(0, size)[0]) for size in (900, 0)] == [0.8, 0.05]
    assert link_ticks(LinkProfile()).end(7, 900) == (7, 0)


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
