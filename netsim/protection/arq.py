"""Retransmission as a protection: nothing is added in advance; missing packets are sent again."""

from __future__ import annotations

from netsim.links.packets import Arq
from netsim.protection.base import NoProtection
from netsim.text import number_text

__all__ = ["SelectiveRepeat"]


class SelectiveRepeat(NoProtection):
    """Selective-repeat ARQ: each packet is sent up to ``retries`` times again, while the slot's deadline allows.

    The stream is sent unchanged; the event engine's link retransmits (``netsim.links.arq``).

    >>> SelectiveRepeat(Arq(2)).name, SelectiveRepeat(Arq(2, 0.8)).name
    ('arq 2', 'arq 2 timeout 0.8 s')
    """

    def __init__(self, arq: Arq) -> None:
        self.arq = arq
        timeout = "" if arq.timeout_s is None else f" timeout {number_text(arq.timeout_s)} s"
        self.name = f"arq {arq.retries}{timeout}"
