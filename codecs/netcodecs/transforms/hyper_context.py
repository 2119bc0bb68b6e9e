"""What the hyperprior's coder expects of each symbol: the weights of ``netcodecs.transforms.hyper_coder``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from netcodecs.transforms.hyperprior import LogisticPrior

__all__ = ["LARGEST_MAGNITUDE", "HyperContext"]

#: what larger magnitudes count as in a log-scale
LARGEST_MAGNITUDE = 8
_MEAN, _LOG_SCALE = 0, 1
_SPREAD = math.pi / math.sqrt(3)  # standard deviations in a logistic distribution's scale


class HyperContext(nn.Module):
    """A logistic distribution for each symbol; its mean and log-scale are linear in what is known.

    Known are: the quality, the symbols of the same channel to the left, above, above left and above right, and those
    of earlier channels at the same place; the log-scale has their magnitudes. Training needs none of it: it is fitted
    at export. Zeros: not fitted; ``Transforms`` then starts from the prior.

    Args:
        channels: N.
    """

    bias: Tensor
    quality: Tensor
    around: Tensor
    earlier: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("bias", torch.zeros(2, channels))
        self.register_buffer("quality", torch.zeros(2, channels))
        self.register_buffer("around", torch.zeros(2, 4, channels))
        self.register_buffer("earlier", torch.zeros(2 * channels, channels))  # rows: means, then log-scales

    @torch.no_grad()
    def start_from(self, prior: LogisticPrior) -> None:
        """Takes each channel's mean and spread from the prior of training; what was decoded before counts nothing."""
        for weights in self.buffers():
            weights.zero_()
        logits, means, log_scales = (part.double() for part in (prior.logits, prior.means, prior.log_scales))
        shares = logits.softmax(-1)
        mean = (shares * means).sum(-1)
        spread = log_scales.exp() * _SPREAD
        variance = (shares * (spread.square() + (means - mean[:, None]).square())).sum(-1)
        self.bias[_MEAN].copy_(mean)
        self.bias[_LOG_SCALE].copy_((variance.sqrt() / _SPREAD).log())

    def earlier_channels(self) -> Tensor:
        """Weights of earlier channels, (2, N, N): zero for those that are not."""
        return torch.tril(self.earlier.view(2, self.channels, self.channels), -1)

    def expected(self, symbols: Tensor, around: Tensor, qualities: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-scales of symbols.

        Args:
            symbols: (N, n).
            around: Their neighbours (``contexts.neighbours``), (4, N, n).
            qualities: (n,).

        Returns:
            (N, n) each.
        """
        magnitudes, magnitudes_around = (part.abs().clamp(max=LARGEST_MAGNITUDE) for part in (symbols, around))
        earlier = self.earlier_channels()
        mean, log_scale = (
            self.bias[of, :, None]
            + self.quality[of, :, None] * qualities
            + (self.around[of, :, :, None] * near).sum(0)
            + earlier[of] @ here
            for of, here, near in ((_MEAN, symbols, around), (_LOG_SCALE, magnitudes, magnitudes_around))
        )
        return mean, log_scale
