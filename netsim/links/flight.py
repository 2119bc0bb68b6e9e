"""One slot's packets on their way: the record that sender, link and receiver write into."""

from __future__ import annotations

import math

import numpy as np
import simpy

from netsim.links.arq import Attempts
from netsim.links.packets import DELIVERED, LATE, UNSENT, Offer
from netsim.links.timing import LinkTicks

__all__ = ["Flight"]

_NAN = math.nan
_NO_UNIFORMS = np.empty((0, 2))


class Flight:
    """State of one slot's packets, as plain lists: one entry per transmission.

    Entry i of the n packets is the i-th packet's first transmission, in sending order; with ARQ, entry k · n + i is
    its k-th retry, UNSENT unless it was made.

    start, deadline: of the slot, in ticks (deadline inf if there is none); start_s, deadline_s: the same in seconds.
    sent_until: end of the last transmission so far, in ticks. serialisation: ticks that each transmission takes.
    end_s: when the outcome became final, None before. latest_s: the latest arrival so far, of a lost packet when it
    would have arrived. sent_s, arrival_s: start of transmission and arrival, nan where there was none. jitter_s: added
    delay. fate: LATE until something else is known. lost: True where the channel takes the packet.
    packets: n. unsent: packets that wait for the link, or may yet have to be sent again. pending: packets whose
    fate is not settled. attempts: the state of ARQ, None without. as_sent: losses are drawn packet by packet.
    left: happens when the last packet has left the sender, if anybody waits for that.
    """

    __slots__ = (
        "arrival_s",
        "as_sent",
        "attempts",
        "deadline",
        "deadline_s",
        "droppable",
        "end_s",
        "fate",
        "jitter_s",
        "latest_s",
        "left",
        "lost",
        "offer",
        "packets",
        "pending",
        "sent_s",
        "sent_until",
        "serialisation",
        "slot",
        "start",
        "start_s",
        "uniforms",
        "unsent",
    )

    def __init__(
        self,
        slot: int,
        offer: Offer,
        start: int,
        ticks: LinkTicks,
        left: simpy.Event | None,
        jitter_s: list[float],
    ) -> None:
        n = self.packets = len(offer.sizes_bytes)
        self.slot, self.offer = slot, offer
        self.start, self.deadline = start, start + ticks.deadline
        self.start_s, self.deadline_s = ticks.seconds(start), self.deadline / ticks.per_s
        self.sent_until, self.latest_s = start, self.start_s
        self.end_s: float | None = None
        self.left = left
        self.serialisation = ticks.serialisation(offer.sizes_bytes)
        self.jitter_s = jitter_s
        self.sent_s, self.arrival_s = [_NAN] * n, [_NAN] * n
        self.fate, self.lost = [LATE] * n, [False] * n
        self.droppable = [i for i, protected in enumerate(offer.protected) if not protected]
        self.uniforms = _NO_UNIFORMS
        self.unsent = self.pending = n
        self.as_sent = False
        self.attempts: Attempts | None = None
        if offer.arq is not None:
            self.attempts = Attempts(n)
            more = offer.arq.retries * n
            self.serialisation *= 1 + offer.arq.retries
            self.sent_s += [_NAN] * more
            self.arrival_s += [_NAN] * more
            self.fate += [UNSENT] * more
            self.lost += [False] * more

    def has(self, i: int) -> bool:
        """True if packet i (< n) was delivered, by whichever transmission."""
        return self.fate[i] == DELIVERED if self.attempts is None else self.attempts.received[i]
