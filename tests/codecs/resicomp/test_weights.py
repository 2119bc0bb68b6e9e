"""ResiComp's files: which transforms they are of, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from netcodecs.progressive import weights as progressive
from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.methods import shipped_weights
from netcodecs.resicomp import weights
from netcodecs.resicomp.weights import load_weights, of_transforms, save_weights

from netsim.errors import InputError
from tests.codecs.resicomp.conftest import LAMBDAS, tiny_network


@pytest.fixture
def named(
    tmp_path: Path, started: Backbone, spread: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """A file that names its transforms, and the file of these."""
    transforms, path = tmp_path / "mbt-mean.safetensors", tmp_path / "resicomp.safetensors"
    progressive.save_weights(transforms, started, "mbt-mean")
    monkeypatch.setattr(weights, "shipped_weights", lambda name: tmp_path / f"{name}.safetensors")
    save_weights(path, tiny_network(0), spread, LAMBDAS)
    return path, transforms


def test_what_ships_loads_with_the_transforms_that_ship() -> None:
    loaded = load_weights(shipped_weights("resicomp-compact"))
    theirs = of_transforms(progressive.load_backbone())
    assert all(tensor.equal(theirs[name]) for name, tensor in of_transforms(loaded.backbone).items())


def test_another_hyperprior_is_no_other_transform(named: tuple[Path, Path], started: Backbone) -> None:
    path, transforms = named
    other = copy.deepcopy(started)
    with torch.no_grad():
        for layer in (other.model.h_a, other.model.h_s):
            for parameter in layer.parameters():
                parameter.mul_(0.5)
    progressive.save_weights(transforms, other, "mbt-mean")
    assert load_weights(path).backbone.model.h_a[0].weight.abs().max() < started.model.h_a[0].weight.abs().max()


@pytest.mark.parametrize("part", ["model.g_a.0.bias", "model.g_s.2.weight", "log_gain", "log_inverse_gain"])
def test_other_transforms_are_refused(named: tuple[Path, Path], started: Backbone, part: str) -> None:
    path, transforms = named
    other = copy.deepcopy(started)
    with torch.no_grad():
        other.get_parameter(part)[0] += 0.01
    progressive.save_weights(transforms, other, "mbt-mean")
    with pytest.raises(InputError, match=r"transforms in mbt-mean\.safetensors have changed since resicomp\."):
        load_weights(path)


def test_named_transforms_that_are_missing_are_named(named: tuple[Path, Path], spread: torch.Tensor) -> None:
    path, transforms = named
    transforms.unlink()
    for use in (lambda: load_weights(path), lambda: save_weights(path, tiny_network(0), spread, LAMBDAS)):
        with pytest.raises(InputError, match=r"no weights at .*mbt-mean\.safetensors"):
            use()
