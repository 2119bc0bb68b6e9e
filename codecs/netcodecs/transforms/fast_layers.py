"""Trained layers of mbt2018-mean and ELIC in forms that are faster to use."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from netcodecs.compressai_import import compressai

__all__ = ["quick_layers"]

_SAMPLES_AT_ONCE = 4096  # what is in between then stays in a processor's cache


class _Division(nn.Module):
    """A trained GDN layer, its parameters made once, as one product over channels-last samples: a third of the time."""

    beta: Tensor
    gamma: Tensor

    def __init__(self, layer: compressai.layers.GDN) -> None:
        super().__init__()
        self.inverse = layer.inverse
        self.register_buffer("beta", layer.beta_reparam(layer.beta.detach()))
        self.register_buffer("gamma", layer.gamma_reparam(layer.gamma.detach()).T.contiguous())

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) → the same shape, channels last."""
        samples = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
        at_once = _SAMPLES_AT_ONCE if features.device.type == "cpu" else len(samples)
        for part in samples.split(at_once):
            norm = torch.addmm(self.beta, part * part, self.gamma).sqrt_()
            part.mul_(norm) if self.inverse else part.div_(norm)
        batch, _, height, width = features.shape
        return samples.view(batch, height, width, -1).permute(0, 3, 1, 2)


class _LastUpsampling(nn.Module):
    """A transposed convolution of stride 2 to few channels, as one convolution to the four pixels of each place.

    Half of the time: with three outputs, a transposed one leaves most of a processor's lanes empty.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, layer: nn.ConvTranspose2d) -> None:
        super().__init__()
        inputs, outputs = layer.weight.shape[:2]
        assert layer.bias is not None
        weight = torch.zeros(outputs, 2, 2, inputs, 3, 3, dtype=layer.weight.dtype)
        for row in (0, 1):  # even pixels read taps 4, 2, 0 of three places, odd ones 3, 1
            for column in (0, 1):
                taps = layer.weight.detach()[:, :, row::2, column::2].flip(2, 3).transpose(0, 1)
                weight[:, row, column, :, row:, column:] = taps
        self.register_buffer("weight", weight.flatten(0, 2).contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", layer.bias.detach().repeat_interleave(4))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) → (B, outputs, 2h, 2w)"""
        return functional.pixel_shuffle(functional.conv2d(features, self.weight, self.bias, padding=1), 2)


def quick_layers(layers: nn.Sequential) -> nn.Sequential:
    """The same layers, for inference only: GDN and the last upsampling in their fast forms."""
    return nn.Sequential(*map(_quick, layers))


def _quick(layer: nn.Module) -> nn.Module:
    if isinstance(layer, compressai.layers.GDN):
        return _Division(layer)
    if isinstance(layer, nn.ConvTranspose2d) and (layer.kernel_size, layer.out_channels) == ((5, 5), 3):
        return _LastUpsampling(layer)
    return layer
