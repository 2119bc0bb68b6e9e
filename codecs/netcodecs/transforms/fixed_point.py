"""Hyper-synthesis in fixed point: the same entropy parameters to the last bit at both ends.

A decoder must find the very distributions that the encoder coded with, on any machine, with any number of threads.
Floating-point sums depend on the order of adding, so here no sum is rounded: weights and activations are multiples of
2⁻¹⁶ and bounded such that every partial sum has at most 53 bits, which float64 adds exactly (after Ballé, Johnston &
Minnen, "Integer networks for data compression with latent-variable models", ICLR 2019, whose networks are trained for
it; here a trained network is rounded, and 2⁻¹⁶ is far below what matters).
"""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from netcodecs.transforms.blocks import LEAKY_SLOPE, ResidualBlock
from netcodecs.transforms.hyperprior import LARGEST_SCALE, LEAST_SCALE, HyperSynthesis

__all__ = [
    "SCALE_COUNT",
    "ExactLayers",
    "ExactMeanScale",
    "ExactResidual",
    "log_scale_step",
    "scale_indexes",
    "scale_steps",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GRID_BITS = 16
SCALE_COUNT = 64  # standard deviations that have a table
_SUM_BITS = 53 - 2 * GRID_BITS - 1  # in front of the binary point, of a sum of products


def _rounded(values: Tensor) -> Tensor:
    """To the grid, half to even: adds and subtracts a number whose last bit has the weight 2⁻¹⁶."""
    anchor = 1.5 * 2.0 ** (52 - GRID_BITS)
    return values.add(anchor).sub_(anchor)


def _bound(weight: Tensor) -> float:
    """Inputs up to this size keep sums of products exact. weight: (out, ...)."""
    return math.floor(2.0**_SUM_BITS / float(weight.abs().flatten(1).sum(1).max().clamp(min=1.0)))


def scale_steps() -> Floats:
    """Standard deviations that have a table, (64,), log-spaced: CompressAI's."""
    return np.exp(np.linspace(math.log(LEAST_SCALE), math.log(LARGEST_SCALE), SCALE_COUNT))


def log_scale_step() -> float:
    """From one of ``scale_steps`` to the next, in natural logarithms."""
    return math.log(LARGEST_SCALE / LEAST_SCALE) / (SCALE_COUNT - 1)


def scale_indexes(scales: Floats) -> Ints:
    """Number of the table of each standard deviation: that of the least of ``scale_steps`` which is not smaller."""
    return np.searchsorted(scale_steps()[:-1], scales, side="left")


class _Pointwise:
    """A 1×1 convolution; (C, h, w) → (out, h, w), off the grid."""

    def __init__(self, layer: nn.Conv2d) -> None:
        assert layer.bias is not None
        self._weight = _rounded(layer.weight.detach().double().flatten(1))
        self._bias = _rounded(layer.bias.detach().double())[:, None]
        self._bound = _bound(self._weight)

    def __call__(self, features: Tensor) -> Tensor:
        given = _rounded(features.flatten(1)).clamp_(-self._bound, self._bound)
        return torch.addmm(self._bias, self._weight, given).view(-1, *features.shape[1:])


class _Depthwise:
    """A 3×3 depthwise convolution as nine products."""

    def __init__(self, layer: nn.Conv2d) -> None:
        assert layer.bias is not None
        self._weight = _rounded(layer.weight.detach().double())[:, 0, :, :, None, None]
        self._bias = _rounded(layer.bias.detach().double())[:, None, None]
        self._bound = _bound(self._weight)

    def __call__(self, features: Tensor) -> Tensor:
        height, width = features.shape[1:]
        given = functional.pad(_rounded(features).clamp_(-self._bound, self._bound), (1, 1, 1, 1))
        total = self._bias.expand(features.shape).clone()
        for row in range(3):
            for column in range(3):
                part = given[:, row : row + height, column : column + width]
                total.addcmul_(part, self._weight[:, row, column])
        return total


class _Block:
    def __init__(self, block: ResidualBlock) -> None:
        self._depthwise = _Depthwise(block.depthwise)
        self._expand, self._project = _Pointwise(block.expand), _Pointwise(block.project)

    def __call__(self, features: Tensor) -> Tensor:
        features = _rounded(features)
        wide = functional.leaky_relu(_rounded(self._expand(self._depthwise(features))), LEAKY_SLOPE)
        return features + self._project(wide)


class ExactResidual:
    """``HyperSynthesis`` in fixed point."""

    def __init__(self, network: HyperSynthesis) -> None:
        network = copy.deepcopy(network).cpu().eval()
        self._up_32, self._up_16 = _Pointwise(network.up_32), _Pointwise(network.up_16)
        self._outputs, self._linear = _Pointwise(network.outputs), _Pointwise(network.linear)
        self._block_32 = _Block(network.block_32)
        self._blocks_16 = [_Block(block) for block in network.blocks_16 if isinstance(block, ResidualBlock)]
        steps = np.log(scale_steps())[:-1] * 2**GRID_BITS
        self._thresholds = np.rint(steps) / 2**GRID_BITS  # on the grid: an inexact logarithm can't change a comparison

    @torch.no_grad()
    def __call__(self, symbols: Ints) -> tuple[Ints, Floats]:
        """Table indexes and means, (M, 4h, 4w) each, from the hyperprior's symbols (N, h, w)."""
        hyper = torch.from_numpy(symbols).double()
        features = self._block_32(functional.pixel_shuffle(self._up_32(hyper), 2))
        features = functional.pixel_shuffle(self._up_16(features), 2)
        for block in self._blocks_16:
            features = block(features)
        coarse = _rounded(self._linear(hyper))[None]  # bilinear taps are multiples of 1/64: exact
        fine = functional.interpolate(coarse, scale_factor=4, mode="bilinear", align_corners=False)[0]
        log_scales, means = _rounded(_rounded(self._outputs(features)) + _rounded(fine)).chunk(2, 0)
        return np.searchsorted(self._thresholds, log_scales.numpy(), side="left"), means.numpy()


class ExactLayers:
    """Convolutions, activations and pixel shuffles in fixed point.

    Every convolution reads multiples of 2⁻¹⁶ that are bounded such that no sum can round, so its output does not depend
    on the order of adding. An activation is one IEEE operation per element.

    Args:
        layers: ``Conv2d``, ``ConvTranspose2d`` (each with a bias), ReLU, leaky ReLU and ``PixelShuffle``, also in
            nested ``Sequential``.
    """

    def __init__(self, layers: nn.Module) -> None:
        network = copy.deepcopy(layers).cpu().double().eval()
        self._layers = [layer for layer in network.modules() if not isinstance(layer, nn.Sequential)]
        self._bounds: dict[nn.Module, float] = {}
        for layer in self._layers:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                assert layer.bias is not None
                for parameter in (layer.weight, layer.bias):
                    parameter.data = _rounded(parameter.data)
                outputs = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
                self._bounds[layer] = _bound(layer.weight.detach().transpose(0, outputs))
            else:
                assert isinstance(layer, nn.ReLU | nn.LeakyReLU | nn.PixelShuffle), layer

    @torch.no_grad()
    def __call__(self, values: Tensor) -> Tensor:
        """(B, C, h, w) → the layers' output, float64, multiples of 2⁻¹⁶."""
        values = values.double().clone()  # activations may work in place
        for layer in self._layers:
            if (bound := self._bounds.get(layer)) is not None:
                values = _rounded(values.clamp(-bound, bound))
            values = layer(values)
        return _rounded(values)


class ExactMeanScale:
    """mbt2018-mean's h_s in fixed point.

    Args:
        layers: Convolutions, transposed convolutions and leaky ReLUs.
        medians: Of the hyperprior's channels, (1, N, 1, 1): what a symbol of zero stands for.
    """

    def __init__(self, layers: nn.Sequential, medians: Tensor) -> None:
        self._layers, self._medians = ExactLayers(layers), medians.detach().cpu().double()

    @torch.no_grad()
    def __call__(self, symbols: Ints) -> tuple[Ints, Floats]:
        """Table indexes and means, (M, 4h, 4w) each, from the hyperprior's symbols (N, h, w)."""
        scales, means = self._layers(torch.from_numpy(symbols).double()[None] + self._medians)[0].chunk(2, 0)
        return scale_indexes(scales.numpy()), means.numpy()
