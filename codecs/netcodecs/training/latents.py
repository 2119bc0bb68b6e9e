"""Latents of transforms that stay as they are, made once, and random crops of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from netcodecs.progressive.backbone import Backbone
from netcodecs.training.recipe import STRIDE

__all__ = ["areas_in", "latents_of", "random_tokens"]


@torch.no_grad()
def latents_of(backbone: Backbone, pictures: Sequence[Tensor], device: torch.device | str = "cpu") -> list[Tensor]:
    """Each picture's latent before its gain, float16 (h, w, M), on ``device``, where the backbone lies as well.

    pictures: uint8 (3, H, W), cut to multiples of 16.
    """
    made = []
    for picture in pictures:
        height, width = (n // STRIDE * STRIDE for n in picture.shape[1:])
        latent = backbone.model.g_a(picture[None, :, :height, :width].to(device).float() / 255)
        made.append(latent[0].permute(1, 2, 0).half().contiguous())
    return made


def areas_in(latents: Sequence[Tensor]) -> Tensor:
    """Tokens of each latent, float32."""
    return torch.tensor([float(one.shape[0] * one.shape[1]) for one in latents])


def random_tokens(
    latents: Sequence[Tensor], count: int, side: int, generator: torch.Generator, areas: Tensor
) -> Tensor:
    """``count`` random crops of side × side tokens, float32 (count, side, side, M), cut where the latents lie.

    A picture is drawn with a probability that grows with its area; every number is drawn on the processor.
    """
    crops = []
    for index in torch.multinomial(areas, count, replacement=True, generator=generator).tolist():
        latent = latents[index]
        top, left = (int(torch.randint(n - side + 1, (1,), generator=generator)) for n in latent.shape[:2])
        crops.append(latent[top : top + side, left : left + side])
    return torch.stack(crops).float()
