"""The clock against SimPy: fails if a new SimPy reads events differently than ``netsim.links.clock`` writes them."""

import traceback

import pytest
import simpy
from simpy.events import Event

from netsim.errors import InputError
from netsim.links.clock import ARRIVAL, DEADLINE, LINK, SLOT, Clock, TimedEvent


def test_events_happen_at_their_tick_in_the_order_of_their_priorities_then_of_their_scheduling():
    clock, seen = Clock(), []
    for tick, priority, name in [
        (5, SLOT, "d"),
        (5, LINK, "a"),
        (5, DEADLINE, "c"),
        (5, ARRIVAL, "b1"),
        (2, SLOT, "0"),
    ]:
        clock.call_at(tick, priority, lambda _, name=name: seen.append((clock.now, name)))
    clock.call_at(5, ARRIVAL, lambda _: seen.append((clock.now, "b2")))
    clock.run()
    assert seen == [(2, "0"), (5, "a"), (5, "b1"), (5, "b2"), (5, "c"), (5, "d")]


def test_ticks_stay_exact_beyond_what_a_float_can_hold():
    clock, seen = Clock(), []
    far = 2**80 + 1
    clock.call_at(far, LINK, lambda _: seen.append(clock.now))
    clock.call_at(3, LINK, lambda _: clock.call_at(far + 1, LINK, lambda _: seen.append(clock.now)))
    clock.run()
    assert seen == [far, far + 1]


def test_a_process_waits_until_a_tick_and_for_an_event_that_succeeds_later():
    clock, seen = Clock(), []
    later = Event(clock)

    def process():
        seen.append((yield clock.wait_until(7, SLOT)))
        seen.append(clock.now)
        seen.append((yield later))
        seen.append(clock.now)

    clock.process(process())
    clock.succeed_at(9, SLOT, later)
    clock.run()
    assert seen == [None, 7, None, 9]


def test_a_timed_event_looks_to_simpy_like_one_that_succeeded():
    clock = Clock()
    ours, simpys = TimedEvent(clock, []), simpy.Environment().event().succeed()
    assert (ours.triggered, ours.ok, ours.value) == (simpys.triggered, simpys.ok, simpys.value) == (True, True, None)
    clock.push(1, LINK, ours)
    clock.run()
    assert ours.processed


def test_our_schedule_and_simpys_own_timeouts_share_one_order():
    clock, seen = Clock(), []

    def process():
        yield clock.timeout(4)
        seen.append("simpy")

    clock.process(process())
    clock.call_at(3, SLOT, lambda _: seen.append("before"))
    clock.call_at(5, LINK, lambda _: seen.append("after"))
    clock.run()
    assert seen == ["before", "simpy", "after"]


class TwoWords(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


@pytest.mark.parametrize("error", [InputError("odd", hint="even", key=("a",)), TwoWords("no", "copy")])
def test_an_error_in_a_process_ends_the_run_as_it_is_with_the_line_that_raised_it(error):
    clock = Clock()

    def process():
        yield clock.timeout(4)
        raise error

    clock.process(process())
    with pytest.raises(type(error)) as caught:
        clock.run()
    assert caught.value is error
    assert traceback.extract_tb(error.__traceback__)[-1].name == "process"
