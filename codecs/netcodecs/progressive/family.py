"""The methods of paper 1 by name, and our own beside them, ``scr-mca-plus``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from netcodecs.common.latent_spans import LatentSpan
from netcodecs.progressive.codec import ChannelProgressive, ProgressiveSettings
from netcodecs.progressive.methods import shipped_weights
from netsim.codec import CodecSettings
from netsim.digests import file_sha256
from netsim.distribution import install_command
from netsim.errors import InputError

if TYPE_CHECKING:  # torch is loaded with the first image
    from netcodecs.progressive.backbone import Backbone

__all__ = [
    "MbtMean",
    "MbtMeanSettings",
    "ProgDtd",
    "Random",
    "ScrMcaGilbertElliott",
    "ScrMcaPlus",
    "ScrMcaPlusSettings",
    "ScrMcaSettings",
    "ScrMcaUniform",
]


class MbtMeanSettings(ProgressiveSettings):
    """As ``ProgressiveSettings``.

    Attributes:
        lost: What replaces a lost channel: ``zero`` (as in the papers), or the ``mean`` of the hyperprior.
    """

    lost: Literal["zero", "mean"] = "zero"


class MbtMean(ChannelProgressive):
    """The baseline: residual transforms with gains, and a mean-scale hyperprior (Minnen et al. 2018)."""

    name = "mbt-mean"
    summary = (
        "learned (mean-scale hyperprior): protected hyperprior, latent channels in packets that decode on their own"
    )
    Settings = MbtMeanSettings
    settings: MbtMeanSettings

    def _fill(
        self,
        latent: NDArray[np.float32],
        arrived: Sequence[tuple[LatentSpan, NDArray[np.int64]]],
        means: NDArray[np.float64],
    ) -> None:
        if self.settings.lost == "mean":
            latent[:] = means
            for span, symbols in arrived:
                latent[span.region] += symbols


class Random(ChannelProgressive):
    """The baseline trained with channels lost at random."""

    name = "random"
    summary = "learned (the baseline mbt-mean, trained with random channel losses)"


class ProgDtd(ChannelProgressive):
    """The baseline trained with double tail drop (Hojjat et al., CVPR-W 2023, as paper 1 makes it)."""

    name = "progdtd"
    summary = "learned (ProgDTD: the baseline mbt-mean, trained with double tail drop)"


class ScrMcaUniform(ChannelProgressive):
    """Paper 1's method, trained with uniform loss."""

    name = "scr-mca-u"
    summary = "learned (rearranged channels, the decoder reads the loss mask), trained with uniform loss"


class ScrMcaSettings(ProgressiveSettings):
    """As ``ProgressiveSettings``.

    Attributes:
        modules: Both of paper 1's modules, one alone, or neither (its ablation, Fig. 8).
    """

    modules: Literal["scr+mca", "scr", "mca", "none"] = "scr+mca"


class ScrMcaGilbertElliott(ChannelProgressive):
    """Paper 1's method, trained with Gilbert-Elliott loss."""

    name = "scr-mca-ge"
    summary = "learned (rearranged channels, the decoder reads the loss mask), trained with Gilbert–Elliott loss"
    Settings = ScrMcaSettings
    settings: ScrMcaSettings
    _METHODS: ClassVar = {"scr+mca": "scr-mca-ge", "scr": "scr-ge", "mca": "mca-ge", "none": "progdtd-ge"}

    @property
    def method(self) -> str:
        return str(self._METHODS[self.settings.modules])


class ScrMcaPlusSettings(ProgressiveSettings):
    """As ``ProgressiveSettings``; ``weights`` are the baseline's.

    Attributes:
        concealment: A file of ``netcodecs.training.fit_concealment``, fitted to these weights; the one that ships if
            None.
    """

    concealment: Path | None = None


class ScrMcaPlus(ChannelProgressive):
    """Our own method beside paper 1's: the baseline's weights, SCR, and ``netcodecs.progressive.concealment``."""

    name = "scr-mca-plus"
    summary = "learned (rearranged channels; lost samples from the hyperprior's means and received neighbours)"
    Settings = ScrMcaPlusSettings
    settings: ScrMcaPlusSettings

    def __init__(self, settings: CodecSettings | None = None) -> None:
        super().__init__(settings)
        if not self._concealment.is_file():
            hint = f"{install_command('weights')}, or name a file with `concealment:`"
            raise InputError(f"{self.name}: no concealment at {self._concealment}", hint=hint)

    @property
    def method(self) -> str:
        return "mbt-mean"

    @property
    def _concealment(self) -> Path:
        given = self.settings.concealment
        return shipped_weights(self.name) if given is None else given.expanduser()

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        return {**super().fingerprint, "concealment": file_sha256(self._concealment)}

    def _complete(self, backbone: Backbone) -> None:
        from netcodecs.progressive.backbone import M
        from netcodecs.progressive.concealment import load_concealment

        backbone.scr = True
        backbone.concealment = load_concealment(self._concealment, M, backbone)
