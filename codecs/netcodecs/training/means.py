"""Local means for a hyperprior that has not found them: its least useful units are made to carry them.

The hyperprior of mbt2018-mean can tell the latent's means, and training from a start that knows none of them does not
find out: the mean of a channel reaches h_s only through a quantiser whose density does not expect it. Here a channel of
the hyperprior becomes the mean of a latent channel over the 4×4 samples that it lies above (h_a's two strides), and h_s
interpolates between them. Worth it for the lowest band of luma and of the chromas, whose neighbours are alike.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from netcodecs.compressai_import import compressai
from netcodecs.progressive.backbone import Backbone, M, bits_of
from netcodecs.progressive.rearrangement import rearranged

__all__ = ["tell_means"]

_WORTH = 0.5  # what is left of a channel's squared error for a hyperlatent to be spent on it
_AT_MOST = 6  # channels
_SILENT = 1e-4  # squared steps: what varies less does not vary
_STEP = 0.7  # quantisation of a mean, as a share of what it leaves over
_PAIR = 1.01  # LeakyReLU(x) - LeakyReLU(-x) = 1.01 x
_AVERAGE = {2: 0.5, 3: 0.5}  # taps, in one direction, of a stride-2 convolution that halves by pairs
_INTERPOLATION = {1: 0.25, 2: 0.75, 3: 0.75, 4: 0.25}  # of a transposed one that doubles linearly


@dataclass(frozen=True)
class _Places:
    """Where SCR puts samples: of the 2×2 samples of each coded channel, the channel that they are of, and which of
    that channel's 2×2 samples they are (row, column); int (M, 2, 2) each. Without SCR all stay where they are."""

    channel: Tensor
    row: Tensor
    column: Tensor


def _places(scr: bool) -> _Places:
    whole = torch.stack(torch.meshgrid(torch.arange(M), torch.arange(2), torch.arange(2), indexing="ij"))
    channel, row, column = rearranged(whole) if scr else whole
    return _Places(channel, row, column)


