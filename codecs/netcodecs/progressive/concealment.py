"""Concealment by residuals: our own addition to paper 1, fitted without training.

A missing sample is the hyperprior's mean plus what its received neighbours tell about its residual::

    ŷ = μ + Σ_n t_n · m_n · (y_n − μ_n)

The sum is over the eight neighbours of the same channel (with SCR, a lost channel leaves most of them), m_n is 1 where
a neighbour was received, and the taps t are those of each channel, by least squares over natural images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from netcodecs.weight_files import digest, read_weights, write_weights
from netsim.errors import InputError

__all__ = ["ResidualConcealment", "holds_concealment", "load_concealment", "save_concealment"]

_CENTRE, _TAPS = 4, 9
_RIDGE = 0.02  # of the mean power of a channel's neighbours
_FITTED_TO = "fitted_to"  # fact: digest of what the fit depends on
_DEPENDS_ON = ("g_a.", "log_gain", "hyper.analysis.", "hyper.synthesis.")  # what makes the latent and its means


class ResidualConcealment(nn.Module):
    """Fills what is missing of a latent.

    Args:
        channels: C, of the latent.
    """

    taps: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("taps", torch.zeros(channels, 1, 3, 3))

    def forward(self, latent: Tensor, mask: Tensor, means: Tensor) -> Tensor:
        """The latent with estimates where it is missing, (B, C, h, w).

        Args:
            latent: (B, C, h, w), in quantiser steps; anything where missing.
            mask: The same shape; 1 = received, 0 = missing.
            means: Of the hyperprior, (B, C, h, w) or (1, C, h, w).
        """
        residual = (latent - means) * mask
        estimate = means + functional.conv2d(residual, self.taps, padding=1, groups=latent.shape[1])
        return mask * latent + (1 - mask) * estimate

    @torch.no_grad()
    def fit(self, examples: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Sets the taps by least squares with a small ridge.

        Every sample is predicted from its neighbours, be it received or not: which neighbours are received hardly
        depends on whether the sample itself is, and so there are ten times as many examples.

        Args:
            examples: Residuals y − μ, (B, C, h, w), and masks of the same shape, 1 = received.
        """
        channels = len(self.taps)
        gram = torch.zeros(channels, _TAPS, _TAPS, dtype=torch.float64)
        moments = torch.zeros(channels, _TAPS, dtype=torch.float64)
        for residual, mask in examples:
            near = functional.unfold((residual * mask).double(), 3, padding=1).unflatten(1, (channels, _TAPS))
            near[:, :, _CENTRE] = 0
            near, wanted = near.transpose(0, 1), residual.double().flatten(2).transpose(0, 1)
            gram += torch.einsum("cbip,cbjp->cij", near, near)
            moments += torch.einsum("cbip,cbp->ci", near, wanted)
        power = gram.diagonal(dim1=1, dim2=2).sum(1) / (_TAPS - 1)
        ridge = (_RIDGE * power + 1e-9)[:, None, None] * torch.eye(_TAPS, dtype=torch.float64)
        self.taps.copy_(torch.linalg.solve(gram + ridge, moments).view(channels, 1, 3, 3))


def save_concealment(
    path: Path, concealment: ResidualConcealment, network: nn.Module, facts: Mapping[str, Any] | None = None
) -> None:
    """Writes fitted taps, a digest of the network that they were fitted to, and facts about them."""
    own = {_FITTED_TO: _dependencies(network)}
    write_weights(path, {"taps": concealment.taps.contiguous()}, dict(facts or {}) | own)


def _dependencies(network: nn.Module) -> str:
    """Digest of the tensors of a baseline that residuals follow from. g_s and the inverse gains are not among them."""
    return digest({name: tensor for name, tensor in network.state_dict().items() if name.startswith(_DEPENDS_ON)})


def holds_concealment(path: Path) -> bool:
    """Whether a file is one of :func:`save_concealment`. Raises InputError if it can't be read as one of weights."""
    return path.suffix == ".safetensors" and _FITTED_TO in read_weights(path)[1]


def load_concealment(path: Path, channels: int, network: nn.Module) -> ResidualConcealment:
    """The concealment that :func:`save_concealment` wrote.

    Args:
        path: Of the file.
        channels: C, of the latent.
        network: The baseline whose latents it is to fill.

    Raises:
        InputError: The file is missing, can't be read, holds something else, or was fitted to another network.
    """
    tensors, facts = read_weights(path)
    taps, made = tensors.get("taps"), ResidualConcealment(channels)
    if taps is None or taps.shape != made.taps.shape or not bool(torch.isfinite(taps).all()):
        hint = "python -m netcodecs.training.fit_concealment makes it"
        raise InputError(f"{path.name} holds no concealment of {channels} channels", hint=hint)
    if facts.get(_FITTED_TO) != _dependencies(network):
        hint = "fit it to these weights: python -m netcodecs.training.fit_concealment --weights FILE --out FILE …"
        raise InputError(f"{path.name} was fitted to an analysis or a hyperprior of other weights", hint=hint)
    made.taps.copy_(taps)
    return made.eval()
