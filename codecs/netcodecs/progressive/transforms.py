"""The networks around the packets: picture → latent, hyperprior → entropy parameters, latents → pictures."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from netcodecs.progressive.backbone import LAMBDAS, Backbone

__all__ = ["ExactHyperSynthesis", "Transforms", "quality_lambda"]

Image = NDArray[np.uint8]
Latent = NDArray[np.float32]

STRIDE = 64  # of g_a and h_a together
PICTURES_AT_ONCE = 4  # in g_s: memory grows with it; a processor gains nothing by more


def quality_lambda(quality: float) -> float:
    """λ of a quality: CompressAI's numbers 1, 2, 3 for the three λ of the paper, log-linear between.

    >>> quality_lambda(1), quality_lambda(3), round(quality_lambda(1.5), 6)
    (0.0018, 0.0067, 0.00251)
    """
    left = min(int(quality), len(LAMBDAS) - 1)
    low, high = (math.log(lam) for lam in LAMBDAS[left - 1 : left + 1])
    if quality == int(quality):
        return LAMBDAS[int(quality) - 1]
    return math.exp(low + (quality - left) * (high - low))


class ExactHyperSynthesis:
    """h_s in fixed point: the same entropy parameters to the last bit for any thread count, batch or device.

    Weights and activations are multiples of 2⁻¹⁶ and bounded such that every partial sum of a convolution has at most
    53 bits: float64 then adds without rounding, in whatever order (after Ballé, Johnston & Minnen, "Integer networks
    for data compression with latent-variable models", ICLR 2019, whose networks are trained for it; here a
    trained network is rounded, and 2⁻¹⁶ is far below what matters).
    """

    GRID = 2.0**16

    def __init__(self, layers: nn.Sequential) -> None:
        self._layers = copy.deepcopy(layers).double().eval()
        self._bounds: list[float] = []
        for layer in self._layers:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                assert layer.bias is not None
                for parameter in (layer.weight, layer.bias):
                    parameter.data = self._rounded(parameter.data)
                outputs = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
                gathered = layer.weight.detach().abs().transpose(0, outputs).flatten(1).sum(1)
                self._bounds.append(float(2.0**20 / gathered.max().clamp(min=1.0)))

    def _rounded(self, values: Tensor) -> Tensor:
        return torch.round(values * self.GRID) / self.GRID

    @torch.no_grad()
    def __call__(self, hyper: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scales and means, float64 (M, h, w), from a decoded hyperprior (1, N, h/4, w/4)."""
        values = hyper.double()
        bounds = iter(self._bounds)
        for layer in self._layers:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                bound = next(bounds)
                values = layer(self._rounded(values.clamp(-bound, bound)))
            else:
                values = layer(values)
        scales, means = self._rounded(values)[0].chunk(2, 0)
        return scales.numpy(), means.numpy()


class Transforms:
    """A trained backbone's transforms, a picture at a time but for g_s."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._model = backbone.model
        self._exact_h_s = ExactHyperSynthesis(self._model.h_s)
        self._medians = self._model.entropy_bottleneck.quantiles[:, 0, 1].detach().double()[:, None, None]

    def _gains(self, quality: float) -> tuple[Tensor, Tensor]:
        gain, inverse = self._backbone.gains(torch.tensor([quality_lambda(quality)]))
        return gain, inverse

    @torch.no_grad()
    def analyse(self, image: Image) -> Tensor:
        """The latent before its gain, (1, M, h, w). The picture's right and bottom border is repeated to 64."""
        height, width = image.shape[:2]
        picture = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        padded = functional.pad(picture, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        latent: Tensor = self._model.g_a(padded)
        return latent

    @torch.no_grad()
    def at_quality(self, latent: Tensor, quality: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The latent with its gain, float64 (M, h, w), and the hyperprior's symbols, (N, h/4, w/4)."""
        gained = latent * self._gains(quality)[0]
        symbols = torch.round(self._model.h_a(gained)[0].double() - self._medians).long()
        return gained[0].double().numpy(), symbols.numpy()

    def entropy_parameters(self, symbols: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scales and means, float64 (M, h, w), from the hyperprior's symbols; the same on every machine."""
        return self._exact_h_s((torch.from_numpy(symbols).double() + self._medians)[None])

    @torch.no_grad()
    def synthesise(self, latents: Latent, quality: float, height: int, width: int) -> Image:
        """Pictures uint8 (B, height, width, 3) from decoded latents (B, M, h, w)."""
        inverse = self._gains(quality)[1]
        pictures = np.empty((len(latents), height, width, 3), np.uint8)
        for start in range(0, len(latents), PICTURES_AT_ONCE):
            part = torch.from_numpy(latents[start : start + PICTURES_AT_ONCE])
            shown = self._model.g_s(part * inverse)[..., :height, :width].clamp(0, 1) * 255
            pictures[start : start + PICTURES_AT_ONCE] = shown.round().byte().permute(0, 2, 3, 1).numpy()
        return pictures
