"""Small images, and a small network before its first step, made once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import Backbone
from netcodecs.training.core.crops import RandomCrops
from numpy.typing import NDArray
from skimage import data
from torch import Tensor

from tests.small_networks import initialised_baseline


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors gain nothing from two threads, and lose much where another program wants the second core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)  # training sets it


@pytest.fixture(scope="session")
def images() -> list[NDArray[np.uint8]]:
    """Three photographs, uint8 (H, W, 3)."""
    return [np.ascontiguousarray(photo) for photo in (data.astronaut(), data.chelsea(), data.coffee())]


@pytest.fixture(scope="session")
def photos(images: list[NDArray[np.uint8]]) -> list[Tensor]:
    """The same as uint8 (3, H, W)."""
    return [torch.from_numpy(image).permute(2, 0, 1).contiguous() for image in images]


@pytest.fixture(scope="session")
def crops(images: list[NDArray[np.uint8]]) -> Tensor:
    """(6, 3, 128, 128), 0…1, of the second and third photograph."""
    return RandomCrops(images[1:], 128).draw(6, np.random.default_rng(0))


@pytest.fixture(scope="session")
def started(crops: Tensor) -> Backbone:
    """A residual baseline before its first step, in eval mode. Copy it before you change it."""
    return initialised_baseline(crops)
