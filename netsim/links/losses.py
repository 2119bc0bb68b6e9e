"""Which packets the channel loses, sampled in the one order that every engine keeps.

Of slot s of a trial, ``streams.at(trial, s)`` gives, in this order:

1. slot 0 only: one uniform for ``channel.initial_state``;
2. one uniform for ``channel.enter_slot``;
3. uniforms [n, 2] for the n packets of the slot that are not protected, in sending order, row by row.

A packet that the queue drops keeps its row, which is not used: the rows of the others do not move. It never reaches the
channel, so the chain does not step for it; nor does it for protected packets.

Retransmissions have streams of their own: ``streams.at(trial, s, k)`` gives the uniforms [n, 2] of the k-th
retransmission of each packet. So the first transmissions keep their numbers; but there is one chain, which steps per
transmission in the order of their starts.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from netsim.channels.base import Channel
from netsim.channels.calls import received_packet, received_packets
from netsim.links.packets import DROPPED
from netsim.links.timing import chain_steps
from netsim.links.transmission import SlotTransmission
from netsim.streams import Streams

__all__ = ["LossSampler"]

_ARRAYS_FROM_PACKETS = (
    64  # from so many on, ``receive`` on arrays beats calls of ``receive_one``; the bits are the same
)


class LossSampler:
    """The channel in one trial; its chain runs on through all slots.

    Without ``channel.step_s`` a slot's losses are sampled when the link takes it. With it, they are sampled packet by
    packet as each starts, because the number of chain steps follows from the times; the chain's clock starts with the
    trial, at 0 s. From the first slot with ARQ on, they are sampled packet by packet, too: retransmissions of other
    slots may come between.

    Args:
        channel: The loss process.
        streams: Its random numbers.
        trial: Number of the trial.
    """

    def __init__(self, channel: Channel, streams: Streams, trial: int) -> None:
        self.channel, self.streams, self.trial = channel, streams, trial
        self._step_s = channel.step_s
        self._state: Any = None
        self._last_s = 0.0
        self._entries: deque[tuple[float, dict[int, list[float]]]] = deque()  # slots prepared but not yet entered
        self._uniforms: dict[int, list[float]] = {}  # of the slot entered last, by packet
        self._entered = -1
        self._per_packet = self._step_s is not None

    def prepare(self, slot: SlotTransmission) -> None:
        """Draw a slot's random numbers, before the link takes its packets.

        Args:
            slot: The slot's transmission. It gets its uniforms, float64 [droppable packets, 2].
        """
        rng = self.streams.at(self.trial, slot.slot)
        if slot.slot == 0:
            self._state = self.channel.initial_state(rng.random())
        enter = rng.random()
        slot.uniforms = rng.random((len(slot.droppable), 2))
        slot.sampled_per_packet = self._per_packet = self._per_packet or slot.burst.arq is not None
        if not self._per_packet:
            self._entered = slot.slot
            self._state = self.channel.enter_slot(enter, self._state)
        else:
            self._entries.append((enter, dict(zip(slot.droppable, slot.uniforms.tolist(), strict=True))))

    def sample_slot(self, slot: SlotTransmission) -> None:
        """Sample a whole slot, once the queue's drops are known; only if it is not ``sampled_per_packet``.

        Args:
            slot: The slot's transmission. Its ``lost`` is filled in.
        """
        outcome, lost = slot.outcome, slot.lost
        rows = [row for row, i in enumerate(slot.droppable) if outcome[i] != DROPPED]
        if len(rows) >= _ARRAYS_FROM_PACKETS:
            received, self._state = received_packets(self.channel, slot.uniforms[rows], self._state)
            for row, arrives in zip(rows, received.tolist(), strict=True):
                lost[slot.droppable[row]] = not arrives
            return
        state, pairs = self._state, slot.uniforms.tolist()
        for row in rows:
            u_step, u_loss = pairs[row]
            arrives, state = received_packet(self.channel, u_step, u_loss, state)
            lost[slot.droppable[row]] = not arrives
        self._state = state

    def sample_packet(self, slot: SlotTransmission, i: int, start_s: float) -> None:
        """Sample a transmission as it starts; only if the slot is ``sampled_per_packet``.

        Args:
            slot: The slot's transmission.
            i: Number of the transmission: packet number plus the number of packets for each retransmission before.
            start_s: When it starts, in seconds.
        """
        attempt, packet = divmod(i, slot.packets)
        if slot.burst.protected[packet]:
            return
        while self._entered < slot.slot:
            enter, self._uniforms = self._entries.popleft()
            self._state = self.channel.enter_slot(enter, self._state)
            self._entered += 1
        u_step, u_loss = self._retransmission(slot, attempt)[packet] if attempt else self._uniforms[packet]
        steps = 1 if self._step_s is None else int(chain_steps(self._last_s, start_s, self._step_s))
        arrives, self._state = received_packet(self.channel, u_step, u_loss, self._state, steps)
        slot.lost[i] = not arrives
        self._last_s = start_s

    def _retransmission(self, slot: SlotTransmission, attempt: int) -> dict[int, list[float]]:
        """Uniforms of each packet's retransmission number ``attempt``, by packet."""
        assert slot.arq_state is not None
        drawn = slot.arq_state.uniforms
        if attempt not in drawn:
            rows = self.streams.at(self.trial, slot.slot, attempt).random((len(slot.droppable), 2)).tolist()
            drawn[attempt] = dict(zip(slot.droppable, rows, strict=True))
        return drawn[attempt]
