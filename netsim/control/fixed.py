"""The controller that makes one choice for all slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netsim.control.settings import check_choice
from netsim.links.packets import Report
from netsim.protection.base import Protection
from netsim.validation import check_keys

__all__ = ["Fixed", "fixed"]


@dataclass(frozen=True)
class Fixed:
    """Makes the same choice, an index, for all slots."""

    choice: int = 0

    @property
    def name(self) -> str:
        return f"fixed {self.choice}"

    def choose(self, slot: int, reports: Sequence[Report]) -> int:
        """The same choice in every slot.

        Args:
            slot: Number of the slot, from 0.
            reports: The reports that have reached the sender, in order of arrival.

        Returns:
            Index of the choice.
        """
        return self.choice


def fixed(settings: Mapping[str, Any], protections: Sequence[Protection]) -> Fixed:
    """The controller of ``fixed: {choice: 1}``; choice 0 by default.

    Args:
        settings: What the scenario gives: ``choice``.
        protections: The protections to choose among.

    Returns:
        The controller.

    Raises:
        InputError: An unknown setting, or no such choice.

    >>> from netsim.protection.base import NoProtection
    >>> fixed({}, [NoProtection()]).choose(5, [])
    0
    """
    check_keys(settings, ("choice",))
    choice = settings.get("choice", 0)
    check_choice("choice", choice, protections)
    return Fixed(choice)
