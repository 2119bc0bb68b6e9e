"""The event engine: one trial as a SimPy simulation. The reference for every other engine.

Randomness. Of slot s of a trial, ``losses.at(trial, s)`` gives, in this order: one uniform for
``channel.initial_state`` (slot 0 only), one for ``channel.enter_slot``, then uniforms [n, 2] for the packets that are
not protected, in sending order; and ``jitter.at(trial, s)`` gives one uniform per packet, protected or not. Nothing
else is drawn. (A packet that the queue drops keeps its numbers, unused.) The k-th retransmissions of a slot's packets
use ``losses.at(trial, s, k)``, [n, 2], and ``jitter.at(trial, s, k)``, [n], in the same way.

Times are exact and rounded once, as ``netsim.links.timing`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from netsim.channels.base import Channel
from netsim.engines.outcomes import SlotOutcome
from netsim.links.clock import Clock
from netsim.links.link import Link
from netsim.links.losses import LossSampler
from netsim.links.packets import PacketBurst, Report
from netsim.links.profile import LinkProfile
from netsim.links.receiver import FeedbackPath, Receiver
from netsim.links.sender import Sender
from netsim.links.timing import link_ticks
from netsim.links.transmission import SlotTransmission
from netsim.streams import Streams

__all__ = ["simulate_trial"]


def simulate_trial(
    slots: int,
    burst: Callable[[int, Sequence[Report]], PacketBurst],
    channel: Channel,
    link: LinkProfile,
    losses: Streams,
    jitter: Streams,
    trial: int,
) -> list[SlotOutcome]:
    """Simulate one trial: ``slots`` slots over one link, the channel's chain running on through all of them.

    Time starts at 0 s; the simulation ends when the last packet has arrived.

    Args:
        slots: Number of slots.
        burst: What a slot sends, from its number and the reports that have reached the sender by the slot's start.
        channel: Loses packets.
        link: Takes time.
        losses: Random streams of the channel.
        jitter: Random streams of the jitter.
        trial: Number of the trial, which selects the streams.

    Returns:
        One outcome per slot.

    Raises:
        InputError: A packet is above the link's limit.

    >>> from netsim.channels.chains import bernoulli
    >>> from netsim.links.profile import link_from_spec
    >>> def burst(slot, reports):
    ...     return PacketBurst(sizes_bytes=(872, 872), protected=(False, False))
    >>> geo = link_from_spec({"geo": {"interval_s": 2}})
    >>> [slot] = simulate_trial(1, burst, bernoulli(0.0), geo, Streams(7, "losses"), Streams(7, "jitter"), 0)
    >>> slot.sent_s, slot.arrival_s.round(6), slot.received.all()
    (array([0., 2.]), array([1.002861, 3.002861]), True)
    """
    clock = Clock()
    feedback = FeedbackPath(clock, link_ticks(link))
    wire = Link(clock, link, LossSampler(channel, losses, trial), Receiver(clock, feedback))
    sender = Sender(clock, wire, feedback, slots, burst, jitter, trial)
    clock.run()
    return [_outcome(transmission) for transmission in sender.transmissions]


def _outcome(slot: SlotTransmission) -> SlotOutcome:
    if slot.end_s is None:
        raise RuntimeError(f"the outcome of slot {slot.slot} never became final")
    return SlotOutcome(
        slot=slot.slot,
        choice=slot.burst.choice,
        start_s=slot.start_s,
        deadline_s=slot.deadline_s,
        end_s=slot.end_s,
        sent_s=np.array(slot.sent_s, dtype=np.float64),
        arrival_s=np.array(slot.arrival_s, dtype=np.float64),
        outcome=np.array(slot.outcome, dtype=np.uint8),
        attempts=1 if slot.burst.arq is None else 1 + slot.burst.arq.retries,
    )
