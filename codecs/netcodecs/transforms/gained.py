"""Analysis and synthesis transforms of any kind, with a gain vector per λ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from netcodecs.transforms.gains import LAMBDAS, first_log_gains, interpolated
from netcodecs.transforms.residual import (
    COMPACT,
    REFERENCE_LAMBDA,
    ResidualAnalysis,
    ResidualSize,
    ResidualSynthesis,
)
from netsim.errors import InputError

__all__ = ["LATENT_CHANNELS", "STRIDE", "GainedTransforms", "Kind", "TransformKind"]

Kind = Literal["residual", "mbt", "elic"]
LATENT_CHANNELS = 192
STRIDE = 16  # pixels of a side per position of the latent


@dataclass(frozen=True)
class TransformKind:
    """Which transforms a network has.

    Attributes:
        kind: ``residual`` (the default of all that ships), ``mbt`` (mbt2018-mean's own) or ``elic`` (ELIC's g_a and
            g_s, for ResiComp).
        widths: Of ``residual``: the fields of ``ResidualSize``. Of the others: channels after g_a's first three
            layers.
    """

    kind: Kind = "residual"
    widths: tuple[int, ...] = (COMPACT.channels_8, COMPACT.blocks_8, COMPACT.channels_16, COMPACT.blocks_16)

    def transforms(self, channels: int) -> tuple[nn.Module, nn.Module]:
        """New g_a and g_s."""
        if self.kind == "residual":
            size = ResidualSize(*self.widths)
            return ResidualAnalysis(size, channels), ResidualSynthesis(size, channels)
        first, second, third = self.widths
        if self.kind == "mbt":
            from netcodecs.transforms.mbt import mbt_analysis, mbt_synthesis

            return mbt_analysis((first, second, third), channels), mbt_synthesis((first, second, third), channels)
        from netcodecs.transforms.elic import elic_analysis, elic_synthesis

        return elic_analysis((first, second, third), channels), elic_synthesis((first, second, third), channels)

    def inference_form(self, transform: nn.Module) -> nn.Module:
        """The inference form of a trained transform of this kind: the same function, computed faster."""
        if self.kind == "residual":
            return transform
        from netcodecs.transforms.fast_layers import quick_layers

        assert isinstance(transform, nn.Sequential)
        return quick_layers(transform)


class GainedTransforms(nn.Module):
    """g_a, g_s, and gains in front of the quantiser and behind it.

    ::

        image ─► g_a ─► gain ─► latent in quantiser steps … ─► inverse gain ─► g_s ─► image

    Args:
        kind: Of the transforms.
        lambdas: The λ that have a gain, ascending. A single one is a network for one rate: any λ then gives its gain.
    """

    def __init__(self, kind: TransformKind | None = None, lambdas: tuple[float, ...] = LAMBDAS) -> None:
        super().__init__()
        self.kind, self.lambdas = kind or TransformKind(), lambdas
        self.g_a, self.g_s = self.kind.transforms(LATENT_CHANNELS)
        reference = REFERENCE_LAMBDA if len(lambdas) > 1 else lambdas[0]
        first = first_log_gains(lambdas, reference)[:, None].repeat(1, LATENT_CHANNELS)
        self.log_gain, self.log_inverse_gain = nn.Parameter(first), nn.Parameter(-first)

    def gains(self, lam: Tensor) -> tuple[Tensor, Tensor]:
        """Gain and inverse gain for each λ of a batch.

        Args:
            lam: (B,), within the range of ``lambdas``.

        Returns:
            Two tensors (B, M, 1, 1).

        Raises:
            InputError: If a λ lies outside the trained range.
        """
        low, high = self.lambdas[0], self.lambdas[-1]
        if low < high and bool(((lam < low * (1 - 1e-6)) | (lam > high * (1 + 1e-6))).any()):
            raise InputError(f"λ = {lam.tolist()} lies outside the trained range", hint=f"from {low} to {high}")
        both = (interpolated(g, self.lambdas, lam) for g in (self.log_gain, self.log_inverse_gain))
        gain, inverse = (g[:, :, None, None] for g in both)
        return gain, inverse

    def analysed(self, image: Tensor, gain: Tensor) -> Tensor:
        """The latent in quantiser steps, (B, M, H/16, W/16)."""
        latent: Tensor = self.g_a(image).float() * gain
        return latent
