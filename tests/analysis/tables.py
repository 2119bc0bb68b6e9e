"""Mask tables by hand: quality depends on the mask in a way that can be worked out on paper."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netsim.decoding.mask_table import QualityTable
from netsim.engines.exact import all_masks


def table_of(quality: Callable[[np.ndarray], float], packets: int, first: int = 0) -> QualityTable:
    """An image whose PSNR under a mask (bool [packets]) is ``quality``; NaN: no image. Packets before ``first`` are
    protected."""
    masks = all_masks(packets)
    psnr_db = np.array([quality(mask) for mask in masks])
    usable = masks & ~np.isnan(psnr_db)[:, None]
    cases, which = np.unique(usable, axis=0, return_inverse=True)
    per_case = np.full(len(cases), np.nan)
    per_case[which.reshape(-1)] = psnr_db
    return QualityTable(
        at_risk=np.arange(first, first + packets),
        sizes_bytes=np.arange(100, 100 + first + packets),
        bpp=0.35,
        usable=cases,
        psnr_db=per_case,
        which=which.reshape(-1),
    )


def additive(gains_db: list[float], base_db: float = 20.0) -> QualityTable:
    """Each packet received adds its gain."""
    return table_of(lambda mask: base_db + float(np.array(gains_db) @ mask) if mask.any() else np.nan, len(gains_db))


def threshold(packets: int, needed: int, psnr_db: float) -> QualityTable:
    """As under an erasure code: the whole image from ``needed`` packets on, none below."""
    return table_of(lambda mask: psnr_db if mask.sum() >= needed else np.nan, packets)
