"""Redundancy around any codec's packets: the contract of a protection, and the protection that adds nothing."""

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

    Attributes:
        data: The codec's stream, n_data packets.
        sent: What crosses the network, n_sent packets: the data packets first, unchanged and in order, then the
            packets that the protection adds.
    """

    def __init__(self, data: Stream, sent: Stream) -> None:
        self.data, self.sent = data, sent

    @property
    def count_decides(self) -> bool:
        """True if the number of lost packets alone decides whether all data packets can be recovered.

        Then one mask may stand for all with as many losses, for a codec that needs all its packets.
        """
        return False

    @abstractmethod
    def recover(self, received: BoolArray) -> BoolArray:
        """Which data packets are available after recovery.

        Args:
            received: bool [..., n_sent].

        Returns:
            bool [..., n_data]; monotone: one more packet received never makes another unavailable.
        """

    @abstractmethod
    def recovered_payloads(self, received: BoolArray) -> list[bytes | None]:
        """The data packets' payloads, computed from the bytes of received packets alone.

        Args:
            received: bool [n_sent].

        Returns:
            n_data payloads; None exactly where ``recover`` gives False.
        """


class Protection(ABC):
    """A way to add redundancy.

    Attributes:
        name: Name in logs and figures.
        share: Parity's share of the packets sent, N_r / (N_k + N_r); 0 without an erasure code.
        overhead_bytes: How much longer than the longest data packet a packet may be.
        arq: How missing packets are sent again; None: not at all.
    """

    name: str
    arq: Arq | None = None
    share: float = 0.0
    overhead_bytes: int = 0

    @abstractmethod
    def data_packets(self, total: int) -> int:
        """Number of data packets for a codec to make.

        With an erasure code about ``total`` packets are sent; copies of chosen packets come on top of ``total``.

        Args:
            total: Number of packets that a scenario asks for.

        Returns:
            A number of packets, at least 1.
        """

    @abstractmethod
    def protect(self, stream: Stream) -> ProtectedStream:
        """Add redundancy to a stream. The redundancy does not cover packets that the codec marks protected.

        Args:
            stream: The codec's stream.

        Returns:
            What is sent.
        """


class PlainStream(ProtectedStream):
    """A stream sent as it is."""

    def __init__(self, data: Stream) -> None:
        super().__init__(data, data)

    @property
    def count_decides(self) -> bool:
        """True: all packets are available iff none is lost."""
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
