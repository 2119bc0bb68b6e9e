"""An oracle for the transmission timetable: FIFO serialisation from first principles, in exact fractions.

It shares no code with netsim. A packet starts at the first instant at which its slot has begun, every earlier packet
has left the wire, and ``interval_s`` has passed since every earlier start. It is dropped if it would have to wait and
``queue_packets`` earlier packets still wait at its slot's start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

INFINITE = "inf"


@dataclass
class Wire:
    """A link's numbers as text, as a scenario writes them; None: no limit."""

    rate_bps: str = INFINITE
    interval_s: str = "0"
    propagation_s: str = "0"
    overhead_bytes: int = 0
    queue_packets: int | None = None
    period_s: str | None = None
    deadline_s: str | None = None


@dataclass
class Slot:
    """Exact times of a slot's packets; None where a packet was dropped."""

    start: Fraction
    deadline: Fraction | None
    sent: list[Fraction | None] = field(default_factory=list)
    arrival: list[Fraction | None] = field(default_factory=list)

    def late(self, i: int) -> bool:
        arrival = self.arrival[i]
        return arrival is not None and self.deadline is not None and arrival > self.deadline


def timetable(wire: Wire, slots: list[list[tuple[int, bool]]]) -> list[Slot]:
    """slots: per slot (payload bytes, protected) of each packet."""
    on_wire: list[tuple[Fraction, Fraction]] = []  # (start, end) of every packet so far
    found: list[Slot] = []
    for number, packets in enumerate(slots):
        if wire.period_s is not None:
            begin = number * Fraction(wire.period_s)
        elif not found:
            begin = Fraction(0)
        else:  # when the last packet of the slot before left; at that slot's start if none was sent
            ends = [end for _, end in on_wire]
            begin = max([found[-1].start, *ends])
        slot = Slot(begin, None if wire.deadline_s is None else begin + Fraction(wire.deadline_s))
        for size, protected in packets:
            could = [begin]
            could += [end for _, end in on_wire]
            could += [start + Fraction(wire.interval_s) for start, _ in on_wire]
            start = max(could)
            waiting = sum(earlier > begin for earlier, _ in on_wire)
            full = wire.queue_packets is not None and waiting >= wire.queue_packets
            if start > begin and full and not protected:
                slot.sent.append(None)
                slot.arrival.append(None)
                continue
            bits = 8 * (size + wire.overhead_bytes)
            took = Fraction(0) if wire.rate_bps == INFINITE else Fraction(bits) / Fraction(wire.rate_bps)
            on_wire.append((start, start + took))
            slot.sent.append(start)
            slot.arrival.append(start + took + Fraction(wire.propagation_s))
        found.append(slot)
    return found
