"""The contract of a controller, which chooses how to send each slot (entry point group ``netsim.controllers``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from netsim.links.packets import Report
from netsim.protection.base import Protection

__all__ = ["Controller", "ControllerFactory"]


class Controller(Protocol):
    """Chooses one of several ways to send, slot by slot. ``name`` is its name in logs and figures."""

    @property
    def name(self) -> str: ...

    def choose(self, slot: int, reports: Sequence[Report]) -> int:
        """The choice for a slot: a pure function of its arguments.

        Args:
            slot: Number of the slot.
            reports: The reports that have reached the sender, in order of arrival (read-only).

        Returns:
            Index of the choice.
        """
        ...


class ControllerFactory(Protocol):
    """Makes a controller from its settings in a scenario and the protections that it chooses among.

    Raises:
        InputError: A faulty setting; ``key`` is relative to the settings.
    """

    def __call__(self, settings: Mapping[str, Any], protections: Sequence[Protection]) -> Controller: ...
