"""The analysis and synthesis transforms of mbt2018-mean, of any width, of CompressAI's layers."""

from __future__ import annotations

import itertools

from torch import nn

from netcodecs.compressai_import import compressai

__all__ = ["mbt_analysis", "mbt_synthesis"]


def mbt_analysis(widths: tuple[int, int, int], channels: int) -> nn.Sequential:
    """g_a: four 5×5 convolutions of stride 2 with GDN between them; (B, 3, H, W) → (B, channels, H/16, W/16)."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise((3, *widths, channels)):
        layers += [compressai.models.utils.conv(inputs, outputs), compressai.layers.GDN(outputs)]
    return nn.Sequential(*layers[:-1])


def mbt_synthesis(widths: tuple[int, int, int], channels: int) -> nn.Sequential:
    """g_s: the mirror of :func:`mbt_analysis`."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise((channels, *widths[::-1], 3)):
        layers += [compressai.models.utils.deconv(inputs, outputs), compressai.layers.GDN(outputs, inverse=True)]
    return nn.Sequential(*layers[:-1])
