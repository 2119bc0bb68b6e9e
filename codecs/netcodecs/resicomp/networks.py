"""The networks around the packets: picture → latent, known tokens → densities or a guess, latents → pictures."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from netcodecs.progressive.backbone import LAMBDAS, Backbone
from netcodecs.progressive.transforms import PICTURES_AT_ONCE, quality_lambda, quick_layers
from netcodecs.resicomp.coding import LARGEST, Mixtures
from netcodecs.resicomp.exact import ExactTransformer
from netcodecs.resicomp.mixture import mixture_mean
from netcodecs.resicomp.transformer import MIDDLE_RATE, WINDOW
from netcodecs.resicomp.weights import Weights
from netcodecs.threads import one_thread

__all__ = ["STRIDE", "Networks", "Rate", "lambda_quality"]

BoolArray = NDArray[np.bool_]
Floats = NDArray[np.float64]
Image = NDArray[np.uint8]
Ints = NDArray[np.int64]

STRIDE = 16
_GAIN_BITS = 20
_REMEMBERED = 64  # rates, and their distributions from nothing


def lambda_quality(lam: float) -> float:
    """The quality of a λ: the inverse of ``quality_lambda``, kept to 0…3.

    >>> lambda_quality(0.0018), lambda_quality(0.0035), round(lambda_quality(0.001), 3)
    (1.0, 2.0, 0.541)
    """
    knots = [math.log(known) for known in LAMBDAS]
    return float(np.interp(math.log(lam), knots, np.arange(len(knots))))


@dataclass(frozen=True)
class Rate:
    """One quality's constants: log_rate as the Transformer is told, gain and its inverse (the transforms'), steps:
    quantisation steps in a channel's usual spread; float64 (C,)."""

    log_rate: float
    gain: Floats
    inverse: Floats
    steps: Floats


