"""The search for a better latent and hyperprior: less λ·255²·MSE + bpp (``netcodecs.transforms.annealing``)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from netcodecs.progressive.backbone import Backbone
from netcodecs.transforms.annealing import anneal, frozen
from netcodecs.transforms.hyperprior import Hyperprior, gaussian_bits

__all__ = ["refined"]

_LATENT_RATE, _HYPER_RATE = 0.03, 0.02


def refined(network: Backbone, image: Tensor, lam: float, steps: int, bfloat16: bool) -> tuple[Tensor, Tensor]:
    """The latent and the hyperprior of an image after a search.

    Args:
        network: In eval mode, of kind ``residual``; its parameters keep their gradients' state.
        image: (1, 3, H, W), 0…1, H and W multiples of 64.
        lam: Weight of the distortion.
        steps: Of the search.
        bfloat16: Whether convolutions of the steps are in bfloat16.

    Returns:
        The latent before SCR, (1, M, h, w), and the hyperprior, (1, N, h/4, w/4), both to be rounded.
    """
    hyper = network.hyper
    assert isinstance(hyper, Hyperprior)
    with torch.no_grad():
        gain, inverse = network.gains(torch.tensor([lam], device=image.device))
        latent = network.analysed(image, gain)
        side = hyper.analysis(latent)
    latent.requires_grad_()
    side.requires_grad_()
    pixels = image.shape[2] * image.shape[3]

    def loss_of(step: int, rounded: Callable[[Tensor], Tensor]) -> Tensor:
        chosen = rounded(side)
        with torch.autocast(image.device.type, torch.bfloat16, enabled=bfloat16):
            log_scales, means = (part.float() for part in hyper.parameters_of(chosen))
            symbols = rounded(latent - means)
            shown = network.synthesised(symbols + means, None, inverse).float()
        bits = gaussian_bits(symbols, log_scales).sum() + hyper.prior.bits(chosen).sum()
        return lam * 255**2 * (shown - image).square().mean() + bits / pixels

    with frozen(network):
        anneal([(latent, _LATENT_RATE), (side, _HYPER_RATE)], steps, loss_of)
    return latent.detach(), side.detach()
