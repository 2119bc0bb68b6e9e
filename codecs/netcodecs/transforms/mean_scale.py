"""The hyperprior of mbt2018-mean, from CompressAI, behind the interface of ``netcodecs.transforms.hyperprior``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from netcodecs.compressai_import import compressai

__all__ = ["MeanScaleHyperprior", "bits_of"]


def bits_of(likelihood: Tensor) -> Tensor:
    """Information in bits, elementwise."""
    return -torch.log2(likelihood)


class MeanScaleHyperprior(nn.Module):
    """h_a, h_s and entropy models of mbt2018-mean (Minnen et al. 2018, without the autoregressive part).

    Args:
        channels: M, of the latent.
        hyper_channels: N, of the hyperprior.
    """

    def __init__(self, channels: int, hyper_channels: int) -> None:
        super().__init__()
        model = compressai.models.MeanScaleHyperprior(hyper_channels, channels)
        self.h_a, self.h_s = model.h_a, model.h_s
        self.entropy_bottleneck, self.gaussian_conditional = model.entropy_bottleneck, model.gaussian_conditional

    @property
    def medians(self) -> Tensor:
        """Median of each hyperprior channel, (1, N, 1, 1)."""
        quantiles: Tensor = self.entropy_bottleneck.quantiles
        return quantiles[:, 0, 1].detach().reshape(1, -1, 1, 1)

    def rate(self, latent: Tensor, sent_hyper: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """See ``netcodecs.transforms.hyperprior.Hyperprior.rate``. A channel that is not sent is its median."""
        hyper = self.h_a(latent)
        hyper_bits = bits_of(self.entropy_bottleneck(hyper)[1]).flatten(2).sum(2)
        rounded = compressai.ops.quantize_ste(hyper - self.medians)
        if sent_hyper is not None:
            rounded, hyper_bits = rounded * sent_hyper[:, :, None, None], hyper_bits * sent_hyper
        scales, means = self.h_s(rounded + self.medians).chunk(2, 1)
        return self._bits(latent, scales, means), hyper_bits, compressai.ops.quantize_ste(latent - means) + means

    def _bits(self, latent: Tensor, scales: Tensor, means: Tensor) -> Tensor:
        """Bits of each element; gradients as in ``netcodecs.transforms.hyperprior.GaussianBits``."""
        conditional = self.gaussian_conditional
        if not self.training:
            return bits_of(conditional(latent, scales, means=means)[1])
        rounded = torch.round(latent - means).detach() + means.detach()
        coded = bits_of(conditional(rounded, scales, means=means.detach(), training=False)[1])
        noisy = bits_of(conditional(latent, scales.detach(), means=means)[1])
        return coded + noisy - noisy.detach()