class Networks:
    """What the weights make. device: where they run; distributions are the same to the last bit on each."""

    def __init__(self, weights: Weights, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._spread, self._backbone = weights.spread, weights.backbone
        g_a, g_s = weights.backbone.model.g_a, weights.backbone.model.g_s
        concealing = weights.network if weights.values is None else weights.values
        self.parameters = sum(p.numel() for m in {g_a, g_s, weights.network, concealing} for p in m.parameters())
        # in float64, so that the number of threads does not decide how a value next to a half is rounded
        self._g_a = quick_layers(copy.deepcopy(g_a).double()).to(self._device)
        self._g_s = quick_layers(g_s.to(self._device, memory_format=torch.channels_last))
        self._network, self._concealing = weights.network.to(self._device), concealing.to(self._device)
        self._exact = ExactTransformer(weights.network, self._device)
        low, high = (lambda_quality(lam) for lam in weights.lambdas)
        self.qualities = (low, high)
        self.blank = lru_cache(maxsize=_REMEMBERED)(self._without_context)
        self.rate = lru_cache(maxsize=_REMEMBERED)(self._rate)

    @torch.no_grad()
    def analyse(self, image: Image) -> Floats:
        """The latent before its gain, (h, w, C); the right and bottom border is repeated to multiples of 16."""
        height, width = image.shape[:2]
        picture = torch.from_numpy(np.array(image)).to(self._device).permute(2, 0, 1)[None].double() / 255
        padded = functional.pad(picture, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        latent: Tensor = self._g_a(padded)[0].permute(1, 2, 0)
        return latent.contiguous().cpu().numpy()

    def _rate(self, quality: float) -> Rate:
        """A receiver needs the sender's very ``steps``: gains are rounded to 2⁻²⁰, so that libraries whose exp differs
        in its last bit give the same but once in some 2³² channels."""
        lam = quality_lambda(quality)
        gain, inverse = _gains(self._backbone, lam)
        gain = np.rint(gain * 2**_GAIN_BITS) / 2**_GAIN_BITS
        return Rate(math.log(lam / MIDDLE_RATE), gain, inverse, gain * self._spread)

    def symbols(self, latent: Floats, quality: float) -> Ints:
        """The latent in quantisation steps, int64 of its shape."""
        return np.clip(np.rint(latent * self.rate(quality).gain), -LARGEST, LARGEST).astype(np.int64)

    def no_symbols(self, grid: tuple[int, ...]) -> Ints:
        """A latent of zeros, int64 (*grid, C)."""
        return np.zeros((*grid, len(self._spread)), np.int64)

    def densities(self, symbols: Ints, known: BoolArray, quality: float, cells: Ints) -> Mixtures:
        """How the symbols of some cells are distributed, given those that are known; in order of (cell, channel).

        symbols: int64 (h, w, C), anything where not known. known: bool (h, w). cells: numbers, row by row.
        """
        if not known.any():
            return self.blank(quality).at(np.tile(np.arange(symbols.shape[2]), len(cells)))
        return self._given(symbols, known, quality, cells)

    def _without_context(self, quality: float) -> Mixtures:
        """Any token's distribution from nothing, of C numbers. Among mask tokens alone, attention has nothing to
        tell apart: all tokens are alike, in a picture of any size, and the one in the corner of a window stands for
        them."""
        channels = len(self._spread)
        none = np.zeros((WINDOW, WINDOW), bool)
        return self._given(np.zeros((WINDOW, WINDOW, channels), np.int64), none, quality, np.zeros(1, np.int64))

    def _given(self, symbols: Ints, known: BoolArray, quality: float, cells: Ints) -> Mixtures:
        rate = self.rate(quality)
        tokens = _in_windows(symbols / rate.steps)
        rows, columns = np.divmod(cells, known.shape[1])
        places = rows * tokens.shape[1] + columns
        weights, means, scales = self._exact.densities(tokens, _in_windows(known), rate.log_rate, places)
        parts = (weights, means * rate.steps, scales * rate.steps)
        return Mixtures(*(part.reshape(len(part), -1) for part in parts))

    @torch.no_grad()
    @one_thread()
    def pictures(
        self, symbols: Ints, known: BoolArray, quality: float, size: tuple[int, int], conceal: str = "plc"
    ) -> Image:
        """Pictures uint8 (B, *size, 3) from what is known of one latent.

        symbols: int64 (h, w, C). known: bool (B, h, w). conceal: what stands for unknown tokens: ``plc``, the guess of
        the Transformer's own head; ``mean``, that of the mixtures; ``zero``.
        """
        rate = self.rate(quality)
        height, width = known.shape[1:]
        steps, inverse = (torch.from_numpy(v).float().to(self._device) for v in (rate.steps, rate.inverse))
        tokens = torch.from_numpy(_in_windows(symbols / rate.steps)).float().to(self._device)
        fill = self._filling(tokens[None], rate.log_rate, conceal)
        shown = np.empty((len(known), *size, 3), np.uint8)
        at_once = PICTURES_AT_ONCE[self._device.type]
        for start in range(0, len(known), at_once):
            here = torch.from_numpy(_in_windows(known[start : start + at_once], 1)).to(self._device)
            filled = fill(here)
            latent = (filled[:, :height, :width] * (steps * inverse)).permute(0, 3, 1, 2)
            made = self._g_s(latent.contiguous(memory_format=torch.channels_last))[..., : size[0], : size[1]]
            made = made.clamp(0, 1).mul(255).round().byte()
            shown[start : start + at_once] = made.permute(0, 2, 3, 1).cpu().numpy()
        return shown

    def _filling(self, tokens: Tensor, log_rate: float, conceal: str) -> Callable[[Tensor], Tensor]:
        """Which tokens are known, (B, H, W), → tokens, (B, H, W, C), with something in place of the others.

        tokens: (1, H, W, C).
        """
        rates = torch.full((1,), log_rate, device=tokens.device)
        given = cache(lambda: self._concealing.given(tokens, rates))

        def filled(known: Tensor) -> Tensor:
            here = known[..., None]
            if conceal == "zero" or bool(known.all()):
                return tokens * here
            if conceal == "plc":
                return self._concealing.concealed(given(), known)
            logits, means, _ = self._network.densities(self._network.hidden(tokens, known, rates))
            return torch.where(here, tokens, mixture_mean(logits, means))

        return filled


def _in_windows(grid: NDArray[Any], first: int = 0) -> NDArray[Any]:
    """Grown by zeros below and to the right to multiples of 4: tokens that are never coded, and never known.

    first: the axis of rows; columns follow.
    """
    growth = [(0, 0)] * grid.ndim
    for axis in (first, first + 1):
        growth[axis] = (0, -grid.shape[axis] % WINDOW)
    return np.pad(grid, growth)


def _gains(backbone: Backbone, lam: float) -> tuple[Floats, Floats]:
    """Gain and inverse gain, as ``Backbone.gains`` makes them, in float64 (C,)."""
    both = [g.detach().cpu().double().numpy() for g in (backbone.log_gain, backbone.log_inverse_gain)]
    knots = [math.log(known) for known in backbone.lambdas]
    where = float(np.interp(math.log(lam), knots, np.arange(len(knots))))
    left = min(int(where), max(len(knots) - 2, 0))
    right = min(left + 1, len(knots) - 1)
    gain, inverse = (np.exp(g[left] * (1 - (where - left)) + g[right] * (where - left)) for g in both)
    return gain, inverse
