"""Numbers as users write them."""

from __future__ import annotations

import math
import re
from typing import Any

from netsim.errors import InputError

__all__ = ["read_number"]

_PERCENT = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*%\s*", re.ASCII | re.IGNORECASE)


def read_number(key: str, value: Any, *, share: bool = False, infinite: bool = False) -> float:
    """A number; of a share or rate also a text in per cent: ``10%`` is 0.1.

    Args:
        key: What the number is, for messages.
        value: What was written.
        share: Whether it is a part of a whole, so that per cent makes sense.
        infinite: Whether infinity is allowed.

    Returns:
        The number.

    Raises:
        InputError: No number, or one in per cent or infinite that is not allowed; ``key`` is (key,).

    >>> read_number("loss_rate", "10%", share=True), read_number("loss_rate", 1, share=True)
    (0.1, 1.0)
    """
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
        if not share:
            hint = f"{key} is a plain number; per cent is for rates and probabilities, as in `loss_rate: 10%`"
            raise InputError(f"{key} {value!r} is in per cent", hint=hint, key=(key,))
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
