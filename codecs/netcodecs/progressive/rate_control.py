"""Coding one image's latent at a quality, and the search for the quality of a rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netcodecs.common.latent_spans import greedy_spans
from netcodecs.common.stream_header import QUALITY_STEP
from netcodecs.progressive.packets import room_bits

if TYPE_CHECKING:  # torch is loaded with the first image
    from torch import Tensor

    from netcodecs.progressive.transforms import Transforms
    from netcodecs.transforms.latent_coder import LatentCoder

__all__ = ["CodecNetworks", "EncodedLatent", "encode_near", "nearest_quality"]

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]
Ints = NDArray[np.int64]

GROUP = 4  # channels that SCR mixes, as in rearrangement.py, which would load torch
RATE_TOLERANCE = 0.002
RATE_STEPS = 6
_SPAN_BYTES, _HEADER_BYTES = 7, 12  # what a packet and the header add to the information, on average


@dataclass(frozen=True)
class EncodedLatent:
    """A latent at one quality, ready for packets.

    Attributes:
        quality: Operating point.
        hyper_symbols: Of the hyperprior, (N, h/4, w/4).
        symbols: Of the latent, (M, h, w).
        indexes: Table of each symbol, (M, h, w).
        channel_bits: Information of each channel, (M,).
        hyper_bits: Information of the hyperprior.
    """

    quality: float
    hyper_symbols: Ints
    symbols: Ints
    indexes: Ints
    channel_bits: Floats
    hyper_bits: float

    def estimated_bytes(self, limit_bytes: int, group: int) -> float:
        """Size of all packets.

        Args:
            limit_bytes: Largest payload.
            group: As for ``greedy_spans``.
        """
        spans = len(greedy_spans(self.channel_bits, self.symbols.shape[1], room_bits(limit_bytes), group))
        return float(self.channel_bits.sum() + self.hyper_bits) / 8 + _SPAN_BYTES * spans + _HEADER_BYTES


@dataclass(frozen=True)
class CodecNetworks:
    """What a weights file gives.

    Attributes:
        transforms: The networks.
        latent_coder: Of the latent's symbols.
        qualities: Lowest and highest quality.
    """

    transforms: Transforms
    latent_coder: LatentCoder
    qualities: tuple[float, float]

    @property
    def group(self) -> int:
        """Channels that SCR mixes, the last of which must not end a packet; 0: none."""
        return GROUP if self.transforms.scr else 0

    def encode(self, latent: Tensor, quality: float) -> EncodedLatent:
        """The latent of an image, from ``Transforms.analyse``, at a quality."""
        return self._encoded(quality, *self.transforms.at_quality(latent, quality))

    def searched(self, image: Image, quality: float, effort: int) -> EncodedLatent:
        """An image at a quality after a search for a better latent (``netcodecs.progressive.search``)."""
        return self._encoded(quality, *self.transforms.searched(image, quality, effort))

    def _encoded(self, quality: float, gained: Floats, hyper_symbols: Ints) -> EncodedLatent:
        indexes, means = self.transforms.entropy_parameters(hyper_symbols)
        symbols = np.rint(gained - means).astype(np.int64)
        bits = self.latent_coder.bits(symbols, indexes)
        hyper_bits = self.transforms.hyper_coder.bits(hyper_symbols, quality)
        return EncodedLatent(quality, hyper_symbols, symbols, indexes, bits, hyper_bits)


def nearest_quality(quality: float) -> float:
    """The nearest quality that a header can hold."""
    return round(quality / QUALITY_STEP) * QUALITY_STEP


def encode_near(
    networks: CodecNetworks, latent: Tensor, target_bytes: float, limit_bytes: int
) -> tuple[EncodedLatent, float]:
    """The latent at the quality whose packets are nearest to a size, by false position on entropies.

    Args:
        networks: Of the codec.
        latent: From ``Transforms.analyse``.
        target_bytes: Size of all packets.
        limit_bytes: Largest payload.

    Returns:
        The coded latent, and the size at the lowest quality over the target.
    """
    low, high = networks.qualities
    known: dict[float, tuple[float, EncodedLatent]] = {}

    def excess(quality: float) -> float:  # natural log of the size over the target
        encoded = networks.encode(latent, quality)
        known[quality] = (math.log(encoded.estimated_bytes(limit_bytes, networks.group) / target_bytes), encoded)
        return known[quality][0]

    lowest = least = excess(low)
    most = excess(high) if high > low else least
    while len(known) < RATE_STEPS and least < 0 < most and min(abs(o) for o, _ in known.values()) > RATE_TOLERANCE:
        middle = nearest_quality(low + (high - low) * least / (least - most))
        if middle in known:
            break
        found = excess(middle)
        low, least, high, most = (low, least, middle, found) if found > 0 else (middle, found, high, most)
    return min(known.values(), key=lambda pair: abs(pair[0]))[1], math.exp(lowest)
