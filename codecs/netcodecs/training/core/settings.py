"""Settings of a training run: which values each may have. Checked when a plan is read, and when a run begins."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netcodecs.resicomp.sizes import SIZES
from netsim.errors import InputError

__all__ = ["SETTINGS", "TRANSFORMS", "check_setting"]

TRANSFORMS = ("compact", "large", "mbt", "elic")  # of a new network of the channel-progressive family


@dataclass(frozen=True)
class _Values:
    """What a setting may be.

    Attributes:
        right: In words.
        kinds: Types.
        fits: Whether a value of these types is right.
    """

    right: str
    kinds: tuple[type, ...]
    fits: Callable[[Any], bool] = lambda value: True


_NUMBER = (float, int)
_SHARE = _Values("a share of the images: 0 to 1", _NUMBER, lambda value: 0 <= value <= 1)
_WEIGHT = _Values("a finite number, at least 0", _NUMBER, lambda value: 0 <= value < math.inf)
_SWITCH = _Values("true or false", (bool,))

SETTINGS: Mapping[str, _Values] = {
    "rate": _Values("a finite number above 0, such as 0.001", _NUMBER, lambda value: 0 < value < math.inf),
    "batch": _Values("a whole number of crops, at least 1", (int,), lambda value: value >= 1),
    "crop": _Values("a multiple of 64 pixels", (int,), lambda value: value >= 64 and value % 64 == 0),
    "seed": _Values("a whole number, at least 0", (int,), lambda value: value >= 0),
    "device": _Values("`cpu`, `cuda` or `cuda:N`", (str,), lambda value: bool(re.fullmatch(r"cpu|cuda(:\d+)?", value))),
    "balance": _Values("a finite exponent, such as 0.4", _NUMBER, math.isfinite),
    "whole_share": _SHARE,
    "lossless_share": _SHARE,
    "smaller_share": _SHARE,
    "transforms": _Values(", ".join(TRANSFORMS), (str,), lambda value: value in TRANSFORMS),
    "alpha": _WEIGHT,
    "transforms_rate": _WEIGHT,
    "size": _Values(" or ".join(SIZES), (str,), lambda value: value in SIZES),
    "separate": _SWITCH,
}


def check_setting(name: str, value: Any, shown: str = "") -> None:
    """Raises InputError if a setting can't have a value.

    Args:
        name: One of ``SETTINGS``.
        value: Of any type.
        shown: How a message names the setting, where not by ``name``.
    """
    values = SETTINGS[name]
    of_kind = isinstance(value, values.kinds) and (bool in values.kinds or not isinstance(value, bool))
    if not of_kind or not values.fits(value):
        raise InputError(f"{shown or name} is {value!r}", hint=values.right)
