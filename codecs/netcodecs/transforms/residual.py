"""Residual transforms: 8×8 blocks of pixels to a latent of stride 16, and back.

Almost all work is done by 1×1 convolutions, which run several times as fast on a processor as the strided 5×5
convolutions and GDN of mbt2018-mean. ``netcodecs.training.init.lapped`` initialises them as an orthonormal lapped
transform.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from netcodecs.transforms.blocks import ResidualBlock, pointwise

__all__ = ["COMPACT", "LARGE", "REFERENCE_LAMBDA", "ResidualAnalysis", "ResidualSize", "ResidualSynthesis", "step_size"]

BLOCK = 8  # pixels of a side that become channels
_PIXELS = 3 * BLOCK**2
REFERENCE_LAMBDA = 0.0067  # its quantiser step is the unit of a latent without gain
_MIDDLE = 128 / 255  # of the pixel range: what is zero to the networks


def step_size(lam: float) -> float:
    """High-rate quantiser step for the loss λ·255²·MSE + bpp, in units of the pixel range 0…1.

    Δ = √(12 D), where D = 3 / (2 ln 2 · λ · 255²) is the distortion at which one more bit lowers the loss by nothing.

    >>> round(255 * step_size(0.0067), 1)
    62.3
    """
    return math.sqrt(12 * 3 / (2 * math.log(2) * lam * 255**2))


@dataclass(frozen=True)
class ResidualSize:
    """Channels and residual blocks at strides 8 and 16; the same for analysis and synthesis."""

    channels_8: int
    blocks_8: int
    channels_16: int
    blocks_16: int


COMPACT = ResidualSize(192, 2, 256, 3)  # 26 kMAC per pixel with the hyperprior
LARGE = ResidualSize(192, 3, 320, 6)  # 45 kMAC per pixel


class ResidualAnalysis(nn.Sequential):
    """g_a: image → latent.

    ::

        image ─► pixel-unshuffle 8 ─► 1×1 ─► blocks ─► 4×4, stride 2 ─► blocks ─► 1×1 ─► latent
        3×H×W        192×H/8×W/8             ×blocks_8                ×blocks_16      M×H/16×W/16

    Args:
        size: Widths and depths.
        channels: M, of the latent.
    """

    def __init__(self, size: ResidualSize, channels: int) -> None:
        super().__init__(
            pointwise(_PIXELS, size.channels_8),
            *(ResidualBlock(size.channels_8) for _ in range(size.blocks_8)),
            nn.Conv2d(size.channels_8, size.channels_16, 4, 2, 1),
            *(ResidualBlock(size.channels_16) for _ in range(size.blocks_16)),
            pointwise(size.channels_16, channels),
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W), 0…1, H and W multiples of 16 → (B, M, H/16, W/16), in quantiser steps of ``step_size``."""
        latent: Tensor = super().forward(self.pixels(image))
        return latent

    @staticmethod
    def pixels(image: Tensor) -> Tensor:
        """What the first layer reads: blocks of pixels in quantiser steps around the middle of the range."""
        return (functional.pixel_unshuffle(image, BLOCK) - _MIDDLE) / step_size(REFERENCE_LAMBDA)


class ResidualSynthesis(nn.Sequential):
    """g_s: latent → image; the mirror of :class:`ResidualAnalysis`.

    Args:
        size: Widths and depths.
        channels: M, of the latent.
    """

    def __init__(self, size: ResidualSize, channels: int) -> None:
        super().__init__(
            pointwise(channels, size.channels_16),
            *(ResidualBlock(size.channels_16) for _ in range(size.blocks_16)),
            nn.ConvTranspose2d(size.channels_16, size.channels_8, 4, 2, 1),
            *(ResidualBlock(size.channels_8) for _ in range(size.blocks_8)),
            pointwise(size.channels_8, _PIXELS),
        )

    def forward(self, latent: Tensor) -> Tensor:
        """(B, M, h, w) → (B, 3, 16h, 16w), nominally 0…1, not clamped, float32."""
        pixels: Tensor = super().forward(latent)
        return functional.pixel_shuffle(pixels.float() * step_size(REFERENCE_LAMBDA) + _MIDDLE, BLOCK)
