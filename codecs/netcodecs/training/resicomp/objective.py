"""What ResiComp minimises: rate of masked tokens + λ·255²·(MSE of the image + α · MSE of the concealed image)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from netcodecs.resicomp.mixture import log_likelihood
from netcodecs.resicomp.model import ResiCompModel
from netcodecs.resicomp.order import qlds_order
from netcodecs.resicomp.transformer import MIDDLE_RATE
from netcodecs.training.core.crops import RandomCrops, centre_crop
from netcodecs.transforms.gained import STRIDE
from netcodecs.transforms.hyperprior import round_ste
from netcodecs.transforms.residual import REFERENCE_LAMBDA

__all__ = ["Masked", "ResiCompObjective", "known_tokens", "latent_of", "masked_losses", "stratified"]

_NOTHING_KNOWN = 0.1  # share of crops without any known token, as ISC and first slices code all of theirs
_VALIDATED = (0.0018, 0.0067)
_KNOWN_SHARES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Masked:
    """Of each image of a batch, (B,) each.

    Attributes:
        bpp: Of the tokens that are not known, as if the whole image were like them.
        mse: Of the image without loss, range 0…1.
        concealed_mse: Of the image whose unknown tokens are concealed.
    """

    bpp: Tensor
    mse: Tensor
    concealed_mse: Tensor


def stratified(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """``count`` numbers in 0…1, one from each of as many equal intervals, in random order."""
    return rng.permutation((np.arange(count) + rng.random(count)) / count)


def known_tokens(masked: NDArray[np.float64], height: int, width: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which tokens are known, bool (B, height, width): all but ⌈N·r⌉ of each image, at random (ResiComp, §III-B).

    Args:
        masked: r, the share of each image's tokens that is not known, (B,).
        height: Of the grid.
        width: Of the grid.
        rng: Draws them.

    >>> known_tokens(np.array([0.0, 0.3]), 4, 4, np.random.default_rng(0)).sum((1, 2)).tolist()
    [16, 11]
    """
    tokens = height * width
    ranks = rng.permuted(np.broadcast_to(np.arange(tokens), (len(masked), tokens)), axis=1)
    return (ranks >= np.ceil(masked * tokens)[:, None]).reshape(-1, height, width)


def masked_losses(model: ResiCompModel, image: Tensor, known: Tensor, lam: Tensor) -> Masked:
    """Rate of masked tokens and both distortions (ResiComp, Eq. 9 to 12).

    Transformer and g_s see rounded latents with a straight-through gradient. In train mode the densities learn from
    rounded samples, and the latent learns its own rate from noisy ones.

    Args:
        model: In train mode, or in eval mode for what a codec would give (8-bit images).
        image: (B, 3, H, W), 0…1, H and W multiples of the stride times the Transformer's window.
        known: bool (B, H/16, W/16).
        lam: (B,).
    """
    transforms, network = model.transforms, model.transformer
    latent, steps = latent_of(model, image, lam)
    rounded, log_rate = round_ste(latent), torch.log(lam / MIDDLE_RATE)
    tokens, places = rounded / steps, torch.nonzero(~known.flatten())[:, 0]
    hidden = network.hidden(tokens, known, log_rate)
    bits = _bits(model, hidden, latent, steps, places)
    of_concealer = hidden if model.second is None else model.second.hidden(tokens, known, log_rate)
    estimates = model.concealer.values(of_concealer).float()
    concealed = tokens.flatten(0, 2).index_copy(0, places, estimates).view(tokens.shape) * steps
    inverse = transforms.gains(lam)[1]
    both = torch.cat([rounded, concealed]).permute(0, 3, 1, 2) * inverse.repeat(2, 1, 1, 1)
    shown: Tensor = transforms.g_s(both).float()
    if not model.training:
        shown = (shown.clamp(0, 1) * 255).round() / 255
    mse, concealed_mse = (shown - image.repeat(2, 1, 1, 1)).square().flatten(1).mean(1).split(len(image))
    images, count = places // known[0].numel(), (~known).flatten(1).sum(1).clamp(min=1)
    sums = torch.zeros(len(image), device=bits.device).index_add(0, images, bits)
    return Masked(sums / count / STRIDE**2, mse, concealed_mse)


