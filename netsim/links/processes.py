"""A link as SimPy processes: sender, link, receiver, and a feedback path back to the sender.

Times are absolute, in ticks, and exact; what happens at one instant has an order: see ``netsim.links.clock``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any

from simpy.events import Event

from netsim.errors import InputError
from netsim.links.arq import Repeater
from netsim.links.clock import ARRIVAL, DEADLINE, LINK, SLOT, Clock
from netsim.links.flight import Flight
from netsim.links.losses import Losses
from netsim.links.packets import DELIVERED, DROPPED, LATE, LOST, Offer, Report
from netsim.links.profile import LinkProfile
from netsim.links.timing import LinkTicks, link_ticks
from netsim.streams import Streams

__all__ = ["DELIVERED", "DROPPED", "LATE", "LOST", "Clock", "FeedbackPath", "Link", "Receiver", "Sender"]

Callback = Callable[[Any], None]


class _Arrival(Event):
    """A packet in flight: it happens where and when the packet arrives (or would have, had it not been lost)."""

    def __init__(
        self, env: Clock, callbacks: list[Callback], flight: Flight, index: int, time_s: float, late: bool
    ) -> None:
        self.env, self.callbacks = env, callbacks  # the list is shared: SimPy only reads it
        self._ok, self._value = True, None
        self.flight, self.index, self.time_s, self.late = flight, index, time_s, late


class FeedbackPath:
    """Carries reports from the receiver to the sender, each the link's ``feedback_delay_s`` long.

    reports: those that have arrived, in order of arrival.
    """

    def __init__(self, env: Clock, ticks: LinkTicks) -> None:
        self.env, self.ticks = env, ticks
        self.reports: list[Report] = []

    def send(self, slot: int, sent: int, lost: int) -> None:
        """Set off a report now."""
        there = int(self.env.now) + self.ticks.feedback
        report = Report(slot, sent, lost, self.ticks.seconds(there))
        self.env.at(there, ARRIVAL).callbacks.append(lambda _: self.reports.append(report))


class Receiver:
    """Settles each packet's fate as it arrives, and reports a slot once nothing more can change.

    A slot is final when its last packet has arrived or would have, at the latest at its deadline; with ARQ, when
    each packet has arrived or will not be sent again.
    """

    def __init__(self, env: Clock, feedback: FeedbackPath) -> None:
        self.env, self.feedback = env, feedback
        self.on_arrival: list[Callback] = [self._arrive]

    def expect(self, flight: Flight) -> None:
        """Take note of a slot that has been offered; its drops are known."""
        if not flight.pending:
            self._settle(flight, flight.start_s)
        elif flight.deadline != math.inf:
            at_deadline = self.env.at(int(flight.deadline), DEADLINE)
            at_deadline.callbacks.append(lambda _: self._settle(flight, flight.deadline_s))

    def _arrive(self, packet: _Arrival) -> None:
        flight, i = packet.flight, packet.index
        if flight.lost[i]:
            flight.fate[i] = LOST
        else:
            flight.arrival_s[i] = packet.time_s
            if not packet.late:
                flight.fate[i] = DELIVERED
        if flight.attempts is None:
            flight.pending -= 1
            flight.latest_s = max(flight.latest_s, packet.time_s)
            if not flight.pending:
                self._settle(flight, min(flight.latest_s, flight.deadline_s))
        else:
            self.end_one(flight, i, packet.time_s)

    def end_one(self, flight: Flight, i: int, time_s: float) -> None:
        """Under ARQ: transmission i has come to its end, on the way or because it will not be made."""
        assert flight.attempts is not None
        if flight.attempts.end_one(i % flight.packets, flight.fate[i] == DELIVERED):
            flight.pending -= 1
            if not flight.pending:
                self._settle(flight, min(time_s, flight.deadline_s))

    def _settle(self, flight: Flight, time_s: float) -> None:
        if flight.end_s is not None:
            return
        flight.end_s = time_s
        delivered = sum(flight.has(i) for i in flight.droppable)
        self.feedback.send(flight.slot, len(flight.droppable), len(flight.droppable) - delivered)


class Link:
    """Takes a slot's packets and puts them on the wire one after another, first come, first served.

    A packet starts once the one before has been sent and ``interval_s`` has passed since that one's start. If
    it cannot start at once it waits; if ``queue_packets`` are waiting already it is dropped, unless it is
    protected. A lost packet occupies the link like any other. Retries queue behind what waits.

    free: tick of the earliest start of the next packet.
    """

    def __init__(self, env: Clock, profile: LinkProfile, losses: Losses, receiver: Receiver) -> None:
        self.env, self.profile, self.losses, self.receiver = env, profile, losses, receiver
        self.ticks = link_ticks(profile)
        self.repeater = Repeater(env, self)
        self.free = 0
        self.waiting: deque[tuple[Flight, int]] = deque()
        self._someone_waits: Event | None = None
        env.process(self._serve())

    def take(self, flight: Flight) -> None:
        """Take a slot's packets, now. Raises InputError for a packet above the link's limit."""
        self._check_sizes(flight)
        self.losses.draw(flight)
        now, limit, waiting = flight.start, self.profile.queue_packets, self.waiting
        for i in range(flight.packets):
            if not waiting and self.free <= now:
                self._transmit(flight, i, now)
            elif limit is not None and len(waiting) >= limit and not flight.offer.protected[i]:
                self._drop(flight, i, now)
            else:
                waiting.append((flight, i))
        if not flight.as_sent:
            self.losses.lose(flight)
        self._let_go(flight)
        self._wake()
        self.receiver.expect(flight)

    def take_again(self, flight: Flight, i: int) -> None:
        """Take retry i of a packet, now: it queues behind what waits, unless there is no use in it any more."""
        now, limit = int(self.env.now), self.profile.queue_packets
        if not self.repeater.worthwhile(flight, i, max(now, self.free)):
            self._withdraw(flight, i)
        elif not self.waiting and self.free <= now:
            self._transmit(flight, i, now)
            self._let_go(flight)
        elif limit is not None and len(self.waiting) >= limit:
            flight.sent_s[i] = self.ticks.seconds(now)
            self._drop(flight, i, now)
            self._let_go(flight)
        else:
            self.waiting.append((flight, i))
            self._wake()

    def one_less(self, flight: Flight) -> None:
        """One packet of the slot, of which a retry could have followed, is done."""
        flight.unsent -= 1
        self._let_go(flight)

    def _withdraw(self, flight: Flight, i: int) -> None:
        self.receiver.end_one(flight, i, self.ticks.seconds(int(self.env.now)))
        self.one_less(flight)

    def _drop(self, flight: Flight, i: int, now: int) -> None:
        flight.fate[i] = DROPPED
        flight.unsent -= 1
        if flight.attempts is None:
            flight.pending -= 1
        else:
            self.repeater.dropped(flight, i, now)

    def _let_go(self, flight: Flight) -> None:
        """If nothing of the slot is left to send, let the next one start."""
        if not flight.unsent and flight.left is not None:
            self.env.at(max(flight.sent_until, int(self.env.now)), SLOT, flight.left)

    def _wake(self) -> None:
        if self.waiting and self._someone_waits is not None:
            self._someone_waits.succeed()
            self._someone_waits = None

    def _serve(self) -> Generator[Event, None, None]:
        """The link's own process: start each waiting packet as soon as the link is free."""
        env, waiting = self.env, self.waiting
        while True:
            while waiting:
                yield env.at(self.free, LINK)
                flight, i = waiting.popleft()
                if i >= flight.packets and not self.repeater.worthwhile(flight, i, self.free):
                    self._withdraw(flight, i)
                    continue
                self._transmit(flight, i, self.free)
                self._let_go(flight)
            self._someone_waits = env.event()
            yield self._someone_waits

    def _transmit(self, flight: Flight, i: int, start: int) -> None:
        ticks, env = self.ticks, self.env
        end = start + flight.serialisation[i]
        spaced = start + ticks.interval
        self.free = spaced if spaced > end else end
        start_s = start / ticks.per_s
        flight.sent_s[i], flight.sent_until = start_s, end
        flight.unsent -= 1
        if flight.as_sent:
            self.losses.start(flight, i, start_s)
        arrival = end + ticks.propagation
        arrival_s, late = arrival / ticks.per_s, arrival > flight.deadline
        if ticks.jitter:
            earliest, latest = arrival, arrival + ticks.jitter
            arrival_s += flight.jitter_s[i]
            late = late or arrival_s > flight.deadline_s
            if not late:  # it happens before the deadline does, whatever way its time was rounded
                latest = min(latest, int(flight.deadline)) if flight.deadline != math.inf else latest
            arrival = min(max(ticks.at_least(arrival_s), earliest), latest)
        packet = _Arrival(env, self.receiver.on_arrival, flight, i, arrival_s, late)
        env.push(arrival, ARRIVAL, packet)
        if flight.attempts is not None:
            self.repeater.sent(flight, i, end, arrival)

    def _check_sizes(self, flight: Flight) -> None:
        limit = self.profile.packet_limit_bytes
        if limit is not None and max(flight.offer.sizes_bytes, default=0) > limit:
            i, size = next((i, size) for i, size in enumerate(flight.offer.sizes_bytes) if size > limit)
            raise InputError(
                f"packet {i} of slot {flight.slot} has {size} bytes; link {self.profile.name} takes {limit}",
                hint=f"mtu_bytes {self.profile.mtu_bytes} less overhead_bytes {self.profile.overhead_bytes}",
            )


