"""Checks of controllers' settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netsim.errors import InputError
from netsim.protection.base import Protection
from netsim.validation import check_whole

__all__ = ["check_choice"]


def check_choice(key: str, choice: Any, protections: Sequence[Protection]) -> None:
    """Check a choice among protections.

    Args:
        key: Name of the setting.
        choice: What the user wrote.
        protections: Those to choose among.

    Raises:
        InputError: It is not an index into ``protections``; ``key`` is (key,).
    """
    check_whole(key, choice)
    if choice >= len(protections):
        listing = ", ".join(f"{i} = {protection.name}" for i, protection in enumerate(protections))
        raise InputError(f"{key} {choice} is not among the choices", hint=listing, key=(key,))
