"""Spatial-channel rearrangement (SCR): each rearranged channel holds a quarter of each of four channels."""

from __future__ import annotations

from torch import Tensor

__all__ = ["GROUP", "rearranged"]

GROUP = 4  # consecutive channels that share their samples (paper 1, §3.2)


def rearranged(latent: Tensor) -> Tensor:
    """SCR of a latent (or of its mask), (B, C, H, W) → (B, C, H, W); its own inverse.

    ``out[4g+c, 2i+a, 2j+b] = in[4g+2a+b, 2i+(c>>1), 2j+(c&1)]`` (paper 1, §3.2 and Fig. 3): where one rearranged
    channel is lost, three of four neighbours of each sample remain. C is a multiple of 4, H and W are even.

    >>> import torch
    >>> latent = torch.arange(16.0).reshape(1, 4, 2, 2)
    >>> rearranged(latent)[0, 0].tolist()  # the upper left sample of each of the four channels
    [[0.0, 4.0], [8.0, 12.0]]
    >>> bool((rearranged(rearranged(latent)) == latent).all())
    True
    """
    count, channels, height, width = latent.shape
    split = latent.reshape(count, channels // GROUP, 2, 2, height // 2, 2, width // 2, 2)
    # axes: B, g, channel's two bits, i, row's bit, j, column's bit; the bits change places
    return split.permute(0, 1, 5, 7, 4, 2, 6, 3).reshape(latent.shape)