class Sender:
    """Offers one slot after another to the link.

    offer: asked at the start of each slot, with the reports that have arrived by then (read-only).
    flights: one record per slot, in order.
    """

    def __init__(
        self,
        env: Clock,
        link: Link,
        feedback: FeedbackPath,
        slots: int,
        offer: Callable[[int, Sequence[Report]], Offer],
        jitter: Streams,
        trial: int,
    ) -> None:
        self.env, self.link, self.feedback, self.slots, self.offer = env, link, feedback, slots, offer
        self.jitter, self.trial = jitter, trial
        self.flights: list[Flight] = []
        env.process(self._send())

    def _send(self) -> Generator[Event, None, None]:
        env, ticks = self.env, self.link.ticks
        for slot in range(self.slots):
            if ticks.period is not None:
                yield env.at(slot * ticks.period, SLOT)
            offer = self.offer(slot, self.feedback.reports)
            left = Event(env) if ticks.period is None else None
            flight = Flight(slot, offer, int(env.now), ticks, left, self._jitter(slot, offer))
            self.flights.append(flight)
            self.link.take(flight)
            if left is not None:
                yield left

    def _jitter(self, slot: int, offer: Offer) -> list[float]:
        """Jitter of each packet: one uniform each from the slot's stream, in sending order; then of each retry."""
        n, again = len(offer.sizes_bytes), 0 if offer.arq is None else offer.arq.retries
        most_s = self.link.profile.jitter_s
        if not most_s:
            return [0.0] * (n * (1 + again))
        jitter_s: list[float] = (most_s * self.jitter.at(self.trial, slot).random(n)).tolist()
        for attempt in range(1, 1 + again):
            jitter_s += (most_s * self.jitter.at(self.trial, slot, attempt).random(n)).tolist()
        return jitter_s
