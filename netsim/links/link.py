"""A link as a SimPy process: a queue and a wire, first come, first served.

Times are absolute, in ticks, and exact; events at one instant have an order: see ``netsim.links.clock``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator

from simpy.events import Event

from netsim.errors import InputError
from netsim.links.arq import ArqSender
from netsim.links.clock import ARRIVAL, LINK, SLOT, Clock
from netsim.links.losses import LossSampler
from netsim.links.packets import DROPPED, PacketBurst
from netsim.links.profile import LinkProfile
from netsim.links.receiver import Arrival, Receiver
from netsim.links.timing import link_ticks
from netsim.links.transmission import SlotTransmission

__all__ = ["Link", "check_sizes"]


def check_sizes(profile: LinkProfile, slot: int, burst: PacketBurst) -> None:
    """Check that a slot's packets fit the link.

    Args:
        profile: The link.
        slot: Number of the slot, for the message.
        burst: The slot's packets.

    Raises:
        InputError: A packet is above the link's limit.
    """
    limit = profile.packet_limit_bytes
    if limit is not None and max(burst.sizes_bytes, default=0) > limit:
        i, size = next((i, size) for i, size in enumerate(burst.sizes_bytes) if size > limit)
        raise InputError(
            f"packet {i} of slot {slot} has {size} bytes; link {profile.name} takes {limit}",
            hint=f"mtu_bytes {profile.mtu_bytes} less overhead_bytes {profile.overhead_bytes}",
        )


class Link:
    """Takes a slot's packets and puts them on the wire one after another.

    A packet starts once the one before has been sent and ``interval_s`` has passed since that one's start. If it can't
    start at once, it waits; if ``queue_packets`` are waiting already, it is dropped, unless it is protected. A lost
    packet occupies the link like any other. Retransmissions queue behind what waits.

    Args:
        clock: The simulation's clock.
        profile: The link's numbers.
        losses: Samples the channel.
        receiver: Where packets arrive.

    Attributes:
        free: Tick of the earliest start of the next packet.
        used: Of a rate trace, the byte position that packets have used.
    """

    def __init__(self, clock: Clock, profile: LinkProfile, losses: LossSampler, receiver: Receiver) -> None:
        self.clock, self.profile, self.losses, self.receiver = clock, profile, losses, receiver
        self.ticks = link_ticks(profile)
        self.arq = ArqSender(clock, self.ticks, self.retransmit, self.release_one)
        self.free = self.used = 0
        self.waiting: deque[tuple[SlotTransmission, int]] = deque()
        self._new_packet: Event | None = None
        clock.process(self._serve())

    def send(self, slot: SlotTransmission) -> None:
        """Take a slot's packets, now.

        Args:
            slot: The slot's transmission; it starts now.

        Raises:
            InputError: A packet is above the link's limit.
        """
        check_sizes(self.profile, slot.slot, slot.burst)
        self.losses.prepare(slot)
        now, limit, waiting = slot.start, self.profile.queue_packets, self.waiting
        for i in range(slot.packets):
            if not waiting and self.free <= now:
                self._transmit(slot, i, now)
            elif limit is not None and len(waiting) >= limit and not slot.burst.protected[i]:
                self._drop(slot, i, now)
            else:
                waiting.append((slot, i))
        if not slot.sampled_per_packet:
            self.losses.sample_slot(slot)
        self._release_slot(slot)
        self._wake()
        self.receiver.expect(slot)

    def retransmit(self, slot: SlotTransmission, i: int) -> None:
        """Take a retransmission, now: it queues behind what waits, unless it has become useless.

        Args:
            slot: The slot's transmission.
            i: Number of the transmission: packet number plus the number of packets for each retransmission before.
        """
        now, limit = int(self.clock.now), self.profile.queue_packets
        if not self.arq.should_retransmit(slot, i, max(now, self.free), self.used):
            self._withdraw(slot, i)
        elif not self.waiting and self.free <= now:
            self._transmit(slot, i, now)
            self._release_slot(slot)
        elif limit is not None and len(self.waiting) >= limit:
            slot.sent_s[i] = self.ticks.seconds(now)
            self._drop(slot, i, now)
            self._release_slot(slot)
        else:
            self.waiting.append((slot, i))
            self._wake()

    def release_one(self, slot: SlotTransmission) -> None:
        """One packet of the slot can't be retransmitted any more.

        Args:
            slot: The slot's transmission.
        """
        slot.unsent -= 1
        self._release_slot(slot)

    def _withdraw(self, slot: SlotTransmission, i: int) -> None:
        self.receiver.end_transmission(slot, i, self.ticks.seconds(int(self.clock.now)))
        self.release_one(slot)

    def _drop(self, slot: SlotTransmission, i: int, now: int) -> None:
        slot.outcome[i] = DROPPED
        slot.unsent -= 1
        if slot.arq_state is None:
            slot.unresolved -= 1
        else:
            self.arq.dropped(slot, i, now)
            self.receiver.end_transmission(slot, i, self.ticks.seconds(now))  # after the timer has been set

    def _release_slot(self, slot: SlotTransmission) -> None:
        """Let the next slot start if the sender has nothing left to send of this one."""
        if not slot.unsent and slot.all_sent is not None:
            self.clock.succeed_at(max(slot.sent_until, int(self.clock.now)), SLOT, slot.all_sent)

    def _wake(self) -> None:
        if self.waiting and self._new_packet is not None:
            self._new_packet.succeed()
            self._new_packet = None

    def _serve(self) -> Generator[Event, None, None]:
        """The link's own process: start each waiting packet as soon as the link is free."""
        clock, waiting = self.clock, self.waiting
        while True:
            while waiting:
                yield clock.wait_until(self.free, LINK)
                slot, i = waiting.popleft()
                if i >= slot.packets and not self.arq.should_retransmit(slot, i, self.free, self.used):
                    self._withdraw(slot, i)
                    continue
                self._transmit(slot, i, self.free)
                self._release_slot(slot)
            self._new_packet = clock.event()
            yield self._new_packet

    def _transmit(self, slot: SlotTransmission, i: int, start: int) -> None:
        ticks, clock = self.ticks, self.clock
        end, self.used = ticks.end(start, slot.burst.sizes_bytes[i % slot.packets], self.used)
        spaced = start + ticks.interval
        self.free = spaced if spaced > end else end
        start_s = start / ticks.per_s
        slot.sent_s[i], slot.sent_until = start_s, end
        slot.unsent -= 1
        if slot.sampled_per_packet:
            self.losses.sample_packet(slot, i, start_s)
        arrival = end + ticks.propagation
        arrival_s, late = arrival / ticks.per_s, arrival > slot.deadline
        if ticks.jitter:
            earliest, latest = arrival, arrival + ticks.jitter
            arrival_s += slot.jitter_s[i]
            late = late or arrival_s > slot.deadline_s
            if not late:  # its event precedes the deadline's, whatever way its time was rounded
                latest = min(latest, int(slot.deadline)) if slot.deadline != math.inf else latest
            arrival = min(max(ticks.at_least(arrival_s), earliest), latest)
        clock.push(arrival, ARRIVAL, Arrival(clock, self.receiver.on_arrival, slot, i, arrival_s, late))
        if slot.arq_state is not None:
            self.arq.sent(slot, i, end, arrival)
