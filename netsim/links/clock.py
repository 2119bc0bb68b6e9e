"""The clock of a simulation: SimPy with events at absolute times, in whole ticks. The only user of SimPy's internals.

Time is a whole number of ticks (``netsim.links.timing``), so two sums that are equal are the same instant. Events at
one instant have an order: the link starts waiting packets, packets and reports arrive, deadlines pass, slots start.
So a packet that starts just as a slot begins no longer waits; one that arrives at its deadline is in time; and a
report that arrives as a slot starts is seen by that slot.

SimPy's public interface can't give an event its value before the event happens, except for time-outs with a delay.
This module sets the two private attributes that hold the value, ``_ok`` and ``_value``; ``tests/links/test_clock.py``
fails if a new SimPy reads them differently.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import simpy
from simpy.core import EventPriority
from simpy.events import Event, Process

__all__ = ["ARRIVAL", "DEADLINE", "LINK", "SLOT", "Callback", "Clock", "TimedEvent"]

LINK, ARRIVAL, DEADLINE, SLOT = (EventPriority(order) for order in range(4))
"""Priorities of events at one instant, in order."""

Callback = Callable[[Any], None]


class TimedEvent(Event):
    """An event that is sure to happen: it has its value from the start.

    Args:
        clock: The clock that it happens on.
        callbacks: Called when it happens. The list may be shared between events: SimPy only reads it.
    """

    def __init__(self, clock: Clock, callbacks: list[Callback]) -> None:
        self.env, self.callbacks = clock, callbacks
        self._ok, self._value = True, None


class Clock(simpy.Environment):
    """SimPy's environment with events at absolute times, in ticks. ``run`` raises the error of a process unchanged."""

    _error: Exception | None = None

    def process(self, generator: Generator[Event, Any, Any]) -> Process:
        """Start a process.

        Args:
            generator: Yields the events that it waits for.

        Returns:
            The process, which is an event that others can wait for.
        """
        return Process(self, self._kept(generator))

    def run(self, until: Any = None) -> Any:
        """Process events until there are none, or until a time or an event.

        SimPy raises a copy of a process's error, made of its ``args`` alone: without the hint of an InputError.

        Args:
            until: A tick, an event, or None: until no event is left.

        Returns:
            The event's value; else None.

        Raises:
            Exception: What a process raised, the object itself.
        """
        try:
            return super().run(until)
        except Exception:
            if self._error is None:
                raise
            raise self._error from self._error.__cause__

    def _kept(self, generator: Generator[Event, Any, Any]) -> Generator[Event, Any, Any]:
        try:
            return (yield from generator)
        except Exception as error:
            self._error = error
            raise

    def call_at(self, tick: int, priority: EventPriority, call: Callback) -> None:
        """Call a function at a tick.

        Args:
            tick: When, not before now.
            priority: Order among the events of that tick.
            call: Gets the event.
        """
        self.push(tick, priority, TimedEvent(self, [call]))

    def wait_until(self, tick: int, priority: EventPriority) -> Event:
        """An event at a tick, for a process to yield.

        Args:
            tick: When, not before now.
            priority: Order among the events of that tick.

        Returns:
            The event.
        """
        event = TimedEvent(self, [])
        self.push(tick, priority, event)
        return event

    def succeed_at(self, tick: int, priority: EventPriority, event: Event) -> None:
        """Let an event happen that a process may be waiting for.

        Args:
            tick: When, not before now.
            priority: Order among the events of that tick.
            event: Has not been triggered yet.
        """
        event._ok, event._value = True, None
        self.push(tick, priority, event)

    def push(self, tick: int, priority: EventPriority, event: Event) -> None:
        """Schedule an event.

        Args:
            tick: When, not before now.
            priority: Order among the events of that tick.
            event: An event that has its value.
        """
        self.schedule(event, priority, tick - self.now)
