"""Selective-repeat ARQ at the sender: a timer per transmission, and the decision to retransmit when it ends.

The sender waits for the answer to a transmission that ended at ``end`` until

    end + timeout_s,      by default propagation_s + jitter_s + feedback_delay_s

The receiver is ideal: it knows the schedule, misses a packet at the latest moment at which it could have arrived, and
reports that at once. The report takes ``feedback_delay_s``, as does an acknowledgement. Neither is ever lost.
With a shorter ``timeout_s`` the sender retransmits packets whose acknowledgement is still on its way; with a longer one
it waits in vain.
"""

from __future__ import annotations

from collections.abc import Callable

from netsim.links.clock import ARRIVAL, Clock
from netsim.links.packets import LATE
from netsim.links.timing import LinkTicks
from netsim.links.transmission import ArqState, SlotTransmission

__all__ = ["ArqSender"]


class ArqSender:
    """The sender's half of ARQ.

    Args:
        clock: Runs the timers.
        ticks: The link's numbers.
        retransmit: Called when a timer has ended without an acknowledgement, with the index of the retransmission.
        release_one: Called when a packet that a retransmission could have followed is acknowledged.
    """

    def __init__(
        self,
        clock: Clock,
        ticks: LinkTicks,
        retransmit: Callable[[SlotTransmission, int], None],
        release_one: Callable[[SlotTransmission], None],
    ) -> None:
        self.clock, self.ticks = clock, ticks
        self.retransmit, self.release_one = retransmit, release_one
        self._answer = ticks.propagation + ticks.jitter + ticks.feedback

    def sent(self, slot: SlotTransmission, i: int, end: int, arrival: int) -> None:
        """A transmission has ended: note its acknowledgement, start its timer.

        Args:
            slot: The slot's transmission.
            i: Number of the transmission: packet number plus the number of packets for each retransmission before.
            end: Tick at which the link has sent it.
            arrival: Tick at which it reaches the receiver, unless it is lost.
        """
        state, packet = _state(slot), i % slot.packets
        slot.outcome[i] = LATE
        if not slot.lost[i]:
            state.acknowledged[packet] = min(state.acknowledged[packet], arrival + self.ticks.feedback)
        self._set_timer(slot, i, end)

    def dropped(self, slot: SlotTransmission, i: int, now: int) -> None:
        """The full queue dropped a transmission.

        Args:
            slot: The slot's transmission.
            i: Number of the transmission: packet number plus the number of packets for each retransmission before.
            now: Tick at which its timer starts.
        """
        self._set_timer(slot, i, now)

    def should_retransmit(self, slot: SlotTransmission, i: int, start: int, used: int) -> bool:
        """Whether a retransmission is still of use.

        Args:
            slot: The slot's transmission.
            i: Number of the transmission: packet number plus the number of packets for each retransmission before.
            start: Tick at which the retransmission would start.
            used: Byte position of the link's rate trace.

        Returns:
            True if its packet is unacknowledged by then and it can arrive by the deadline.
        """
        if _state(slot).acknowledged[i % slot.packets] <= start:
            return False
        return self._arrival(slot, i, start, used) <= slot.deadline

    def _arrival(self, slot: SlotTransmission, i: int, start: int, used: int = 0) -> int:
        """When a transmission that starts at a tick arrives, without jitter, if nothing goes before it."""
        end, _ = self.ticks.end(start, slot.burst.sizes_bytes[i % slot.packets], used)
        return end + self.ticks.propagation

    def _set_timer(self, slot: SlotTransmission, i: int, end: int) -> None:
        """Set the timer of a transmission, if a retransmission can follow it."""
        arq, state, packet = slot.burst.arq, _state(slot), i % slot.packets
        assert arq is not None
        if i // slot.packets >= arq.retries or slot.burst.protected[packet]:
            return
        timer = end + (self._answer if arq.timeout_s is None else self.ticks.duration(arq.timeout_s))
        if self._arrival(slot, i, timer) > slot.deadline:
            return
        known = state.acknowledged[packet]
        if known > timer:
            slot.unsent += 1
            state.outstanding[packet] += 1
            self.clock.call_at(timer, ARRIVAL, lambda _: self.retransmit(slot, i + slot.packets))
        elif slot.all_sent is not None:  # the next slot waits until the receiver can't miss a packet any more
            slot.unsent += 1
            self.clock.call_at(int(known), ARRIVAL, lambda _: self.release_one(slot))


def _state(slot: SlotTransmission) -> ArqState:
    assert slot.arq_state is not None
    return slot.arq_state
