"""Mask probabilities, and reweighting a table of decoded masks to other channels."""

from __future__ import annotations

import numpy as np

from benchmarks.result import Result, best_s, within
from netsim.channels import preset

__all__ = ["mask_probabilities", "reweighting"]

PACKETS, IMAGES = 10, 24
CHANNELS = [f"EP{i}" for i in range(1, 7)]


def mask_probabilities() -> list[Result]:
    """All 1,024 masks of ten packets over EP4 (three states)."""
    channel = preset("EP4")
    ours = 1e3 * best_s(lambda: channel.mask_probabilities(PACKETS), 50)
    return [within("all mask probabilities, L = 10", ours, 1.0, "ms")]


def reweighting() -> list[Result]:
    """Mean and variance of 24 images × 1,024 masks over six channels, the channels' probabilities included."""
    qualities = np.random.default_rng(7).uniform(13, 40, (IMAGES, 1 << PACKETS))
    channels = [preset(name) for name in CHANNELS]

    def reweight() -> tuple[np.ndarray, np.ndarray]:
        weights = np.stack([channel.mask_probabilities(PACKETS) for channel in channels], axis=1)
        means = qualities @ weights
        return means, qualities**2 @ weights - means**2

    means, variances = reweight()
    if means.shape != (IMAGES, len(CHANNELS)) or not (variances > 0).all():
        raise AssertionError("the reweighted table is not what it should be")
    return [within("24 images × 1,024 masks reweighted to six channels", 1e3 * best_s(reweight, 50), 5.0, "ms")]
