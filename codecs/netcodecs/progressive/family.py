"""The methods of paper 1 by name: ``mbt-mean``, ``random``, ``progdtd``, ``scr-mca-u``, ``scr-mca-ge``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from netcodecs.common.latent_spans import LatentSpan
from netcodecs.progressive.codec import ChannelProgressive, ProgressiveSettings

__all__ = ["MbtMean", "MbtMeanSettings", "ProgDtd", "Random", "ScrMcaGilbertElliott", "ScrMcaSettings", "ScrMcaUniform"]


class MbtMeanSettings(ProgressiveSettings):
    """lost: what stands in place of a lost channel: zero (the papers'), or the mean that the hyperprior expects."""

    lost: Literal["zero", "mean"] = "zero"


class MbtMean(ChannelProgressive):
    """The baseline: mbt2018-mean as it is (Minnen et al. 2018), with gains."""

    name = "mbt-mean"
    summary = "learned (mbt2018-mean): protected hyperprior, latent channels in packets that decode on their own"
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
    """mbt2018-mean trained with channels lost at random."""

    name = "random"
    summary = "learned (mbt2018-mean, trained with random channel losses)"


class ProgDtd(ChannelProgressive):
    """mbt2018-mean trained with double tail drop (Hojjat et al., CVPR-W 2023, as paper 1 makes it)."""

    name = "progdtd"
    summary = "learned (ProgDTD: mbt2018-mean trained with double tail drop)"


class ScrMcaUniform(ChannelProgressive):
    """Paper 1's method, trained with uniform loss."""

    name = "scr-mca-u"
    summary = "learned (rearranged channels, decoder told what was lost), trained with uniform loss"


class ScrMcaSettings(ProgressiveSettings):
    """modules: both of paper 1's modules, one alone, or neither (its ablation, Fig. 8)."""

    modules: Literal["scr+mca", "scr", "mca", "none"] = "scr+mca"


class ScrMcaGilbertElliott(ChannelProgressive):
    """Paper 1's method, trained with Gilbert-Elliott loss."""

    name = "scr-mca-ge"
    summary = "learned (rearranged channels, decoder told what was lost), trained with Gilbert–Elliott loss"
    Settings = ScrMcaSettings
    settings: ScrMcaSettings
    _METHODS: ClassVar = {"scr+mca": "scr-mca-ge", "scr": "scr-ge", "mca": "mca-ge", "none": "progdtd-ge"}

    @property
    def method(self) -> str:
        return str(self._METHODS[self.settings.modules])
