"""One slot's packets on their way: the record that sender, link and receiver write into."""

from __future__ import annotations

import math

import numpy as np
from simpy.events import Event

from netsim.links.packets import DELIVERED, LATE, UNSENT, PacketBurst
from netsim.links.timing import LinkTicks

__all__ = ["ArqState", "SlotTransmission"]

_NAN = math.nan
_NO_UNIFORMS = np.empty((0, 2))


class ArqState:
    """State of one slot's packets under ARQ, one entry per packet.

    Attributes:
        outstanding: Transmissions under way, and retransmissions that the sender's timers will still make.
        resolved: True once nothing can change whether the packet is received.
        received: True if a transmission of the packet arrived in time.
        acknowledged: Tick at which the sender learns that, inf before.
        uniforms: The channel's random numbers of each retransmission, by its number and the packet.
    """

    __slots__ = ("acknowledged", "outstanding", "received", "resolved", "uniforms")

    def __init__(self, packets: int) -> None:
        self.outstanding = [1] * packets
        self.resolved, self.received = [False] * packets, [False] * packets
        self.acknowledged: list[float] = [math.inf] * packets  # int once known
        self.uniforms: dict[int, dict[int, list[float]]] = {}

    def end_one(self, packet: int, delivered: bool) -> bool:
        """Record the end of one transmission of a packet.

        Args:
            packet: Number of the packet.
            delivered: Whether this transmission arrived in time.

        Returns:
            True if it resolves the packet.
        """
        self.outstanding[packet] -= 1
        if self.resolved[packet] or not (delivered or self.outstanding[packet] == 0):
            return False
        self.resolved[packet], self.received[packet] = True, delivered
        return True


class SlotTransmission:
    """State of one slot's packets, as plain lists with one entry per transmission.

    Entry i of the n packets is the i-th packet's first transmission, in sending order; with ARQ, entry k · n + i is
    its k-th retransmission, UNSENT unless it was made.

    Attributes:
        slot, burst: Number of the slot, and its packets.
        packets: n.
        start, deadline: Of the slot, in ticks; deadline inf if there is none. start_s, deadline_s: in seconds.
        sent_until: End of the last transmission so far, in ticks.
        sent_s, arrival_s: Start and arrival of each transmission; NaN where there was none.
        jitter_s: Random delay of each transmission.
        latest_s: Latest arrival so far; a lost packet counts with the time at which it would have arrived.
        end_s: When the slot's outcome became final, None before.
        outcome: Outcome of each transmission, LATE until something else is known.
        lost: True where the channel loses the transmission.
        droppable: The packets that are not protected.
        uniforms: float64 [droppable, 2], the channel's random numbers of the first transmissions.
        sampled_per_packet: Losses are sampled as each packet starts, not for the whole slot at once.
        unsent: Packets that wait for the link, and retransmissions that may still be made.
        unresolved: Packets whose outcome can still change.
        all_sent: Happens when the sender has nothing left to send, if the next slot waits for that; else None.
        arq_state: State of ARQ, None without.
    """

    __slots__ = (
        "all_sent",
        "arq_state",
        "arrival_s",
        "burst",
        "deadline",
        "deadline_s",
        "droppable",
        "end_s",
        "jitter_s",
        "latest_s",
        "lost",
        "outcome",
        "packets",
        "sampled_per_packet",
        "sent_s",
        "sent_until",
        "slot",
        "start",
        "start_s",
        "uniforms",
        "unresolved",
        "unsent",
    )

    def __init__(
        self,
        slot: int,
        burst: PacketBurst,
        start: int,
        ticks: LinkTicks,
        all_sent: Event | None,
        jitter_s: list[float],
    ) -> None:
        n = self.packets = len(burst.sizes_bytes)
        self.slot, self.burst = slot, burst
        self.start, self.deadline = start, start + ticks.deadline
        self.start_s, self.deadline_s = ticks.seconds(start), self.deadline / ticks.per_s
        self.sent_until, self.latest_s = start, self.start_s
        self.end_s: float | None = None
        self.all_sent = all_sent
        self.jitter_s = jitter_s
        self.sent_s, self.arrival_s = [_NAN] * n, [_NAN] * n
        self.outcome, self.lost = [LATE] * n, [False] * n
        self.droppable = [i for i, protected in enumerate(burst.protected) if not protected]
        self.uniforms = _NO_UNIFORMS
        self.unsent = self.unresolved = n
        self.sampled_per_packet = False
        self.arq_state: ArqState | None = None
        if burst.arq is not None:
            self.arq_state = ArqState(n)
            more = burst.arq.retries * n
            self.sent_s += [_NAN] * more
            self.arrival_s += [_NAN] * more
            self.outcome += [UNSENT] * more
            self.lost += [False] * more

    def has(self, i: int) -> bool:
        """Whether a packet was delivered.

        Args:
            i: Number of the packet, below n.

        Returns:
            True if it was, by any of its transmissions.
        """
        return self.outcome[i] == DELIVERED if self.arq_state is None else self.arq_state.received[i]
