"""What masked tokens cost and how well they are guessed (ResiComp, Eq. 9 to 12)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from netcodecs.progressive.backbone import Backbone
from netcodecs.resicomp.mixture import log_likelihood
from netcodecs.resicomp.transformer import MIDDLE_RATE, DualTransformer
from netcodecs.training.recipe import STRIDE

__all__ = ["Measured", "masked_losses", "picture_losses"]


@dataclass(frozen=True)
class Measured:
    """Of each image, (B,) each; nan for what was not asked for.

    bpp: of the tokens that are not known, as if the whole picture were like them. mse: of the picture without loss.
    concealed: squared error, range 0…1, of the concealed tokens alone (:func:`masked_losses`) or of the picture in
    which they are concealed (:func:`picture_losses`).
    """

    bpp: Tensor
    mse: Tensor
    concealed: Tensor


class _Wanted:
    """The tokens that are not known, in one row. known: bool (B, h, w), on the processor: a GPU is not waited for."""

    def __init__(self, known: Tensor, device: torch.device) -> None:
        places = torch.nonzero(~known.flatten().cpu())[:, 0]
        images = places // known[0].numel()
        count = torch.bincount(images, minlength=len(known)).clamp(min=1)
        self.places, self.images, self.count = (t.to(device, non_blocking=True) for t in (places, images, count))

    def of(self, tokens: Tensor) -> Tensor:
        """(B, h, w, n) → (tokens, n)"""
        return tokens.flatten(0, 2)[self.places]

    def means(self, values: Tensor) -> Tensor:
        """A value per token → its mean in each image, (B,); 0 where all is known."""
        sums = torch.zeros(len(self.count), device=values.device).index_add(0, self.images, values.float())
        return sums / self.count


def _bits(network: DualTransformer, hidden: Tensor, symbols: Tensor, steps: Tensor) -> Tensor:
    """Information of each token, (n,). steps: quantisation steps in a channel's usual spread, (n, C)."""
    logits, means, scales = (part.float() for part in network.densities(hidden))
    with torch.autocast(symbols.device.type, enabled=False):  # erfc's differences need single precision
        logs = log_likelihood(symbols, logits, means * steps[:, None], scales * steps[:, None])
    return -logs.sum(1) / math.log(2)


def masked_losses(
    network: DualTransformer,
    latent: Tensor,
    known: Tensor,
    gain: Tensor,
    spread: Tensor,
    lam: Tensor,
    factor: float,
    heads: str = "both",
) -> Measured:
    """From latents alone: the concealed picture's error is the latent's times a factor; no loss-free picture.

    latent: before the gain, (B, h, w, M). known: bool (B, h, w). gain: (B, M). lam: (B,).
    factor: of :func:`netcodecs.training.masked.latents.error_factor`. heads: which are measured.
    """
    steps = (gain * spread)[:, None, None]
    symbols = torch.round(latent * gain[:, None, None])
    hidden = network.hidden(symbols / steps, known.to(latent.device), torch.log(lam / MIDDLE_RATE))
    wanted = _Wanted(known, latent.device)
    chosen, nothing = wanted.of(hidden), torch.full_like(lam, math.nan)
    bpp = concealed = nothing
    if heads != "value":
        each = wanted.of(steps.expand(symbols.shape))
        bpp = wanted.means(_bits(network, chosen, wanted.of(symbols), each)) / STRIDE**2
    if heads != "density":
        off = (network.values(chosen).float() - wanted.of(latent / spread)) * spread
        concealed = wanted.means(off.square().sum(1)) * factor
    return Measured(bpp, nothing, concealed)


def picture_losses(
    network: DualTransformer,
    backbone: Backbone,
    picture: Tensor,
    known: Tensor,
    spread: Tensor,
    lam: Tensor,
    noise: Tensor | None,
) -> Measured:
    """Through the transforms: rate of masked tokens, error of the loss-free and of the concealed picture.

    picture: (B, 3, H, W), 0…1. known: bool (B, H/16, W/16). noise: uniform in ±½, (B, H/16, W/16, M), in place of
    rounding where the likelihood is taken; None: rounded symbols. What the Transformer and g_s see is rounded, with a
    straight-through gradient.
    """
    gain, inverse = backbone.gains(lam)
    latent = backbone.analysed(picture, gain).permute(0, 2, 3, 1)
    steps = (gain[:, :, 0, 0] * spread)[:, None, None]
    rounded = latent + (torch.round(latent) - latent).detach()
    here = known.to(picture.device)
    hidden = network.hidden(rounded / steps, here, torch.log(lam / MIDDLE_RATE))
    wanted = _Wanted(known, picture.device)
    symbols = rounded if noise is None else latent + noise
    bits = _bits(network, wanted.of(hidden), wanted.of(symbols), wanted.of(steps.expand(symbols.shape)))
    filled = torch.where(here[..., None], rounded, network.values(hidden).float() * steps)
    both = torch.cat([rounded, filled]).permute(0, 3, 1, 2) * inverse.repeat(2, 1, 1, 1)
    shown = backbone.model.g_s(both).float()
    if noise is None:
        shown = (shown.clamp(0, 1) * 255).round() / 255
    mse, concealed = (shown - picture.repeat(2, 1, 1, 1)).square().flatten(1).mean(1).split(len(picture))
    return Measured(wanted.means(bits) / STRIDE**2, mse, concealed)
