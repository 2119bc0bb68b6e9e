"""Predicted distributions of tokens, for figures (ResiComp, Fig. 5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netcodecs.resicomp.networks import Networks
from netcodecs.resicomp.rate_control import SliceLayout

__all__ = ["TokenDensities", "token_densities"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SHOWN = np.arange(-64, 65)


@dataclass(frozen=True, eq=False)
class TokenDensities:
    """How the tokens of a stream's last slice are predicted from its first slices.

    Attributes:
        bits: What each token takes, float64 (tokens,): the coder also knows a token's earlier channels.
        channel: Of the slice's first token, the channel that is least certain without context.
        symbols: Symbols of that channel, int64 (k,).
        probabilities: Their predicted probabilities, float64 (k,), before any channel of the token is known.
        actual: The symbol that was encoded.
    """

    bits: Floats
    channel: int
    symbols: Ints
    probabilities: Floats
    actual: int


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
    bits = networks.coder.bits(mine, mixtures)
    blank = networks.blank(quality)
    alone = np.stack([blank.probabilities(0, channel, _SHOWN) for channel in range(channels)])
    entropies = -(alone * np.log2(np.maximum(alone, 1e-12))).sum(axis=1)
    channel = int(entropies.argmax())
    predicted = mixtures.probabilities(0, channel, _SHOWN)
    return TokenDensities(bits, channel, _SHOWN, predicted, int(mine[0, channel]))
