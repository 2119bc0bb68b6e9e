"""The transmission schedule: when each packet starts and would arrive, and which packets the queue drops.

Without feedback none of this depends on losses or jitter: it is the same in every trial. The schedule is the FIFO
recursion of ``netsim.links.timing``, in exact ticks; the event engine simulates the same link with SimPy, and tests
compare both with an oracle of their own (``tests/links/fifo.py``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from netsim.links.link import check_sizes
from netsim.links.packets import PacketBurst
from netsim.links.profile import LinkProfile
from netsim.links.timing import link_ticks

__all__ = ["SlotSchedule", "transmission_schedule"]


@dataclass(frozen=True, eq=False)
class SlotSchedule:
    """Times of one slot's n packets without jitter, in sending order.

    Attributes:
        slot: Number of the slot.
        choice: The burst's choice.
        start_s: When the link gets the packets.
        deadline_s: Deadline, inf if there is none.
        sent_s: float64 [n], start of each transmission; NaN if dropped.
        arrival_s: float64 [n], arrival; NaN if dropped.
        dropped: bool [n], True where the full queue drops a packet.
        late: bool [n], True where a packet arrives after the deadline.
    """

    slot: int
    choice: int
    start_s: float
    deadline_s: float
    sent_s: NDArray[np.float64]
    arrival_s: NDArray[np.float64]
    dropped: NDArray[np.bool_]
    late: NDArray[np.bool_]


def transmission_schedule(slots: int, burst: Callable[[int], PacketBurst], link: LinkProfile) -> list[SlotSchedule]:
    """The schedule of each slot of a trial.

    Args:
        slots: Number of slots.
        burst: What a slot sends.
        link: Its numbers.

    Returns:
        One schedule per slot.

    Raises:
        InputError: A packet is above the link's limit.
    """
    return list(_schedule(tuple(burst(slot) for slot in range(slots)), link))


@lru_cache(maxsize=8)  # the parts of a plan row share one
def _schedule(bursts: tuple[PacketBurst, ...], link: LinkProfile) -> tuple[SlotSchedule, ...]:
    return tuple(_slots(bursts, link))


def _slots(bursts: tuple[PacketBurst, ...], link: LinkProfile) -> Iterator[SlotSchedule]:
    ticks = link_ticks(link)
    free = begin = 0  # earliest start of the next packet; start of the next slot without a period
    used = 0  # byte position of the link's rate trace
    waiting: deque[int] = deque()  # starts of packets that may still wait
    for slot, burst in enumerate(bursts):
        check_sizes(link, slot, burst)
        start = begin if ticks.period is None else slot * ticks.period
        deadline = start + ticks.deadline
        while waiting and waiting[0] <= start:
            waiting.popleft()
        n = len(burst.sizes_bytes)
        sent_s, arrival_s = np.full((2, n), np.nan)
        dropped, late = np.zeros((2, n), dtype=bool)
        begin = start
        for i, (protected, size) in enumerate(zip(burst.protected, burst.sizes_bytes, strict=True)):
            packet = max(start, free)
            if packet > start:
                if link.queue_packets is not None and len(waiting) >= link.queue_packets and not protected:
                    dropped[i] = True
                    continue
                waiting.append(packet)
            begin, used = ticks.end(packet, size, used)
            free = max(packet + ticks.interval, begin)
            arrival = begin + ticks.propagation
            sent_s[i], arrival_s[i] = ticks.seconds(packet), ticks.seconds(arrival)
            late[i] = arrival > deadline
        yield SlotSchedule(
            slot, burst.choice, ticks.seconds(start), deadline / ticks.per_s, sent_s, arrival_s, dropped, late
        )
