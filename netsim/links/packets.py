"""What goes into a link and what comes back: bursts of packets, packet outcomes, reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["DELIVERED", "DROPPED", "LATE", "LOST", "OUTCOMES", "UNSENT", "Arq", "PacketBurst", "Report", "mean_loss"]

DELIVERED = 0
"""Arrived by the slot's deadline."""
LOST = 1
"""Sent, but lost by the channel."""
LATE = 2
"""Arrived after the slot's deadline."""
DROPPED = 3
"""Never sent: the link's queue was full."""

UNSENT = 255
"""No such transmission: a retransmission that was not needed, or would have come too late."""

OUTCOMES = ("delivered", "lost", "late", "dropped")
"""Names of the packet outcomes, by number."""


@dataclass(frozen=True)
class Arq:
    """Selective-repeat retransmission: only packets that the receiver misses are sent again.

    Attributes:
        retries: Most retransmissions of a packet, 1 or more.
        timeout_s: Time from the end of a transmission until the sender retransmits, unless an acknowledgement has
            come; None: the earliest time at which the answer must have come, see ``netsim.links.arq``.
    """

    retries: int
    timeout_s: float | None = None


@dataclass(frozen=True)
class PacketBurst:
    """The packets that a sender hands to the link at the start of one slot, in sending order.

    Attributes:
        sizes_bytes: Payload sizes.
        protected: True where a packet is neither lost nor dropped (it can be late).
        choice: Which of the sender's ways to send this is; the outcome carries it, too.
        arq: How unprotected packets are sent again; None: not at all.

    Raises:
        ValueError: ``sizes_bytes`` and ``protected`` differ in length.
    """

    sizes_bytes: tuple[int, ...]
    protected: tuple[bool, ...]
    choice: int = 0
    arq: Arq | None = None

    def __post_init__(self) -> None:
        if len(self.sizes_bytes) != len(self.protected):
            raise ValueError(f"{len(self.sizes_bytes)} sizes for {len(self.protected)} protection marks")


@dataclass(frozen=True)
class Report:
    """The receiver's report of one slot, sent to the sender once the slot's outcome is final.

    It counts packets that the channel can lose (protected ones would only dilute the measured rate). A packet that was
    sent several times counts once.

    Attributes:
        slot: Number of the slot.
        sent: Packets that the sender handed over.
        lost: Those of them that did not arrive in time, for whatever reason (a receiver can't tell lost from dropped).
        time_s: When the report reaches the sender.
    """

    slot: int
    sent: int
    lost: int
    time_s: float

    @property
    def loss_rate(self) -> float:
        """Measured loss; 0 if no unprotected packet was sent."""
        return self.lost / self.sent if self.sent else 0.0


def mean_loss(reports: Sequence[Report]) -> float:
    """Loss over several reports: packets missing / packets sent; 0 if none was sent.

    Args:
        reports: What a receiver reported.

    Returns:
        From 0 to 1.

    >>> mean_loss([Report(0, 10, 1, 0.0), Report(1, 30, 1, 0.0)])
    0.05
    """
    sent = sum(report.sent for report in reports)
    return sum(report.lost for report in reports) / sent if sent else 0.0
