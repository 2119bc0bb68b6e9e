"""The search for a better latent for ResiComp's decoder (``netcodecs.transforms.annealing``).

The loss is that of training (ResiComp, Eq. 9 to 12): rate, error of the image, and a share of the error of an image
whose tokens are partly concealed. Without the last one, what a latent gains without loss it pays where tokens are lost:
on five crops of Kodak (192 × 192, quality 2, ISC) 8 % fewer bits, but .2 dB less with 30 % of the tokens lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from netcodecs.resicomp.mixture import log_likelihood
from netcodecs.resicomp.transformer import MIDDLE_RATE, DualTransformer
from netcodecs.transforms.annealing import anneal, frozen

if TYPE_CHECKING:
    from netcodecs.resicomp.networks import Rate
    from netcodecs.resicomp.rate_control import SliceLayout

__all__ = ["ALPHA", "SearchedNetworks", "refined"]

ALPHA = 0.1  # weight of the concealed image's error; the authors' release
_LATENT_RATE = 0.01
_CONCEALED_EVERY = 2  # steps: a concealed image takes as long as the rest


@dataclass(frozen=True)
class SearchedNetworks:
    """What a search goes through, in eval mode.

    Attributes:
        synthesis: g_s.
        coder: The Transformer that codes.
        concealer: The one that conceals; often the same.
        bfloat16: Whether matrix products are in bfloat16.
    """

    synthesis: nn.Module
    coder: DualTransformer
    concealer: DualTransformer
    bfloat16: bool


def refined(
    networks: SearchedNetworks, image: Tensor, latent: Tensor, rate: Rate, layout: SliceLayout, steps: int
) -> Tensor:
    """A latent after a search.

    Args:
        networks: Of the codec.
        image: (1, 3, H, W), 0…1.
        latent: Its latent in quantiser steps, (h, w, C), h and w the image's sides over 16, rounded up.
        rate: Of the stream.
        layout: Of the stream.
        steps: Of the search.

    Returns:
        The latent in quantiser steps, to be rounded, (h, w, C).
    """
    loss = _Loss(networks, image, latent.shape[:2], rate, layout)
    sought = latent.clone().requires_grad_()
    with frozen(networks.synthesis, networks.coder, networks.concealer):
        anneal([(sought, _LATENT_RATE)], steps, lambda step, rounded: loss(step, rounded(sought)))
    return sought.detach()


class _Loss:
    """bpp + λ·255²·(MSE + α · MSE of a concealed image), of a latent's symbols; arguments as of :func:`refined`.

    Each step takes one slice, in proportion to its tokens: the rate is that of all tokens but the slice's contexts, as
    if the whole image were like them.
    """

    def __init__(
        self, networks: SearchedNetworks, image: Tensor, grid: tuple[int, ...], rate: Rate, layout: SliceLayout
    ) -> None:
        self._networks, self._image, self._grid, self._device = networks, image, grid, image.device
        self._steps, self._inverse = (torch.from_numpy(v).float().to(self._device) for v in (rate.steps, rate.inverse))
        self._log_rate = torch.full((1,), rate.log_rate, device=self._device)
        self._weight = 255**2 * MIDDLE_RATE * math.exp(rate.log_rate)
        self._contexts = [layout.known(contexts) for contexts in layout.contexts]
        tokens = np.array([len(cells) for cells in layout.cells])
        self._shares, self._rng = tokens / tokens.sum(), np.random.default_rng(0)
        window = networks.coder.size.window
        self._padding = (0, -grid[1] % window, 0, -grid[0] % window)

    def __call__(self, step: int, symbols: Tensor) -> Tensor:
        contexts = self._contexts[int(self._rng.choice(len(self._contexts), p=self._shares))]
        lost_share, pixels = self._rng.random(), self._image.shape[2] * self._image.shape[3]
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._networks.bfloat16):
            loss = self._weight * self._error(symbols) + self._bits(symbols, contexts) / pixels
            if step % _CONCEALED_EVERY == _CONCEALED_EVERY - 1:
                concealed = self._concealed(symbols, self._rng.random(self._grid) >= lost_share)
                loss = loss + _CONCEALED_EVERY * ALPHA * self._weight * self._error(concealed)
        return loss

    def _error(self, symbols: Tensor) -> Tensor:
        given = (symbols * self._inverse).permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)
        shown = self._networks.synthesis(given).float()[..., : self._image.shape[2], : self._image.shape[3]]
        return (shown - self._image).square().mean()

    def _bits(self, symbols: Tensor, known: NDArray[np.bool_]) -> Tensor:
        asked, coder = torch.from_numpy(~known).to(self._device), self._networks.coder
        if known.any():
            there = self._padded(known)
            inside = self._padded(np.ones_like(known))
            hidden = coder.hidden(self._tokens(symbols), there, self._log_rate)[inside[~there]]
        else:  # all tokens are alike: one of a window stands for them
            blank = symbols.new_zeros(1, coder.size.window, coder.size.window, symbols.shape[2])
            hidden = coder.hidden(blank, blank[..., 0] > 0, self._log_rate)[:1]
        logits, means, scales = (part.float() for part in coder.densities(hidden))
        with torch.autocast(self._device.type, enabled=False):  # erfc's differences need single precision
            nats = -log_likelihood(symbols[asked], logits, means * self._steps, scales * self._steps).sum()
        return nats / math.log(2) * (known.size / np.count_nonzero(~known))

    def _concealed(self, symbols: Tensor, arrived: NDArray[np.bool_]) -> Tensor:
        concealer = self._networks.concealer
        given = concealer.given(self._tokens(symbols), self._log_rate)
        filled = concealer.concealed(given, self._padded(arrived))[0].float()
        return filled[: self._grid[0], : self._grid[1]] * self._steps

    def _tokens(self, symbols: Tensor) -> Tensor:
        return functional.pad(symbols / self._steps, (0, 0, *self._padding))[None]

    def _padded(self, known: NDArray[Any]) -> Tensor:
        """Tokens of the padding are not known."""
        return functional.pad(torch.from_numpy(known).to(self._device), self._padding)[None]
