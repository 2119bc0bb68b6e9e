"""What a token's earlier channels say about later ones: the weights of ``netcodecs.resicomp.token_coder``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["FAR", "MOST_LOG_SCALE", "STEPS", "TokenContext", "off_by"]

#: standard deviations; what lies farther from its mean counts as this far
FAR = 3
#: of what is added to a log-scale
MOST_LOG_SCALE = 2
#: in which distances from the mean count, per standard deviation
STEPS = 8
_SETS = "blank", "known"


class TokenContext(nn.Module):
    """How far mixtures lie from what the Transformer predicts: linear in the channels of the token that came before.

    The Transformer predicts all channels of a token at once. Where a token's first symbols lie farther from their means
    than expected, later ones do, too: a log-scale grows with their distances, a mean moves with them. One set of
    weights is for tokens without any known token, one for the others. All is zero until it is fitted, at export.

    Args:
        channels: C, in the order of coding.
    """

    bias: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("bias", torch.zeros(2, channels))
        for name in _SETS:  # of each channel (row) from earlier ones
            self.register_buffer(f"{name}_log_scale", torch.zeros(channels, channels))
            self.register_buffer(f"{name}_mean", torch.zeros(channels, channels))

    def weights(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Bias (C,) of log-scales, and weights (C, C) for log-scales and means. number: 0 where nothing is known."""
        bias, log_scale, mean = self.fitted(number)
        return bias[number], log_scale.tril(-1), mean.tril(-1)

    def fitted(self, number: int) -> tuple[Tensor, ...]:
        """The buffers behind :meth:`weights`, to be fitted; ``bias`` is both sets'."""
        return self.bias, *(getattr(self, f"{_SETS[number]}_{of}") for of in ("log_scale", "mean"))


def off_by(symbols: Tensor, means: Tensor, deviations: Tensor) -> Tensor:
    """How many standard deviations symbols lie from their means, in steps of ⅛ up to ±3."""
    return torch.round((symbols - means) / deviations * STEPS).clamp(-FAR * STEPS, FAR * STEPS) / STEPS
