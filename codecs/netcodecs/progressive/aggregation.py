"""Mask conditional aggregation (MCA): g_s depends on which channels are missing."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["MaskConditionalAggregation", "neighbour_means"]

_MASK_WIDTH, _MASK_FEATURES = 64, 4
_TAPS = ((0.5, 1.0, 0.5), (1.0, 0.0, 1.0), (0.5, 1.0, 0.5))
_LARGEST_SHARE = 1.2


class MaskConditionalAggregation(nn.Module):
    """Between the received latent and g_s (paper 1, §3.3 and Fig. 4).

    ::

        mask ─► 3×3, C→64 ─► GELU ─► 3×3, 64→4 ─► GELU ─┐
        latent ─► fill ─┬──────────────────────────────► concatenate ─► 3×3, C+4→C ─► GELU ─► 1×1 ─► + ─► g_s
                        └───────────────────────────────────────────────────────────────────────────► ┘

    ``fill`` puts a share of the mean of the received neighbours of the same channel (normalised convolution, Knutsson &
    Westin, CVPR 1993) in place of what is missing; the share is learned per channel. With SCR a lost channel leaves
    three of four neighbours of a sample. The paper has neither this, nor the 1×1 convolution, nor the path around: with
    them the module starts as a concealment that works, and as the identity where nothing is missing. The other layers
    read 1 − mask, which is zero where nothing is missing.

    Args:
        channels: C, of the latent.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, _MASK_WIDTH, 3, padding=1)
        self.second = nn.Conv2d(_MASK_WIDTH, _MASK_FEATURES, 3, padding=1)
        self.fusion = nn.Conv2d(channels + _MASK_FEATURES, channels, 3, padding=1)
        self.project = nn.Conv2d(channels, channels, 1)
        self.neighbour_share = nn.Parameter(torch.zeros(channels))
        nn.init.zeros_(self.project.weight)
        assert self.project.bias is not None
        nn.init.zeros_(self.project.bias)

    def forward(self, latent: Tensor, mask: Tensor) -> Tensor:
        """What g_s gets, (B, C, h, w).

        Args:
            latent: (B, C, h, w), zero where missing.
            mask: The same shape; 1 = received, 0 = lost or not sent.
        """
        missing = 1 - mask
        latent = latent + missing * self.neighbour_share[:, None, None] * neighbour_means(latent, mask)
        features = functional.gelu(self.second(functional.gelu(self.first(missing))))
        return latent + self.project(functional.gelu(self.fusion(torch.cat([latent, features], 1))))

    @torch.no_grad()
    def fit_neighbours(self, latent: Tensor, mask: Tensor) -> None:
        """Sets each channel's share by least squares over what is missing.

        Args:
            latent: (B, C, h, w), complete.
            mask: The same shape; 1 = received.
        """
        means = (1 - mask) * neighbour_means(latent * mask, mask)
        share = (latent * means).sum((0, 2, 3)) / means.square().sum((0, 2, 3)).clamp(min=1e-6)
        self.neighbour_share.copy_(share.clamp(0, _LARGEST_SHARE))


def neighbour_means(latent: Tensor, mask: Tensor) -> Tensor:
    """Weighted mean of the received ones among the eight neighbours of each sample, of the same channel.

    Args:
        latent: (B, C, h, w), zero where missing.
        mask: The same shape; 1 = received.

    Returns:
        (B, C, h, w); zero where no neighbour was received.

    >>> latent, mask = torch.tensor([[[[2.0, 0.0, 4.0]]]]), torch.tensor([[[[1.0, 0.0, 1.0]]]])
    >>> neighbour_means(latent, mask).tolist()
    [[[[0.0, 3.0, 0.0]]]]
    """
    channels = latent.shape[1]
    taps = torch.tensor(_TAPS, dtype=latent.dtype, device=latent.device).expand(channels, 1, 3, 3)
    total, weight = (functional.conv2d(part, taps, padding=1, groups=channels) for part in (latent, mask))
    return total / weight.clamp(min=min(_TAPS[0]))
