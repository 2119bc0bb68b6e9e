"""The array engine: many trials at once, bit-identical to the event engine where nothing feeds back.

Without feedback all trials share one transmission schedule (``netsim.engines.schedule``). Losses and jitter of all
trials are drawn as arrays, from the event engine's streams and in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.channels.base import Channel
from netsim.channels.calls import received_packets
from netsim.channels.markov import MarkovChannel
from netsim.engines.outcomes import SlotOutcomes, resolve_outcomes
from netsim.engines.schedule import SlotSchedule, transmission_schedule
from netsim.links.packets import PacketBurst
from netsim.links.profile import LinkProfile
from netsim.links.timing import chain_steps
from netsim.streams import Streams

__all__ = ["simulate_trials"]

BoolArray = NDArray[np.bool_]
Floats = NDArray[np.float64]

_TILE_NUMBERS = 1 << 14  # uniforms at once: 128 KiB


def simulate_trials(
    slots: int,
    burst: Callable[[int], PacketBurst],
    channel: Channel,
    link: LinkProfile,
    losses: Streams,
    jitter: Streams,
    first: int,
    last: int,
) -> Iterator[SlotOutcomes]:
    """Trials first … last − 1, slot by slot: outcomes and arrival times as ``simulate_trial`` has them.

    Args:
        slots: Number of slots.
        burst: What a slot sends, in every trial.
        channel: Loses packets.
        link: Takes time.
        losses: Random streams of the channel.
        jitter: Random streams of the jitter.
        first: The first trial.
        last: The trial after the last one.

    Yields:
        The outcomes of one slot in all trials.

    Raises:
        InputError: A packet is above the link's limit.
    """
    chain = _Chain(channel, losses, first, last)
    before_s = 0.0
    for schedule in transmission_schedule(slots, burst, link):
        droppable = np.flatnonzero(~np.array(burst(schedule.slot).protected, dtype=bool))
        on_wire = ~schedule.dropped[droppable]
        steps: Any = 1
        if channel.step_s is not None and on_wire.any():
            starts = schedule.sent_s[droppable][on_wire]
            steps = chain_steps(np.concatenate([[before_s], starts[:-1]]), starts, channel.step_s)
            before_s = float(starts[-1])
        lost = np.zeros((last - first, len(schedule.dropped)), dtype=bool)
        chain.sample(schedule.slot, droppable, on_wire, steps, lost)
        yield _outcomes(schedule, lost, _jitter_s(link, jitter, schedule, first, last), first)


class _Chain:
    """The channel's state in every trial, a tile of trials at a time: their uniforms stay in the processor's cache."""

    def __init__(self, channel: Channel, losses: Streams, first: int, last: int) -> None:
        self.channel, self.losses, self.first, self.last = channel, losses, first, last
        self._tiles: dict[int, tuple[int, Any]] = {}  # first trial → (last trial, states)
        self._scratch = np.empty(0)

    def sample(self, slot: int, droppable: NDArray[np.int64], on_wire: BoolArray, steps: Any, lost: BoolArray) -> None:
        """Sample a slot's losses into ``lost`` [t, n]; on_wire: which of the droppable packets reach the channel."""
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
    done = [received_packets(channel, pair, state, steps) for pair, state in zip(pairs, states, strict=True)]
    return np.stack([received for received, _ in done]), [state for _, state in done]


def _jitter_s(link: LinkProfile, streams: Streams, schedule: SlotSchedule, first: int, last: int) -> Floats | None:
    if not link.jitter_s:
        return None
    from netsim.philox import uniforms

    return link.jitter_s * uniforms(streams.key, first, last, schedule.slot, len(schedule.dropped))


def _outcomes(schedule: SlotSchedule, lost: BoolArray, jitter_s: Floats | None, first: int) -> SlotOutcomes:
    arrival_s = schedule.arrival_s if jitter_s is None else schedule.arrival_s + jitter_s
    trials = np.arange(first, first + len(lost))
    return resolve_outcomes(schedule, lost, arrival_s, trials, np.ones(len(lost)))
