"""The hyperprior of the residual networks: scales and means of a latent from a few rounded channels at stride 64."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from netcodecs.transforms.blocks import ResidualBlock, pointwise
from netcodecs.transforms.hyper_context import HyperContext

__all__ = ["LARGEST_SCALE", "LEAST_SCALE", "GaussianBits", "Hyperprior", "LogisticPrior", "gaussian_bits", "round_ste"]

LEAST_SCALE, LARGEST_SCALE = 0.11, 256.0
_RATIO = 4  # positions of the latent per hyperprior position, along each axis
_WIDTH = 192
_ENERGY_FLOOR = 0.1
_LEAST_LIKELIHOOD = 1e-9
_SQRT_HALF = math.sqrt(0.5)
_DENSITY_AT_0 = 1 / math.sqrt(2 * math.pi)


def round_ste(values: Tensor) -> Tensor:
    """Rounds; the gradient passes straight through."""
    return values + (torch.round(values) - values).detach()


def _tail(distance: Tensor) -> Tensor:
    """Probability that a standard normal variable exceeds ``distance``."""
    return 0.5 * torch.erfc(_SQRT_HALF * distance)


def _clamped(log_scales: Tensor) -> Tensor:
    return log_scales.clamp(math.log(LEAST_SCALE), math.log(LARGEST_SCALE))


def gaussian_bits(rounded: Tensor, log_scales: Tensor) -> Tensor:
    """Information of whole numbers under zero-mean normal distributions, in bits, elementwise."""
    scales, distance = torch.exp(_clamped(log_scales)), rounded.abs()
    mass = _tail((distance - 0.5) / scales) - _tail((distance + 0.5) / scales)
    return -torch.log2(mass.clamp(min=_LEAST_LIKELIHOOD))


class GaussianBits(torch.autograd.Function):
    """Bits of round(latent − means), with gradients that learn well at low rates.

    The value, and the gradient of the scales, are those of the rounded sample; the gradients of latent and means are
    those of a sample with uniform noise. At low rates nine of ten samples round to zero: noise would cost twice what
    their symbols cost. Far tails, where a probability underflows, get the slope of the nearest distribution that
    reaches them.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, *inputs: Tensor) -> Tensor:
        """latent, means, log_scales, noise (uniform in ±½), all of one shape → bits of that shape."""
        latent, means, log_scales, noise = inputs
        scales, distance = torch.exp(_clamped(log_scales)), latent - means
        rounded = torch.round(distance).abs()
        mass = _tail((rounded - 0.5) / scales) - _tail((rounded + 0.5) / scales)
        bits = -torch.log2(mass.clamp(min=_LEAST_LIKELIHOOD))
        low, high, near, far, mass, _ = _edges(rounded, scales)
        of_scales = (near * low - far * high) / mass / math.log(2)
        noisy = distance + noise
        _, _, near, far, mass, inverse = _edges(noisy.abs(), scales)
        of_latent = (near - far) * inverse / mass / math.log(2) * torch.sign(noisy)
        ctx.save_for_backward(of_latent, of_scales)
        return bits

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        of_latent, of_scales = ctx.saved_tensors  # type: ignore[attr-defined]
        gradient = gradients[0]
        return gradient * of_latent, -gradient * of_latent, gradient * of_scales, None


def _edges(distance: Tensor, scales: Tensor) -> tuple[Tensor, ...]:
    """A bin at ``distance`` ≥ 0 from the mean: both edges in standard deviations, the normal density at each, the
    bin's mass, and 1 / standard deviation."""
    inverse = 1 / torch.maximum(scales, (distance - 0.5) / 4)
    low, high = (0.5 - distance) * inverse, (-0.5 - distance) * inverse
    near, far = (torch.exp(-0.5 * edge * edge) * _DENSITY_AT_0 for edge in (low, high))
    return low, high, near, far, (_tail(-low) - _tail(-high)).clamp(min=_LEAST_LIKELIHOOD), inverse


class LogisticPrior(nn.Module):
    """A mixture of three logistic distributions for each channel of the hyperprior.

    Args:
        channels: N.
    """

    MIXTURES = 3

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(channels, self.MIXTURES))
        self.means = nn.Parameter(torch.zeros(channels, self.MIXTURES))
        self.log_scales = nn.Parameter(torch.zeros(channels, self.MIXTURES))

    @torch.no_grad()
    def fit(self, hyper: Tensor) -> None:
        """Starts from the mean and the spread of each channel of ``hyper``, (B, N, h, w)."""
        spread = hyper.std((0, 2, 3)).clamp(min=0.15)[:, None]
        self.means.copy_(hyper.mean((0, 2, 3))[:, None] + spread * torch.linspace(-0.7, 0.7, self.MIXTURES))
        self.log_scales.copy_((0.45 * spread).log().expand_as(self.log_scales))

    def bits(self, values: Tensor, *, learn: bool = True) -> Tensor:
        """Information of the unit interval around each value, in bits.

        Args:
            values: (B, N, h, w).
            learn: Whether the distribution gets gradients.
        """
        logits, means, log_scales = (
            (p if learn else p.detach())[:, None, None] for p in (self.logits, self.means, self.log_scales)
        )
        distance, inverse = (values[..., None] - means).abs(), torch.exp(-log_scales)
        mass = torch.sigmoid((0.5 - distance) * inverse) - torch.sigmoid((-0.5 - distance) * inverse)
        return -torch.log2((mass * logits.softmax(-1)).sum(-1).clamp(min=_LEAST_LIKELIHOOD))


