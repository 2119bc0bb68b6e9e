"""The event engine: one trial as a SimPy simulation. The reference for every other engine.

Randomness. Of slot s of a trial, ``losses.at(trial, s)`` gives, in this order: one uniform for
``channel.initial_state`` (slot 0 only), one for ``channel.enter_slot``, then uniforms [n, 2] for the packets
that are not protected, in sending order; and ``jitter.at(trial, s)`` one uniform per packet, protected or
not. Nothing else is drawn. (A packet that the queue drops keeps its numbers, unread.) The k-th retries of a
slot's packets read ``losses.at(trial, s, k)``, [n, 2], and ``jitter.at(trial, s, k)``, [n], in the same way.

Times are exact and rounded once, as ``netsim.links.timing`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.channels.base import Channel
from netsim.links.flight import Flight
from netsim.links.losses import Losses
from netsim.links.packets import DELIVERED, DROPPED, LATE, LOST, UNSENT, Arq, Offer, Report
from netsim.links.processes import Clock, FeedbackPath, Link, Receiver, Sender
from netsim.links.profile import LinkProfile
from netsim.links.timing import link_ticks
from netsim.streams import Streams

__all__ = [
    "DELIVERED",
    "DROPPED",
    "LATE",
    "LOST",
    "UNSENT",
    "Arq",
    "Offer",
    "Report",
    "SlotReception",
    "simulate_trial",
]


@dataclass(frozen=True, eq=False)
class SlotReception:
    """What became of one slot's n packets, in sending order: m transmissions, m = n without ARQ.

    With ARQ, m = n · attempts: transmission i < n is the first of packet i, transmission k · n + i its k-th retry.
    start_s: when the slot was offered to the link. deadline_s: inf if there is none. end_s: when its outcome was
    final: the last arrival (a lost packet's would-be arrival included), at the latest the deadline.
    sent_s: float64 [m], start of each transmission; nan if dropped (a retry: when it was dropped) or not made.
    arrival_s: float64 [m], nan if lost, dropped or not made; late packets have theirs.
    fate: uint8 [m], DELIVERED, LOST, LATE or DROPPED: each transmission has exactly one; UNSENT if never made.
    """

    slot: int
    tag: int
    start_s: float
    deadline_s: float
    end_s: float
    sent_s: NDArray[np.float64]
    arrival_s: NDArray[np.float64]
    fate: NDArray[np.uint8]
    attempts: int = 1

    @property
    def received(self) -> NDArray[np.bool_]:
        """bool [n]: True where a packet was there in time, by whichever transmission."""
        there: NDArray[np.bool_] = (self.fate == DELIVERED).reshape(self.attempts, -1).any(axis=0)
        return there

    def count(self, fate: int) -> int:
        """How many transmissions met this fate."""
        return int(np.count_nonzero(self.fate == fate))


def simulate_trial(
    slots: int,
    offer: Callable[[int, Sequence[Report]], Offer],
    channel: Channel,
    link: LinkProfile,
    losses: Streams,
    jitter: Streams,
    trial: int,
) -> list[SlotReception]:
    """Simulate one trial: ``slots`` slots over one link, the channel's chain running on through all of them.

    offer(slot, reports) says what a slot sends; reports are those that have reached the sender by the slot's
    start. Time starts at 0 s; the simulation goes on until the last packet has arrived.
    Raises InputError if a packet is above the link's limit.

    >>> from netsim.channels.markov import bernoulli
    >>> from netsim.links.profile import link_from_spec
    >>> def offer(slot, reports):
    ...     return Offer(sizes_bytes=(872, 872), protected=(False, False))
    >>> geo = link_from_spec({"geo": {"interval_s": 2}})
    >>> [slot] = simulate_trial(1, offer, bernoulli(0.0), geo, Streams(7, "losses"), Streams(7, "jitter"), 0)
    >>> slot.sent_s, slot.arrival_s.round(6), slot.received.all()
    (array([0., 2.]), array([1.002861, 3.002861]), True)
    """
    env = Clock()
    feedback = FeedbackPath(env, link_ticks(link))
    channel_losses = Losses(channel, losses, trial)
    sender = Sender(
        env, Link(env, link, channel_losses, Receiver(env, feedback)), feedback, slots, offer, jitter, trial
    )
    env.run()
    return [_reception(flight) for flight in sender.flights]


def _reception(flight: Flight) -> SlotReception:
    if flight.end_s is None:
        raise RuntimeError(f"slot {flight.slot} was never settled")
    return SlotReception(
        slot=flight.slot,
        tag=flight.offer.tag,
        start_s=flight.start_s,
        deadline_s=flight.deadline_s,
        end_s=flight.end_s,
        sent_s=np.array(flight.sent_s, dtype=np.float64),
        arrival_s=np.array(flight.arrival_s, dtype=np.float64),
        fate=np.array(flight.fate, dtype=np.uint8),
        attempts=1 if flight.offer.arq is None else 1 + flight.offer.arq.retries,
    )
