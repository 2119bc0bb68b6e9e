"""A small network before its first step: untrained, but a transform coder that works."""

from __future__ import annotations

import torch
from netcodecs.progressive.backbone import Backbone, TransformKind
from netcodecs.training.init.lapped import initialise_lapped
from torch import Tensor

__all__ = ["SMALL", "initialised_baseline"]

SMALL = TransformKind("residual", (192, 1, 192, 1))


def initialised_baseline(crops: Tensor) -> Backbone:
    """A residual baseline as ``initialise_lapped`` leaves it, in eval mode. crops: (n, 3, H, W), 0…1."""
    torch.manual_seed(0)
    network = Backbone(SMALL)
    initialise_lapped(network, crops)
    return network.eval()
