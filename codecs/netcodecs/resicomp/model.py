"""ResiComp's networks together: transforms, Transformer, and the usual size of each channel between them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from netcodecs.resicomp.sizes import COMPACT, Size
from netcodecs.resicomp.token_context import TokenContext
from netcodecs.resicomp.transformer import DualTransformer
from netcodecs.transforms.gained import LATENT_CHANNELS, GainedTransforms, TransformKind
from netcodecs.transforms.gains import LAMBDAS

__all__ = ["ResiCompModel"]


class ResiCompModel(nn.Module):
    """All that is trained.

    ::

        image ─► g_a ─► gain ─► round ─► tokens ─┬─► Transformer ─► densities ─► slices, packets
                                                 │
        image ◄─ g_s ◄─ inverse gain ◄─ concealed tokens ◄─ Transformer ◄─ tokens that arrived

    Args:
        kind: Of the transforms.
        size: Of the Transformer.
        lambdas: The λ that have a gain.
        separate: With a second Transformer that conceals, where the first one only codes (the paper's ablation).
    """

    spread: Tensor

    def __init__(
        self,
        kind: TransformKind | None = None,
        size: Size = COMPACT,
        lambdas: tuple[float, ...] = LAMBDAS,
        *,
        separate: bool = False,
    ) -> None:
        super().__init__()
        self.transforms = GainedTransforms(kind, lambdas)
        self.transformer = DualTransformer(LATENT_CHANNELS, size)
        self.second = DualTransformer(LATENT_CHANNELS, size) if separate else None
        self.context = TokenContext(LATENT_CHANNELS)
        #: usual size of each channel before its gain, (C,)
        self.register_buffer("spread", torch.ones(LATENT_CHANNELS))

    @property
    def concealer(self) -> DualTransformer:
        """The Transformer that conceals losses."""
        return self.transformer if self.second is None else self.second
