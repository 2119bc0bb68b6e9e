"""The sending end of a link as a SimPy process: one burst of packets per slot."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from simpy.events import Event

from netsim.links.clock import SLOT, Clock
from netsim.links.link import Link
from netsim.links.packets import PacketBurst, Report
from netsim.links.receiver import FeedbackPath
from netsim.links.transmission import SlotTransmission
from netsim.streams import Streams

__all__ = ["Sender"]


class Sender:
    """Hands one slot after another to the link.

    Args:
        clock: The simulation's clock.
        link: Takes the packets.
        feedback: Brings the receiver's reports.
        slots: How many slots to send.
        burst: Called at the start of each slot with its number and the reports that have arrived (read-only); returns
            the slot's packets.
        jitter: Random streams of the jitter.
        trial: Number of the trial, which selects the streams.

    Attributes:
        transmissions: One record per slot, in order.
    """

    def __init__(
        self,
        clock: Clock,
        link: Link,
        feedback: FeedbackPath,
        slots: int,
        burst: Callable[[int, Sequence[Report]], PacketBurst],
        jitter: Streams,
        trial: int,
    ) -> None:
        self.clock, self.link, self.feedback, self.slots, self.burst = clock, link, feedback, slots, burst
        self.jitter, self.trial = jitter, trial
        self.transmissions: list[SlotTransmission] = []
        clock.process(self._send())

    def _send(self) -> Generator[Event, None, None]:
        clock, ticks = self.clock, self.link.ticks
        for slot in range(self.slots):
            if ticks.period is not None:
                yield clock.wait_until(slot * ticks.period, SLOT)
            burst = self.burst(slot, self.feedback.reports)
            all_sent = Event(clock) if ticks.period is None else None
            transmission = SlotTransmission(slot, burst, int(clock.now), ticks, all_sent, self._jitter_s(slot, burst))
            self.transmissions.append(transmission)
            self.link.send(transmission)
            if all_sent is not None:
                yield all_sent

    def _jitter_s(self, slot: int, burst: PacketBurst) -> list[float]:
        """Jitter of each transmission: one uniform per packet in sending order, then one per retransmission."""
        n, retries = len(burst.sizes_bytes), 0 if burst.arq is None else burst.arq.retries
        most_s = self.link.profile.jitter_s
        if not most_s:
            return [0.0] * (n * (1 + retries))
        jitter_s: list[float] = []
        for attempt in range(1 + retries):
            jitter_s += (most_s * self.jitter.at(self.trial, slot, attempt).random(n)).tolist()
        return jitter_s
