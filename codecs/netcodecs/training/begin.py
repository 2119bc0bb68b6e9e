"""How a method begins: from the baseline's weights, its channels in order, its modules passing everything on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from netcodecs.progressive.aggregation import GUESSED
from netcodecs.progressive.backbone import LAMBDAS, Backbone, M, bits_of
from netcodecs.progressive.methods import Method
from netsim.errors import InputError

__all__ = ["begun", "check_start", "for_all_rates", "in_order", "neighbours", "put_in_order"]

_WORTH_GUESSING = 0.2  # share of a channel's energy that its neighbours explain


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
        guess, reach = neighbours(network, pictures) if method.scr else (None, 0.0)
        network.aggregation.begin_in_front_of(network.model.g_s[0], guess, reach)
    return network


@torch.no_grad()
def neighbours(network: Backbone, pictures: Sequence[Tensor]) -> tuple[Tensor, float]:
    """How to guess a sample of the first channels from its eight neighbours, and more than any guess amounts to.

    Least squares on the latents of ``pictures``, a channel at a time; (GUESSED, 3, 3), the middle zero; all zero where
    that explains too little of a channel to be worth MCA's outputs.
    """
    latents = torch.cat([network.model.g_a(picture)[:, :GUESSED] for picture in pictures])
    gain, inverse = network.gains(torch.tensor([network.lambdas[len(network.lambdas) // 2]]))
    latents = latents * (gain * inverse)[:, :GUESSED]
    around = torch.nn.functional.unfold(latents.flatten(0, 1)[:, None], 3).unflatten(0, latents.shape[:2])
    taps = around.permute(1, 0, 3, 2).flatten(1, 2)  # (GUESSED, samples, 9)
    outer = [i for i in range(9) if i != 4]
    given, wanted = taps[..., outer], taps[..., 4:5]
    ridge = 1e-3 * given.square().mean((1, 2))[:, None, None] * torch.eye(8) * given.shape[1]
    solved = torch.linalg.solve(given.mT @ given + ridge, given.mT @ wanted)[..., 0]
    left = (wanted[..., 0] - (given @ solved[..., None])[..., 0]).square().mean(1) / wanted[..., 0].square().mean(1)
    weights = torch.zeros(GUESSED, 9)
    weights[:, outer] = torch.where(left[:, None] < 1 - _WORTH_GUESSING, solved, 0.0)
    return weights.view(-1, 3, 3), 3.0 * float(latents.abs().max())


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
