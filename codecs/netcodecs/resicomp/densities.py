"""Predicted distributions of tokens, for figures (ResiComp, Fig. 5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netcodecs.resicomp.networks import Networks
from netcodecs.resicomp.range_coding import Mixtures, coded_bits
from netcodecs.resicomp.rate_control import SliceLayout

__all__ = ["TokenDensities", "probabilities", "token_densities"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SHOWN = np.arange(-64, 65)


@dataclass(frozen=True, eq=False)
class TokenDensities:
    """How the tokens of a stream's last slice are predicted from its first slices.

    Attributes:
        bits: What each token takes, float64 (tokens,).
        channel: Of the slice's first token, the channel that is least certain without context.
        symbols: Symbols of that channel, int64 (k,).
        probabilities: Their predicted probabilities, float64 (k,).
        actual: The symbol that was encoded.
    """

    bits: Floats
    channel: int
    symbols: Ints
    probabilities: Floats
    actual: int


def probabilities(mixtures: Mixtures, symbols: Ints) -> Floats:
    """Probabilities of symbols under one mixture.

    Args:
        mixtures: Distribution of one integer.
        symbols: Consecutive integers, int64 (k,).

    Returns:
        float64 (k,).
    """
    edges = np.append(symbols, symbols[-1] + 1) - 0.5
    which = np.zeros(len(edges), np.int64)
    above = mixtures.beyond(edges, 1, which)
    return np.asarray(np.maximum(above[:-1] - above[1:], 0.0))


def token_densities(
    networks: Networks, layout: SliceLayout, symbols: Ints, quality: float, contexts: int
) -> TokenDensities:
    """Predict the last slice from the first ones, whatever the stream's own context mode.

    Args:
        networks: Of the stream.
        layout: Likewise.
        symbols: All of them, int64 (h, w, C).
        quality: Of the stream.
        contexts: How many slices are known; less than all.
    """
    slices = np.zeros(len(layout.cells), dtype=bool)
    slices[:contexts] = True
    cells, channels = layout.cells[-1], symbols.shape[2]
    mixtures = networks.densities(symbols, layout.known(slices), quality, cells)
    mine = symbols.reshape(-1, channels)[cells]
    bits = coded_bits(mine.reshape(-1), mixtures).reshape(len(cells), channels).sum(axis=1)
    blank = networks.blank(quality)
    alone = np.stack([probabilities(blank.part(c, c + 1), _SHOWN) for c in range(channels)])
    entropies = -(alone * np.log2(np.maximum(alone, 1e-12))).sum(axis=1)
    channel = int(entropies.argmax())
    predicted = probabilities(mixtures.part(channel, channel + 1), _SHOWN)
    return TokenDensities(bits, channel, _SHOWN, predicted, int(mine[0, channel]))
