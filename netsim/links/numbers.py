"""Checks of a user's numbers: each error quotes the value and says what would be right."""

from __future__ import annotations

import math
from typing import Any

from netsim.errors import InputError

__all__ = ["check_number", "check_whole", "is_number"]


def is_number(value: Any) -> bool:
    """True for int and float that are neither bool nor NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def check_number(key: str, value: Any, *, above_zero: bool = False, infinite: bool = False) -> None:
    """Refuse what is no finite number of 0 or more.

    above_zero: zero is refused too. infinite: infinity will do. Raises InputError with ``key`` (key,).
    """
    least = "above zero" if above_zero else "0 or more"
    if not is_number(value):
        raise InputError(f"{key} {value!r} is not a number", hint=f"{key} is a number, {least}", key=(key,))
    if value < 0 or (above_zero and value == 0):
        raise InputError(f"{'negative' if value < 0 else 'zero'} {key} {value}", hint=f"{key} is {least}", key=(key,))
    if math.isinf(value) and not infinite:
        raise InputError(f"{key} {value} is without end", hint=f"{key} is finite, {least}", key=(key,))


def check_whole(key: str, value: Any, *, least: int = 0) -> None:
    """Refuse what is no whole number of at least ``least``. Raises InputError with ``key`` (key,)."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        hint = f"{key} is a whole number, {least} or more"
        raise InputError(f"{key} {value!r} is no count", hint=hint, key=(key,))
