"""A small network of each kind before its first step: untrained, but a transform coder that works."""

from __future__ import annotations

import numpy as np
import pytest
from netcodecs.progressive.backbone import Backbone
from netcodecs.training.core.crops import RandomCrops
from skimage import data
from torch import Tensor

from tests.small_networks import initialised_baseline


@pytest.fixture(scope="session")
def crops() -> Tensor:
    """(8, 3, 128, 128), 0…1."""
    return RandomCrops([data.chelsea(), data.coffee()], 128).draw(8, np.random.default_rng(0))


@pytest.fixture(scope="session")
def started(crops: Tensor) -> Backbone:
    """A residual baseline before its first step, in eval mode. Copy it before you change it."""
    return initialised_baseline(crops)
