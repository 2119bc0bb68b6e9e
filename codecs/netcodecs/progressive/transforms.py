"""The networks around the packets: picture → latent, hyperprior → entropy parameters, latents → pictures."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from netcodecs.compressai_import import compressai
from netcodecs.progressive.backbone import LAMBDAS, Backbone
from netcodecs.progressive.rearrangement import rearranged
from netcodecs.threads import one_thread
from netsim.errors import InputError

__all__ = ["ExactHyperSynthesis", "Transforms", "check_device", "quality_lambda", "quick_layers"]

Image = NDArray[np.uint8]
Latent = NDArray[np.float32]

STRIDE = 64  # of g_a and h_a together
# in g_s; on a processor the time goes into fresh memory, and more pictures take more of it: two at once .23 s each,
# one .19 s, without channels_last .24 s (768 × 512, one thread)
PICTURES_AT_ONCE = {"cpu": 1, "cuda": 32}
_SAMPLES_AT_ONCE = 4096  # what is in between then stays in a processor's cache


def quality_lambda(quality: float) -> float:
    """λ of a quality: CompressAI's numbers 1, 2, 3 for the three λ of the paper, 0 for .0005; log-linear between.

    >>> quality_lambda(0), quality_lambda(1), quality_lambda(3), round(quality_lambda(1.5), 6)
    (0.0005, 0.0018, 0.0067, 0.00251)
    """
    left = min(int(quality), len(LAMBDAS) - 2)
    if quality == int(quality):
        return LAMBDAS[int(quality)]
    low, high = (math.log(lam) for lam in LAMBDAS[left : left + 2])
    return math.exp(low + (quality - left) * (high - low))


def check_device(device: str) -> None:
    """Raises InputError if torch finds no such device."""
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: cuda, but torch finds none here", hint="leave `device` out, or give `cpu`")


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


class _Division(nn.Module):
    """A trained GDN layer, its parameters made once, as one product over channels-last samples: a third of the time."""

    beta: Tensor
    gamma: Tensor

    def __init__(self, layer: compressai.layers.GDN) -> None:
        super().__init__()
        self.inverse = layer.inverse
        self.register_buffer("beta", layer.beta_reparam(layer.beta.detach()))
        self.register_buffer("gamma", layer.gamma_reparam(layer.gamma.detach()).T.contiguous())

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) → the same shape, channels last."""
        samples = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
        at_once = _SAMPLES_AT_ONCE if features.device.type == "cpu" else len(samples)
        for part in samples.split(at_once):
            norm = torch.addmm(self.beta, part * part, self.gamma).sqrt_()
            part.mul_(norm) if self.inverse else part.div_(norm)
        batch, _, height, width = features.shape
        return samples.view(batch, height, width, -1).permute(0, 3, 1, 2)


class _LastUpsampling(nn.Module):
    """A transposed convolution of stride 2 to few channels, as one convolution to the four pixels of each place.

    Half of the time: with three outputs, a transposed one leaves most of a processor's lanes empty.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, layer: nn.ConvTranspose2d) -> None:
        super().__init__()
        inputs, outputs = layer.weight.shape[:2]
        assert layer.bias is not None
        weight = torch.zeros(outputs, 2, 2, inputs, 3, 3, dtype=layer.weight.dtype)
        for row in (0, 1):  # an even pixel hears taps 4, 2, 0 of the places before, at and behind it; an odd one 3, 1
            for column in (0, 1):
                taps = layer.weight.detach()[:, :, row::2, column::2].flip(2, 3).transpose(0, 1)
                weight[:, row, column, :, row:, column:] = taps
        self.register_buffer("weight", weight.flatten(0, 2).contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", layer.bias.detach().repeat_interleave(4))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) → (B, outputs, 2h, 2w)"""
        return functional.pixel_shuffle(functional.conv2d(features, self.weight, self.bias, padding=1), 2)


