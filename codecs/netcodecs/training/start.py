"""A start from signal theory: before its first step, the network is a lapped-transform codec.

Trained from random weights a transform coder spends its first day learning what a textbook knows. Here g_a begins as
an orthonormal 16-band lapped transform of luma and chroma (LOT with the optimal orthogonal factor, Malvar & Staelin
1989, "The LOT: transform coding without blocking effects", eq. 12-16) and g_s as its transpose:

- g_a's first three layers turn the picture into block DCTs of 2×2, 4×4 and 8×8 pixels, each from the last; where a
  layer has too few channels for all of them, the bands of highest frequency are left out, chroma first;
- the fourth layer, 5×5 with stride 2, sees 40×40 pixels: enough for the 32×32 of a lapped transform with 16 bands;
  it holds the 192 bands with the largest variance on the training pictures, largest first;
- GDN is the identity but for a small γ; weights that the start does not need keep a few per cent of their usual size;
- the latent's unit is the quantisation step Δ = √(12 D), D = 3/(2 ln 2 · λ · 255²), where a bit more and the
  distortion it saves weigh the same in λ·255²·MSE + bpp.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from netcodecs.progressive.backbone import LAMBDAS, Backbone, M
from netsim.errors import InputError

__all__ = ["lapped_start", "lapped_transform", "quantiser_step"]

_COLOUR = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])  # luma, two chroma: orthonormal
_LEAST = (12, 48, 128)  # channels of 2×2 and 4×4 colour blocks, and those kept of 8×8
_BANDS = (48, 40, 40)  # bands of luma and of each chroma kept at 8×8, of 64 each, where 128 channels are to be had


def quantiser_step(lam: float) -> float:
    """Δ in units of the picture's range, for λ·255²·MSE + bpp at high rate.

    >>> round(255 * quantiser_step(0.0067), 1)
    62.3
    """
    return math.sqrt(12 * 3 / (2 * math.log(2) * lam * 255**2))


def _dct(size: int) -> NDArray[np.float64]:
    """Orthonormal DCT-II, one basis vector per row."""
    k, n = np.mgrid[:size, :size]
    matrix = np.sqrt(2 / size) * np.cos(np.pi * (2 * n + 1) * k / (2 * size))
    matrix[0] /= np.sqrt(2)
    return matrix


def lapped_transform(bands: int = 16, correlation: float = 0.95) -> NDArray[np.float64]:
    """The lapped orthogonal transform: (bands, 2·bands), each row a basis function, lowest frequency first.

    correlation: of neighbouring pixels, for which the odd functions are decorrelated. Rows are orthonormal, and
    orthogonal to the rows of the neighbouring blocks (shifted by ``bands``).

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


def _blocks(size: int, channels: int) -> NDArray[np.float64]:
    """Basis of the kept DCT bands of a size × size colour block: (≤ channels, 3, size, size), zigzag, luma first."""
    dct = _dct(size)
    order = sorted(np.ndindex(size, size), key=lambda uv: (uv[0] + uv[1], max(uv)))
    kept = (size * size,) * 3 if channels >= 3 * size * size else _BANDS
    planes = [np.einsum("c,i,j->cij", _COLOUR[p], dct[u], dct[v]) for p in range(3) for u, v in order[: kept[p]]]
    return np.array(planes)


