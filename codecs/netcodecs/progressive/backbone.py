"""The backbone of the channel-progressive family: mbt2018-mean with learned gains, one set of weights for all rates.

The network is CompressAI's ``MeanScaleHyperprior`` (Minnen et al. 2018, without the autoregressive part; N = 128,
M = 192). In front of the hyperprior and of the quantiser each channel of the latent is multiplied by a learned gain,
and before the synthesis transform by a learned inverse gain (Cui et al., "Asymmetric gained deep image compression",
CVPR 2021, eq. 3-5). A gain belongs to a λ; between two λ it is interpolated. The gains fold into the last layer of
g_a and the first of g_s: :meth:`Backbone.at` gives a plain mbt2018-mean for one λ, so that all that comes after
(packets, SCR, MCA) deals with the published network and with nothing else, and a CompressAI checkpoint fits too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import netcodecs.compressai_import  # noqa: F401  (must come before compressai)
import torch
from compressai.layers import GDN
from compressai.models import MeanScaleHyperprior
from compressai.models.utils import conv, deconv
from compressai.ops import quantize_ste
from torch import Tensor, nn

from netsim.errors import InputError

__all__ = ["FULL_WIDTHS", "LAMBDAS", "M", "N", "Backbone", "Coded", "widen"]

LAMBDAS = (0.0018, 0.0035, 0.0067)  # paper 1, §4.1
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


def _analysis(widths: tuple[int, int, int]) -> nn.Sequential:
    first, second, third = widths
    return nn.Sequential(
        *(conv(3, first), GDN(first), conv(first, second), GDN(second), conv(second, third), GDN(third)),
        conv(third, M),
    )


def _synthesis(widths: tuple[int, int, int]) -> nn.Sequential:
    first, second, third = widths
    return nn.Sequential(
        *(deconv(M, third), GDN(third, inverse=True), deconv(third, second), GDN(second, inverse=True)),
        *(deconv(second, first), GDN(first, inverse=True), deconv(first, 3)),
    )


class Backbone(nn.Module):
    """mbt2018-mean with a gain vector per λ.

    widths: channels after g_a's first three layers (g_s mirrors them). (128, 128, 128) is mbt2018-mean; a narrower
        network trains several times as fast on a CPU and is brought to full width by :func:`widen`.
    """

    def __init__(self, widths: tuple[int, int, int] = FULL_WIDTHS) -> None:
        super().__init__()
        self.widths = widths
        self.model = MeanScaleHyperprior(N, M)
        if widths != FULL_WIDTHS:
            self.model.g_a, self.model.g_s = _analysis(widths), _synthesis(widths)
        # quantisation steps are proportional to 1/√λ at high rate, so that is where the gains start
        start = torch.tensor([0.5 * math.log(lam / LAMBDAS[-1]) for lam in LAMBDAS])
        self.log_gain = nn.Parameter(start[:, None].repeat(1, M))
        self.log_inverse_gain = nn.Parameter(-start[:, None].repeat(1, M))

    def gains(self, lam: Tensor) -> tuple[Tensor, Tensor]:
        """Gain and inverse gain for each λ of a batch, log-linear in λ between the trained ones.

        lam: (B,), within LAMBDAS' range. Returns two tensors (B, M, 1, 1).
        Raises InputError if a λ lies outside the trained range.
        """
        low, high = LAMBDAS[0], LAMBDAS[-1]
        if bool(((lam < low * (1 - 1e-6)) | (lam > high * (1 + 1e-6))).any()):
            raise InputError(f"λ = {lam.tolist()} lies outside the trained range", hint=f"from {low} to {high}")
        knots = torch.log(torch.tensor(LAMBDAS, device=lam.device))
        where = torch.log(lam.float())
        right = torch.bucketize(where, knots).clamp(1, len(LAMBDAS) - 1)
        share = ((where - knots[right - 1]) / (knots[right] - knots[right - 1])).clamp(0, 1)[:, None]
        both = (self.log_gain, self.log_inverse_gain)
        gain, inverse = (torch.exp(g[right - 1] * (1 - share) + g[right] * share) for g in both)
        return gain[:, :, None, None], inverse[:, :, None, None]

    def forward(self, picture: Tensor, lam: Tensor) -> Coded:
        """Code a batch as in training (train mode) or as a codec would (eval mode).

        picture: (B, 3, H, W), 0…1, H and W multiples of 64. lam: (B,).
        In train mode the likelihoods see additive uniform noise and g_s sees rounded latents with a straight-through
        gradient (Minnen & Singh 2020, §3.2): most of a low-rate latent rounds to zero, and noise would hide that.
        """
        model = self.model
        gain, inverse = self.gains(lam)
        latent = model.g_a(picture).float() * gain
        hyper = model.h_a(latent)
        _, hyper_likelihood = model.entropy_bottleneck(hyper)
        medians = model.entropy_bottleneck._get_medians()[None, :, :, 0].transpose(1, 0)[..., None]
        medians = medians.reshape(1, -1, 1, 1)
        scales, means = model.h_s(quantize_ste(hyper - medians) + medians).chunk(2, 1)
        _, likelihood = model.gaussian_conditional(latent, scales, means=means)
        received = quantize_ste(latent - means) + means
        bits = sum(-torch.log2(p).flatten(1).sum(1) for p in (likelihood, hyper_likelihood))
        assert isinstance(bits, Tensor)
        return Coded(model.g_s(received * inverse).float(), bits)

    @torch.no_grad()
    def at(self, lam: float) -> MeanScaleHyperprior:
        """Plain mbt2018-mean for one λ: the gains folded into g_a's last and g_s's first layer.

        lam: within LAMBDAS' range. Returns a new model in eval mode, its entropy tables made.
        """
        gain, inverse = (g.reshape(M) for g in self.gains(torch.tensor([lam])))
        full = self if self.widths == FULL_WIDTHS else widen(self)
        plain = MeanScaleHyperprior(N, M)
        plain.load_state_dict(full.model.state_dict())
        plain.g_a[-1].weight.mul_(gain[:, None, None, None])
        plain.g_a[-1].bias.mul_(gain)
        plain.g_s[0].weight.mul_(inverse[:, None, None, None])  # a transposed convolution: (in, out, 5, 5)
        plain.eval()
        plain.update(force=True)
        return plain


@torch.no_grad()
def widen(narrow: Backbone) -> Backbone:
    """The same function with mbt2018-mean's full widths: new channels listen at random and are not yet heard."""
    full = Backbone()
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
