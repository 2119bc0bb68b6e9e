"""A Transformer of two narrow layers in place of the compact one."""

from __future__ import annotations

import pytest
from netcodecs.resicomp.transformer import Size
from netcodecs.training.masked.recipe import Recipe
from netcodecs.training.masked.trainer import NETWORK_SIZES
from torch import Tensor

TINY = Size(layers=2, width=32, heads=4)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Size:
    monkeypatch.setitem(NETWORK_SIZES, "compact", TINY)
    return TINY


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(batch=2, side=4)


@pytest.fixture(scope="session")
def pictures(photos: list[Tensor]) -> list[Tensor]:
    """Small parts of the photographs."""
    return [photo[:, 64:160, 64:192].contiguous() for photo in photos[:2]]
