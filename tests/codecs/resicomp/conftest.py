"""A tiny Transformer with seeded random weights over lapped transforms: untrained, but a codec that works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import Backbone, M
from netcodecs.resicomp.transformer import DualTransformer, Size
from netcodecs.resicomp.weights import Weights, load_weights, save_weights
from skimage import data

from netsim.codec import Image

TINY = Size(layers=2, width=32, heads=4)
LAMBDAS = (0.001, 0.0067)


def tiny_network(seed: int) -> DualTransformer:
    """Every part at random and loud enough to be heard, so that contexts and heads matter."""
    torch.manual_seed(seed)
    network = DualTransformer(M, TINY)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.04 * torch.randn_like(parameter))
        network.mask_token.add_(0.5 * torch.randn(M))
    return network.eval()


@pytest.fixture(scope="session")
def picture() -> Image:
    """uint8 (64, 70, 3): no multiple of 16, 4 × 5 tokens."""
    return np.ascontiguousarray(data.astronaut()[20:84, 190:260])


@pytest.fixture(scope="session")
def spread(started: Backbone) -> torch.Tensor:
    """Usual size of each channel of the latent, (M,)."""
    crop = torch.from_numpy(data.chelsea()[:256, :256].copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        return started.model.g_a(crop).square().mean((0, 2, 3)).sqrt().clamp(min=1e-3)


@pytest.fixture(scope="session")
def tiny(started: Backbone, spread: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("resicomp") / "tiny.safetensors"
    save_weights(path, tiny_network(0), spread, LAMBDAS, started)
    return path


@pytest.fixture(scope="session")
def separate(started: Backbone, spread: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a second Transformer that conceals."""
    path = tmp_path_factory.mktemp("resicomp") / "separate.safetensors"
    save_weights(path, tiny_network(0), spread, LAMBDAS, started, values=tiny_network(1))
    return path


@pytest.fixture(scope="session")
def loaded(tiny: Path) -> Weights:
    return load_weights(tiny)


@pytest.fixture
def threads() -> Iterator[None]:
    """Puts the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
