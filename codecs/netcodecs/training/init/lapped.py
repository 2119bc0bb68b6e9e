"""Initialises a residual network as a lapped-transform codec.

Trained from random weights a transform coder spends its first day learning what textbooks describe. Here g_a starts
as an orthonormal 16-band lapped transform of luma and chroma (LOT with the optimal orthogonal factor, Malvar & Staelin
1989, "The LOT: transform coding without blocking effects", eq. 12-16) and g_s as its transpose:

- the first 1×1 convolution is the colour DCT of 8×8 pixels;
- the 4×4 convolution of stride 2 makes the lapped bands of largest variance from 4×4 such blocks;
- residual blocks start as the identity, their first layer scaled to inputs of unit variance;
- the hyperprior's linear path starts with the local means of the smoothest channels and the principal components of
  the local log-magnitudes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from netcodecs.progressive.backbone import Backbone
from netcodecs.transforms.blocks import ResidualBlock, whiten
from netcodecs.transforms.hyperprior import HyperAnalysis, Hyperprior
from netcodecs.transforms.residual import BLOCK, REFERENCE_LAMBDA, step_size

__all__ = ["initialise_lapped", "lapped_transform"]

Floats = NDArray[np.float64]

_COLOUR = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])  # luma, two chroma: orthonormal
_QUIET = 0.03  # size of weights that the transform does not need, as a share of their usual size
_MEANS, _SMOOTH = 6, 0.55  # most channels whose local mean is sent; largest share of variance left without it
_COMPONENTS, _LEAST_DEVIATION = 48, 0.8  # of log-magnitudes; in hyperprior steps


def _dct(size: int) -> NDArray[np.float64]:
    """Orthonormal DCT-II, one basis vector per row."""
    k, n = np.mgrid[:size, :size]
    matrix = np.sqrt(2 / size) * np.cos(np.pi * (2 * n + 1) * k / (2 * size))
    matrix[0] /= np.sqrt(2)
    return matrix


def lapped_transform(bands: int = 16, correlation: float = 0.95) -> NDArray[np.float64]:
    """The lapped orthogonal transform.

    Args:
        bands: Number of basis functions.
        correlation: Of neighbouring pixels, for which the odd functions are decorrelated.

    Returns:
        (bands, 2·bands), each row a basis function, lowest frequency first. Rows are orthonormal, and orthogonal to the
        rows of the neighbouring blocks (shifted by ``bands``).

    >>> t = lapped_transform(4); bool(np.allclose(t @ t.T, np.eye(4))) and bool(np.allclose(t[:, 4:] @ t[:, :4].T, 0))
    True
    """
    dct = _dct(bands)
    difference = (dct[0::2] - dct[1::2]) / 2
    mirrored = difference[:, ::-1]
    start = np.vstack([np.hstack([difference, mirrored]), np.hstack([difference, -mirrored])])
    positions = np.arange(2 * bands)
    covariance = start @ (correlation ** np.abs(np.subtract.outer(positions, positions))) @ start.T
    half = bands // 2
    rotated = start.copy()
    for part in (slice(0, half), slice(half, bands)):
        _, vectors = np.linalg.eigh(covariance[part, part])
        rotated[part] = vectors.T[::-1] @ start[part]
    crossings = [np.count_nonzero(np.diff(np.sign(row[np.abs(row) > 1e-9]))) for row in rotated]
    return rotated[np.argsort(crossings, kind="stable")]


def _block_transform() -> Floats:
    """The colour DCT of 8×8 blocks: (192, 192), rows in order of frequency, columns as ``pixel_unshuffle`` has them."""
    dct = _dct(BLOCK)
    every = [(u, v, plane) for u in range(BLOCK) for v in range(BLOCK) for plane in range(3)]
    every.sort(key=lambda band: (band[0] + band[1] + (4 if band[2] else 0), band[2], max(band[0], band[1])))
    return np.array([np.einsum("c,i,j->cij", _COLOUR[p], dct[u], dct[v]).ravel() for u, v, p in every])


def _lapped_kernel(images: Floats, blocks: Floats, count: int) -> Floats:
    """(count, 192, 4, 4): from 8×8 colour DCTs to the lapped bands of largest variance on ``images``."""
    rows = lapped_transform()
    colour = np.einsum("pc,bchw->bphw", _COLOUR, images - 0.5)
    kernel = torch.from_numpy(np.einsum("ui,vj->uvij", rows, rows).reshape(256, 1, 32, 32))
    bands = functional.conv2d(torch.from_numpy(colour.reshape(-1, 1, *colour.shape[2:])), kernel, stride=16)
    energy = bands.square().mean((2, 3)).reshape(-1, 3, 256).mean(0).numpy()
    plane, down, across = np.unravel_index(np.argsort(energy, axis=None)[::-1][:count], (3, 16, 16))
    basis = np.einsum("bc,bi,bj->bcij", _COLOUR[plane], rows[down], rows[across])
    made = np.zeros((count, len(blocks), 4, 4))
    for i, j in np.ndindex(4, 4):
        patch = basis[:, :, BLOCK * i : BLOCK * (i + 1), BLOCK * j : BLOCK * (j + 1)]
        made[:, :, i, j] = patch.reshape(count, -1) @ blocks.T
    return made


def _bias(layer: nn.Module) -> Tensor:
    bias = layer.bias
    assert isinstance(bias, Tensor)
    return bias


def _weight(layer: nn.Module) -> Tensor:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


def _whitened(blocks: Sequence[nn.Module], features: Tensor) -> Tensor:
    """Whitens blocks that follow each other; new ones are the identity."""
    for block in blocks:
        assert isinstance(block, ResidualBlock)
        whiten(block, features)
    return features


@torch.no_grad()
def initialise_lapped(network: Backbone, images: Tensor) -> None:
    """Turns a new network of kind ``residual`` into the codec that this module's head describes, in place.

    Args:
        network: With the λ ``REFERENCE_LAMBDA`` among its own.
        images: (B, 3, H, W), 0…1, H and W multiples of 64: some training crops.
    """
    parts = [list(transform.children()) for transform in (network.g_a, network.g_s)]
    middle = [next(i for i, m in enumerate(p) if i and isinstance(m, nn.Conv2d | nn.ConvTranspose2d)) for p in parts]
    (first, *_, last), (inputs, *_, outputs) = parts
    down, up = parts[0][middle[0]], parts[1][middle[1]]
    blocks = _block_transform()
    kernel = torch.from_numpy(_lapped_kernel(images.double().numpy(), blocks, _weight(down).shape[0])).float()
    transform = torch.from_numpy(blocks).float()
    bands = _weight(last).shape[0]
    for layer in (first, down, last, inputs, up, outputs):
        _weight(layer).mul_(_QUIET)
        _bias(layer).zero_()
    _weight(first)[: len(blocks), :, 0, 0] += transform
    _weight(outputs)[:, : len(blocks), 0, 0] += transform.T
    offset = (128 - 127.5) / 255 / step_size(REFERENCE_LAMBDA)  # the transform is of pixels around the middle
    _bias(first)[: len(blocks)] = transform.sum(1) * offset
    _bias(outputs).sub_(offset)
    _weight(down)[:, : len(blocks)] += kernel
    _weight(up)[:, : len(blocks)] += kernel
    _weight(last)[:, :bands, 0, 0] += torch.eye(bands)
    _weight(inputs)[:bands, :, 0, 0] += torch.eye(bands)

    pixels = network.g_a.pixels(images)  # type: ignore[operator]
    features = _whitened(parts[0][1 : middle[0]], first(pixels))
    features = _whitened(parts[0][middle[0] + 1 : -1], down(features))
    latent = last(features)
    assert isinstance(network.hyper, Hyperprior)
    decoded = _initialise_hyperprior(network.hyper, latent)
    features = _whitened(parts[1][1 : middle[1]], inputs(decoded))
    _whitened(parts[1][middle[1] + 1 : -1], up(features))


@torch.no_grad()
def _initialise_hyperprior(hyper: Hyperprior, latent: Tensor) -> Tensor:
    """Starts a new hyperprior on a latent (B, M, h, w); returns the latent as a decoder has it."""
    analysis, synthesis, channels = hyper.analysis, hyper.synthesis, latent.shape[1]
    for layer in (analysis.down_64, synthesis.outputs):
        _weight(layer).mul_(0.02)
        _bias(layer).zero_()
    _weight(analysis.inputs).div_(latent.std((0, 2, 3))[None, :, None, None] + 0.3)
    for layer in (analysis.linear, synthesis.linear):
        _weight(layer).zero_()
        _bias(layer).zero_()
    used = _send_means(hyper, latent)
    _send_magnitudes(hyper, latent, used)
    hyper_latent = torch.round(analysis(latent))
    log_scales, means = hyper.parameters_of(hyper_latent)
    off = (latent - means) / torch.exp(log_scales)
    _bias(synthesis.linear)[:channels] += 0.5 * torch.log(off.square().mean((0, 2, 3)) + 1e-3)
    features = analysis.inputs(latent)
    _whitened([analysis.block_16], features)
    features = analysis.down_32(functional.pixel_unshuffle(features, 2))
    _whitened([analysis.block_32], features)
    hyper_latent = torch.round(analysis(latent))
    features = functional.pixel_shuffle(synthesis.up_32(hyper_latent), 2)
    _whitened([synthesis.block_32], features)
    features = functional.pixel_shuffle(synthesis.up_16(features), 2)
    _whitened(list(synthesis.blocks_16), features)
    hyper.prior.fit(hyper_latent)
    means = hyper.parameters_of(hyper_latent)[1]
    return torch.round(latent - means) + means


def _send_means(hyper: Hyperprior, latent: Tensor) -> int:
    """Local means of the smoothest channels in the first hyperprior channels; returns how many."""
    analysis, synthesis, channels = hyper.analysis, hyper.synthesis, latent.shape[1]
    local = functional.interpolate(
        functional.avg_pool2d(latent, 4), scale_factor=4, mode="bilinear", align_corners=False
    )
    left, now, mean = (latent - local).var((0, 2, 3)), latent.var((0, 2, 3)), latent.mean((0, 2, 3))
    _bias(synthesis.linear)[channels:] = mean
    smooth = [int(c) for c in (left / now).argsort()[:_MEANS] if left[c] < _SMOOTH * now[c]]
    for place, channel in enumerate(smooth):
        step = 0.7 * math.sqrt(float(left[channel]))
        _weight(analysis.linear)[place, channel] = 1 / step
        _bias(analysis.linear)[place] = -mean[channel] / step
        _weight(synthesis.linear)[channels + channel, place] = step
    return len(smooth)


def _send_magnitudes(hyper: Hyperprior, latent: Tensor, first: int) -> None:
    """Principal components of local log-magnitudes in the hyperprior channels from ``first`` on."""
    analysis, synthesis, channels = hyper.analysis, hyper.synthesis, latent.shape[1]
    magnitudes = HyperAnalysis.statistics(latent)[:, channels:]
    mean = magnitudes.mean((0, 2, 3))
    rows = (magnitudes - mean[:, None, None]).permute(0, 2, 3, 1).reshape(-1, channels)
    variances, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
    variances, vectors = variances.flip(0), vectors.flip(1)
    count = min(int((variances.clamp(min=0).sqrt() > _LEAST_DEVIATION).sum()), _COMPONENTS)
    for component in range(count):
        place, vector = first + component, vectors[:, component]
        _weight(analysis.linear)[place, channels:, 0, 0] = vector
        _bias(analysis.linear)[place] = -(vector @ mean)
        _weight(synthesis.linear)[:channels, place, 0, 0] = vector
