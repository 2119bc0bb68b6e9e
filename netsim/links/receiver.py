"""The receiving end of a link as SimPy events: arrivals, deadlines, and reports back to the sender."""

from __future__ import annotations

import math

from netsim.links.clock import ARRIVAL, DEADLINE, Callback, Clock, TimedEvent
from netsim.links.packets import DELIVERED, LOST, Report
from netsim.links.timing import LinkTicks
from netsim.links.transmission import SlotTransmission

__all__ = ["Arrival", "FeedbackPath", "Receiver"]


class Arrival(TimedEvent):
    """A packet that arrives, or that would have arrived had it not been lost.

    Args:
        clock: The simulation's clock.
        callbacks: The receiver's ``on_arrival``.
        slot: The slot that it belongs to.
        index: Number of the transmission in the slot.
        time_s: When it arrives, jitter included.
        late: True if that is after the slot's deadline.
    """

    def __init__(
        self, clock: Clock, callbacks: list[Callback], slot: SlotTransmission, index: int, time_s: float, late: bool
    ) -> None:
        super().__init__(clock, callbacks)
        self.slot, self.index, self.time_s, self.late = slot, index, time_s, late


class FeedbackPath:
    """Carries reports from the receiver to the sender; each takes the link's ``feedback_delay_s``.

    Attributes:
        reports: The reports that have reached the sender, in order of arrival.
    """

    def __init__(self, clock: Clock, ticks: LinkTicks) -> None:
        self.clock, self.ticks = clock, ticks
        self.reports: list[Report] = []

    def send(self, slot: int, sent: int, lost: int) -> None:
        """Send a report now; it arrives after the feedback delay.

        Args:
            slot: Number of the slot.
            sent: How many packets were sent.
            lost: How many of them are missing.
        """
        arrival = int(self.clock.now) + self.ticks.feedback
        report = Report(slot, sent, lost, self.ticks.seconds(arrival))
        self.clock.call_at(arrival, ARRIVAL, lambda _: self.reports.append(report))


class Receiver:
    """Records each packet's outcome as it arrives, and reports a slot once its outcome is final.

    A slot is final when its last packet has arrived or would have arrived, at the latest at its deadline. With ARQ it
    is final when each packet has arrived or will not be sent again.

    Attributes:
        on_arrival: Callbacks of an ``Arrival``.
    """

    def __init__(self, clock: Clock, feedback: FeedbackPath) -> None:
        self.clock, self.feedback = clock, feedback
        self.on_arrival: list[Callback] = [self._arrive]

    def expect(self, slot: SlotTransmission) -> None:
        """Expect a slot's packets; the queue's drops are known.

        Args:
            slot: The slot's transmission.
        """
        if not slot.unresolved:
            self._finish(slot, slot.start_s)
        elif slot.deadline != math.inf:
            self.clock.call_at(int(slot.deadline), DEADLINE, lambda _: self._finish(slot, slot.deadline_s))

    def end_transmission(self, slot: SlotTransmission, i: int, time_s: float) -> None:
        """Under ARQ: a transmission has ended, or will not be made.

        Args:
            slot: The slot's transmission.
            i: Number of the transmission: packet number plus the number of packets for each retransmission before.
            time_s: When, in seconds.
        """
        assert slot.arq_state is not None
        if slot.arq_state.end_one(i % slot.packets, slot.outcome[i] == DELIVERED):
            slot.unresolved -= 1
            if not slot.unresolved:
                self._finish(slot, min(time_s, slot.deadline_s))

    def _arrive(self, packet: Arrival) -> None:
        slot, i = packet.slot, packet.index
        if slot.lost[i]:
            slot.outcome[i] = LOST
        else:
            slot.arrival_s[i] = packet.time_s
            if not packet.late:
                slot.outcome[i] = DELIVERED
        if slot.arq_state is None:
            slot.unresolved -= 1
            slot.latest_s = max(slot.latest_s, packet.time_s)
            if not slot.unresolved:
                self._finish(slot, min(slot.latest_s, slot.deadline_s))
        else:
            self.end_transmission(slot, i, packet.time_s)

    def _finish(self, slot: SlotTransmission, time_s: float) -> None:
        """Fix the slot's outcome, unless it is final, and report it."""
        if slot.end_s is not None:
            return
        slot.end_s = time_s
        delivered = sum(slot.has(i) for i in slot.droppable)
        self.feedback.send(slot.slot, len(slot.droppable), len(slot.droppable) - delivered)
