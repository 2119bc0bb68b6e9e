"""Small pictures and a backbone at its lapped-transform start, made once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import Backbone
from netcodecs.training.crops import random_crops
from netcodecs.training.start import lapped_start
from skimage import data
from torch import Tensor

NARROW = (12, 48, 128)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors gain nothing from two threads, and lose much where another program wants the second core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)  # the training command sets it


@pytest.fixture(scope="session")
def photos() -> list[Tensor]:
    """Three photographs as uint8 (3, H, W)."""
    pictures = (data.astronaut(), data.chelsea(), data.coffee())
    return [torch.from_numpy(np.ascontiguousarray(p)).permute(2, 0, 1).contiguous() for p in pictures]


@pytest.fixture(scope="session")
def started(photos: list[Tensor]) -> Backbone:
    """A narrow backbone at its start, its bands chosen on the second and third photograph."""
    torch.manual_seed(0)
    backbone = Backbone(NARROW)
    lapped_start(backbone, random_crops(photos[1:], 8, 192, torch.Generator().manual_seed(0)))
    return backbone.eval()
