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

_GRACE_S = 1e-9
"""An acknowledgement that comes just as the timer ends is in time, whatever way the sums were rounded."""


class Attempts:
    """State of one slot's packets under ARQ, one entry per packet.

    hopes: transmissions that are under way, or will be made as far as the sender's timers go. settled: nothing
    can change any more. received: by some transmission. acknowledged_s: when the sender knows that, inf before.
    uniforms: the channel's numbers for each retry, once drawn.
    """

    __slots__ = ("acknowledged_s", "hopes", "received", "settled", "uniforms")

    def __init__(self, packets: int) -> None:
        self.hopes = [1] * packets
        self.settled, self.received = [False] * packets, [False] * packets
        self.acknowledged_s = [math.inf] * packets
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
        self.env, self.link, self.profile = env, link, link.profile
        self._answer_s = self.profile.propagation_s + self.profile.jitter_s + self.profile.feedback_delay_s

    def sent(self, flight: Flight, i: int, end_s: float, arrival_s: float) -> None:
        """Transmission i ends at end_s and arrives, unless lost, at arrival_s."""
        attempts, packet = self._attempts(flight), i % flight.packets
        flight.fate[i] = LATE
        if not flight.lost[i]:
            known_s = arrival_s + self.profile.feedback_delay_s
            attempts.acknowledged_s[packet] = min(attempts.acknowledged_s[packet], known_s)
        self._watch(flight, i, end_s)

    def dropped(self, flight: Flight, i: int, now_s: float) -> None:
        """The full queue dropped transmission i: its timer counts from the drop."""
        self._watch(flight, i, now_s)
        self.link.receiver.end_one(flight, i)  # only now: a new hope may have been added

    def worthwhile(self, flight: Flight, i: int, start_s: float) -> bool:
        """Whether retry i, if it starts at start_s, is still asked for and may arrive by the deadline."""
        if self._attempts(flight).acknowledged_s[i % flight.packets] <= start_s + _GRACE_S:
            return False
        return (start_s + flight.serialisation_s[i]) + self.profile.propagation_s <= flight.deadline_s

    def _watch(self, flight: Flight, i: int, end_s: float) -> None:
        """Set the timer of a transmission, if a retry may follow it."""
        arq, attempts, packet = flight.offer.arq, self._attempts(flight), i % flight.packets
        assert arq is not None
        if i // flight.packets >= arq.retries or flight.offer.protected[packet]:
            return
        timer_s = end_s + (self._answer_s if arq.timeout_s is None else arq.timeout_s)
        if (timer_s + flight.serialisation_s[i]) + self.profile.propagation_s > flight.deadline_s:
            return
        known_s = attempts.acknowledged_s[packet]
        if known_s > timer_s + _GRACE_S:
            flight.unsent += 1
            attempts.hopes[packet] += 1
            self.env.at(timer_s, ARRIVAL).callbacks.append(lambda _: self.link.take_again(flight, i + flight.packets))
        elif flight.left is not None:  # the next slot waits until nothing can be asked for again
            flight.unsent += 1
            self.env.at(known_s, ARRIVAL).callbacks.append(lambda _: self.link.one_less(flight))

    @staticmethod
    def _attempts(flight: Flight) -> Attempts:
        assert flight.attempts is not None
        return flight.attempts
