"""Unequal error protection by repetition: chosen packets are sent more than once (ResiComp, §V, Fig. 17).

Copies follow the stream: all packets are sent once before any is sent a second time. A burst loses neighbouring
packets, so a copy next to its packet would be lost with it; behind the stream, packet i of n and its copy are n − i
packets or more apart, and the packets to copy are at the front of a layered stream. Copies between the data packets
would be nearer, and would delay the rest of the image. The farther back a chosen packet is, the less this helps.
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

    A copy is the packet's payload, without an added byte. ``share`` is 0: a copy protects one packet only, so copies
    are not a share of parity that a controller could compare with a loss rate.

    Args:
        packets: Numbers of packets, from 1, among those that can be lost; every stream must have them.
        first: Number of packets from the first that can be lost on; all of them in shorter streams.
        times: 2 or more.

    >>> Repetition(packets=(1, 2)).name, Repetition(first=5, times=3).name
    ('repeat (1, 2)', 'repeat (1-5) x3')
    """

    def __init__(self, *, packets: Sequence[int] | None = None, first: int | None = None, times: int = 2) -> None:
        if (packets is None) == (first is None):
            raise ValueError("give either packets or first")
        chosen = sorted(packets) if packets is not None else list(range(1, (first or 0) + 1))
        if not chosen or chosen[0] < 1 or len(set(chosen)) < len(chosen) or times < 2:
            raise ValueError(f"packets {chosen} {times} times: different numbers from 1, two times or more")
        self._chosen, self._all_must_exist, self._times = chosen, packets is not None, times
        self.name = f"repeat ({_runs(chosen)}){'' if times == 2 else f' x{times}'}"

    def data_packets(self, total: int) -> int:
        """``total``: copies come on top, so that the chosen packets stay the same.

        Args:
            total: Number of packets that a scenario asks for.

        Returns:
            ``total``.
        """
        return total

    def protect(self, stream: Stream) -> RepetitionStream:
        """Add the copies.

        Args:
            stream: The codec's stream.

        Returns:
            The stream with its copies behind the data packets.

        Raises:
            InputError: A chosen packet is not in the stream.
        """
        droppable = np.flatnonzero(~stream.protected)
        if self._all_must_exist and self._chosen[-1] > len(droppable):
            missing = next(number for number in self._chosen if number > len(droppable))
            raise InputError(
                f"{self.name}: there is no packet {missing}; {len(droppable)} of the stream's packets can be lost",
                hint="`first: 2` repeats the first two, or fewer in a shorter stream",
            )
        chosen = droppable[[number - 1 for number in self._chosen if number <= len(droppable)]]
        copied = np.tile(chosen, self._times - 1)
        copies = [Packet(stream.packets[packet].payload) for packet in copied]
        return RepetitionStream(stream, replace(stream, packets=(*stream.packets, *copies)), copied)


class RepetitionStream(ProtectedStream):
    """A stream with copies after its data packets.

    Args:
        data: The codec's stream.
        sent: The stream with its copies.
        copied: int64 [n_copies], the data packet that each copy repeats.
    """

    def __init__(self, data: Stream, sent: Stream, copied: NDArray[np.int64]) -> None:
        super().__init__(data, sent)
        self._copied = copied

    @property
    def count_decides(self) -> bool:
        """True only without copies: with them it matters which packets are lost."""
        return not len(self._copied)

    def recover(self, received: BoolArray) -> BoolArray:
        """A packet is available if it or one of its copies was received.

        Args:
            received: bool [..., n_sent].

        Returns:
            bool [..., n_data].
        """
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
