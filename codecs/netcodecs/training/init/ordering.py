"""Channels in order of their bits: another numbering, the same function.

Tail drop keeps the first channels, so that they have to be the most important.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from netcodecs.progressive.backbone import Backbone, M
from netcodecs.transforms.hyperprior import Hyperprior

__all__ = ["order_channels"]


@torch.no_grad()
def order_channels(network: Backbone, images: Tensor) -> None:
    """Renumbers the channels of the latent and of the hyperprior by their bits at the middle λ, most first, in place.

    The hyperprior's context is not fitted any more: it depends on the channels' order.

    Args:
        network: Of kind ``residual``, without SCR (which mixes neighbouring channels) having been trained.
        images: (B, 3, H, W), 0…1, H and W multiples of 64.
    """
    hyper = network.hyper
    assert isinstance(hyper, Hyperprior)
    network.eval()
    lam = torch.full((len(images),), network.lambdas[len(network.lambdas) // 2])
    bits, hyper_bits, _ = hyper.rate(network.analysed(images, network.gains(lam)[0]))
    order = bits.sum((0, 2, 3)).argsort(descending=True)
    hyper_order = hyper_bits.sum(0).argsort(descending=True)
    both = torch.cat([order, order + M])
    _reorder(network.g_a[-1], order, axis=0)  # type: ignore[index]
    _reorder(network.g_s[0], order, axis=1)  # type: ignore[index]
    for gains in (network.log_gain, network.log_inverse_gain):
        gains.copy_(gains[:, order])
    analysis, synthesis = hyper.analysis, hyper.synthesis
    _reorder(analysis.inputs, order, axis=1)
    _reorder(analysis.linear, both, axis=1)
    for layer in (synthesis.outputs, synthesis.linear):
        _reorder(layer, both, axis=0)
    for layer in (analysis.down_64, analysis.linear):
        _reorder(layer, hyper_order, axis=0)
    for layer in (synthesis.up_32, synthesis.linear):
        _reorder(layer, hyper_order, axis=1)
    for parameter in hyper.prior.parameters():
        parameter.copy_(parameter[hyper_order])
    for weights in network.context.buffers():
        weights.copy_(weights[..., order])
    for weights in hyper.context.buffers():  # fitted to earlier channels, which are others now
        weights.zero_()


def _reorder(layer: nn.Module, order: Tensor, axis: int) -> None:
    """Permutes a layer's outputs (axis 0, bias included) or inputs (axis 1)."""
    assert isinstance(layer, nn.Conv2d)
    layer.weight.copy_(layer.weight.index_select(axis, order))
    if axis == 0:
        assert layer.bias is not None
        layer.bias.copy_(layer.bias[order])
