"""The array engine: many trials at once, bit-identical to the event engine where nothing feeds back.

Without feedback, what a slot sends, when each packet starts and which packets the queue drops are the same in
every trial: neither loss nor jitter moves them. So one trial of the event engine, over a channel that loses
nothing and without jitter, gives the timetable; losses and jitter of all trials are then drawn as arrays, from
the same streams and by the same formulas (``netsim.links.timing``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.channels.base import Channel
from netsim.channels.markov import MarkovChannel, bernoulli
from netsim.engines.batch import SlotBatch, settled
from netsim.engines.event import DROPPED, Offer, SlotReception, simulate_trial
from netsim.links.profile import LinkProfile
from netsim.links.timing import chain_steps
from netsim.streams import Streams

__all__ = ["simulate_trials", "timetable"]

BoolArray = NDArray[np.bool_]
Floats = NDArray[np.float64]


def timetable(slots: int, offer: Callable[[int], Offer], link: LinkProfile) -> list[SlotReception]:
    """When each packet starts and would arrive if nothing were lost and nothing jittered; the queue's drops.

    offer(slot): what the slot sends. Raises InputError if a packet is above the link's limit.
    """
    calm, silent = replace(link, jitter_s=0.0), Streams(0, "timetable")
    return simulate_trial(slots, lambda slot, _: offer(slot), bernoulli(0.0), calm, silent, silent, 0)


def simulate_trials(
    slots: int,
    offer: Callable[[int], Offer],
    channel: Channel,
    link: LinkProfile,
    losses: Streams,
    jitter: Streams,
    first: int,
    last: int,
) -> Iterator[SlotBatch]:
    """Trials first … last − 1, slot by slot: receptions and arrival times as ``simulate_trial`` has them.

    offer(slot): what the slot sends, in every trial. Raises InputError if a packet is above the link's limit.
    """
    from netsim.philox import uniforms  # compiled: not on the way to reading a scenario

    states: Any = None
    before_s = 0.0
    for plan in timetable(slots, offer, link):
        offered = offer(plan.slot)
        droppable = np.flatnonzero(~np.array(offered.protected, dtype=bool))
        on_wire = plan.fate[droppable] != DROPPED
        head = 2 if plan.slot == 0 else 1  # initial_state (slot 0 only), enter_slot
        drawn = uniforms(losses.key, first, last, plan.slot, head + 2 * len(droppable))
        if plan.slot == 0:
            states = _initial_states(channel, drawn[:, 0])
        states = _enter_slot(channel, drawn[:, head - 1], states)
        steps: Any = 1
        if channel.step_s is not None and on_wire.any():
            starts = plan.sent_s[droppable][on_wire]
            steps = chain_steps(np.concatenate([[before_s], starts[:-1]]), starts, channel.step_s)
            before_s = float(starts[-1])
        pairs = drawn[:, head:].reshape(last - first, len(droppable), 2)
        lost = np.zeros((last - first, len(plan.fate)), dtype=bool)
        if on_wire.any():
            received, states = _receive(channel, pairs if on_wire.all() else pairs[:, on_wire], states, steps)
            lost[:, droppable[on_wire]] = ~received
        yield _batch(plan, link, lost, _jitter(link, jitter, plan, first, last), first)


def _initial_states(channel: Channel, drawn: Floats) -> Any:
    if isinstance(channel, MarkovChannel):
        return channel.initial_states(drawn)
    return [channel.initial_state(u) for u in drawn.tolist()]


def _enter_slot(channel: Channel, drawn: Floats, states: Any) -> Any:
    if isinstance(channel, MarkovChannel):  # runs on unchanged
        return states
    return [channel.enter_slot(u, state) for u, state in zip(drawn.tolist(), states, strict=True)]


def _receive(channel: Channel, pairs: Floats, states: Any, steps: Any) -> tuple[BoolArray, Any]:
    if isinstance(channel, MarkovChannel):
        return channel.receive_many(np.ascontiguousarray(pairs), states, steps)
    done = [channel.receive(pair, state, steps) for pair, state in zip(pairs, states, strict=True)]
    return np.stack([received for received, _ in done]), [state for _, state in done]


def _jitter(link: LinkProfile, streams: Streams, plan: SlotReception, first: int, last: int) -> Floats | None:
    if not link.jitter_s:
        return None
    from netsim.philox import uniforms

    return link.jitter_s * uniforms(streams.key, first, last, plan.slot, len(plan.fate))


def _batch(plan: SlotReception, link: LinkProfile, lost: BoolArray, jitter_s: Floats | None, first: int) -> SlotBatch:
    arrival_s = np.broadcast_to(plan.arrival_s, lost.shape) if jitter_s is None else plan.arrival_s + jitter_s
    trials = np.arange(first, first + len(lost))
    return settled(plan, link, lost, arrival_s, trials, np.ones(len(lost)))
