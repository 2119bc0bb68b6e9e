"""The definition of a hidden Markov channel, summed over every path of states: slow, and not to be argued with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from netsim.channels import MarkovChannel, preset, preset_names, preset_variants
from netsim.errors import InputError

Vector = NDArray[np.float64]


def mask_probabilities(transition: Vector, loss: Vector, start: Vector, packets: int) -> Vector:
    """P(mask), bit j set = packet j received: for every path s0 → s1 → … → sL, its probability times that of
    the draws in s1 … sL (the state before the first packet, s0, draws nothing)."""
    size = len(start)
    paths = np.stack(np.meshgrid(*[np.arange(size)] * (packets + 1), indexing="ij"), axis=-1).reshape(-1, packets + 1)
    weight = start[paths[:, 0]]
    for j in range(packets):
        weight = weight * transition[paths[:, j], paths[:, j + 1]]
    masks = np.arange(2**packets)
    result = np.zeros(2**packets)
    likely = weight > 0
    weight, paths = weight[likely], paths[likely]
    for mask in masks:
        drawn = weight.copy()
        for j in range(packets):
            lost = loss[paths[:, j + 1]]
            drawn *= 1 - lost if mask >> j & 1 else lost
        result[mask] = drawn.sum()
    return result


def counts_of(masks: Vector, packets: int) -> Vector:
    """P(k lost) from mask probabilities."""
    lost = [packets - int(mask).bit_count() for mask in range(2**packets)]
    return np.asarray(np.bincount(lost, weights=masks, minlength=packets + 1), dtype=np.float64)


def valid_presets() -> Iterator[MarkovChannel]:
    """Every preset in every variant that is a chain."""
    for name in preset_names():
        for variant in preset_variants(name):
            try:
                yield preset(name, variant)
            except InputError:
                assert variant == "printed"
