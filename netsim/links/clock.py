"""SimPy's clock in ticks, with events at absolute times, and the order of what happens at one instant.

Time is a whole number of ticks (``netsim.links.timing``), so two sums that are equal are the same instant. At one
instant, things happen in this order: the link starts waiting packets, packets and reports arrive, deadlines pass,
slots start. So a packet that starts just as a slot begins no longer waits; one that arrives at its deadline is in
time; and a report that arrives as a slot starts is seen by that slot.
"""

from __future__ import annotations

from heapq import heappush

import simpy
from simpy.events import Event

__all__ = ["ARRIVAL", "DEADLINE", "LINK", "SLOT", "Clock"]

LINK, ARRIVAL, DEADLINE, SLOT = range(4)
"""Priorities of events at one instant, in order."""


class Clock(simpy.Environment):
    """SimPy's environment with events at absolute times, in ticks."""

    def push(self, time: int, priority: int, event: Event) -> None:
        """Put an event that already has its value into SimPy's queue."""
        heappush(self._queue, (time, priority, next(self._eid), event))  # type: ignore[misc]

    def at(self, time: int, priority: int, event: Event | None = None) -> Event:
        """Let ``event`` (a new one if None) happen at tick ``time``; a process may yield it."""
        event = Event(self) if event is None else event
        event._ok, event._value = True, None
        heappush(self._queue, (time, priority, next(self._eid), event))  # type: ignore[misc]  # push, inlined
        return event
