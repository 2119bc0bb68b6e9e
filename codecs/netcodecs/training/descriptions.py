"""Copies of what is dearest to lose, for methods with MCA.

Training with losses ends at networks that tell what counts most more than once; from a baseline that tells it once the
way there is long, since a copy is worth nothing until the decoder hears it and is not heard while it is worth nothing.
So the channels that are worth the least begin as copies of those whose loss would cost the most (the lowest luma band
is three quarters of all there is to lose), far from them in the order of the packets. MCA hears a copy where the
original is lost, and only there, so it may be coarse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from netcodecs.progressive.backbone import Backbone, M, N, bits_of
from netcodecs.progressive.rearrangement import GROUP, rearranged
from netcodecs.training.ordering import put_in_order
from netcodecs.training.recipe import STRIDE

__all__ = ["Coded", "Described", "coded_at_all_rates", "describe", "loss_costs"]

_CANDIDATES = 12  # groups of channels that can be worth copies


@dataclass(frozen=True)
class Coded:
    """Latents of some pictures as they are coded at one λ: all that a copy's bits and errors depend on.

    latent, scales, means: (B, M, h, w). inverse: inverse gains, (M, 1, 1).
    """

    lam: float
    latent: Tensor
    scales: Tensor
    means: Tensor
    inverse: Tensor
    network: Backbone

    def told(self, ratio: float, channels: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """What a decoder hears of copies that are quantised ``ratio`` times as finely: in g_s's units and not
        rearranged, (B, channels, h, w); and the bits of each channel for a pixel. channels: whole groups."""
        means, scales = self.means[:, channels] * ratio, self.scales[:, channels] * ratio
        heard = torch.round(self.latent[:, channels] * ratio - means) + means
        conditional = self.network.model.gaussian_conditional
        bits = bits_of(conditional(heard, scales, means=means, training=False)[1]).sum(0)
        values = rearranged(heard) if self.network.scr else heard
        pixels = self.latent[:, 0].numel() * STRIDE**2
        return values * (self.inverse[channels] / ratio), bits / pixels

    @cached_property
    def bits(self) -> Tensor:
        """Bits of each channel for a pixel as they are, (M,)."""
        return self.told(1.0)[1]


@dataclass(frozen=True)
class Described:
    """Where copies lie. group: the first of the channels that are lost together (four with SCR, else one). copies: the
    first channels of their copies, the finest first."""

    group: int
    copies: tuple[int, ...]


@torch.no_grad()
def coded_at_all_rates(network: Backbone, pictures: Sequence[Tensor]) -> list[Coded]:
    """pictures: (B, 3, H, W) of one size, 0…1, H and W multiples of 64."""
    made = [network.model.g_a(picture) for picture in pictures]
    found = []
    for lam in network.lambdas:
        gain, inverse = network.gains(torch.tensor([lam]))
        latents = [rearranged(y * gain) if network.scr else y * gain for y in made]
        scales, means = zip(*(network.entropy_parameters(network.model.h_a(y)) for y in latents), strict=True)
        latent, scale, mean = torch.cat(latents), torch.cat(scales), torch.cat(means)
        found.append(Coded(lam, latent, scale, mean, inverse[0], network))
    return found


@torch.no_grad()
def loss_costs(network: Backbone, pictures: Sequence[Tensor]) -> tuple[list[int], Tensor]:
    """The groups whose loss costs the most, and what an error of each costs.

    Returns them, the dearest first, and for all groups the squared error of the picture (range 0…1) for a squared error
    of the latent, in g_s's units and summed over the group, (M / size,); NaN for groups that were not looked at.
    """
    size = GROUP if network.scr else 1
    latents = [network.model.g_a(picture) for picture in pictures]
    gain, inverse = network.gains(torch.tensor([network.lambdas[len(network.lambdas) // 2]]))
    latents = [y * gain * inverse for y in latents]
    whole = [network.model.g_s(y) for y in latents]
    energy = torch.stack([y.square().mean((0, 2, 3)) for y in latents]).mean(0).view(-1, size).sum(1)
    costs = torch.full_like(energy, math.nan)
    for group in energy.argsort(descending=True)[:_CANDIDATES].tolist():
        errors = []
        for y, picture in zip(latents, whole, strict=True):
            without = y.clone()
            without[:, size * group : size * (group + 1)] = 0
            errors.append((network.model.g_s(without) - picture).square().mean())
        costs[group] = torch.stack(errors).mean()
    dearest = costs.nan_to_num(0).argsort(descending=True)[:_CANDIDATES].tolist()
    return dearest, costs / energy


@torch.no_grad()
def describe(network: Backbone, coded: Sequence[Coded], chosen: Mapping[int, Sequence[float]]) -> list[Described]:
    """Rewires a network whose MCA is not yet in use, in place: channels that are worth the least become copies.

    network: in order of bits (``put_in_order``). chosen: of groups, by their number, how finely each copy is quantised
    compared with the original. Returns where they lie, in the order of ``chosen``. Channels are renumbered, in whole
    groups.
    """
    size = GROUP if network.scr else 1
    bits = coded[len(coded) // 2].bits.view(-1, size).sum(1)
    spare = [int(g) for g in bits.argsort() if int(g) not in chosen]
    placed = {group: [spare.pop(0) for _ in ratios] for group, ratios in chosen.items()}
    for group, ratios in chosen.items():
        for copy, ratio in zip(placed[group], ratios, strict=True):
            for place in range(size):
                _copy(network, size * group + place, size * copy + place, ratio)
    order = _spread(bits, placed)
    channels = torch.tensor([size * g + place for g in order for place in range(size)])
    put_in_order(network, channels, torch.arange(N))
    now = {group: size * place for place, group in enumerate(order)}
    return [Described(now[g], tuple(now[c] for c in copies)) for g, copies in placed.items()]


def _copy(network: Backbone, source: int, target: int, ratio: float) -> None:
    """Makes a channel a copy of another one, quantised ``ratio`` times as finely. The hyperprior hears the original."""
    model = network.model
    model.g_a[-1].weight[target] = model.g_a[-1].weight[source]
    model.g_a[-1].bias[target] = model.g_a[-1].bias[source]
    model.h_a[0].weight[:, target] = 0
    for half in (0, M):  # scales, means
        model.h_s[-1].weight[half + target] = model.h_s[-1].weight[half + source] * ratio
        model.h_s[-1].bias[half + target] = model.h_s[-1].bias[half + source] * ratio
    network.log_gain[:, target] = network.log_gain[:, source] + math.log(ratio)
    network.log_inverse_gain[:, target] = network.log_inverse_gain[:, source] - math.log(ratio)


def _spread(bits: Tensor, placed: dict[int, list[int]]) -> list[int]:
    """An order of the groups: as they are, but copies where equal shares of the bits lie between the descriptions."""
    copies = {copy for some in placed.values() for copy in some}
    order = [group for group in range(len(bits)) if group not in copies]
    after = bits[order].cumsum(0) / bits[order].sum()
    places: list[tuple[int, int]] = []
    for some in placed.values():
        for number, copy in enumerate(some, 1):
            places.append((int(torch.searchsorted(after, number / (1 + len(some)))) + 1, copy))
    for place, copy in sorted(places, reverse=True):
        order.insert(place, copy)
    return order