def quick_layers(layers: nn.Sequential) -> nn.Sequential:
    """The same layers, for use only: GDN and the last upsampling in their quick forms."""
    return nn.Sequential(*map(_quick, layers))


def _quick(layer: nn.Module) -> nn.Module:
    if isinstance(layer, compressai.layers.GDN):
        return _Division(layer)
    if isinstance(layer, nn.ConvTranspose2d) and (layer.kernel_size, layer.out_channels) == ((5, 5), 3):
        return _LastUpsampling(layer)
    return layer


class Transforms:
    """A trained backbone's transforms, a picture at a time but for g_s.

    device: for g_a, h_a, MCA and g_s, which code nothing; entropy parameters are made on the processor.
    """

    def __init__(self, backbone: Backbone, device: str = "cpu") -> None:
        self._exact_h_s = ExactHyperSynthesis(backbone.model.h_s)
        self._medians = backbone.model.entropy_bottleneck.quantiles[:, 0, 1].detach().double()[:, None, None]
        self.scr, self.mca = backbone.scr, backbone.aggregation is not None
        gains = backbone.log_gain.numel() + backbone.log_inverse_gain.numel()
        #: trained, gains left out: they fold into the transforms
        self.parameters = sum(p.numel() for p in backbone.parameters()) - gains
        backbone.model.g_a, backbone.model.g_s = map(quick_layers, (backbone.model.g_a, backbone.model.g_s))
        self._backbone, self._device = backbone.to(device), torch.device(device)
        for layers in (backbone.model.g_a, backbone.model.g_s):
            layers.to(memory_format=torch.channels_last)

    def _gains(self, quality: float) -> tuple[Tensor, Tensor]:
        gain, inverse = self._backbone.gains(torch.tensor([quality_lambda(quality)], device=self._device))
        return gain, inverse

    @torch.no_grad()
    @one_thread()
    def analyse(self, image: Image) -> Tensor:
        """The latent before its gain, (1, M, h, w). The picture's right and bottom border is repeated to 64."""
        height, width = image.shape[:2]
        picture = torch.from_numpy(np.array(image)).to(self._device).permute(2, 0, 1)[None].float() / 255
        padded = functional.pad(picture, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        latent: Tensor = self._backbone.model.g_a(padded)
        return latent

    @torch.no_grad()
    @one_thread()
    def at_quality(self, latent: Tensor, quality: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The latent as it is coded (gained, with SCR rearranged), float64 (M, h, w), and the hyperprior's symbols,
        (N, h/4, w/4)."""
        gained = latent * self._gains(quality)[0]
        if self.scr:
            gained = rearranged(gained)
        hyper = self._backbone.model.h_a(gained)[0].cpu().double()
        return gained[0].cpu().double().numpy(), torch.round(hyper - self._medians).long().numpy()

    def entropy_parameters(self, symbols: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scales and means, float64 (M, h, w), from the hyperprior's symbols; the same on every machine."""
        return self._exact_h_s((torch.from_numpy(symbols).double() + self._medians)[None])

    @torch.no_grad()
    @one_thread()
    def synthesise(self, latents: Latent, present: NDArray[np.bool_], quality: float, height: int, width: int) -> Image:
        """Pictures uint8 (B, height, width, 3) from received latents (B, M, h, w), zero where lost.

        present: bool, of the same shape: True = received or not sent, False = lost; read with MCA only.
        """
        inverse = self._gains(quality)[1]
        pictures = np.empty((len(latents), height, width, 3), np.uint8)
        at_once = PICTURES_AT_ONCE[self._device.type]
        for start in range(0, len(latents), at_once):
            part = torch.from_numpy(latents[start : start + at_once]).to(self._device)
            mask = torch.from_numpy(present[start : start + at_once]).to(self._device)
            part = part.contiguous(memory_format=torch.channels_last)
            shown = self._backbone.synthesised(part, mask, inverse)[..., :height, :width].clamp(0, 1) * 255
            pictures[start : start + at_once] = shown.round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return pictures
