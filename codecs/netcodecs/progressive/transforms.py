"""The networks around the packets: image → latent, hyperprior → entropy parameters, latents → images."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from netcodecs.common.devices import IMAGES_AT_ONCE, multiplies_bfloat16
from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.search import refined
from netcodecs.threads import one_thread
from netcodecs.transforms.annealing import SEARCH_STEPS
from netcodecs.transforms.entropy_tables import bottleneck_tables
from netcodecs.transforms.fixed_point import ExactMeanScale, ExactResidual
from netcodecs.transforms.gains import lambda_of
from netcodecs.transforms.hyper_coder import ChannelCoder, ContextCoder, HyperCoder
from netcodecs.transforms.hyperprior import Hyperprior
from netsim.errors import InputError

__all__ = ["Transforms"]

Image = NDArray[np.uint8]
Latent = NDArray[np.float32]

STRIDE = 64  # of g_a and h_a together


class Transforms:
    """A trained backbone for inference, an image at a time but for g_s.

    Args:
        backbone: Is moved to the device.
        device: For g_a, h_a, MCA and g_s, which code nothing; entropy parameters are made on the processor.
    """

    def __init__(self, backbone: Backbone, device: str = "cpu") -> None:
        hyper = backbone.hyper
        if isinstance(hyper, Hyperprior):
            self._exact: ExactResidual | ExactMeanScale = ExactResidual(hyper.synthesis)
            if not hyper.context.bias.any():  # not fitted
                hyper.context.start_from(hyper.prior)
            self.hyper_coder: HyperCoder = ContextCoder(hyper.context)
            self._hyper_analysis, self._medians = hyper.analysis, torch.zeros(())
        else:
            from netcodecs.transforms.mean_scale import MeanScaleHyperprior

            assert isinstance(hyper, MeanScaleHyperprior)
            self._exact = ExactMeanScale(hyper.h_s, hyper.medians)
            self.hyper_coder = ChannelCoder(bottleneck_tables(hyper.entropy_bottleneck))
            self._hyper_analysis, self._medians = hyper.h_a, hyper.medians[0].double()
        self.scr, self.mca = backbone.scr, backbone.aggregation is not None
        gains = backbone.log_gain.numel() + backbone.log_inverse_gain.numel()
        #: trained, gains left out: they fold into the transforms
        self.parameters = sum(p.numel() for p in backbone.parameters()) - gains
        backbone.g_a = backbone.kind.inference_form(backbone.g_a)
        backbone.g_s = backbone.kind.inference_form(backbone.g_s)
        self._backbone, self._device = backbone.to(device), torch.device(device)
        for layers in (backbone.g_a, backbone.g_s, backbone.hyper):
            layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _gains(self, quality: float) -> tuple[Tensor, Tensor]:
        return self._backbone.gains(torch.tensor([lambda_of(quality)], device=self._device))

    @torch.no_grad()
    @one_thread()
    def analyse(self, image: Image) -> Tensor:
        """The latent before its gain, (1, M, h, w). The image's right and bottom border is repeated to 64."""
        latent: Tensor = self._backbone.g_a(self._padded(image).contiguous(memory_format=torch.channels_last))
        return latent

    @one_thread()
    def searched(self, image: Image, quality: float, effort: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """As :meth:`at_quality` of :meth:`analyse`, after a search for a better latent.

        Args:
            image: uint8 (H, W, 3).
            quality: Of the stream.
            effort: 1 or 2.

        Raises:
            InputError: If the weights are of other transforms than ``residual``.
        """
        if self._backbone.kind.kind != "residual":
            raise InputError(f"effort: {effort} with weights of {self._backbone.kind.kind}", hint="leave `effort` out")
        given = self._padded(image).contiguous(memory_format=torch.channels_last)
        bfloat16 = multiplies_bfloat16(self._device)
        latent, hyper = refined(self._backbone, given, lambda_of(quality), SEARCH_STEPS[effort], bfloat16)
        coded = self._backbone.arranged(latent)[0].cpu().double().numpy()
        return coded, torch.round(hyper[0].cpu().double()).long().numpy()

    def _padded(self, image: Image) -> Tensor:
        height, width = image.shape[:2]
        given = torch.from_numpy(np.array(image)).to(self._device).permute(2, 0, 1)[None].float() / 255
        return functional.pad(given, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")

    @torch.no_grad()
    @one_thread()
    def at_quality(self, latent: Tensor, quality: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The latent as it is coded (gained, with SCR rearranged), float64 (M, h, w), and the hyperprior's symbols,
        (N, h/4, w/4)."""
        gained = latent * self._gains(quality)[0]
        hyper = self._hyper_analysis(gained)[0].cpu().double()
        coded = self._backbone.arranged(gained)[0].cpu().double().numpy()
        return coded, torch.round(hyper - self._medians).long().numpy()

    @one_thread()
    def entropy_parameters(self, symbols: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """From the hyperprior's symbols, for each latent sample in coding order: the index of its table and its mean.

        Both are (M, h, w), and the same on every machine.
        """
        indexes, means = self._exact(symbols)
        if not self.scr:
            return indexes, means
        arranged = [self._backbone.arranged(torch.from_numpy(part)[None])[0].numpy() for part in (indexes, means)]
        return arranged[0], arranged[1]

    @torch.no_grad()
    @one_thread()
    def synthesise(
        self,
        latents: Latent,
        present: NDArray[np.bool_],
        quality: float,
        height: int,
        width: int,
        means: NDArray[np.float64] | None = None,
    ) -> Image:
        """Images from received latents.

        Args:
            latents: (B, M, h, w), as they are coded; zero where missing.
            present: bool, of the same shape: True = received; read with MCA or concealment only.
            quality: Of the stream.
            height: Of the image, in pixels.
            width: Of the image, in pixels.
            means: Of the latent as it is coded, (M, h, w); read with concealment only.

        Returns:
            uint8 (B, height, width, 3).
        """
        backbone, inverse = self._backbone, self._gains(quality)[1]
        images = np.empty((len(latents), height, width, 3), np.uint8)
        at_once = IMAGES_AT_ONCE[self._device.type]
        for start in range(0, len(latents), at_once):
            part = torch.from_numpy(latents[start : start + at_once]).to(self._device)
            part = backbone.arranged(part).contiguous(memory_format=torch.channels_last)
            mask = None
            if self.mca or backbone.concealment is not None:
                mask = backbone.arranged(torch.from_numpy(present[start : start + at_once]).to(self._device))
            if backbone.concealment is not None and mask is not None and means is not None:
                expected = backbone.arranged(torch.from_numpy(means)[None].float().to(self._device))
                part = backbone.concealment(part, mask.float(), expected)
            shown = backbone.synthesised(part, mask, inverse)[..., :height, :width].clamp(0, 1) * 255
            images[start : start + at_once] = shown.round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return images
