"""Numbers as users write them."""

from __future__ import annotations

import math
import re
from typing import Any

from netsim.errors import InputError

__all__ = ["read_number"]

_PERCENT = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*%\s*", re.ASCII | re.IGNORECASE)


def read_number(key: str, value: Any, *, infinite: bool = False) -> float:
    """A number, or a text in per cent: ``10%`` is 0.1.

    Args:
        key: What the number is, for messages.
        value: What was written.
        infinite: Whether infinity is allowed.

    Returns:
        The number.

    Raises:
        InputError: No number, or an infinite one that is not allowed; ``key`` is (key,).

    >>> read_number("loss_rate", "10%"), read_number("loss_rate", 1)
    (0.1, 1.0)
    """
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
        number = float(match[1]) / 100
    elif isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf if value > 0 else -math.inf
    else:
        raise InputError(f"{key} is {value!r}", hint="a number", key=(key,))
    if math.isnan(number) or (math.isinf(number) and not infinite):
        raise InputError(f"{key} is {number}", hint="a finite number", key=(key,))
    return number
