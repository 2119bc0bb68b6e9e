"""Redundancy around any codec's packets: what a protection is, and the one that does nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from netsim.codec import Stream
from netsim.links.packets import Arq

__all__ = ["BoolArray", "NoProtection", "PlainStream", "ProtectedStream", "Protection"]

BoolArray = NDArray[np.bool_]


class ProtectedStream(ABC):
    """A stream under protection.

    sent: what crosses the network: the data packets first, as the codec made them and in their order, then
    what the protection adds. data: the codec's stream, n_data packets.
    """

    def __init__(self, data: Stream, sent: Stream) -> None:
        self.data, self.sent = data, sent

    @property
    def count_decides(self) -> bool:
        """True if the number of droppable packets lost decides whether all data packets are there, whichever they are.

        Then one mask may stand for all with as many losses, where a codec needs all its packets.
        """
        return False

    @abstractmethod
    def recover(self, received: BoolArray) -> BoolArray:
        """Which data packets are there after recovery: bool [..., n_sent] → bool [..., n_data].

        Monotone: one more packet received never takes another away.
        """

    @abstractmethod
    def recovered_payloads(self, received: BoolArray) -> list[bytes | None]:
        """The data packets' bytes, worked out from the bytes of received packets alone; None where lost.

        received: bool [n_sent]. There is a payload exactly where ``recover`` says so.
        """


class Protection(ABC):
    """A way to add redundancy.

    name: as shown in logs and figures. share: of the packets sent, the part that is parity, N_r / (N_k + N_r); 0 for
    what is no erasure code.
    overhead_bytes: by how much a packet sent may be longer than the longest data packet. arq: how missing packets
    are sent again, if they are.
    """

    name: str
    arq: Arq | None = None
    share: float = 0.0
    overhead_bytes: int = 0

    @abstractmethod
    def data_packets(self, total: int) -> int:
        """How many data packets a codec should make where a scenario asks for ``total`` packets.

        Under a code so many that about ``total`` are sent; copies of chosen packets come on top of ``total``.
        """

    @abstractmethod
    def protect(self, stream: Stream) -> ProtectedStream:
        """The stream with its redundancy. Packets that the codec marks protected pass through uncovered."""


class PlainStream(ProtectedStream):
    """A stream sent as it is."""

    def __init__(self, data: Stream) -> None:
        super().__init__(data, data)

    @property
    def count_decides(self) -> bool:
        """All packets are there where none is lost."""
        return True

    def recover(self, received: BoolArray) -> BoolArray:
        return np.asarray(received, dtype=bool)

    def recovered_payloads(self, received: BoolArray) -> list[bytes | None]:
        return [packet.payload if there else None for packet, there in zip(self.data.packets, received, strict=True)]


class NoProtection(Protection):
    """Nothing is added."""

    name = "none"

    def data_packets(self, total: int) -> int:
        return total

    def protect(self, stream: Stream) -> ProtectedStream:
        return PlainStream(stream)
