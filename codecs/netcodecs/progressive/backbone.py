"""The network of the channel-progressive family: one set of weights for a range of rates.

Analysis and synthesis transforms, a mean-scale hyperprior (Minnen et al. 2018, without the autoregressive part), gains
(``netcodecs.transforms.gains``), and the modules of paper 1 where they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netcodecs.progressive.aggregation import MaskConditionalAggregation
from netcodecs.progressive.concealment import ResidualConcealment
from netcodecs.progressive.rearrangement import rearranged
from netcodecs.transforms.fixed_point import SCALE_COUNT
from netcodecs.transforms.gained import LATENT_CHANNELS, GainedTransforms, Kind, TransformKind
from netcodecs.transforms.gains import LAMBDAS
from netcodecs.transforms.hyperprior import Hyperprior
from netcodecs.transforms.latent_context import LatentContext

__all__ = ["MBT_WIDTHS", "Backbone", "ChannelMask", "EncodedBatch", "Kind", "M", "N", "TransformKind"]

N, M = 128, LATENT_CHANNELS
MBT_WIDTHS = (N, N, N)
_MAGNITUDES = 32


@dataclass(frozen=True)
class EncodedBatch:
    """What one pass through the network gives.

    Attributes:
        image: Reconstruction, (B, 3, H, W), nominally 0…1, not clamped.
        bits: Estimated bits of each image, latent and hyperprior, (B,).
    """

    image: Tensor
    bits: Tensor


@dataclass(frozen=True)
class ChannelMask:
    """What happens to each image's channels in training; bool, True = kept.

    Attributes:
        sent: (B, M), False for a latent channel that tail drop removes: it costs nothing and is missing.
        sent_hyper: (B, N), the same of the hyperprior.
        received: (B, M), False for a channel that the network loses: it costs bits and is missing.
    """

    sent: Tensor
    sent_hyper: Tensor
    received: Tensor

    def to(self, device: torch.device | str) -> ChannelMask:
        """The same on a device."""
        return ChannelMask(self.sent.to(device), self.sent_hyper.to(device), self.received.to(device))


def hyperprior_of(kind: Kind) -> nn.Module:
    """A new hyperprior beside transforms of a kind."""
    if kind == "residual":
        return Hyperprior(M, N)
    from netcodecs.transforms.mean_scale import MeanScaleHyperprior

    return MeanScaleHyperprior(M, N)


class Backbone(GainedTransforms):
    """Transforms, hyperprior and a gain vector per λ; optionally SCR and MCA.

    ::

        image ─► g_a ─► gain ─┬─► hyperprior ─► scales, means ─┐
                              └─► SCR ─► round, packets, losses ─► SCR ─► inverse gain ─► MCA ─► g_s ─► image

    SCR rearranges the latent, its scales and its means alike, behind the hyperprior. The paper has it in front; behind,
    the hyperprior sees natural images' own neighbourhoods and SCR costs no bits.

    Args:
        kind: Transforms and hyperprior.
        scr: With spatial-channel rearrangement.
        mca: With mask conditional aggregation.
        lambdas: The λ that have a gain, ascending. A single one is a network for one rate: any λ then gives its gain.
    """

    symbol_counts: Tensor

    def __init__(
        self,
        kind: TransformKind | None = None,
        *,
        scr: bool = False,
        mca: bool = False,
        lambdas: tuple[float, ...] = LAMBDAS,
    ) -> None:
        super().__init__(kind, lambdas)
        self.scr = scr
        self.hyper = hyperprior_of(self.kind.kind)
        self.aggregation = MaskConditionalAggregation(M) if mca else None
        #: fills what is missing from the hyperprior's means; fitted, not trained
        self.concealment: ResidualConcealment | None = None
        #: of the latent's coder; zeros: not fitted
        self.context = LatentContext(M)
        #: magnitudes of the latent's symbols at each scale, as counted at export; zeros: not counted
        self.register_buffer("symbol_counts", torch.zeros(SCALE_COUNT, _MAGNITUDES, dtype=torch.int64))

    def arranged(self, latent: Tensor) -> Tensor:
        """SCR of a latent, or of anything of its shape, if the network has SCR; its own inverse."""
        return rearranged(latent) if self.scr else latent

    def synthesised(self, received: Tensor, mask: Tensor | None, inverse: Tensor) -> Tensor:
        """Images (B, 3, H, W) from received latents.

        Args:
            received: (B, M, h, w), as :meth:`analysed` gives them; zero where missing.
            mask: 1 = received, 0 = missing, of the same shape and arrangement; None: all is received.
            inverse: Inverse gains, (B, M, 1, 1).
        """
        received = received * inverse
        if self.aggregation is not None:
            mask = torch.ones_like(received) if mask is None else mask.to(received.dtype)
            received = self.aggregation(received, mask)
        image: Tensor = self.g_s(received)
        return image

    def forward(self, image: Tensor, lam: Tensor, channels: ChannelMask | None = None) -> EncodedBatch:
        """Codes a batch as in training (train mode) or as a codec would (eval mode).

        In train mode the synthesis sees rounded latents with a straight-through gradient (Minnen & Singh 2020, §3.2).

        Args:
            image: (B, 3, H, W), 0…1, H and W multiples of 64.
            lam: (B,).
            channels: What is not sent or lost; None: nothing.
        """
        gain, inverse = self.gains(lam)
        latent = self.analysed(image, gain)
        sent_hyper = None if channels is None else channels.sent_hyper
        bits, hyper_bits, decoded = self.hyper.rate(latent, sent_hyper)  # type: ignore[operator]
        if channels is None:
            return EncodedBatch(self.synthesised(decoded, None, inverse).float(), _total(bits, hyper_bits))
        sent, received = (
            self.arranged(kept[:, :, None, None].to(decoded.dtype).expand(decoded.shape))
            for kept in (channels.sent, channels.sent & channels.received)
        )
        shown = self.synthesised(decoded * received, received, inverse)
        return EncodedBatch(shown.float(), _total(bits * sent, hyper_bits))


def _total(bits: Tensor, hyper_bits: Tensor) -> Tensor:
    return bits.flatten(1).sum(1) + hyper_bits.sum(1)
