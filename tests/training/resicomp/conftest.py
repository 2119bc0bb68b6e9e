"""Small models: narrow residual transforms and a tiny Transformer, at random."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from netcodecs.resicomp.model import ResiCompModel
from netcodecs.resicomp.sizes import Size
from netcodecs.training.core.crops import RandomCrops
from netcodecs.transforms.gained import TransformKind
from numpy.typing import NDArray
from skimage import data

NARROW = TransformKind("residual", (24, 1, 32, 1))
TINY = Size(layers=2, width=32, heads=4)


@pytest.fixture
def model() -> ResiCompModel:
    torch.manual_seed(0)
    return ResiCompModel(NARROW, TINY)


@pytest.fixture(scope="session")
def photos() -> list[NDArray[np.uint8]]:
    return [data.astronaut(), data.chelsea()]


@pytest.fixture(scope="session")
def crops(photos: list[NDArray[np.uint8]]) -> RandomCrops:
    return RandomCrops(photos, 64)
