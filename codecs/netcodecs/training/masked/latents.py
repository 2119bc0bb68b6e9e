"""What a Transformer must know of the latents that it learns from, and which of their tokens are known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from netcodecs.progressive.backbone import Backbone
from netcodecs.resicomp.transformer import MIDDLE_RATE

__all__ = ["error_factor", "known_tokens", "usual_spread"]


def usual_spread(latents: Sequence[Tensor]) -> Tensor:
    """Root mean square of each channel, (M,).

    >>> usual_spread([torch.full((2, 2, 1), 3.0), torch.zeros(2, 6, 1)])
    tensor([1.5000])
    """
    squares = torch.stack([latent.float().square().flatten(0, 1).sum(0) for latent in latents]).sum(0)
    return (squares / sum(latent.shape[0] * latent.shape[1] for latent in latents)).sqrt().clamp(min=1e-3)


@torch.no_grad()
def error_factor(backbone: Backbone, latents: Sequence[Tensor], seed: int = 0) -> float:
    """Squared error of the picture (range 0…1, a mean over samples) per squared error of the latent, a sum over a
    token: how much an error in the latent shows, on average over channels in proportion to their spread."""
    some = latents[:8]
    side = min(16, *(n for one in some for n in one.shape[:2]))
    latent = torch.stack([one[:side, :side] for one in some]).float().permute(0, 3, 1, 2)
    gain, inverse = backbone.gains(torch.tensor([MIDDLE_RATE], device=latent.device))
    drawn = torch.randn(latent.shape, generator=torch.Generator().manual_seed(seed)).to(latent.device)
    noise = 0.1 * latent.std((0, 2, 3), keepdim=True) * drawn
    pictures = [backbone.model.g_s(given * gain * inverse) for given in (latent, latent + noise)]
    return float((pictures[1] - pictures[0]).square().mean() / noise.square().sum(1).mean())


def known_tokens(masked: Tensor, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Which tokens are known, bool (B, height, width): all but ⌈N·r⌉ of each image, at random (ResiComp, §III-B).

    masked: share r of each image's tokens that is not known, (B,).

    >>> known_tokens(torch.tensor([0.0, 0.3]), 4, 4, torch.Generator()).flatten(1).sum(1)
    tensor([16, 11])
    """
    drawn = torch.rand(len(masked), height * width, generator=generator)
    hidden = torch.ceil(masked * height * width)[:, None]
    return (drawn.argsort(1).argsort(1) >= hidden).view(-1, height, width)