def latent_of(model: ResiCompModel, image: Tensor, lam: Tensor) -> tuple[Tensor, Tensor]:
    """The latent in quantiser steps, (B, h, w, C), and the steps in each channel's usual spread, (B, 1, 1, C)."""
    gain = model.transforms.gains(lam)[0]
    steps = (gain[:, :, 0, 0] * model.spread)[:, None, None]
    return model.transforms.analysed(image, gain).permute(0, 2, 3, 1), steps


def _bits(model: ResiCompModel, hidden: Tensor, latent: Tensor, steps: Tensor, places: Tensor) -> Tensor:
    """Information of unknown tokens, (n,).

    Args:
        model: Its density head codes.
        hidden: Of each unknown token, (n, width).
        latent: Of all tokens, in quantiser steps, (B, h, w, C).
        steps: Quantiser steps in a channel's usual spread, (B, 1, 1, C).
        places: Of the unknown tokens among all, int64 (n,).
    """
    logits, means, scales = (part.float() for part in model.transformer.densities(hidden))
    given, unit = (part.expand(latent.shape).flatten(0, 2)[places] for part in (latent, steps))
    with torch.autocast(latent.device.type, enabled=False):  # erfc's differences need single precision
        mixture = logits, means * unit[:, None], scales * unit[:, None]
        nats = -log_likelihood(torch.round(given).detach(), *mixture).sum(1)
        if model.training and given.requires_grad:
            noise = torch.rand_like(given) - 0.5
            noisy = -log_likelihood(given + noise, *(part.detach() for part in mixture)).sum(1)
            nats = nats + noisy - noisy.detach()
    return nats / math.log(2)


