"""Which packets the channel takes, drawn in the one order that every engine must keep.

Of slot s of a trial, ``streams.at(trial, s)`` gives, in this order:

1. slot 0 only: one uniform for ``channel.initial_state``;
2. one uniform for ``channel.enter_slot``;
3. uniforms [n, 2] for the n packets of the slot that are not protected, in sending order, row by row.

A packet that the queue drops keeps its row, which nobody reads: the rows of the others do not move. It
never reaches the channel, so the chain does not step for it; nor does it for protected packets.

Retransmissions have streams of their own: ``streams.at(trial, s, k)`` gives the uniforms [n, 2] of the k-th retry
of each packet. So the others keep their numbers; but the chain is one, and steps per transmission in the
order in which they start.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from netsim.channels.base import Channel
from netsim.links.flight import Flight
from netsim.links.packets import DROPPED
from netsim.links.timing import chain_steps
from netsim.streams import Streams

__all__ = ["Losses"]

AT_ONCE_FROM = 64
"""Packets from which ``channel.receive`` on arrays beats plain calls of ``receive_one``; the bits are the same."""


class Losses:
    """The channel as one trial sees it; its chain runs on through all slots.

    channel: the loss process. streams: its random numbers. trial: number of the trial.

    Without ``channel.step_s`` a slot's losses are drawn when it is offered. With it, they are drawn packet by
    packet as each starts, because the number of chain steps follows from the times; the chain's clock
    starts with the trial, at 0 s. From the first slot with ARQ on, too: other slots' retries may come between.
    """

    def __init__(self, channel: Channel, streams: Streams, trial: int) -> None:
        self.channel, self.streams, self.trial = channel, streams, trial
        self.step_s = channel.step_s
        self._state: Any = None
        self._last_s = 0.0
        self._entries: deque[tuple[float, dict[int, list[float]]]] = deque()  # slots drawn but not yet entered
        self._pairs: dict[int, list[float]] = {}
        self._entered = -1
        self._as_sent = self.step_s is not None

    def draw(self, flight: Flight) -> None:
        """Draw a slot's numbers, before the link takes its packets."""
        rng = self.streams.at(self.trial, flight.slot)
        if flight.slot == 0:
            self._state = self.channel.initial_state(rng.random())
        enter = rng.random()
        flight.uniforms = rng.random((len(flight.droppable), 2))
        flight.as_sent = self._as_sent = self._as_sent or flight.offer.arq is not None
        if not self._as_sent:
            self._entered = flight.slot
            self._state = self.channel.enter_slot(enter, self._state)
        else:
            self._entries.append((enter, dict(zip(flight.droppable, flight.uniforms.tolist(), strict=True))))

    def lose(self, flight: Flight) -> None:
        """Losses of a whole slot, once the queue's drops are known; only where it is not drawn as sent."""
        fate, lost = flight.fate, flight.lost
        rows = [row for row, i in enumerate(flight.droppable) if fate[i] != DROPPED]
        if len(rows) >= AT_ONCE_FROM:
            received, self._state = self.channel.receive(flight.uniforms[rows], self._state)
            for row, arrives in zip(rows, received.tolist(), strict=True):
                lost[flight.droppable[row]] = not arrives
            return
        receive_one, state, pairs = self.channel.receive_one, self._state, flight.uniforms.tolist()
        for row in rows:
            u_step, u_loss = pairs[row]
            arrives, state = receive_one(u_step, u_loss, state)
            lost[flight.droppable[row]] = not arrives
        self._state = state

    def start(self, flight: Flight, i: int, start_s: float) -> None:
        """Loss of transmission i as it starts; only where losses are drawn as sent."""
        attempt, packet = divmod(i, flight.packets)
        if flight.offer.protected[packet]:
            return
        while self._entered < flight.slot:
            enter, self._pairs = self._entries.popleft()
            self._state = self.channel.enter_slot(enter, self._state)
            self._entered += 1
        u_step, u_loss = self._again(flight, attempt)[packet] if attempt else self._pairs[packet]
        steps = 1 if self.step_s is None else int(chain_steps(self._last_s, start_s, self.step_s))
        arrives, self._state = self.channel.receive_one(u_step, u_loss, self._state, steps)
        flight.lost[i] = not arrives
        self._last_s = start_s

    def _again(self, flight: Flight, attempt: int) -> dict[int, list[float]]:
        """Uniforms of each packet's retry number ``attempt``, by packet."""
        assert flight.attempts is not None
        drawn = flight.attempts.uniforms
        if attempt not in drawn:
            rows = self.streams.at(self.trial, flight.slot, attempt).random((len(flight.droppable), 2)).tolist()
            drawn[attempt] = dict(zip(flight.droppable, rows, strict=True))
        return drawn[attempt]