def _taps(basis: NDArray[np.float64], parts: NDArray[np.float64], before: int) -> NDArray[np.float64]:
    """Kernel of a stride-2 convolution that makes ``basis`` from ``parts``: (bands, parts, 5, 5).

    basis: (bands, 3, W, W) pixels; parts: (parts, 3, w, w), orthonormal blocks of half the stride's size; before: how
    many such blocks the basis functions begin ahead of the block they belong to.
    """
    size = parts.shape[-1]
    kernel = np.zeros((len(basis), len(parts), 5, 5))
    for i, j in np.ndindex(basis.shape[-1] // size, basis.shape[-1] // size):
        patch = basis[:, :, i * size : (i + 1) * size, j * size : (j + 1) * size]
        kernel[:, :, 2 - before + i, 2 - before + j] = np.einsum("bcij,pcij->bp", patch, parts)
    return kernel


def _lapped_bands(pictures: NDArray[np.float64]) -> NDArray[np.float64]:
    """The M two-dimensional lapped basis functions of largest variance on pictures (B, 3, H, W): (M, 3, 32, 32)."""
    rows = lapped_transform()
    colour = np.einsum("pc,bchw->bphw", _COLOUR, pictures - 0.5)
    kernel = np.einsum("ui,vj->uvij", rows, rows).reshape(256, 1, 32, 32)
    planes = torch.from_numpy(colour.reshape(-1, 1, *colour.shape[2:]))
    bands = nn.functional.conv2d(planes, torch.from_numpy(kernel), stride=16)
    energy = bands.square().mean((2, 3)).reshape(-1, 3, 16, 16).mean(0).numpy()
    chosen = np.argsort(energy, axis=None)[::-1][:M]
    plane, down, across = np.unravel_index(chosen, energy.shape)
    return np.einsum("bc,bi,bj->bcij", _COLOUR[plane], rows[down], rows[across])


def _place(layer: nn.Module, kernel: NDArray[np.float64], quiet: float) -> None:
    """Writes a kernel into a layer's first channels; weights beside it shrink to ``quiet`` of their usual size.

    Channels that the kernel does not fill keep their usual weights where they listen to the kernel's inputs.
    """
    weight = layer.weight
    assert isinstance(weight, nn.Parameter)
    first, second = kernel.shape[:2]
    weight[:first] *= quiet
    weight[first:, second:] *= quiet
    weight[:first, :second] += torch.from_numpy(kernel).float()


@torch.no_grad()
def lapped_start(backbone: Backbone, pictures: Tensor, *, quiet: float = 0.03, gamma: float = 0.002) -> None:
    """Turns a fresh backbone into the lapped-transform codec of this module's head, in place.

    pictures: (B, 3, H, W), 0…1, H and W multiples of 64: a few training crops, from which the bands are chosen and the
    latent's mean and standard deviation are measured (the hyper-decoder's first answer).
    Raises InputError if the backbone is too narrow for the block transforms.
    quiet: size of the weights that the start does not need, as a share of their usual size. gamma: GDN's diagonal.
    """
    widths = backbone.widths
    if any(width < least for width, least in zip(widths, _LEAST, strict=True)):
        raise InputError(f"widths {widths} are too narrow for the block transforms", hint=f"at least {_LEAST}")
    pixels = np.eye(3)[:, :, None, None]  # basis of a 1×1 block: its red, green and blue
    bases = [pixels, *(_blocks(2 ** (i + 1), width) for i, width in enumerate(widths))]
    bands = _lapped_bands(pictures.numpy().astype(np.float64))
    kernels = [_taps(bases[i + 1], bases[i], 0) for i in range(3)] + [_taps(bands, bases[3], 1)]
    step = quantiser_step(LAMBDAS[-1])
    analysis, synthesis = backbone.model.g_a, backbone.model.g_s
    for i, kernel in enumerate(kernels):
        unit = step if i == 3 else 1.0
        _place(analysis[2 * i], kernel / unit, quiet)
        _place(synthesis[6 - 2 * i], kernel * unit, quiet)
        analysis[2 * i].bias.zero_()
        synthesis[6 - 2 * i].bias.zero_()
    analysis[0].bias[: len(kernels[0])] = torch.from_numpy(-0.5 * kernels[0].sum((1, 2, 3))).float()
    synthesis[6].bias.fill_(0.5)
    for norm in (*analysis[1::2], *synthesis[1::2]):
        norm.gamma.copy_(norm.gamma_reparam.init(gamma * torch.eye(len(norm.gamma))))
    latent = analysis(pictures)
    last = backbone.model.h_s[-1]
    last.weight.mul_(quiet)
    last.bias[:M] = latent.std((0, 2, 3))
    last.bias[M:] = latent.mean((0, 2, 3))
