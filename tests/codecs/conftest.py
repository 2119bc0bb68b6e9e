"""A backbone at its lapped-transform start: untrained, but a transform coder that works."""

from __future__ import annotations

import pytest
import torch
from netcodecs.progressive.backbone import Backbone
from netcodecs.training.crops import random_crops
from netcodecs.training.start import lapped_start
from skimage import data
from torch import Tensor


@pytest.fixture(scope="session")
def crops() -> Tensor:
    """(8, 3, 128, 128), 0…1."""
    photos = [torch.from_numpy(p).permute(2, 0, 1).contiguous() for p in (data.chelsea(), data.coffee())]
    return random_crops(photos, 8, 128, torch.Generator().manual_seed(0))


@pytest.fixture(scope="session")
def started(crops: Tensor) -> Backbone:
    torch.manual_seed(0)
    narrow = Backbone((12, 48, 128))
    lapped_start(narrow, crops)
    return narrow.eval()
