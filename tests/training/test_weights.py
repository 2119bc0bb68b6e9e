"""Weights on disk: what int8 costs, what the file says about itself, and CompressAI's checkpoints as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from netcodecs.compressai_import import compressai
from netcodecs.progressive.backbone import LAMBDAS, Backbone, M, N
from netcodecs.progressive.methods import METHODS
from netcodecs.progressive.weights import load_backbone, load_weights, restored, save_weights, shrunk
from netcodecs.training.begin import begun, prepare
from netcodecs.training.crops import random_crops
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from netsim.errors import InputError


@pytest.fixture(scope="module")
def network(started: Backbone, photos: list[Tensor]) -> Backbone:
    """scr-mca-ge at its start."""
    crops = [random_crops(photos[1:], 4, 128, torch.Generator().manual_seed(1))]
    network = begun(started, METHODS["scr-mca-ge"], crops)
    prepare(network, METHODS["scr-mca-ge"].losses, crops)
    return network.eval()


@pytest.fixture(scope="module")
def theirs() -> compressai.models.MeanScaleHyperprior:
    torch.manual_seed(1)
    return compressai.models.MeanScaleHyperprior(N, M).eval()


def test_round_trip_is_off_by_half_a_step_of_int8_at_most(network: Backbone) -> None:
    tensors = network.state_dict()
    stored = shrunk(tensors)
    back = restored(stored)
    kernels = [name for name, tensor in stored.items() if tensor.dtype == torch.int8]
    assert "model.h_s.0.weight" in kernels
    for name in ("aggregation.fusion.weight", "model.g_a.2.weight", "model.g_s.0.weight"):
        assert stored[name].dtype == torch.float16
    for name in kernels:
        largest = tensors[name].abs().amax((1, 2, 3), keepdim=True)  # of a channel; a kernel's own may be less
        assert bool(((back[name] - tensors[name]).abs() <= 0.51 * largest / 127 + 1e-7).all()), name
        assert stored[f"{name}/scale"].numel() < tensors[name].numel() / 8
    for name, tensor in back.items():
        if name not in kernels:
            torch.testing.assert_close(tensor, tensors[name], rtol=5e-4, atol=1e-6)


def test_file_says_what_it_holds_and_gives_the_picture_back(
    network: Backbone, photos: list[Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(path, network, "scr-mca-ge")
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["netcodecs"])
    assert facts == {"method": "scr-mca-ge", "widths": [12, 48, 128], "lambdas": list(LAMBDAS)}
    loaded, method = load_weights(path)
    assert method is METHODS["scr-mca-ge"]
    assert loaded.scr
    assert loaded.aggregation is not None
    assert not loaded.training
    picture = photos[0][None, :, :128, :128].float() / 255
    with torch.no_grad():
        before, after = (net(picture, torch.tensor(LAMBDAS[-1:])) for net in (network, loaded))
    errors = [float(((coded.picture - picture) ** 2).mean()) for coded in (before, after)]
    assert errors[1] < 1.012 * errors[0]  # .05 dB
    assert float(after.bits) == pytest.approx(float(before.bits), rel=0.01)


@pytest.mark.parametrize("prefix", ["", "module."], ids=["plain", "module."])
def test_compressai_checkpoint_is_taken_as_it_is(
    prefix: str, theirs: compressai.models.MeanScaleHyperprior, photos: list[Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.pth.tar"
    state = {prefix + name: tensor for name, tensor in theirs.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, path)
    network, method = load_weights(path)
    assert method is METHODS["mbt-mean"]
    picture = photos[0][None, :, :128, :128].float() / 255
    with torch.no_grad():
        expected = theirs(picture)
        coded = network(picture, torch.tensor([0.0035]))
    torch.testing.assert_close(coded.picture, expected["x_hat"])
    bits = sum(float(-torch.log2(p).sum()) for p in expected["likelihoods"].values())
    assert float(coded.bits) == pytest.approx(bits, rel=1e-5)


def test_compressai_weights_as_safetensors_are_taken_too(
    theirs: compressai.models.MeanScaleHyperprior, tmp_path: Path
) -> None:
    path = tmp_path / "theirs.safetensors"
    save_file({name: t.contiguous() for name, t in theirs.state_dict().items() if t.numel()}, path)
    assert torch.equal(load_backbone(path).model.g_a[0].weight, theirs.g_a[0].weight)


def test_other_files_are_refused_with_a_reason(network: Backbone, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no weights at"):
        load_backbone(tmp_path / "none.safetensors")
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"no weights at all" * 9)
    with pytest.raises(InputError, match="is no safetensors file"):
        load_backbone(garbage)
    garbage = tmp_path / "garbage.pth.tar"
    garbage.write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="can't be read as a checkpoint"):
        load_backbone(garbage)
    other = tmp_path / "other.safetensors"
    save_file({"g_a.6.weight": torch.zeros(320, 192, 5, 5)}, other)
    with pytest.raises(InputError, match="neither netcodecs' weights nor a mbt2018-mean"):
        load_backbone(other)


def test_tensors_that_do_not_fit_the_metadata_are_refused(network: Backbone, tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_weights(path, network, "mbt-mean")  # says that there is no MCA
    with pytest.raises(InputError, match="does not hold this network's weights: aggregation"):
        load_backbone(path)


def test_checkpoint_that_would_run_code_is_not_run(tmp_path: Path) -> None:
    """torch's restricted loader refuses what pickle would call."""
    path, mark = tmp_path / "evil.pth.tar", tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (mark,)

    torch.save({"state_dict": Evil()}, path)
    with pytest.raises(InputError, match="can't be read as a checkpoint"):
        load_backbone(path)
    assert not mark.exists()
