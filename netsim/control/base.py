"""What a sender changes from slot to slot: the contract of a controller (entry point group ``netsim.controllers``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from netsim.links.packets import Report
from netsim.protection.base import Protection

__all__ = ["Controller", "ControllerFactory"]


class Controller(Protocol):
    """Chooses one of several ways to send, slot by slot.

    name: as shown in logs and figures. ``choose`` is a pure function: equal arguments, equal choice.
    """

    @property
    def name(self) -> str: ...

    def choose(self, slot: int, reports: Sequence[Report]) -> int:
        """Index of the choice for ``slot``, from the reports that have reached the sender (read-only)."""
        ...


class ControllerFactory(Protocol):
    """Makes a controller from the settings a scenario gives it and the protections it chooses among.

    Raises InputError, with ``key`` relative to the settings.
    """

    def __call__(self, settings: Mapping[str, Any], protections: Sequence[Protection]) -> Controller: ...
