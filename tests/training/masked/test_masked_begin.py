"""ELIC's transforms before their first step: nearly the lapped transform whose convolutions they have."""

from __future__ import annotations

import math

import torch
from netcodecs.progressive.backbone import Backbone
from netcodecs.training.crops import random_crops
from netcodecs.training.masked.begin import elic_start
from torch import Tensor


@torch.no_grad()
def test_start_shows_pictures_nearly_as_the_lapped_transform(started: Backbone, photos: list[Tensor]) -> None:
    torch.manual_seed(0)
    elic = Backbone(started.widths, kind="elic")
    elic_start(elic, random_crops(photos[1:], 8, 192, torch.Generator().manual_seed(0)))
    picture = photos[0][None, :, :128, 192:320].float() / 255
    psnr = []
    for network in (started, elic.eval()):
        gain, inverse = network.gains(torch.tensor([0.0067]))
        symbols = torch.round(network.analysed(picture, gain))
        error = (network.model.g_s(symbols * inverse).clamp(0, 1) - picture).square().mean()
        psnr.append(-10 * math.log10(float(error)))
    assert psnr[1] > psnr[0] - 1