class HyperAnalysis(nn.Module):
    """h_a: latent (B, M, h, w) → hyperprior (B, N, h/4, w/4).

    ::

        latent ─┬─► 1×1 ─► block ─► unshuffle 2, 1×1 ─► block ─► unshuffle 2, 1×1 ─► + ─► hyperprior
                └─► 4×4 mean of y, log(4×4 mean of |y| + .1) ─► 1×1 ───────────────► ┘
    """

    def __init__(self, channels: int, hyper_channels: int) -> None:
        super().__init__()
        self.inputs = pointwise(channels, _WIDTH)
        self.block_16 = ResidualBlock(_WIDTH)
        self.down_32 = pointwise(4 * _WIDTH, _WIDTH)
        self.block_32 = ResidualBlock(_WIDTH)
        self.down_64 = pointwise(4 * _WIDTH, hyper_channels)
        self.linear = pointwise(2 * channels, hyper_channels)

    @staticmethod
    def statistics(latent: Tensor) -> Tensor:
        """Local means and local log-magnitudes, (B, 2M, h/4, w/4)."""
        means = functional.avg_pool2d(latent, _RATIO)
        return torch.cat([means, torch.log(functional.avg_pool2d(latent.abs(), _RATIO) + _ENERGY_FLOOR)], 1)

    def forward(self, latent: Tensor) -> Tensor:
        features = self.block_16(self.inputs(latent))
        features = self.block_32(self.down_32(functional.pixel_unshuffle(features, 2)))
        features = self.down_64(functional.pixel_unshuffle(features, 2))
        return features.float() + _in_single(self.linear, self.statistics(latent.float()))


class HyperSynthesis(nn.Module):
    """h_s: rounded hyperprior (B, N, h, w) → log-scales and means, (B, 2M, 4h, 4w).

    ::

        hyperprior ─┬─► 1×1, shuffle 2 ─► block ─► 1×1, shuffle 2 ─► 2 blocks ─► 1×1 ─► + ─► log-scales, means
                    └─► 1×1 ─► bilinear ×4 ───────────────────────────────────────────► ┘

    Every operation is exact in fixed point (``netcodecs.transforms.fixed_point``).
    """

    def __init__(self, channels: int, hyper_channels: int) -> None:
        super().__init__()
        self.up_32 = pointwise(hyper_channels, 4 * _WIDTH)
        self.block_32 = ResidualBlock(_WIDTH)
        self.up_16 = pointwise(_WIDTH, 4 * _WIDTH)
        self.blocks_16 = nn.Sequential(ResidualBlock(_WIDTH), ResidualBlock(_WIDTH))
        self.outputs = pointwise(_WIDTH, 2 * channels)
        self.linear = pointwise(hyper_channels, 2 * channels)

    def forward(self, hyper: Tensor) -> Tensor:
        features = self.block_32(functional.pixel_shuffle(self.up_32(hyper), 2))
        features = self.blocks_16(functional.pixel_shuffle(self.up_16(features), 2))
        coarse = _in_single(self.linear, hyper)
        return _in_single(self.outputs, features) + functional.interpolate(
            coarse, scale_factor=_RATIO, mode="bilinear", align_corners=False
        )


def _in_single(layer: nn.Conv2d, values: Tensor) -> Tensor:
    """A layer in float32, also under autocast: log-scales and means need more than eight bits."""
    with torch.autocast(values.device.type, enabled=False):
        return functional.conv2d(values.float(), layer.weight, layer.bias)


class Hyperprior(nn.Module):
    """h_a, h_s and the hyperprior's own distribution.

    Args:
        channels: M, of the latent.
        hyper_channels: N, of the hyperprior.
    """

    def __init__(self, channels: int, hyper_channels: int) -> None:
        super().__init__()
        self.analysis = HyperAnalysis(channels, hyper_channels)
        self.synthesis = HyperSynthesis(channels, hyper_channels)
        self.prior = LogisticPrior(hyper_channels)
        self.context = HyperContext(hyper_channels)

    def parameters_of(self, hyper: Tensor) -> tuple[Tensor, Tensor]:
        """Log-scales and means of the latent, (B, M, 4h, 4w) each, from a rounded hyperprior (B, N, h, w)."""
        log_scales, means = self.synthesis(hyper).chunk(2, 1)
        return (
            log_scales.contiguous(memory_format=torch.channels_last),
            means.contiguous(memory_format=torch.channels_last),
        )

    def rate(self, latent: Tensor, sent_hyper: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Estimated bits, and the latent as a decoder has it.

        Args:
            latent: (B, M, h, w), h and w multiples of 4, in quantiser steps.
            sent_hyper: Hyperprior channels that are sent, bool (B, N); the others are zero and cost nothing.

        Returns:
            Bits of each element (B, M, h, w); bits of the hyperprior's channels (B, N); the dequantised latent.
        """
        hyper = self.analysis(latent)
        rounded = round_ste(hyper)
        if sent_hyper is not None:
            rounded = rounded * sent_hyper[:, :, None, None]
        log_scales, means = self.parameters_of(rounded)
        if self.training:
            bits: Tensor = GaussianBits.apply(latent, means, log_scales, torch.rand_like(latent) - 0.5)
            hyper_bits = self._learning_bits(hyper)
        else:
            bits, hyper_bits = gaussian_bits(torch.round(latent - means), log_scales), self.prior.bits(rounded)
        per_channel = hyper_bits.flatten(2).sum(2)
        if sent_hyper is not None:
            per_channel = per_channel * sent_hyper
        return bits, per_channel, round_ste(latent - means) + means

    def _learning_bits(self, hyper: Tensor) -> Tensor:
        """Bits of the rounded hyperprior: the prior learns from rounded values, h_a from noisy ones."""
        noisy = self.prior.bits(hyper + torch.rand_like(hyper) - 0.5, learn=False)
        return self.prior.bits(torch.round(hyper).detach()) + noisy - noisy.detach()
