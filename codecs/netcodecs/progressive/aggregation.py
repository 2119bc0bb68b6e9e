"""Mask conditional aggregation (MCA): the decoder is told which channels were lost."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["MaskConditionalAggregation"]

_MASK_WIDTH, _MASK_FEATURES = 64, 4


class MaskConditionalAggregation(nn.Module):
    """Between the received latent and g_s (paper 1, §3.3 and Fig. 4).

    The mask goes through conv3×3 C→64, GELU, conv3×3 64→4, GELU; beside the latent through conv3×3 C+4→C, GELU.
    channels: C of the latent.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, _MASK_WIDTH, 3, padding=1)
        self.second = nn.Conv2d(_MASK_WIDTH, _MASK_FEATURES, 3, padding=1)
        self.fusion = nn.Conv2d(channels + _MASK_FEATURES, channels, 3, padding=1)

    def forward(self, latent: Tensor, mask: Tensor) -> Tensor:
        """What g_s sees, (B, C, h, w).

        latent: (B, C, h, w), zero where lost. mask: the same shape, 1 = received or not sent, 0 = lost.
        """
        features = functional.gelu(self.second(functional.gelu(self.first(mask))))
        return functional.gelu(self.fusion(torch.cat([latent, features], 1)))

    @torch.no_grad()
    def begin_in_front_of(self, heard: nn.ConvTranspose2d) -> None:
        """Starts as a module that passes the first half of the channels on, unchanged.

        heard: g_s's first layer, changed with it. Channel k becomes the pair GELU(y) and GELU(-y), of which ``heard``
        takes the difference: GELU(y) - GELU(-y) = y. The second half of the channels (those with the fewest bits, if
        they are in order) is not heard at first.
        """
        half = heard.weight.shape[0] // 2
        self.fusion.weight[:, : 2 * half] *= 0.0
        assert self.fusion.bias is not None
        self.fusion.bias.zero_()
        for channel in range(half):
            self.fusion.weight[2 * channel, channel, 1, 1] = 1.0
            self.fusion.weight[2 * channel + 1, channel, 1, 1] = -1.0
        self.fusion.weight[:, 2 * half :] *= 0.1
        former = heard.weight[:half].clone()
        heard.weight[0::2], heard.weight[1::2] = former, -former
