"""How ELIC's transforms begin: as the lapped transform that the progressive family begins as."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from netcodecs.compressai_import import compressai
from netcodecs.progressive.backbone import Backbone
from netcodecs.training.start import lapped_start

__all__ = ["elic_start"]

_QUIET = 0.03  # of its usual size, what a residual bottleneck adds
_CLOSED = -6.0  # in front of attention's sigmoid; at -4, where a fiftieth passes, pictures lose 1 dB and more


@torch.no_grad()
def elic_start(elic: Backbone, pictures: Tensor) -> None:
    """Turns fresh transforms of ELIC's kind into a codec that shows pictures already, in place.

    The convolutions of stride 2 are those of :func:`netcodecs.training.start.lapped_start`; what ELIC has between
    them is residual, and begins almost closed.
    pictures: (B, 3, H, W), 0…1, H and W multiples of 64. Raises InputError if the widths are too narrow.
    """
    lapped = Backbone(elic.widths)
    lapped_start(lapped, pictures)
    for ours, theirs in ((elic.model.g_a, lapped.model.g_a), (elic.model.g_s, lapped.model.g_s)):
        for layer, whole in zip(_strided(ours), _strided(theirs), strict=True):
            layer.load_state_dict(whole.state_dict())
        for layer in ours:
            if isinstance(layer, compressai.models.sensetime.ResidualBottleneckBlock):
                for parameter in layer.conv3.parameters():
                    parameter.mul_(_QUIET)
            elif isinstance(layer, compressai.layers.AttentionBlock):
                layer.conv_b[-1].bias.fill_(_CLOSED)


def _strided(layers: nn.Sequential) -> list[nn.Module]:
    return [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