@torch.no_grad()
def tell_means(backbone: Backbone, latents: Sequence[Tensor]) -> list[int]:
    """Changes a hyperprior, in place, so that it tells the local means of the channels where that leaves less than
    half of the squared error that its own means leave; returns these channels, none where it predicts well already.

    latents: some latents before their gain, float (B, M, h, w), h and w multiples of 4. g_a, g_s, the gains and MCA
    stay as they are. Units of the hyperprior that are worth the least on ``latents`` are given up for it.
    """
    backbone.eval()
    lam = torch.tensor([backbone.lambdas[len(backbone.lambdas) // 2]])
    gained = [latent * backbone.gains(lam)[0] for latent in latents]
    coded = [rearranged(latent) if backbone.scr else latent for latent in gained]
    left_by_means, left_now = _left(backbone, gained, coded)
    worth = torch.where(left_by_means > _SILENT, left_by_means / left_now, 1.0)
    channels = [int(c) for c in worth.argsort()[:_AT_MOST] if worth[c] < _WORTH]
    if channels:
        steps = {c: _STEP * math.sqrt(float(left_by_means[c])) for c in channels}
        _rewire(backbone, coded, steps, worth.clamp(max=1).sqrt())
    return channels


def _left(backbone: Backbone, gained: Sequence[Tensor], coded: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean squared error of each channel (M,) that local means leave, and that the hyperprior's means leave now."""
    by_means, now = torch.zeros(M), torch.zeros(M)
    for latent, mixed in zip(gained, coded, strict=True):
        local = functional.interpolate(functional.avg_pool2d(latent, 4), scale_factor=4, mode="bilinear")
        by_means += (latent - local).square().mean((0, 2, 3))
        means = backbone.entropy_parameters(backbone.model.h_a(mixed))[1]
        now += (latent - (rearranged(means) if backbone.scr else means)).square().mean((0, 2, 3))
    return by_means / len(gained), now / len(gained)


def _rewire(backbone: Backbone, coded: Sequence[Tensor], steps: dict[int, float], narrower: Tensor) -> None:
    """steps: quantisation step of each channel's mean. narrower: what the scales of each channel shrink by, (M,)."""
    model, places = backbone.model, _places(backbone.scr)
    channels = list(steps)
    told = torch.isin(places.channel, torch.tensor(channels)).flatten(1).any(1).nonzero().flatten().tolist()
    listening = _freed(model.h_a[0], model.h_a[2], [model.h_a[:2](y) for y in coded], 2 * len(told))
    halved = _freed(model.h_a[2], model.h_a[4], [model.h_a[:4](y) for y in coded], 2 * len(channels))
    hyper = [model.h_a(y) for y in coded]
    carrying = _freed_hyper(backbone, hyper, len(channels))
    doubled = _freed(model.h_s[0], model.h_s[2], [model.h_s[:2](z) for z in hyper], 2 * len(channels))
    telling = _freed(model.h_s[2], model.h_s[4], [model.h_s[:4](z) for z in hyper], 2 * len(told))
    for number, j in enumerate(told):
        _connect(model.h_a[0], [j], _pair(listening, number), [(1, 1, 1.0)])
        for row, column in itertools.product(range(2), range(2)):
            channel = int(places.channel[j, row, column])
            if channel not in steps:
                continue
            place = channels.index(channel)
            quarter = [(2 + row, 2 + column, 0.25)]
            _connect(model.h_a[2], _pair(listening, number), _pair(halved, place), quarter)
            seen = (int(places.row[j, row, column]), int(places.column[j, row, column]))
            _connect(model.h_s[2], _pair(doubled, place), _pair(telling, number), _told_at((row, column), seen))
        _quieten(model.h_s[4], M + j)
        _connect(model.h_s[4], _pair(telling, number), [M + j], [(1, 1, 1.0)])
        shrink = float(narrower[places.channel[j]].mean())
        model.h_s[4].weight[j] *= shrink
        model.h_s[4].bias[j] *= shrink
    for place, step in enumerate(steps.values()):
        _connect(model.h_a[4], _pair(halved, place), [carrying[place]], _both(_AVERAGE, 1 / step))
        _connect(model.h_s[0], [carrying[place]], _pair(doubled, place), _both(_INTERPOLATION, step))
    _expect(model.entropy_bottleneck, carrying, [model.h_a(y) for y in coded])


def _pair(units: Sequence[int], number: int) -> list[int]:
    """The two units that carry a value past a LeakyReLU, one of them its negative."""
    return [units[2 * number], units[2 * number + 1]]


def _both(taps: dict[int, float], factor: float) -> list[tuple[int, int, float]]:
    """A separable kernel from its taps in one direction."""
    return [(i, j, factor * a * b) for (i, a), (j, b) in itertools.product(taps.items(), taps.items())]


def _told_at(phase: tuple[int, int], seen: tuple[int, int]) -> list[tuple[int, int, float]]:
    """Taps of h_s's second layer at one of the 2×2 samples of each output, for the sample that is coded there.

    Without SCR the two are the same, and this is linear interpolation; with it, the neighbour that a tap can't reach
    is replaced by the nearest value.
    """
    lines = []
    for at, of in zip(phase, seen, strict=True):
        own = 2 + at
        neighbour = at if of else 4 + at  # the next value's tap, or the last's
        line = {own: 0.75, neighbour: 0.25} if neighbour <= 4 else {own: 1.0}
        lines.append(line)
    return [(i, j, a * b) for (i, a), (j, b) in itertools.product(lines[0].items(), lines[1].items())]


def _taps(layer: nn.Module) -> Tensor:
    """A layer's weights as (in, out, k, k), to be written through."""
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    return layer.weight if isinstance(layer, nn.ConvTranspose2d) else layer.weight.transpose(0, 1)


def _connect(
    layer: nn.Module, sources: Sequence[int], targets: Sequence[int], kernel: Sequence[tuple[int, int, float]]
) -> None:
    """Adds a kernel, its rows, columns and weights, between two values; one that is a pair is a positive and a
    negative unit."""
    taps = _taps(layer)
    factor = 1 / _PAIR if len(sources) == 2 else 1.0
    for (a, source), (b, target) in itertools.product(enumerate(sources), enumerate(targets)):
        sign = -1.0 if a != b else 1.0
        for row, column, weight in kernel:
            taps[source, target, row, column] += sign * factor * weight


def _quieten(layer: nn.Module, unit: int) -> None:
    _taps(layer)[:, unit] = 0
    assert isinstance(layer.bias, Tensor)
    layer.bias[unit] = 0


def _freed(before: nn.Module, after: nn.Module, values: Sequence[Tensor], count: int) -> list[int]:
    """The units between two layers whose change is heard the least; both layers forget them, but for their mean."""
    flat = torch.cat([value.transpose(0, 1).flatten(1) for value in values], dim=1)
    heard = flat.std(1) * _taps(after).flatten(1).norm(dim=1)
    units = [int(unit) for unit in heard.argsort()[:count]]
    for unit in units:
        _quieten(before, unit)
    _fold(after, units, flat[units].mean(1))
    return units


def _freed_hyper(backbone: Backbone, hyper: Sequence[Tensor], count: int) -> list[int]:
    """The same of hyperlatent channels: those with the fewest bits."""
    bottleneck = backbone.model.entropy_bottleneck
    bits = torch.stack([bits_of(bottleneck(z)[1]).sum(0) for z in hyper]).sum(0)
    units = [int(unit) for unit in bits.argsort()[:count]]
    for unit in units:
        _quieten(backbone.model.h_a[4], unit)
    _fold(backbone.model.h_s[0], units, bottleneck.quantiles[units, 0, 1])
    return units


def _fold(layer: nn.Module, units: Sequence[int], values: Tensor) -> None:
    """Puts what units said on average into the bias of the layer that heard them, which hears them no more."""
    taps = _taps(layer)
    said = (values[:, None] * taps[units].flatten(2).sum(2)).sum(0)
    assert isinstance(layer.bias, Tensor)
    layer.bias += said / 4 if isinstance(layer, nn.ConvTranspose2d) else said  # each output hears a quarter of them
    taps[units] = 0


def _expect(
    bottleneck: compressai.entropy_models.EntropyBottleneck, channels: Sequence[int], hyper: Sequence[Tensor]
) -> None:
    """Wide, fresh densities around zero for some channels, whose quantiles reach as far as their values do."""
    fresh = compressai.entropy_models.EntropyBottleneck(len(bottleneck.quantiles))
    for mine, new in zip(bottleneck.parameters(), fresh.parameters(), strict=True):
        mine[channels] = new[channels]
    largest = torch.stack([z[:, channels].abs().amax((0, 2, 3)) for z in hyper]).amax(0) + 1
    bottleneck.quantiles[channels, 0, 0], bottleneck.quantiles[channels, 0, 2] = -largest, largest
    bottleneck.quantiles[channels, 0, 1] = 0
