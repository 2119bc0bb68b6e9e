"""ELIC's analysis and synthesis transforms, of CompressAI's blocks.

He et al., "ELIC: Efficient learned image compression with unevenly grouped space-channel contextual adaptive coding",
CVPR 2022: 5×5 convolutions of stride 2, three residual bottlenecks after each of the first three, attention after the
second and the fourth; g_s the other way round. ResiComp takes them with 256 channels inside and a latent of 192 (§V-A).
"""

from __future__ import annotations

from torch import nn

from netcodecs.compressai_import import compressai

__all__ = ["elic_analysis", "elic_synthesis"]

_BOTTLENECKS = 3


def _bottlenecks(width: int) -> list[nn.Module]:
    return [compressai.models.sensetime.ResidualBottleneckBlock(width, width) for _ in range(_BOTTLENECKS)]


def elic_analysis(widths: tuple[int, int, int], channels: int) -> nn.Sequential:
    """g_a: images (B, 3, H, W) → latents (B, channels, H/16, W/16).

    Args:
        widths: Channels after the first three convolutions.
        channels: Of the latent.
    """
    first, second, third = widths
    conv, attention = compressai.models.utils.conv, compressai.layers.AttentionBlock
    return nn.Sequential(
        *(conv(3, first), *_bottlenecks(first)),
        *(conv(first, second), *_bottlenecks(second), attention(second)),
        *(conv(second, third), *_bottlenecks(third)),
        *(conv(third, channels), attention(channels)),
    )


def elic_synthesis(widths: tuple[int, int, int], channels: int) -> nn.Sequential:
    """g_s: latents (B, channels, h, w) → images (B, 3, 16·h, 16·w). As :func:`elic_analysis`, mirrored."""
    first, second, third = widths
    deconv, attention = compressai.models.utils.deconv, compressai.layers.AttentionBlock
    return nn.Sequential(
        *(attention(channels), deconv(channels, third), *_bottlenecks(third)),
        *(deconv(third, second), attention(second), *_bottlenecks(second)),
        *(deconv(second, first), *_bottlenecks(first)),
        deconv(first, 3),
    )
