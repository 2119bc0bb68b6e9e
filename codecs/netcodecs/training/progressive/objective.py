"""What a channel-progressive method minimises: λ·255²·MSE + bpp at all λ at once, with its losses."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from netcodecs.progressive.backbone import Backbone, ChannelMask, EncodedBatch, M, N
from netcodecs.progressive.methods import Method
from netcodecs.training.core.crops import RandomCrops, centre_crop
from netcodecs.training.progressive.channel_masks import received_by, sample_channel_mask
from netcodecs.training.progressive.emphasis import Emphasis
from netcodecs.transforms.residual import REFERENCE_LAMBDA

__all__ = ["ProgressiveObjective", "grouping", "losses"]


def losses(coded: EncodedBatch, image: Tensor, lam: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Loss λ·255²·MSE + bpp, its rate in bpp and its MSE (range 0…1), each per image: three tensors (B,)."""
    bpp = coded.bits / (image.shape[2] * image.shape[3])
    mse = (coded.image - image).square().flatten(1).mean(1)
    return lam * 255**2 * mse + bpp, bpp, mse


def grouping(name: str, parameter: nn.Parameter) -> tuple[str, float]:
    """SOAP for kernels; Adam for depthwise kernels, biases and gains, and for the hyperprior's linear path."""
    if ".prior." in name or "entropy_bottleneck" in name:
        return "adam", 2.0
    if parameter.dim() == 4 and parameter.shape[1] > 1 and ".linear." not in name:
        return "soap", 1.0
    return "adam", 0.7


class ProgressiveObjective:
    """A method of paper 1.

    Args:
        network: With initial weights.
        method: Which losses and drops it learns from.
        crops: Training images.
        held_out: Validation images, uint8 (H, W, 3).
        batch: Crops per step.
        device: Of the network.
        emphasis: What counts how much.
    """

    statistics = ("loss", "bpp", "psnr_db")

    def __init__(
        self,
        network: Backbone,
        method: Method,
        crops: RandomCrops,
        held_out: Sequence[NDArray[np.uint8]],
        *,
        batch: int,
        device: str = "cpu",
        emphasis: Emphasis | None = None,
    ) -> None:
        self._emphasis = emphasis or Emphasis()
        self.network, self.method, self._crops, self._batch, self._device = network, method, crops, batch, device
        self._held_out = [centre_crop(image).to(device) for image in held_out]

    def grouping(self, name: str, parameter: nn.Parameter) -> tuple[str, float]:
        """See :func:`grouping`."""
        return grouping(name, parameter)

    def loss(self, rng: np.random.Generator, share: float) -> tuple[Tensor, Tensor]:
        """Mean loss of a batch whose λ take turns, and its statistics."""
        lambdas = self.network.lambdas
        first = int(rng.integers(len(lambdas)))
        lam = torch.tensor([lambdas[(first + i) % len(lambdas)] for i in range(self._batch)], device=self._device)
        image = self._crops.draw(self._batch, rng).to(self._device)
        mask = sample_channel_mask(self.method, self._batch, rng, self._emphasis)
        coded = self.network(image, lam, None if mask is None else mask.to(self._device))
        loss, bpp, mse = losses(coded, image, lam)
        weighted = (loss * (REFERENCE_LAMBDA / lam) ** self._emphasis.balance).mean()
        return weighted, torch.stack([weighted, bpp.mean(), -10 * torch.log10(mse).mean()])

    def validate(self, network: nn.Module) -> list[dict[str, float]]:
        """Mean bpp, PSNR and loss at each λ: estimated bits, images clamped and rounded.

        ``lossy_psnr_db`` is the PSNR where channels are lost as Gilbert-Elliott training loses them (10 %), by masks
        that are the same at every call.
        """
        assert isinstance(network, Backbone)
        rows = []
        for lam in network.lambdas:
            cells = []
            for number, image in enumerate(self._held_out):
                lams = torch.tensor([lam], device=self._device)
                loss, bpp, mse = (float(v) for v in losses(_shown(network(image, lams)), image, lams))
                lossy = losses(_shown(network(image, lams, _lossy(number).to(self._device))), image, lams)[2]
                cells.append((bpp, -10 * math.log10(mse), loss, -10 * math.log10(float(lossy))))
            bpp, psnr_db, loss, lossy_psnr_db = (sum(column) / len(cells) for column in zip(*cells, strict=True))
            rows.append({"lambda": lam, "bpp": bpp, "psnr_db": psnr_db, "loss": loss, "lossy_psnr_db": lossy_psnr_db})
        return rows


def _shown(coded: EncodedBatch) -> EncodedBatch:
    return EncodedBatch((coded.image.clamp(0, 1) * 255).round() / 255, coded.bits)


def _lossy(number: int) -> ChannelMask:
    """The losses of validation image ``number``."""
    everything = torch.ones(1, M, dtype=torch.bool), torch.ones(1, N, dtype=torch.bool)
    return ChannelMask(*everything, received_by("gilbert-elliott", 1, np.random.default_rng(number)))
