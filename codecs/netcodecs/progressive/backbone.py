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
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from netcodecs.compressai_import import compressai
from netsim.errors import InputError

__all__ = ["FULL_WIDTHS", "LAMBDAS", "SHIPPED", "Backbone", "Coded", "M", "N", "load_backbone", "widen"]

LAMBDAS = (0.0018, 0.0035, 0.0067)  # paper 1, §4.1
N, M = 128, 192
FULL_WIDTHS = (N, N, N)
SHIPPED = Path(__file__).parents[1] / "weights" / "mbt-mean.safetensors"


@dataclass(frozen=True)
class Coded:
    """What one pass through the network gives: all that the loss needs.

    picture:  reconstruction, (B, 3, H, W), nominally 0…1, not clamped.
    bits:     estimated bits of each image, latent and hyperprior, (B,).
    """

    picture: Tensor
    bits: Tensor


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
    """mbt2018-mean with a gain vector per λ.

    widths: channels after g_a's first three layers (g_s mirrors them). (128, 128, 128) is mbt2018-mean; a narrower
        network trains several times as fast on a CPU and is brought to full width by :func:`widen`.
    """

    def __init__(self, widths: tuple[int, int, int] = FULL_WIDTHS) -> None:
        super().__init__()
        self.widths = widths
        self.model = compressai.models.MeanScaleHyperprior(N, M)
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
        medians = model.entropy_bottleneck.quantiles[:, 0, 1].detach().reshape(1, -1, 1, 1)
        scales, means = model.h_s(compressai.ops.quantize_ste(hyper - medians) + medians).chunk(2, 1)
        _, likelihood = model.gaussian_conditional(latent, scales, means=means)
        received = compressai.ops.quantize_ste(latent - means) + means
        bits = sum(-torch.log2(p).flatten(1).sum(1) for p in (likelihood, hyper_likelihood))
        assert isinstance(bits, Tensor)
        return Coded(model.g_s(received * inverse).float(), bits)

    @torch.no_grad()
    def at(self, lam: float) -> compressai.models.MeanScaleHyperprior:
        """Plain mbt2018-mean for one λ: the gains folded into g_a's last and g_s's first layer.

        lam: within LAMBDAS' range. Returns a new model in eval mode, its entropy tables made.
        """
        gain, inverse = (g.reshape(M) for g in self.gains(torch.tensor([lam])))
        full = self if self.widths == FULL_WIDTHS else widen(self)
        plain = compressai.models.MeanScaleHyperprior(N, M)
        plain.load_state_dict(full.model.state_dict())
        plain.g_a[-1].weight.mul_(gain[:, None, None, None])
        plain.g_a[-1].bias.mul_(gain)
        plain.g_s[0].weight.mul_(inverse[:, None, None, None])  # a transposed convolution: (in, out, 5, 5)
        plain.eval()
        plain.update(force=True)
        return plain


def load_backbone(path: Path | None = None) -> Backbone:
    """A backbone from exported weights (``netcodecs.training.export``), in eval mode.

    path: a safetensors file; the weights that ship with the package if None.
    Raises InputError if the file is missing or holds other tensors than a backbone's.
    """
    path = SHIPPED if path is None else path
    if not path.is_file():
        raise InputError(f"no weights at {path}", hint="train and export them: docs/training.md")
    backbone = Backbone()
    own = backbone.state_dict()
    tables = {name for name, value in own.items() if not value.numel() or name.endswith("scale_table")}
    tensors = load_file(path)
    if set(tensors) != set(own) - tables:
        wrong = sorted(set(tensors) ^ (set(own) - tables))[0]
        raise InputError(f"{path.name} does not hold this backbone's weights: {wrong}", hint="export them anew")
    backbone.load_state_dict(own | {name: value.float() for name, value in tensors.items()})
    return backbone.eval()


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
