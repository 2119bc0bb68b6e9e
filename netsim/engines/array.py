"""The array engine: many trials at once, bit-identical to the event engine where nothing feeds back.

Without feedback, what a slot sends, when each packet starts and which packets the queue drops are the same in
every trial: neither loss nor jitter moves them. So one trial of the event engine, over a channel that loses
nothing and without jitter, gives the timetable; losses and jitter of all trials are then drawn as arrays, from
the same streams and by the same formulas (``netsim.links.timing``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
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

_TILE_NUMBERS = 1 << 14  # uniforms at once: 128 KiB


def timetable(slots: int, offer: Callable[[int], Offer], link: LinkProfile) -> list[SlotReception]:
    """When each packet starts and would arrive if nothing were lost and nothing jittered; the queue's drops.

    offer(slot): what the slot sends. Raises InputError if a packet is above the link's limit.
    """
    return list(_timetable(tuple(offer(slot) for slot in range(slots)), link))


@lru_cache(maxsize=8)  # the parts of a plan row share one
def _timetable(offers: tuple[Offer, ...], link: LinkProfile) -> tuple[SlotReception, ...]:
    calm, silent = replace(link, jitter_s=0.0), Streams(0, "timetable")
    plan = simulate_trial(len(offers), lambda slot, _: offers[slot], bernoulli(0.0), calm, silent, silent, 0)
    return tuple(plan)


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
    chain = _Chain(channel, losses, first, last)
    before_s = 0.0
    for plan in timetable(slots, offer, link):
        offered = offer(plan.slot)
        droppable = np.flatnonzero(~np.array(offered.protected, dtype=bool))
        on_wire = plan.fate[droppable] != DROPPED
        steps: Any = 1
        if channel.step_s is not None and on_wire.any():
            starts = plan.sent_s[droppable][on_wire]
            steps = chain_steps(np.concatenate([[before_s], starts[:-1]]), starts, channel.step_s)
            before_s = float(starts[-1])
        lost = np.zeros((last - first, len(plan.fate)), dtype=bool)
        chain.lose(plan.slot, droppable, on_wire, steps, lost)
        yield _batch(plan, lost, _jitter(link, jitter, plan, first, last), first)


class _Chain:
    """The channel's state in every trial, a tile of trials at a time: their uniforms stay in the processor's cache."""

    def __init__(self, channel: Channel, losses: Streams, first: int, last: int) -> None:
        self.channel, self.losses, self.first, self.last = channel, losses, first, last
        self._tiles: dict[int, tuple[int, Any]] = {}  # first trial → (last trial, states)
        self._scratch = np.empty(0)

    def lose(self, slot: int, droppable: NDArray[np.int64], on_wire: BoolArray, steps: Any, lost: BoolArray) -> None:
        """Draw a slot's losses into ``lost`` [t, n]; on_wire: which of the droppable packets reach the channel."""
        from netsim.philox import uniforms  # compiled: not on the way to reading a scenario

        head = 2 if slot == 0 else 1  # initial_state (slot 0 only), enter_slot
        count = head + 2 * len(droppable)
        if slot == 0:
            step = max(1, _TILE_NUMBERS // count)
            self._tiles = {at: (min(at + step, self.last), None) for at in range(self.first, self.last, step)}
        everything, any_on_wire = bool(on_wire.all()), bool(on_wire.any())
        columns = _as_slice(droppable[on_wire])
        for at, (end, states) in self._tiles.items():
            drawn = uniforms(self.losses.key, at, end, slot, count, self._room(end - at, count))
            if slot == 0:
                states = _initial_states(self.channel, drawn[:, 0])
            states = _enter_slot(self.channel, drawn[:, head - 1], states)
            if any_on_wire:
                pairs = drawn[:, head:].reshape(end - at, len(droppable), 2)
                received, states = _receive(self.channel, pairs if everything else pairs[:, on_wire], states, steps)
                np.logical_not(received, out=received)
                lost[at - self.first : end - self.first, columns] = received
            self._tiles[at] = (end, states)

    def _room(self, trials: int, count: int) -> Floats:
        """Memory for a tile's uniforms, the same every time."""
        if trials * count > len(self._scratch):
            self._scratch = np.empty(trials * count)
        return self._scratch[: trials * count].reshape(trials, count)


def _as_slice(places: NDArray[np.int64]) -> Any:
    """Places that follow each other as a slice, which copies faster."""
    if len(places) and places[-1] - places[0] == len(places) - 1:
        return slice(int(places[0]), int(places[-1]) + 1)
    return places


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
        return channel.receive_many(pairs, states, steps)
    done = [channel.receive(pair, state, steps) for pair, state in zip(pairs, states, strict=True)]
    return np.stack([received for received, _ in done]), [state for _, state in done]


def _jitter(link: LinkProfile, streams: Streams, plan: SlotReception, first: int, last: int) -> Floats | None:
    if not link.jitter_s:
        return None
    from netsim.philox import uniforms

    return link.jitter_s * uniforms(streams.key, first, last, plan.slot, len(plan.fate))


def _batch(plan: SlotReception, lost: BoolArray, jitter_s: Floats | None, first: int) -> SlotBatch:
    arrival_s = plan.arrival_s if jitter_s is None else plan.arrival_s + jitter_s
    trials = np.arange(first, first + len(lost))
    return settled(plan, lost, arrival_s, trials, np.ones(len(lost)))
