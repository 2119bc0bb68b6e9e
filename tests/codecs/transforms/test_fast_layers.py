"""Layers made quick for use say what they said."""

from __future__ import annotations

import pytest
import torch
from netcodecs.compressai_import import compressai
from netcodecs.transforms.fast_layers import quick_layers
from torch import nn


@pytest.mark.parametrize("size", [(1, 1), (5, 8)])
@torch.no_grad()
def test_quick_layers_say_what_the_plain_ones_say(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    deconv = compressai.models.utils.deconv
    plain = nn.Sequential(deconv(12, 6), compressai.layers.GDN(6, inverse=True), nn.ReLU(), deconv(6, 3))
    for parameter in plain.parameters():
        torch.nn.init.uniform_(parameter, 0.1, 1.0)
    latents = torch.randn(2, 12, *size)
    quick = quick_layers(plain)
    assert not any(type(layer) is type(of) for layer, of in zip(quick[1::2], plain[1::2], strict=True))
    assert torch.allclose(quick(latents.clone()), plain(latents), rtol=1e-4, atol=1e-4)
    assert quick(latents).shape == (2, 3, 4 * size[0], 4 * size[1])
