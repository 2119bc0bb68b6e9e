"""Checks of settings and numbers in user input: each error quotes the value and says what would be right."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from netsim.errors import InputError, did_you_mean

__all__ = ["check_keys", "check_number", "check_whole", "is_number"]


def is_number(value: Any) -> bool:
    """Whether a value is an int or float that is neither bool nor NaN and that fits into a float64.

    Args:
        value: Any value.

    Returns:
        True for such a number.
    """
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    except OverflowError:
        return False


def check_keys(given: Mapping[str, Any], known: Collection[str]) -> None:
    """Check that all keys are known.

    Args:
        given: Settings as the user wrote them.
        known: Names of the settings.

    Raises:
        InputError: For an unknown key, with the nearest known one; ``key`` is (key,).
    """
    for key in given:
        if key not in known:
            raise InputError(f"no setting `{key}`", hint=did_you_mean(str(key), known), key=(key,))


def check_number(
    key: str,
    value: Any,
    *,
    above_zero: bool = False,
    infinite: bool = False,
    least: float = 0.0,
    most: float = math.inf,
) -> None:
    """Check that a value is a finite number, 0 or more.

    Args:
        key: Name of the number in messages.
        value: What the user wrote.
        above_zero: Refuse zero.
        infinite: Accept infinity.
        least: Smallest number accepted besides zero.
        most: Largest number accepted besides infinity.

    Raises:
        InputError: The value is out of range; ``key`` is (key,).
    """
    wanted = "above zero" if above_zero else "0 or more"
    if not is_number(value):
        raise InputError(f"{key} {value!r} is not a number", hint=f"{key} is a number, {wanted}", key=(key,))
    if value < 0 or (above_zero and value == 0):
        raise InputError(f"{'negative' if value < 0 else 'zero'} {key} {value}", hint=f"{key} is {wanted}", key=(key,))
    if math.isinf(value) and not infinite:
        raise InputError(f"{key} {value} must be finite", hint=f"{key} is finite, {wanted}", key=(key,))
    if value > most and not math.isinf(value):
        raise InputError(f"{key} {value:g} is too large", hint=f"{key} is {most:,.0f} at most", key=(key,))
    if 0 < value < least:
        raise InputError(f"{key} {value:g} is too small", hint=f"{key} is {least:g} at least", key=(key,))


def check_whole(key: str, value: Any, *, least: int = 0, most: int | None = None) -> None:
    """Check that a value is a whole number from ``least`` to ``most``.

    Args:
        key: Name of the value.
        value: What was written.
        least: The least that is allowed.
        most: The greatest; None: any.

    Raises:
        InputError: It is not; ``key`` is (key,).
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        hint = f"{key} is a whole number, {least} or more"
        raise InputError(f"{key} {value!r} is not a count", hint=hint, key=(key,))
    if most is not None and value > most:
        raise InputError(f"{key} {value} is too large", hint=f"{key} is {most:,} at most", key=(key,))
