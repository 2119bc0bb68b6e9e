"""A tiny random Transformer between the baseline's transforms: untrained, but a codec that works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.common.shipped import shipped_weights
from netcodecs.resicomp.model import ResiCompModel
from netcodecs.resicomp.sizes import Size
from netcodecs.resicomp.transformer import DualTransformer
from netcodecs.resicomp.weights import load_transforms, load_weights, save_weights
from netcodecs.transforms.gained import LATENT_CHANNELS, GainedTransforms
from skimage import data

from netsim.codec import Image

TINY = Size(layers=2, width=32, heads=4)


def tiny_network(seed: int, size: Size = TINY) -> DualTransformer:
    """Every parameter at random and large enough to matter."""
    torch.manual_seed(seed)
    network = DualTransformer(LATENT_CHANNELS, size)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.04 * torch.randn_like(parameter))
        network.mask_token.add_(0.5 * torch.randn(LATENT_CHANNELS))
    return network.eval()


def tiny_model(transforms: GainedTransforms, size: Size = TINY, *, separate: bool = False) -> ResiCompModel:
    """The transforms with tiny Transformers of seeds 0 and 1."""
    model = ResiCompModel(transforms.kind, size, transforms.lambdas, separate=separate)
    model.transforms.load_state_dict(transforms.state_dict())
    model.transformer.load_state_dict(tiny_network(0, size).state_dict())
    if model.second is not None:
        model.second.load_state_dict(tiny_network(1, size).state_dict())
    crop = torch.from_numpy(data.chelsea()[:256, :256].copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        model.spread.copy_(transforms.g_a(crop).square().mean((0, 2, 3)).sqrt().clamp(min=1e-3))
    return model.eval()


@pytest.fixture(scope="session")
def image() -> Image:
    """uint8 (64, 70, 3): no multiple of 16, 4 × 5 tokens."""
    return np.ascontiguousarray(data.astronaut()[20:84, 190:260])


@pytest.fixture(scope="session")
def transforms() -> GainedTransforms:
    return load_transforms(shipped_weights("mbt-mean"))


@pytest.fixture(scope="session")
def tiny(transforms: GainedTransforms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("resicomp") / "tiny.safetensors"
    save_weights(path, tiny_model(transforms))
    return path


@pytest.fixture(scope="session")
def separate(transforms: GainedTransforms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a second Transformer that conceals."""
    path = tmp_path_factory.mktemp("resicomp") / "separate.safetensors"
    save_weights(path, tiny_model(transforms, separate=True))
    return path


@pytest.fixture
def loaded(tiny: Path) -> ResiCompModel:
    return load_weights(tiny)


@pytest.fixture
def threads() -> Iterator[None]:
    """Puts the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
