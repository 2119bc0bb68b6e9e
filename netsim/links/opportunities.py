"""When a link with a rate trace can deliver: bytes wait for opportunities, as in Mahimahi's mm-link.

An opportunity delivers up to 1,500 bytes of what waits, first come, first served: the end of one packet and the
beginning of the next may share it, and a large packet takes several. What it does not use is lost. A packet that finds
the link idle waits for an opportunity after its arrival: mm-link passes those of a millisecond before it reads packets.
Source: R. Netravali et al., "Mahimahi: Accurate Record-and-Replay for HTTP", USENIX ATC 2015, section 3; mm-link(1).
"""

from __future__ import annotations

from bisect import bisect_left

from netsim.channels.traces import RateTrace
from netsim.channels.traces.rate import OPPORTUNITY_BYTES

__all__ = ["Opportunities"]


class Opportunities:
    """The opportunities of a rate trace in ticks, repeated without end.

    A byte position counts bytes that could have been delivered since the beginning: opportunity number k covers the
    positions from ``1500 k``.

    Args:
        trace: The trace.
        per_s: Ticks in a second, a multiple of 1,000.
    """

    def __init__(self, trace: RateTrace, per_s: int) -> None:
        self._times = [time_ms * per_s // 1000 for time_ms in trace.times_ms.tolist()]
        self._period = self._times[-1]

    def time(self, number: int) -> int:
        """When an opportunity is.

        Args:
            number: Counted from 0.

        Returns:
            The tick.
        """
        turns, place = divmod(number, len(self._times))
        return turns * self._period + self._times[place]

    def before(self, tick: int) -> int:
        """Number of opportunities before a tick.

        Args:
            tick: The tick.

        Returns:
            How many; one at the tick itself does not count.
        """
        turns = max(0, -(-tick // self._period) - 1)  # the tick is in (turns · period, (turns + 1) · period]
        return turns * len(self._times) + bisect_left(self._times, tick - turns * self._period)

    def end(self, start: int, size_bytes: int, used: int) -> tuple[int, int]:
        """When a packet has been delivered.

        Args:
            start: Tick from which the packet is first in the queue.
            size_bytes: The packet's, headers included.
            used: Byte position up to which earlier packets have used opportunities.

        Returns:
            The tick, and the byte position after the packet.
        """
        busy = used > self.before(start) * OPPORTUNITY_BYTES  # an earlier packet has used opportunities at this tick
        after = (used if busy else self.before(start + 1) * OPPORTUNITY_BYTES) + size_bytes
        if not size_bytes:
            return start, used
        return max(start, self.time(-(-after // OPPORTUNITY_BYTES) - 1)), after
