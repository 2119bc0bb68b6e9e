"""A small network of each kind before its first step: untrained, but a transform coder that works."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import Backbone, TransformKind
from netcodecs.training.core.crops import RandomCrops
from netcodecs.training.init.lapped import initialise_lapped
from skimage import data
from torch import Tensor

SMALL = TransformKind("residual", (192, 1, 192, 1))


@pytest.fixture(scope="session")
def crops() -> Tensor:
    """(8, 3, 128, 128), 0…1."""
    return RandomCrops([data.chelsea(), data.coffee()], 128).draw(8, np.random.default_rng(0))


@pytest.fixture(scope="session")
def started(crops: Tensor) -> Backbone:
    """A residual baseline as ``initialise_lapped`` leaves it, in eval mode. Copy it before you change it."""
    torch.manual_seed(0)
    network = Backbone(SMALL)
    initialise_lapped(network, crops)
    return network.eval()
