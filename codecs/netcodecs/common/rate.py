"""Search for the setting whose stream is nearest to a target rate. Deterministic: no state, no clock."""

from __future__ import annotations

import math
from collections.abc import Callable

from netsim.errors import InputError

__all__ = ["nearest_setting", "refuse_bpp"]

TOO_FAR = 1.1  # times the target rate: a smallest stream above it is refused
SURE = 0.25  # of a usual step: if a setting is nearer, its neighbours are further off and are not tried


def refuse_bpp(target_bpp: float) -> None:
    """Raises InputError unless 0 < target_bpp <= 24 (an RGB image without compression)."""
    if not 0 < target_bpp <= 24:
        raise InputError(
            f"bpp {target_bpp:g} is not a rate", hint="bits per pixel of all that is sent: above 0, at most 24"
        )


def nearest_setting(
    bpp_of: Callable[[int], float], target_bpp: float, low: int, high: int, guess: int, per_octave: float
) -> int:
    """The integer setting in [low, high] whose bpp is nearest to the target, by false position.

    Args:
        bpp_of: Rate of a setting, monotone (rising for ``per_octave`` > 0, falling for < 0); called once per setting.
        target_bpp: Bits per pixel.
        low: Least setting.
        high: Greatest setting.
        guess: Where to begin.
        per_octave: Steps that double the rate, roughly (QP -6, quality +20), for the first jump.

    Raises:
        InputError: Even the smallest stream is more than 10 % above the target.

    >>> rate = lambda qp: 2 ** (-(qp - 37) / 6)
    >>> nearest_setting(rate, 0.5, 0, 63, guess=30, per_octave=-6)
    43
    """
    refuse_bpp(target_bpp)
    known: dict[int, float] = {}

    def error(setting: int) -> float:  # octaves above the target
        if setting not in known:
            known[setting] = math.log2(bpp_of(setting) / target_bpp)
        return known[setting]

    sign = 1 if per_octave > 0 else -1
    below, above = (low - 1, high + 1) if sign > 0 else (high + 1, low - 1)  # settings too low, too high in rate
    setting = min(max(guess, low), high)
    while abs(above - below) > 1:
        e = error(setting)
        if abs(e) < SURE / abs(per_octave):
            return setting
        below, above = (setting, above) if e < 0 else (below, setting)
        if below in known and above in known:
            share = known[below] / (known[below] - known[above])
            step = round(below + share * (above - below))
        else:
            step = setting + (round(-e * per_octave) or (-sign if e > 0 else sign))
        inner = sorted((below + sign, above - sign))
        setting = min(max(step, inner[0]), inner[1])
    best = min((s for s in (below, above) if s in known), key=lambda s: abs(known[s]))
    smallest = low if sign > 0 else high
    if best == smallest and known[best] > math.log2(TOO_FAR):
        raise InputError(
            f"bpp {target_bpp:g} can't be reached", hint=f"the smallest stream has {bpp_of(smallest):.3g} bpp"
        )
    return best
