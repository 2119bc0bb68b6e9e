"""Fits entropy coding to real symbols, at export: training needs none of it.

The latent's distributions move with neighbours (``LatentContext``), and the tables follow counted symbols; the
hyperprior's follow earlier symbols (``HyperContext``).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.transforms import Transforms
from netcodecs.training.core.fitting import minimise
from netcodecs.transforms.contexts import neighbours
from netcodecs.transforms.fixed_point import scale_steps
from netcodecs.transforms.hyper_context import HyperContext
from netcodecs.transforms.hyperprior import Hyperprior
from netcodecs.transforms.latent_coder import LatentCoder
from netcodecs.transforms.latent_context import LatentContext

__all__ = ["fit_entropy_coding"]

Ints = NDArray[np.int64]

_LATENT_IMAGES, _SIDE = 24, 512  # all symbols of these are kept at once: photos of many megapixels are cut
_LEAST_LATENT_PLACES, _LEAST_HYPER_PLACES = 20_000, 1_000  # of different images; fits to fewer cost bits on others
_QUALITIES, _GOLDEN = 4, 0.618  # of an image; from one image to the next, so that they cover the range
_LATENT_STEPS, _LATENT_BATCH, _LATENT_RATE = 400, 1024, 5e-3
_HYPER_STEPS, _HYPER_BATCH, _HYPER_RATE = 1500, 512, 1e-2
_MOST_LATENT_SHIFT, _MOST_HYPER_LOG_SCALE = 1.0, 3.0  # of log-scales, while fitting
_LEAST_LIKELIHOOD = 1e-9


def fit_entropy_coding(network: Backbone, images: Sequence[NDArray[np.uint8]]) -> None:
    """Fits a network's contexts and counts its symbols.

    Args:
        network: In eval mode; its buffers are changed.
        images: uint8 (H, W, 3) each, none of the test set; the centre of each counts, at most 512 × 512. The latent is
            fitted to the first 24, the hyperprior to all. Where the former have fewer than 20,000 places of the latent
            (20 images of 512 × 512), or all together fewer than 1,000 of the hyperprior, that part stays unfitted.
    """
    transforms = Transforms(copy.deepcopy(network).eval())
    most = len(network.lambdas) - 1.0
    latents: list[tuple[Ints, Ints]] = []
    hypers: list[tuple[float, Tensor]] = []
    for number, image in enumerate(images):
        latent = transforms.analyse(_centre(image))
        for part in range(_QUALITIES):
            quality = most * ((number * _GOLDEN + part / _QUALITIES) % 1)
            coded, hyper = transforms.at_quality(latent, quality)
            hypers.append((quality, torch.from_numpy(hyper)))
            if number < _LATENT_IMAGES:
                indexes, means = transforms.entropy_parameters(hyper)
                latents.append((np.rint(coded - means).astype(np.int64), indexes))
    for weights in network.context.buffers():
        weights.zero_()
    enough = sum(symbols[0].size for symbols, _ in latents) >= _QUALITIES * _LEAST_LATENT_PLACES
    if enough and not network.scr:  # with SCR, what lies beside a symbol is of other channels
        _fit_latent(network.context, latents)
    coder = LatentCoder(network.context)
    counts = np.zeros(tuple(network.symbol_counts.shape), np.int64)
    for symbols, indexes in latents:
        coder.count(symbols, indexes, counts)
    network.symbol_counts.copy_(torch.from_numpy(counts))
    if isinstance(network.hyper, Hyperprior):
        network.hyper.context.start_from(network.hyper.prior)
        if sum(symbols[0].numel() for _, symbols in hypers) >= _QUALITIES * _LEAST_HYPER_PLACES:
            _fit_hyper(network.hyper.context, hypers)


def _centre(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    top, left = (max(0, side - _SIDE) // 2 for side in image.shape[:2])
    return image[top : top + _SIDE, left : left + _SIDE]


def _fit_latent(context: LatentContext, samples: Sequence[tuple[Ints, Ints]]) -> None:
    parts = [(torch.from_numpy(symbols).to(torch.int16), torch.from_numpy(indexes)) for symbols, indexes in samples]
    symbols = torch.cat([part.flatten(1) for part, _ in parts], 1)
    around = torch.cat([neighbours(part).flatten(2) for part, _ in parts], 2)
    indexes = torch.cat([part.flatten(1).to(torch.uint8) for _, part in parts], 1)
    scales = torch.from_numpy(scale_steps()).float()

    def bits(chosen: Tensor) -> Tensor:
        mean, shift = context.expected(around[..., chosen].float())
        shift = shift.clamp(-_MOST_LATENT_SHIFT, _MOST_LATENT_SHIFT)
        inverse = torch.exp(-shift) / scales[indexes[:, chosen].long()]
        distance = (symbols[:, chosen] - mean).abs()
        return _bits(torch.special.ndtr((0.5 - distance) * inverse) - torch.special.ndtr((-0.5 - distance) * inverse))

    minimise(list(context.buffers()), bits, symbols.shape[1], _LATENT_STEPS, _LATENT_BATCH, _LATENT_RATE)


def _fit_hyper(context: HyperContext, samples: Sequence[tuple[float, Tensor]]) -> None:
    symbols = torch.cat([part.flatten(1) for _, part in samples], 1).float()
    around = torch.cat([neighbours(part).flatten(2) for _, part in samples], 2).float()
    qualities = torch.cat([torch.full((part[0].numel(),), quality) for quality, part in samples])

    def bits(chosen: Tensor) -> Tensor:
        given = symbols[:, chosen]
        mean, log_scale = context.expected(given, around[..., chosen], qualities[chosen])
        inverse, distance = torch.exp(-log_scale.clamp(-_MOST_HYPER_LOG_SCALE, _MOST_HYPER_LOG_SCALE)), given - mean
        return _bits(torch.sigmoid((distance + 0.5) * inverse) - torch.sigmoid((distance - 0.5) * inverse))

    minimise(list(context.buffers()), bits, symbols.shape[1], _HYPER_STEPS, _HYPER_BATCH, _HYPER_RATE)
    context.earlier.copy_(context.earlier_channels().flatten(0, 1))


def _bits(mass: Tensor) -> Tensor:
    return -torch.log2(mass.clamp(min=_LEAST_LIKELIHOOD))
