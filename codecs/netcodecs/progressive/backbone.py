"""The backbone of the channel-progressive family: mbt2018-mean with learned gains, one set of weights for all rates.

The network is CompressAI's ``MeanScaleHyperprior`` (Minnen et al. 2018, without the autoregressive part; N = 128,
M = 192). In front of the hyperprior and of the quantiser each channel of the latent is multiplied by a learned gain,
and before the synthesis transform by a learned inverse gain (Cui et al., "Asymmetric gained deep image compression",
CVPR 2021, eq. 3-5). A gain belongs to a λ; between two λ it is interpolated. The gains fold into the last layer of
g_a and the first of g_s: :meth:`Backbone.at` gives a plain mbt2018-mean for one λ, so that all that comes after
(packets, SCR, MCA) deals with the published network and with nothing else, and a CompressAI checkpoint fits too.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from netcodecs.compressai_import import compressai
from netcodecs.progressive.aggregation import MaskConditionalAggregation
from netcodecs.progressive.elic import elic_analysis, elic_synthesis
from netcodecs.progressive.rearrangement import rearranged
from netsim.errors import InputError

__all__ = ["FULL_WIDTHS", "LAMBDAS", "Backbone", "Coded", "Fate", "Kind", "M", "N", "bits_of", "widen"]

Kind = Literal["mbt", "elic"]

LAMBDAS = (0.0005, 0.0018, 0.0035, 0.0067)  # paper 1, §4.1, and one below: for the lowest rates of its Table 1
N, M = 128, 192
FULL_WIDTHS = (N, N, N)


@dataclass(frozen=True)
class Coded:
    """What one pass through the network gives: all that the loss needs.

    picture:  reconstruction, (B, 3, H, W), nominally 0…1, not clamped.
    bits:     estimated bits of each image, latent and hyperprior, (B,).
    """

    picture: Tensor
    bits: Tensor


@dataclass(frozen=True)
class Fate:
    """What becomes of each image's channels in training; bool, True = kept.

    sent: (B, M), False for a latent channel that tail drop takes away: it costs nothing and is zero, its mask stays 1.
    sent_hyper: (B, N), the same of the hyperprior. received: (B, M), False for a channel that the network loses.
    """

    sent: Tensor
    sent_hyper: Tensor
    received: Tensor

    def to(self, device: torch.device | str) -> Fate:
        """The same on a device."""
        return Fate(self.sent.to(device), self.sent_hyper.to(device), self.received.to(device))


def _analysis(widths: tuple[int, int, int]) -> nn.Sequential:
    sides = (3, *widths, M)
    layers: list[nn.Module] = []
    for listened, made in itertools.pairwise(sides):
        layers += [compressai.models.utils.conv(listened, made), compressai.layers.GDN(made)]
    return nn.Sequential(*layers[:-1])


def _synthesis(widths: tuple[int, int, int]) -> nn.Sequential:
    sides = (M, *widths[::-1], 3)
    layers: list[nn.Module] = []
    for listened, made in itertools.pairwise(sides):
        layers += [compressai.models.utils.deconv(listened, made), compressai.layers.GDN(made, inverse=True)]
    return nn.Sequential(*layers[:-1])


class Backbone(nn.Module):
    """mbt2018-mean with a gain vector per λ, and the modules of paper 1 where they are asked for.

    widths: channels after g_a's first three layers (g_s mirrors them). (128, 128, 128) is mbt2018-mean; a narrower
        network trains several times as fast on a CPU and is brought to full width by :func:`widen`.
    scr, mca: with spatial-channel rearrangement; with mask conditional aggregation.
    lambdas: the λ that have a gain, ascending. A single one is a network for one rate: any λ then gives its gain.
    kind: whose g_a and g_s; ``elic``: ELIC's, for ResiComp, which has no use for the hyperprior.
    """

    def __init__(
        self,
        widths: tuple[int, int, int] = FULL_WIDTHS,
        *,
        scr: bool = False,
        mca: bool = False,
        lambdas: tuple[float, ...] = LAMBDAS,
        kind: Kind = "mbt",
    ) -> None:
        super().__init__()
        self.widths, self.scr, self.lambdas, self.kind = widths, scr, lambdas, kind
        self.model = compressai.models.MeanScaleHyperprior(N, M)
        if kind == "elic":
            self.model.g_a, self.model.g_s = elic_analysis(widths, M), elic_synthesis(widths, M)
        elif widths != FULL_WIDTHS:
            self.model.g_a, self.model.g_s = _analysis(widths), _synthesis(widths)
        self.aggregation = MaskConditionalAggregation(M) if mca else None
        # quantisation steps are proportional to 1/√λ at high rate, so that is where the gains start
        start = torch.tensor([0.5 * math.log(lam / lambdas[-1]) for lam in lambdas])
        self.log_gain = nn.Parameter(start[:, None].repeat(1, M))
        self.log_inverse_gain = nn.Parameter(-start[:, None].repeat(1, M))

    def gains(self, lam: Tensor) -> tuple[Tensor, Tensor]:
        """Gain and inverse gain for each λ of a batch, log-linear in λ between the trained ones.

        lam: (B,), within the range of ``lambdas``. Returns two tensors (B, M, 1, 1).
        Raises InputError if a λ lies outside the trained range.
        """
        both = (self.log_gain, self.log_inverse_gain)
        if len(self.lambdas) == 1:
            gain, inverse = (torch.exp(g).expand(len(lam), M) for g in both)
            return gain[:, :, None, None], inverse[:, :, None, None]
        low, high = self.lambdas[0], self.lambdas[-1]
        if bool(((lam < low * (1 - 1e-6)) | (lam > high * (1 + 1e-6))).any()):
            raise InputError(f"λ = {lam.tolist()} lies outside the trained range", hint=f"from {low} to {high}")
        knots = torch.log(torch.tensor(self.lambdas, device=lam.device))
        where = torch.log(lam.float())
        right = torch.bucketize(where, knots).clamp(1, len(self.lambdas) - 1)
        share = ((where - knots[right - 1]) / (knots[right] - knots[right - 1])).clamp(0, 1)[:, None]
        gain, inverse = (torch.exp(g[right - 1] * (1 - share) + g[right] * share) for g in both)
        return gain[:, :, None, None], inverse[:, :, None, None]

    def analysed(self, picture: Tensor, gain: Tensor) -> Tensor:
        """The latent that is coded, (B, M, H/16, W/16): g_a, gain and, with SCR, rearranged."""
        latent = self.model.g_a(picture).float() * gain
        return rearranged(latent) if self.scr else latent

    def synthesised(self, received: Tensor, mask: Tensor, inverse: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) from received latents as they were coded, zero where lost.

        mask: 1 = received or not sent, 0 = lost; of the latent's shape, or (B, M, 1, 1). inverse: inverse gains.
        """
        if self.scr:
            received = rearranged(received)
        received = received * inverse
        if self.aggregation is not None:
            mask = mask.to(received.dtype).expand(received.shape)
            received = self.aggregation(received, rearranged(mask) if self.scr else mask)
        picture: Tensor = self.model.g_s(received)
        return picture

    def entropy_parameters(self, hyper: Tensor, sent: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scales and means of the latent from the rounded hyperprior; a channel that is not sent is its median."""
        medians = self.model.entropy_bottleneck.quantiles[:, 0, 1].detach().reshape(1, -1, 1, 1)
        rounded = compressai.ops.quantize_ste(hyper - medians)
        if sent is not None:
            rounded = rounded * sent[:, :, None, None]
        scales, means = self.model.h_s(rounded + medians).chunk(2, 1)
        return scales, means

    def rate(self, latent: Tensor, fate: Fate | None = None) -> tuple[Tensor, Tensor]:
        """Estimated bits of each image (B,), and the latent as it comes out of the quantiser."""
        model = self.model
        hyper = model.h_a(latent)
        _, hyper_likelihood = model.entropy_bottleneck(hyper)
        scales, means = self.entropy_parameters(hyper, None if fate is None else fate.sent_hyper)
        costs = self._latent_bits(latent, scales, means), bits_of(hyper_likelihood)
        if fate is not None:
            costs = costs[0] * fate.sent, costs[1] * fate.sent_hyper
        return costs[0].sum(1) + costs[1].sum(1), compressai.ops.quantize_ste(latent - means) + means

    def _latent_bits(self, latent: Tensor, scales: Tensor, means: Tensor) -> Tensor:
        """Bits of each channel, (B, M).

        In train mode their value, and the scales' gradient, are those of rounded samples; additive uniform noise gives
        the gradient of means and latent only. Where nine of ten samples round to zero, noise costs twice what their
        symbols cost, and scales that are learned from it are no symbols' own.
        """
        conditional = self.model.gaussian_conditional
        if not self.training:
            return bits_of(conditional(latent, scales, means=means)[1])
        rounded = torch.round(latent - means).detach() + means.detach()
        coded = bits_of(conditional(rounded, scales, means=means.detach(), training=False)[1])
        noisy = bits_of(conditional(latent, scales.detach(), means=means)[1])
        return coded + noisy - noisy.detach()

    def forward(self, picture: Tensor, lam: Tensor, fate: Fate | None = None) -> Coded:
        """Code a batch as in training (train mode) or as a codec would (eval mode).

        picture: (B, 3, H, W), 0…1, H and W multiples of 64. lam: (B,). fate: what is not sent or lost; None: nothing.
        In train mode the likelihoods see additive uniform noise and g_s sees rounded latents with a straight-through
        gradient (Minnen & Singh 2020, §3.2): most of a low-rate latent rounds to zero, and noise would hide that.
        """
        gain, inverse = self.gains(lam)
        latent = self.analysed(picture, gain)
        with torch.autocast(latent.device.type, enabled=False):  # the hyperprior learns badly in half precision
            bits, received = self.rate(latent, fate)
        mask = torch.ones(len(picture), M, 1, 1, device=picture.device)
        if fate is not None:
            mask = fate.received[:, :, None, None].to(received.dtype)
            received = received * mask * fate.sent[:, :, None, None]
        return Coded(self.synthesised(received, mask, inverse).float(), bits)

    @torch.no_grad()
    def at(self, lam: float) -> compressai.models.MeanScaleHyperprior:
        """Plain mbt2018-mean for one λ: the gains folded into g_a's last and g_s's first layer.

        lam: within the range of ``lambdas``. Returns a new model of the same widths in eval mode, its entropy tables
        made. SCR, MCA and ELIC's transforms have no place in it: raises ValueError if the network has them.
        """
        if self.scr or self.aggregation is not None or self.kind != "mbt":
            raise ValueError("a network with SCR, MCA or ELIC's transforms is not a plain mbt2018-mean")
        gain, inverse = (g.reshape(M) for g in self.gains(torch.tensor([lam])))
        plain = Backbone(self.widths).model
        plain.load_state_dict(self.model.state_dict())
        plain.g_a[-1].weight.mul_(gain[:, None, None, None])
        plain.g_a[-1].bias.mul_(gain)
        plain.g_s[0].weight.mul_(inverse[:, None, None, None])  # a transposed convolution: (in, out, 5, 5)
        plain.eval()
        plain.update(force=True)
        return plain


def bits_of(likelihood: Tensor) -> Tensor:
    """Information of each channel in bits, (B, C), from the likelihoods of its elements (B, C, h, w)."""
    return -torch.log2(likelihood).flatten(2).sum(2)


@torch.no_grad()
def widen(narrow: Backbone) -> Backbone:
    """The same function with mbt2018-mean's full widths: new channels listen at random and are not yet heard."""
    full = Backbone(scr=narrow.scr, mca=narrow.aggregation is not None, lambdas=narrow.lambdas)
    own = full.state_dict()
    heard = {f"model.g_a.{i}.weight": 1 for i in (2, 4, 6)} | {f"model.g_s.{i}.weight": 0 for i in (2, 4, 6)}
    for name, small in narrow.state_dict().items():
        wide = own[name]
        if wide.shape != small.shape:
            if name in heard:  # what reads a new channel starts at zero
                axis = heard[name]
                wide.narrow(axis, small.shape[axis], wide.shape[axis] - small.shape[axis]).zero_()
            if name.endswith("gamma"):  # no new channel divides an old one
                wide[: small.shape[0], small.shape[1] :] = full.model.g_a[1].gamma_reparam.init(torch.zeros(1))
            wide[tuple(slice(0, n) for n in small.shape)] = small
        else:
            wide.copy_(small)
    full.load_state_dict(own)
    return full
