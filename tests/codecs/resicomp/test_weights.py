"""ResiComp's files: all of a model is in one file, and other files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from netcodecs.common.shipped import shipped_weights
from netcodecs.resicomp.weights import load_transforms, load_weights, save_weights
from netcodecs.transforms.gained import GainedTransforms

from netsim.errors import InputError
from tests.codecs.resicomp.conftest import tiny_model


def test_a_model_comes_back(transforms: GainedTransforms, tmp_path: Path) -> None:
    """Large tensors to within half a step of their rows' int8 scales, small ones exactly."""
    model = tiny_model(transforms, separate=True)
    save_weights(tmp_path / "all.safetensors", model)
    back = load_weights(tmp_path / "all.safetensors")
    assert (back.transforms.kind, back.transforms.lambdas) == (transforms.kind, transforms.lambdas)
    theirs = back.state_dict()
    for name, tensor in model.state_dict().items():
        if tensor.numel() < 4096:
            assert torch.equal(theirs[name], tensor), name
        else:
            rows = tensor.flatten(1)
            step = rows.abs().amax(1, keepdim=True) / 127
            assert ((theirs[name].flatten(1) - rows).abs() <= 0.51 * step + 1e-7).all(), name


def test_transforms_are_found_in_both_kinds_of_file(transforms: GainedTransforms, tiny: Path) -> None:
    theirs = load_transforms(tiny).state_dict()
    assert sorted(theirs) == sorted(transforms.state_dict())
    assert torch.equal(theirs["log_gain"], transforms.log_gain)
    assert torch.allclose(theirs["g_s.0.weight"], transforms.state_dict()["g_s.0.weight"], atol=2e-2)


def test_files_of_others_are_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mbt-mean\.safetensors holds no weights of resicomp"):
        load_weights(shipped_weights("mbt-mean"))
    with pytest.raises(InputError, match="no weights at"):
        load_transforms(tmp_path / "none.safetensors")
    noise = tmp_path / "noise.safetensors"
    noise.write_bytes(b"noise")
    with pytest.raises(InputError, match=r"noise\.safetensors is not a safetensors file"):
        load_transforms(noise)
