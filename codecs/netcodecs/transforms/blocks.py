"""The residual block that all networks of kind ``residual`` are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LEAKY_SLOPE", "ResidualBlock", "pointwise", "whiten"]

LEAKY_SLOPE = 2.0**-7  # a power of two: exact in fixed point


def pointwise(inputs: int, outputs: int) -> nn.Conv2d:
    """A 1×1 convolution."""
    return nn.Conv2d(inputs, outputs, 1)


class ResidualBlock(nn.Module):
    """Depthwise 3×3, 1×1 to twice the channels, leaky ReLU, 1×1 back, added to the input.

    ::

        x ─┬─► depthwise 3×3 ─► 1×1, C→2C ─► LeakyReLU ─► 1×1, 2C→C ─► + ─►
           └─────────────────────────────────────────────────────────► ┘

    The last layer starts at zero, so that a new block is the identity.

    Args:
        channels: C, of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.expand = pointwise(channels, 2 * channels)
        self.project = pointwise(2 * channels, channels)
        nn.init.zeros_(self.project.weight)
        assert self.project.bias is not None
        nn.init.zeros_(self.project.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, h, w)."""
        return features + self.branch(features)

    def branch(self, features: Tensor) -> Tensor:
        """What is added to the input."""
        made: Tensor = self.project(functional.leaky_relu(self.expand(self.depthwise(features)), LEAKY_SLOPE))
        return made


@torch.no_grad()
def whiten(block: ResidualBlock, features: Tensor) -> None:
    """Scales a new block's first layer so that its branch sees inputs of zero mean and unit variance.

    Args:
        block: Changed in place.
        features: Typical inputs, (B, C, h, w).
    """
    features = features.float()
    deviation = (features.var((0, 2, 3)) + 0.05).sqrt()
    taps = 0.125 * torch.randn_like(block.depthwise.weight)
    taps[:, :, 1, 1] += 1
    block.depthwise.weight.copy_(taps / deviation[:, None, None, None])
    assert block.depthwise.bias is not None
    block.depthwise.bias.copy_(-features.mean((0, 2, 3)) / deviation * taps.sum((1, 2, 3)))
    nn.init.kaiming_normal_(block.expand.weight, a=0.2)
    assert block.expand.bias is not None
    nn.init.zeros_(block.expand.bias)
