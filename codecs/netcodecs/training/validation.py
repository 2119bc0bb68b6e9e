"""Quality of a network on pictures held out, estimated without coding them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from netcodecs.progressive.backbone import Backbone, Coded, Fate, M, N
from netcodecs.training.fates import received_by

__all__ = ["losses", "validate"]


def losses(coded: Coded, picture: Tensor, lam: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Loss λ·255²·MSE + bpp, its rate in bpp and its MSE (picture's range 0…1), each per image: three tensors (B,)."""
    bpp = coded.bits / (picture.shape[2] * picture.shape[3])
    mse = ((coded.picture - picture) ** 2).flatten(1).mean(1)
    return lam * 255**2 * mse + bpp, bpp, mse


@torch.no_grad()
def validate(
    backbone: Backbone, pictures: Sequence[Tensor], each: Callable[[], object] = lambda: None
) -> list[dict[str, float]]:
    """Mean bpp, PSNR and loss over pictures (1, 3, H, W) at each λ: estimated bits, pictures clamped and rounded.

    lossy_psnr_db: the same pictures when channels are lost as Gilbert–Elliott training loses them (10 %), by masks
    that are the same at every call. each: called after every picture.
    """
    backbone.eval()
    rows = []
    for lam in backbone.lambdas:
        cells = []
        for number, picture in enumerate(pictures):
            lams = torch.tensor([lam], device=picture.device)
            loss, bpp, mse = (float(v) for v in losses(_shown(backbone(picture, lams)), picture, lams))
            lost = backbone(picture, lams, _lossy(number).to(picture.device))
            lossy_mse = float(losses(_shown(lost), picture, lams)[2])
            cells.append((bpp, -10 * math.log10(mse), loss, -10 * math.log10(lossy_mse)))
            each()
        bpp, psnr, loss, lossy = (sum(column) / len(cells) for column in zip(*cells, strict=True))
        rows.append({"lambda": lam, "bpp": bpp, "psnr_db": psnr, "loss": loss, "lossy_psnr_db": lossy})
    return rows


def _shown(coded: Coded) -> Coded:
    return Coded((coded.picture.clamp(0, 1) * 255).round() / 255, coded.bits)


def _lossy(number: int) -> Fate:
    """The losses that validation picture ``number`` suffers."""
    received = received_by("gilbert-elliott", 1, torch.Generator().manual_seed(number))
    return Fate(torch.ones(1, M, dtype=torch.bool), torch.ones(1, N, dtype=torch.bool), received)
