"""Bjøntegaard delta rate: how much more rate one curve needs than another for the same quality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from netsim.errors import InputError

__all__ = ["bd_rate_percent"]


def bd_rate_percent(
    anchor_bpp: Sequence[float],
    anchor_psnr: Sequence[float],
    bpp: Sequence[float],
    psnr: Sequence[float],
    method: Literal["akima", "pchip", "cubic"] = "akima",
) -> float:
    """Mean rate difference against the anchor at equal PSNR, in per cent; negative: less rate.

    The curves' log-rates are interpolated over PSNR and integrated over the range of PSNR that both cover.

    Source: Bjøntegaard, VCEG-M33; interpolation as in VCEG's JCTVC-common sheets (``akima``), by the
    ``bjontegaard`` package.

    Args:
        anchor_bpp: Rates of the anchor's points, in any order, bit/pixel.
        anchor_psnr: Their PSNR in dB.
        bpp: Rates of the curve's points.
        psnr: Their PSNR in dB.
        method: Interpolation.

    Returns:
        Per cent.

    Raises:
        InputError: Fewer than four points (three for ``pchip``), a curve whose quality does not rise with its rate, or
            curves that share no range of PSNR.

    >>> rates, quality = [0.1, 0.2, 0.4, 0.8], [28.0, 30.0, 32.5, 35.0]
    >>> round(bd_rate_percent(rates, quality, [r * 0.9 for r in rates], quality), 6)
    -10.0
    """
    import bjontegaard

    fewest = 3 if method == "pchip" else 4
    anchor_rates, anchor_quality = _curve("anchor", anchor_bpp, anchor_psnr, fewest)
    rates, quality = _curve("curve", bpp, psnr, fewest)
    low, high = max(anchor_quality[0], quality[0]), min(anchor_quality[-1], quality[-1])
    if low >= high:
        ranges = f"{anchor_quality[0]:.2f}–{anchor_quality[-1]:.2f} dB and {quality[0]:.2f}–{quality[-1]:.2f} dB"
        hint = "a BD-rate compares curves over the PSNR that both reach: add operating points"
        raise InputError(f"the curves do not overlap: {ranges}", hint=hint)
    delta = bjontegaard.bd_rate(
        anchor_rates, anchor_quality, rates, quality, method=method, require_matching_points=False, min_overlap=0
    )
    return float(delta)


def _curve(
    name: str, bpp: Sequence[float], psnr: Sequence[float], fewest: int
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    rates, quality = np.array(bpp, dtype=float), np.array(psnr, dtype=float)
    if rates.shape != quality.shape or rates.ndim != 1:
        raise InputError(f"{name}: {rates.size} rates for {quality.size} PSNRs", hint="one PSNR for each rate")
    if rates.size < fewest:
        raise InputError(f"{name}: {rates.size} points", hint=f"a BD-rate needs at least {fewest} points on each curve")
    if not (np.isfinite(rates).all() and np.isfinite(quality).all() and (rates > 0).all()):
        raise InputError(f"{name}: rates {rates.tolist()}, PSNRs {quality.tolist()}", hint="finite, and rates above 0")
    order = np.argsort(rates)
    rates, quality = rates[order], quality[order]
    if (np.diff(rates) <= 0).any() or (np.diff(quality) <= 0).any():
        hint = "PSNR must rise with the rate; otherwise `rate at equal quality` has no one answer"
        raise InputError(f"{name}: PSNRs {quality.tolist()} at rates {rates.tolist()}", hint=hint)
    return rates, quality
