"""The networks around the packets: image → latent, known tokens → densities or estimates, latents → images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from netcodecs.common.devices import IMAGES_AT_ONCE, multiplies_bfloat16
from netcodecs.resicomp.fixed_point import ExactTransformer
from netcodecs.resicomp.mixture import mixture_mean
from netcodecs.resicomp.model import ResiCompModel
from netcodecs.resicomp.search import SearchedNetworks, refined
from netcodecs.resicomp.token_coder import LARGEST, Mixtures, TokenCoder
from netcodecs.resicomp.transformer import MIDDLE_RATE
from netcodecs.threads import one_thread
from netcodecs.transforms.annealing import SEARCH_STEPS
from netcodecs.transforms.blocks import ResidualBlock
from netcodecs.transforms.gained import STRIDE, GainedTransforms
from netcodecs.transforms.gains import lambda_of, quality_of
from netsim.errors import InputError

if TYPE_CHECKING:
    from netcodecs.resicomp.rate_control import SliceLayout

__all__ = ["Networks", "Rate"]

BoolArray = NDArray[np.bool_]
Floats = NDArray[np.float64]
Image = NDArray[np.uint8]
Ints = NDArray[np.int64]

_GAIN_BITS = 20
_REMEMBERED = 64  # rates, and their distributions from nothing


@dataclass(frozen=True)
class Rate:
    """One quality's constants, float64 (C,) but for the first.

    Attributes:
        log_rate: What the Transformer reads.
        gain: In front of the quantiser.
        inverse: In front of g_s.
        steps: Quantiser steps in a channel's usual spread.
    """

    log_rate: float
    gain: Floats
    inverse: Floats
    steps: Floats


class Networks:
    """A trained model for inference.

    Args:
        model: Is moved to the device.
        device: Where it runs; distributions are the same to the last bit on each.
        bfloat16: Whether concealment and g_s, which code nothing, multiply in bfloat16 where the device can.
    """

    def __init__(self, model: ResiCompModel, device: str = "cpu", *, bfloat16: bool = False) -> None:
        transforms, gains = model.transforms, ("log_gain", "log_inverse_gain")
        #: trained, gains left out: they fold into the transforms
        self.parameters = sum(p.numel() for n, p in model.named_parameters() if not n.endswith(gains))
        self._device, self._spread = torch.device(device), model.spread.double().numpy()
        self._bfloat16 = bfloat16 and multiplies_bfloat16(self._device)
        self._transforms = transforms
        transforms.g_a = transforms.kind.inference_form(transforms.g_a)
        transforms.g_s = transforms.kind.inference_form(transforms.g_s)
        if self._bfloat16:
            _shorten_branches(transforms.g_s)
        model.to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network, self._concealer = model.transformer, model.concealer
        self._window = model.transformer.size.window
        self._exact = ExactTransformer(model.transformer, self._device)
        self.coder = TokenCoder(model.context)
        self.qualities = quality_of(transforms.lambdas[0]), quality_of(transforms.lambdas[-1])
        self.blank = lru_cache(maxsize=_REMEMBERED)(self._without_context)
        self.rate = lru_cache(maxsize=_REMEMBERED)(self._rate)

    @torch.no_grad()
    @one_thread()
    def analyse(self, image: Image) -> Floats:
        """The latent before its gain, (h, w, C); the image's right and bottom border is repeated to multiples of 16."""
        height, width = image.shape[:2]
        padded = functional.pad(self._pixels(image), (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        latent: Tensor = self._transforms.g_a(padded.contiguous(memory_format=torch.channels_last))
        return latent[0].permute(1, 2, 0).double().contiguous().cpu().numpy()

    @one_thread()
    def searched(self, image: Image, quality: float, layout: SliceLayout, effort: int) -> Floats:
        """As :meth:`analyse`, after a search for a better latent at a quality.

        Args:
            image: uint8 (H, W, 3).
            quality: Of the stream.
            layout: Of the stream.
            effort: 1 or 2.
        """
        rate = self.rate(quality)
        latent = torch.from_numpy(self.analyse(image) * rate.gain).float().to(self._device)
        parts = SearchedNetworks(
            self._transforms.g_s, self._network, self._concealer, multiplies_bfloat16(self._device)
        )
        found = refined(parts, self._pixels(image), latent, rate, layout, SEARCH_STEPS[effort])
        return found.double().cpu().numpy() / rate.gain

    def _pixels(self, image: Image) -> Tensor:
        return torch.from_numpy(np.array(image)).to(self._device).permute(2, 0, 1)[None].float() / 255

    def _rate(self, quality: float) -> Rate:
        """Constants of a quality.

        A receiver needs exactly the sender's ``steps``. Gains are rounded to 2⁻²⁰, so that libraries whose exp differs
        in its last bit give other gains in one of some 2³² channels only.
        """
        lam = lambda_of(quality)
        gain, inverse = _gains(self._transforms, lam)
        if not np.isfinite([gain, inverse]).all():
            raise InputError(f"resicomp: gains of quality {quality:g} are not finite", hint="the weights are damaged")
        gain = np.rint(gain * 2**_GAIN_BITS) / 2**_GAIN_BITS
        return Rate(math.log(lam / MIDDLE_RATE), gain, inverse, gain * self._spread)

    def symbols(self, latent: Floats, quality: float) -> Ints:
        """The latent in quantisation steps, int64 of its shape."""
        return np.clip(np.rint(latent * self.rate(quality).gain), -LARGEST, LARGEST).astype(np.int64)

    def no_symbols(self, grid: tuple[int, ...]) -> Ints:
        """A latent of zeros, int64 (*grid, C)."""
        return np.zeros((*grid, len(self._spread)), np.int64)

    def densities(self, symbols: Ints, known: BoolArray, quality: float, cells: Ints) -> Mixtures:
        """Distributions of the symbols of some cells, in their order, given the known cells.

        Args:
            symbols: int64 (h, w, C), anything where not known.
            known: bool (h, w).
            quality: Of the stream.
            cells: Numbers of the cells, row by row, int64 (n,).
        """
        if not known.any():
            return replace(self.blank(quality), rows=np.zeros(len(cells), np.int64))
        return self._given(symbols, known, quality, cells)

    def _without_context(self, quality: float) -> Mixtures:
        """Distributions of one token without context.

        Among mask tokens alone all tokens are alike, in an image of any size: one token of a window stands for them.
        """
        channels = len(self._spread)
        window = self._window, self._window
        nothing, corner = np.zeros(window, bool), np.zeros(1, np.int64)
        return self._given(np.zeros((*window, channels), np.int64), nothing, quality, corner)

    def _given(self, symbols: Ints, known: BoolArray, quality: float, cells: Ints) -> Mixtures:
        rate = self.rate(quality)
        tokens = _padded(symbols / rate.steps, self._window)
        rows, columns = np.divmod(cells, known.shape[1])
        places = rows * tokens.shape[1] + columns
        parameters = self._exact.densities(tokens, _padded(known, self._window), rate.log_rate, places)
        parameters[:, 1:] *= rate.steps
        return Mixtures(parameters, np.arange(len(cells)), with_known=bool(known.any()))

    @torch.no_grad()
    @one_thread()
    def images(
        self, symbols: Ints, known: BoolArray, quality: float, size: tuple[int, int], conceal: str = "plc"
    ) -> Image:
        """Images uint8 (B, *size, 3) from what is known of one latent.

        Args:
            symbols: int64 (h, w, C).
            known: bool (B, h, w).
            quality: Of the stream.
            size: Height and width in pixels.
            conceal: What replaces unknown tokens: ``plc``, the estimate of the Transformer's own head; ``mean``, that
                of the mixtures; ``zero``.
        """
        rate = self.rate(quality)
        height, width = known.shape[1:]
        steps, inverse = (torch.from_numpy(v).float().to(self._device) for v in (rate.steps, rate.inverse))
        tokens = torch.from_numpy(_padded(symbols / rate.steps, self._window)).float().to(self._device)
        fill = self._filling(tokens[None], rate.log_rate, conceal)
        shown = np.empty((len(known), *size, 3), np.uint8)
        at_once = IMAGES_AT_ONCE[self._device.type]
        for start in range(0, len(known), at_once):
            here = torch.from_numpy(_padded(known[start : start + at_once], self._window, 1)).to(self._device)
            filled = fill(here)
            latent = (filled[:, :height, :width] * (steps * inverse)).permute(0, 3, 1, 2)
            made = self._transforms.g_s(latent.contiguous(memory_format=torch.channels_last))[..., : size[0], : size[1]]
            made = made.clamp(0, 1).mul(255).round().byte()
            shown[start : start + at_once] = made.permute(0, 2, 3, 1).cpu().numpy()
        return shown

    @torch.no_grad()
    @one_thread()
    def latent_errors(self, symbols: Ints, known: BoolArray, quality: float, conceal: str = "plc") -> Floats:
        """Mean squared error of each token after concealment, in quantisation steps.

        Args:
            symbols: All of them, int64 (h, w, C).
            known: bool (B, h, w).
            quality: Of the stream.
            conceal: As for ``images``.

        Returns:
            float64 (B, h, w).
        """
        rate = self.rate(quality)
        height, width = known.shape[1:]
        tokens = torch.from_numpy(_padded(symbols / rate.steps, self._window)).float().to(self._device)
        fill = self._filling(tokens[None], rate.log_rate, conceal)
        errors = np.empty(known.shape)
        for number in range(len(known)):
            here = torch.from_numpy(_padded(known[number : number + 1], self._window, 1)).to(self._device)
            filled = fill(here)[0, :height, :width].double().cpu().numpy() * rate.steps
            errors[number] = np.where(known[number], 0.0, ((filled - symbols) ** 2).mean(axis=2))
        return errors

    def _filling(self, tokens: Tensor, log_rate: float, conceal: str) -> Callable[[Tensor], Tensor]:
        """The function: which tokens are known, (B, H, W) → all tokens, (B, H, W, C). tokens: (1, H, W, C)."""
        rates = torch.full((1,), log_rate, device=tokens.device)
        given = cache(lambda: self._concealer.given(tokens, rates))

        def filled(known: Tensor) -> Tensor:
            here = known[..., None]
            if conceal == "zero" or bool(known.all()):
                return tokens * here
            if conceal == "plc":
                there = given()
                with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
                    return self._concealer.concealed(there, known)
            made = tokens.expand(*known.shape, -1).clone()
            logits, means, _ = self._network.densities(self._network.hidden(made, known, rates))
            made[~known] = mixture_mean(logits, means)
            return made

        return filled


class _ShortBranch(nn.Module):
    """A residual block whose branch multiplies in bfloat16. The sum stays in float32, or its rounding is seen."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, torch.bfloat16):
            branch = self.block.branch(features)
        return features + branch


def _shorten_branches(transform: nn.Module) -> None:
    """Replaces the residual blocks of a transform; other kinds of transforms stay as they are."""
    for name, layer in transform.named_children():
        if isinstance(layer, ResidualBlock):
            setattr(transform, name, _ShortBranch(layer))


def _padded(grid: NDArray[Any], window: int, first: int = 0) -> NDArray[Any]:
    """Zeros below and to the right, to multiples of a window: tokens that are never coded, and never known.

    Args:
        grid: Any array.
        window: In tokens.
        first: The axis of rows; columns follow.
    """
    growth = [(0, 0)] * grid.ndim
    for axis in (first, first + 1):
        growth[axis] = (0, -grid.shape[axis] % window)
    return np.pad(grid, growth)


def _gains(transforms: GainedTransforms, lam: float) -> tuple[Floats, Floats]:
    """Gain and inverse gain, as ``GainedTransforms.gains`` makes them, in float64 (C,)."""
    both = [g.detach().cpu().double().numpy() for g in (transforms.log_gain, transforms.log_inverse_gain)]
    knots = [math.log(known) for known in transforms.lambdas]
    where = float(np.interp(math.log(lam), knots, np.arange(len(knots))))
    left = min(int(where), max(len(knots) - 2, 0))
    right = min(left + 1, len(knots) - 1)
    gain, inverse = (np.exp(g[left] * (1 - (where - left)) + g[right] * (where - left)) for g in both)
    return gain, inverse