class ResiCompObjective:
    """ResiComp's loss at all λ at once.

    Args:
        network: With initial weights.
        crops: Training images.
        held_out: Validation images, uint8 (H, W, 3).
        batch: Crops per step.
        alpha: Weight of the concealed image's error.
        balance: Exponent of (.0067 / λ), by which an image's loss is weighted: high λ have large losses, which would
            decide everything.
        lambdas: Lowest and highest λ; drawn log-uniformly.
        transforms_rate: Learning rate of the transforms, as a multiple of the Transformer's; 0: they stay as they are.
        device: Of the network.
    """

    statistics = ("loss", "bpp", "psnr_db", "concealed_psnr_db")

    def __init__(
        self,
        network: ResiCompModel,
        crops: RandomCrops,
        held_out: Sequence[NDArray[np.uint8]],
        *,
        batch: int,
        alpha: float = 0.1,
        balance: float = 0.4,
        lambdas: tuple[float, float] | None = None,
        transforms_rate: float = 0.5,
        device: str = "cpu",
    ) -> None:
        self.network, self._crops, self._batch, self._device = network, crops, batch, device
        self._alpha, self._balance = alpha, balance
        known = network.transforms.lambdas
        self._log_lambdas = [math.log(lam) for lam in (lambdas or (known[0], known[-1]))]
        self._transforms_rate = transforms_rate
        multiple = STRIDE * math.lcm(network.transformer.size.window, 4)
        self._held_out = [centre_crop(image, multiple).to(device) for image in held_out]
        if not transforms_rate:
            network.transforms.requires_grad_(False)

    def grouping(self, name: str, parameter: nn.Parameter) -> tuple[str, float]:
        """SOAP for kernels and matrices; Adam for depthwise kernels, biases, norms and gains."""
        of_transforms = self._transforms_rate if name.startswith("transforms.") else 1.0
        kernel = parameter.dim() == 4 and parameter.shape[1] > 1
        matrix = parameter.dim() == 2 and name.endswith(".weight") and min(parameter.shape) > 1
        return ("soap", of_transforms) if kernel or matrix else ("adam", 0.7 * of_transforms)

    def loss(self, rng: np.random.Generator, share: float) -> tuple[Tensor, Tensor]:
        """Mean loss of a batch, and its statistics."""
        image = self._crops.draw(self._batch, rng).to(self._device)
        low, high = self._log_lambdas
        lam = torch.from_numpy(np.exp(low + (high - low) * stratified(self._batch, rng))).float().to(self._device)
        grid = image.shape[2] // STRIDE, image.shape[3] // STRIDE
        masked = np.minimum(stratified(self._batch, rng) / (1 - _NOTHING_KNOWN), 1.0)
        known = torch.from_numpy(known_tokens(masked, *grid, rng)).to(self._device)
        measured = masked_losses(self.network, image, known, lam)
        distortion = measured.mse + self._alpha * measured.concealed_mse
        each = measured.bpp + lam * 255**2 * distortion
        loss = (each * (REFERENCE_LAMBDA / lam) ** self._balance).mean()
        decibels = [-10 * torch.log10(mse).mean() for mse in (measured.mse, measured.concealed_mse)]
        return loss, torch.stack([loss, measured.bpp.mean(), *decibels])

    def validate(self, network: nn.Module) -> list[dict[str, float]]:
        """Means over images at two λ.

        ``bpp_N``: estimated rate of unknown tokens where N % are known, in the order in which they are coded, as if
        the whole image were like them. ``lc_bpp``: its mean over all shares known, which is about what LC needs.
        ``concealed_psnr_db``: of the image with a random half of its tokens concealed. ``loss``: lc_bpp + λ·255²·(MSE
        + α · concealed MSE).
        """
        assert isinstance(network, ResiCompModel)
        rows = []
        for lam in _VALIDATED:
            cells = [self._measured(network, image, lam, number) for number, image in enumerate(self._held_out)]
            means = {name: float(np.mean([cell[name] for cell in cells])) for name in cells[0]}
            rows.append({"lambda": lam} | means)
        return rows

    def _measured(self, network: ResiCompModel, image: Tensor, lam: float, number: int) -> dict[str, float]:
        """One validation image at one λ; ``number`` decides which half is concealed."""
        grid = image.shape[2] // STRIDE, image.shape[3] // STRIDE
        lams = torch.tensor([lam], device=self._device)
        half = known_tokens(np.array([0.5]), *grid, np.random.default_rng(number))
        through = masked_losses(network, image, torch.from_numpy(half).to(self._device), lams)
        latent, steps = latent_of(network, image, lams)
        order, tokens = qlds_order(*grid), torch.round(latent) / steps
        bpp = []
        for share in _KNOWN_SHARES:
            known = torch.zeros(len(order), dtype=torch.bool, device=self._device)
            known[order[: round(share * len(order))].copy()] = True
            hidden = network.transformer.hidden(tokens, known.view(1, *grid), torch.log(lams / MIDDLE_RATE))
            bits = _bits(network, hidden, latent, steps, torch.nonzero(~known)[:, 0])
            bpp.append(float(bits.mean()) / STRIDE**2)
        middles = [(one + other) / 2 for one, other in itertools.pairwise([*bpp, bpp[-1]])]
        lc_bpp = float(np.diff([*_KNOWN_SHARES, 1.0]) @ middles)
        mse, concealed = float(through.mse), float(through.concealed_mse)
        return {
            "bpp_0": bpp[0],
            "bpp_50": bpp[3],
            "bpp_90": bpp[-1],
            "lc_bpp": lc_bpp,
            "psnr_db": -10 * math.log10(mse),
            "concealed_psnr_db": -10 * math.log10(concealed),
            "loss": lc_bpp + lam * 255**2 * (mse + self._alpha * concealed),
        }
