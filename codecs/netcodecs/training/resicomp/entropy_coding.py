"""Fits what ResiComp's entropy coding knows beside its Transformer, after training: its bytes change, no pixel does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netcodecs.resicomp.mixture import LEAST_SCALE, log_likelihood, mixture_mean
from netcodecs.resicomp.model import ResiCompModel
from netcodecs.resicomp.token_context import MOST_LOG_SCALE, TokenContext, off_by
from netcodecs.resicomp.transformer import MIDDLE_RATE
from netcodecs.training.core.crops import RandomCrops
from netcodecs.training.core.fitting import minimise
from netcodecs.training.resicomp.objective import known_tokens, latent_of
from netcodecs.transforms.gained import STRIDE

__all__ = ["Samples", "fit_to", "fit_token_context"]

_LEAST_IMAGES = 32  # fits to fewer cost bits on others
_CROPS, _SIDE = 1000, 256
_TOKENS = 48, 96  # of a crop: without known tokens, and with some
_STEPS, _BATCH, _RATE = 1500, 1024, 3e-3


@dataclass(frozen=True)
class Samples:
    """Tokens and the mixtures that the Transformer predicts: symbols (n, C), the others (n, K, C)."""

    symbols: Tensor
    logits: Tensor
    means: Tensor
    scales: Tensor


def fit_token_context(model: ResiCompModel, images: Sequence[NDArray[np.uint8]]) -> None:
    """Fits ``model.context`` to 1,000 crops of 256 × 256; it takes some 1.5 GB and minutes.

    Args:
        model: In eval mode; its context is changed.
        images: uint8 (H, W, 3) each, none of the test set. Those that are smaller than the crops are left out; with
            fewer than 32 others, the context is left unfitted: zero.
    """
    for weights in model.context.buffers():
        weights.zero_()
    images = [image for image in images if min(image.shape[:2]) >= _SIDE]
    if len(images) >= _LEAST_IMAGES:
        for number, samples in enumerate(_drawn(model, RandomCrops(images, _SIDE))):
            fit_to(model.context, number, samples)


@torch.no_grad()
def _drawn(model: ResiCompModel, crops: RandomCrops) -> list[Samples]:
    """Tokens without known ones, and tokens with a random share of known ones, at all λ."""
    rng, grid = np.random.default_rng(0), (_SIDE // STRIDE, _SIDE // STRIDE)
    low, high = (math.log(model.transforms.lambdas[place]) for place in (0, -1))
    drawn: list[list[tuple[Tensor, ...]]] = [[], []]
    for _ in range(_CROPS):
        lam = torch.full((1,), math.exp(rng.uniform(low, high)))
        latent, steps = latent_of(model, crops.draw(1, rng), lam)
        symbols = torch.round(latent)
        for parts, count, masked in zip(drawn, _TOKENS, (1.0, rng.random()), strict=True):
            known = torch.from_numpy(known_tokens(np.array([masked]), *grid, rng))
            hidden = model.transformer.hidden(symbols / steps, known, torch.log(lam / MIDDLE_RATE))
            chosen = torch.from_numpy(rng.permutation(len(hidden))[:count])
            logits, means, scales = model.transformer.densities(hidden[chosen])
            parts.append((symbols[~known][chosen], logits, means * steps[0], scales * steps[0]))
    return [Samples(*(torch.cat(part) for part in zip(*parts, strict=True))) for parts in drawn]


def fit_to(context: TokenContext, number: int, samples: Samples, steps: int = _STEPS) -> None:
    """Fits one of a context's two sets of weights. number: 0 for tokens without known ones, 1 for the others."""
    mean = mixture_mean(samples.logits, samples.means)
    squares = samples.scales.square() + (samples.means - mean[:, None]).square()
    deviation = mixture_mean(samples.logits, squares).sqrt().clamp(min=LEAST_SCALE)
    off = off_by(samples.symbols, mean, deviation)

    def bits(chosen: Tensor) -> Tensor:
        bias, of_log_scales, of_means = context.weights(number)
        log_scale = (bias + off[chosen].abs() @ of_log_scales.T).clamp(-MOST_LOG_SCALE, MOST_LOG_SCALE)
        shift = deviation[chosen] * (off[chosen] @ of_means.T)
        means = samples.means[chosen] + shift[:, None]
        scales = samples.scales[chosen] * log_scale.exp()[:, None]
        return -log_likelihood(samples.symbols[chosen], samples.logits[chosen], means, scales).T / math.log(2)

    minimise(context.fitted(number), bits, len(off), steps, _BATCH, _RATE)
