"""How a method begins: from the baseline's weights, its channels in order, its modules passing everything on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from netcodecs.progressive.backbone import LAMBDAS, Backbone, M, bits_of
from netcodecs.progressive.methods import Method
from netsim.errors import InputError

__all__ = ["begun", "check_start", "for_all_rates", "in_order", "put_in_order"]


@torch.no_grad()
def begun(baseline: Backbone, method: Method, pictures: Sequence[Tensor]) -> Backbone:
    """A method's network before its first step, from a trained baseline of the same widths.

    With tail drop, channels come in order of their bits on ``pictures`` ((B, 3, H, W), 0…1), most first, so that the
    first channels are worth the most from the beginning, and SCR joins channels that are alike. That alone leaves the
    baseline's pictures as they were; SCR's hyperprior has to learn its new neighbourhoods.
    Raises ValueError if ``baseline`` has modules of its own.
    """
    if baseline.scr or baseline.aggregation is not None:
        raise ValueError(f"{method.name} begins from a baseline, not from a network with modules of its own")
    network = Backbone(baseline.widths, scr=method.scr, mca=method.mca, lambdas=baseline.lambdas)
    network.load_state_dict(network.state_dict() | baseline.state_dict())
    if method.tail_drop:
        put_in_order(network, *in_order(baseline, pictures))
    if network.aggregation is not None:
        network.aggregation.begin_in_front_of(network.model.g_s[0])
    return network


def check_start(start: Backbone, method: Method) -> None:
    """Raises InputError unless a method can begin from a network: a baseline, or one with the method's own modules."""
    has = [name for name, there in (("SCR", start.scr), ("MCA", start.aggregation is not None)) if there]
    wanted = [name for name, there in (("SCR", method.scr), ("MCA", method.mca)) if there]
    if has and has != wanted:
        hint = "give weights of mbt-mean, or of a method that has the same modules"
        raise InputError(f"{method.name} can't begin from weights with {' and '.join(has)}", hint=hint)


@torch.no_grad()
def for_all_rates(network: Backbone) -> Backbone:
    """A baseline for all λ from one for a single rate (a checkpoint of CompressAI), which becomes that of the largest.

    Gains of the others are what theory says at high rate: quantisation steps proportional to 1/√λ.
    Raises InputError if the network has several λ, but others than ``LAMBDAS``.
    """
    if network.lambdas == LAMBDAS:
        return network
    if len(network.lambdas) > 1:
        raise InputError(f"weights for λ = {', '.join(map(str, network.lambdas))}", hint=f"a run learns {LAMBDAS}")
    spread = Backbone(network.widths, scr=network.scr, mca=network.aggregation is not None)
    own = spread.state_dict()
    same = {name: value for name, value in network.state_dict().items() if own[name].shape == value.shape}
    gains = {name: own[name] + network.state_dict()[name] for name in ("log_gain", "log_inverse_gain")}
    spread.load_state_dict(own | same | gains)
    return spread.eval()


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
