"""Checks of controllers' settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from netsim.errors import InputError, did_you_mean
from netsim.protection.base import Protection
from netsim.validation import check_whole

__all__ = ["check_choice", "check_keys"]


def check_keys(name: str, settings: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise InputError for a setting that the controller does not have."""
    for key in settings:
        if key not in known:
            raise InputError(f"no setting `{key}`", hint=did_you_mean(str(key), known), key=(key,))


def check_choice(key: str, choice: Any, protections: Sequence[Protection]) -> None:
    """Raise InputError if a choice is not an index into the protections."""
    check_whole(key, choice)
    if choice >= len(protections):
        listing = ", ".join(f"{i} = {protection.name}" for i, protection in enumerate(protections))
        raise InputError(f"{key} {choice} is not among the choices", hint=listing, key=(key,))
