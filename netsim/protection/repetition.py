"""Unequal error protection by repetition: chosen packets are sent more than once (ResiComp, §V, Fig. 17).

Copies follow the stream, all packets once before any of them a second time. A burst takes what is sent together, so
a copy next to its packet would be lost with it; behind the stream, packet i of n and its copy are n − i packets or
more apart, and what is worth copying stands at the front of a layered stream. Copies spread between the data packets
would be nearer, and would delay the rest of the picture. The farther back a chosen packet stands, the less this helps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netsim.codec import Packet, Stream
from netsim.errors import InputError
from netsim.protection.base import BoolArray, ProtectedStream, Protection

__all__ = ["Repetition", "RepetitionStream"]


class Repetition(Protection):
    """Each chosen packet is sent ``times`` times in all. Give exactly one of ``packets`` and ``first``.

    packets: numbers of packets, from 1, among those that can be lost; every stream must have them. first: the first
    so many that can be lost, or all where there are fewer. times: 2 or more.

    A copy is the packet's payload again: no byte is added to it. ``share`` stays 0: copies protect what they copy
    and nothing else, so they are no share of parity that a controller could compare with a loss rate.

    >>> Repetition(packets=(1, 2)).name, Repetition(first=5, times=3).name
    ('repeat (1, 2)', 'repeat (1-5) x3')
    """

    def __init__(self, *, packets: Sequence[int] | None = None, first: int | None = None, times: int = 2) -> None:
        if (packets is None) == (first is None):
            raise ValueError("give either packets or the first so many")
        chosen = sorted(packets) if packets is not None else list(range(1, (first or 0) + 1))
        if not chosen or chosen[0] < 1 or len(set(chosen)) < len(chosen) or times < 2:
            raise ValueError(f"packets {chosen} {times} times: different numbers from 1, two times or more")
        self._chosen, self._all_must_exist, self._times = chosen, packets is not None, times
        self.name = f"repeat ({_runs(chosen)}){'' if times == 2 else f' x{times}'}"

    def data_packets(self, total: int) -> int:
        """As many as without copies, which come on top: the packets that were chosen stay what they were."""
        return total

    def protect(self, stream: Stream) -> RepetitionStream:
        """Raises InputError if a packet was chosen by number that the stream does not have."""
        droppable = np.flatnonzero(~stream.protected)
        if self._all_must_exist and self._chosen[-1] > len(droppable):
            missing = next(number for number in self._chosen if number > len(droppable))
            raise InputError(
                f"{self.name}: there is no packet {missing}; {len(droppable)} of the stream's packets can be lost",
                hint="`first: 2` repeats the first so many, or as many as there are",
            )
        chosen = droppable[[number - 1 for number in self._chosen if number <= len(droppable)]]
        copied = np.tile(chosen, self._times - 1)
        copies = [Packet(stream.packets[packet].payload) for packet in copied]
        return RepetitionStream(stream, replace(stream, packets=(*stream.packets, *copies)), copied)


class RepetitionStream(ProtectedStream):
    """A stream with copies after its data packets. copied: int64 [n_copies], the data packet that each one copies."""

    def __init__(self, data: Stream, sent: Stream, copied: NDArray[np.int64]) -> None:
        super().__init__(data, sent)
        self._copied = copied

    @property
    def count_decides(self) -> bool:
        """Only where nothing is copied: it matters which packets are lost."""
        return not len(self._copied)

    def recover(self, received: BoolArray) -> BoolArray:
        """A packet is there if it or one of its copies is."""
        received = np.asarray(received, dtype=bool)
        recovered = received[..., : len(self.data)].copy()
        for place, packet in enumerate(self._copied, start=len(self.data)):
            recovered[..., packet] |= received[..., place]
        return recovered

    def recovered_payloads(self, received: BoolArray) -> list[bytes | None]:
        arrived = [packet.payload if got else None for packet, got in zip(self.sent.packets, received, strict=True)]
        for place, packet in enumerate(self._copied, start=len(self.data)):
            if arrived[packet] is None:
                arrived[packet] = arrived[place]
        return arrived[: len(self.data)]


def _runs(numbers: Sequence[int]) -> str:
    """Sorted numbers, three or more in a row as a range.

    >>> _runs([1, 2, 4, 5, 6, 9])
    '1, 2, 4-6, 9'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)
