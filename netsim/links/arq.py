"""Selective-repeat ARQ: the sender's timers, and what is still hoped for.

The answer to a transmission that ended at ``end`` is awaited until

    end + timeout_s,      by default propagation_s + jitter_s + feedback_delay_s

The receiver is ideal: it knows the schedule, misses a packet at the latest moment at which it could have arrived,
and says so at once; the word takes ``feedback_delay_s`` back, and so does an acknowledgement. Neither is ever lost.
A shorter ``timeout_s`` sends packets again whose acknowledgement is still under way; a longer one waits in vain.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from netsim.links.clock import ARRIVAL, Clock
from netsim.links.packets import LATE

if TYPE_CHECKING:
    from netsim.links.flight import Flight
    from netsim.links.processes import Link

__all__ = ["Attempts", "Repeater"]


class Attempts:
    """State of one slot's packets under ARQ, one entry per packet.

    hopes: transmissions that are under way, or will be made as far as the sender's timers go. settled: nothing
    can change any more. received: by some transmission. acknowledged: the tick at which the sender knows that, inf
    before.
    uniforms: the channel's numbers for each retry, once drawn.
    """

    __slots__ = ("acknowledged", "hopes", "received", "settled", "uniforms")

    def __init__(self, packets: int) -> None:
        self.hopes = [1] * packets
        self.settled, self.received = [False] * packets, [False] * packets
        self.acknowledged: list[float] = [math.inf] * packets  # int once known
        self.uniforms: dict[int, dict[int, list[float]]] = {}

    def end_one(self, packet: int, delivered: bool) -> bool:
        """One transmission of a packet has come to its end. True if that settles the packet."""
        self.hopes[packet] -= 1
        if self.settled[packet] or not (delivered or self.hopes[packet] == 0):
            return False
        self.settled[packet], self.received[packet] = True, delivered
        return True


class Repeater:
    """The sender's half: a timer per transmission, and whether another one follows when it ends."""

    def __init__(self, env: Clock, link: Link) -> None:
        self.env, self.link, self.ticks = env, link, link.ticks
        self._answer = self.ticks.propagation + self.ticks.jitter + self.ticks.feedback

    def sent(self, flight: Flight, i: int, end: int, arrival: int) -> None:
        """Transmission i ends at tick ``end`` and arrives, unless lost, at tick ``arrival``."""
        attempts, packet = self._attempts(flight), i % flight.packets
        flight.fate[i] = LATE
        if not flight.lost[i]:
            attempts.acknowledged[packet] = min(attempts.acknowledged[packet], arrival + self.ticks.feedback)
        self._watch(flight, i, end)

    def dropped(self, flight: Flight, i: int, now: int) -> None:
        """The full queue dropped transmission i: its timer counts from the drop."""
        self._watch(flight, i, now)
        self.link.receiver.end_one(flight, i, self.ticks.seconds(now))  # only now: a new hope may have been added

    def worthwhile(self, flight: Flight, i: int, start: int) -> bool:
        """Whether retry i, if it starts at tick ``start``, is still asked for and may arrive by the deadline."""
        if self._attempts(flight).acknowledged[i % flight.packets] <= start:
            return False
        return start + flight.serialisation[i] + self.ticks.propagation <= flight.deadline

    def _watch(self, flight: Flight, i: int, end: int) -> None:
        """Set the timer of a transmission, if a retry may follow it."""
        arq, attempts, packet = flight.offer.arq, self._attempts(flight), i % flight.packets
        assert arq is not None
        if i // flight.packets >= arq.retries or flight.offer.protected[packet]:
            return
        timer = end + (self._answer if arq.timeout_s is None else self.ticks.duration(arq.timeout_s))
        if timer + flight.serialisation[i] + self.ticks.propagation > flight.deadline:
            return
        known = attempts.acknowledged[packet]
        if known > timer:
            flight.unsent += 1
            attempts.hopes[packet] += 1
            self.env.at(timer, ARRIVAL).callbacks.append(lambda _: self.link.take_again(flight, i + flight.packets))
        elif flight.left is not None:  # the next slot waits until nothing can be asked for again
            flight.unsent += 1
            self.env.at(int(known), ARRIVAL).callbacks.append(lambda _: self.link.one_less(flight))

    @staticmethod
    def _attempts(flight: Flight) -> Attempts:
        assert flight.attempts is not None
        return flight.attempts
