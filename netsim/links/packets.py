"""What goes into a link and what comes back: offers, fates, reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["DELIVERED", "DROPPED", "FATES", "LATE", "LOST", "UNSENT", "Arq", "Offer", "Report", "mean_loss"]

DELIVERED = 0
"""Arrived by the slot's deadline."""
LOST = 1
"""Sent, but lost by the channel."""
LATE = 2
"""Arrived after the slot's deadline."""
DROPPED = 3
"""Never sent: the link's queue was full."""

UNSENT = 255
"""No such transmission: a retry that was not needed, or came too late to be made."""

FATES = ("delivered", "lost", "late", "dropped")
"""Names of the fates, by number."""


@dataclass(frozen=True)
class Arq:
    """Selective-repeat retransmission: what the receiver misses is sent again, and only that.

    retries: how often a packet is sent again at most, ≥ 1. timeout_s: from the end of a transmission until the
    sender sends again, unless an acknowledgement has come; None: as soon as the answer must have come, see
    ``netsim.links.arq``.
    """

    retries: int
    timeout_s: float | None = None


@dataclass(frozen=True)
class Offer:
    """What a sender hands to the link at the start of one slot, in sending order.

    sizes_bytes: payload sizes. protected: True where a packet is neither lost nor dropped (it can be late).
    tag: the sender's own mark (which choice this is); comes back with the reception. arq: how packets that are
    not protected are sent again, if at all.
    Raises ValueError if the two tuples differ in length.
    """

    sizes_bytes: tuple[int, ...]
    protected: tuple[bool, ...]
    tag: int = 0
    arq: Arq | None = None

    def __post_init__(self) -> None:
        if len(self.sizes_bytes) != len(self.protected):
            raise ValueError(f"{len(self.sizes_bytes)} sizes for {len(self.protected)} protection marks")


@dataclass(frozen=True)
class Report:
    """What the receiver tells the sender of one slot, once the slot's outcome is final.

    Counts packets that the channel may lose (protected ones would only dilute the measured rate); a packet sent
    several times counts once. sent: how many the sender handed over. lost: how many of them were not there in time,
    for whatever reason (a receiver cannot tell lost from dropped). time_s: when the report reaches the sender.
    """

    slot: int
    sent: int
    lost: int
    time_s: float

    @property
    def loss_rate(self) -> float:
        """Measured loss; 0 if nothing droppable was sent."""
        return self.lost / self.sent if self.sent else 0.0


def mean_loss(reports: Sequence[Report]) -> float:
    """Loss over several reports: packets missing / packets sent.

    >>> mean_loss([Report(0, 10, 1, 0.0), Report(1, 30, 1, 0.0)])
    0.05
    """
    sent = sum(report.sent for report in reports)
    return sum(report.lost for report in reports) / sent if sent else 0.0
