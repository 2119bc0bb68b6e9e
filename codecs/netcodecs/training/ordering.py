"""Channels in order of their bits: another numbering, the same function."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from netcodecs.progressive.backbone import Backbone, M, bits_of

__all__ = ["in_order", "put_in_order"]


@torch.no_grad()
def in_order(backbone: Backbone, pictures: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Channels of the latent (M,) and of the hyperprior (N,) by their bits at the middle λ, most first."""
    backbone.eval()
    totals: list[Tensor] = []
    for picture in pictures:
        lam = torch.full((len(picture),), backbone.lambdas[len(backbone.lambdas) // 2])
        latent = backbone.analysed(picture, backbone.gains(lam)[0])
        hyper = backbone.model.h_a(latent)
        _, hyper_likelihood = backbone.model.entropy_bottleneck(hyper)
        scales, means = backbone.entropy_parameters(hyper)
        _, likelihood = backbone.model.gaussian_conditional(latent, scales, means=means)
        totals.append(torch.cat([bits_of(likelihood).sum(0), bits_of(hyper_likelihood).sum(0)]))
    bits = torch.stack(totals).sum(0)
    return bits[:M].argsort(descending=True), bits[M:].argsort(descending=True)


@torch.no_grad()
def put_in_order(backbone: Backbone, order: Tensor, hyper_order: Tensor) -> None:
    """Renumbers the latent's and the hyperprior's channels: another order, the same function."""
    model = backbone.model
    _reorder(model.g_a[-1], order, axis=0)
    _reorder(model.h_a[0], order, axis=1)
    _reorder(model.h_s[-1], torch.cat([order, order + M]), axis=0)
    _reorder(model.g_s[0], order, axis=0, bias=False)  # a transposed convolution: (in, out, 5, 5)
    for gains in (backbone.log_gain, backbone.log_inverse_gain):
        gains.copy_(gains[:, order])
    _reorder(model.h_a[-1], hyper_order, axis=0)
    _reorder(model.h_s[0], hyper_order, axis=0, bias=False)
    for parameter in model.entropy_bottleneck.parameters():
        parameter.copy_(parameter[hyper_order])


def _reorder(layer: nn.Module, order: Tensor, *, axis: int, bias: bool = True) -> None:
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    layer.weight.copy_(layer.weight.index_select(axis, order))
    if bias and axis == 0 and layer.bias is not None:
        layer.bias.copy_(layer.bias[order])
