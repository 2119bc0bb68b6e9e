"""What the latent's coder expects of each symbol: the weights of ``netcodecs.transforms.latent_coder``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["LARGEST_MAGNITUDE", "LatentContext"]

#: what larger magnitudes count as in a log-scale
LARGEST_MAGNITUDE = 3
_MEAN, _LOG_SCALE = 0, 1


class LatentContext(nn.Module):
    """How far a symbol's normal distribution lies from the hyperprior's: linear in its neighbours of the same channel.

    Neighbours are to the left, above, above left and above right; the log-scale has their magnitudes. All is zero until
    it is fitted, at export: then the hyperprior's distributions stand as they are.

    Args:
        channels: M, in the order of coding.
    """

    bias: Tensor
    around: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("around", torch.zeros(2, 4, channels))

    def expected(self, around: Tensor) -> tuple[Tensor, Tensor]:
        """Means, and what to add to log-scales, (M, n) each, of symbols with neighbours (4, M, n)."""
        magnitudes = around.abs().clamp(max=LARGEST_MAGNITUDE)
        mean, log_scale = ((self.around[of, :, :, None] * near).sum(0) for of, near in enumerate((around, magnitudes)))
        return mean, log_scale + self.bias[:, None]
