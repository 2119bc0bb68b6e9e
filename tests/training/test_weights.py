"""Weights on disk: what int8 costs, what the file says about itself, and CompressAI's checkpoints as they are."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from netcodecs.compressai_import import compressai
from netcodecs.progressive.backbone import Backbone, M, N
from netcodecs.progressive.methods import METHODS
from netcodecs.progressive.transforms import Transforms
from netcodecs.progressive.weights import dependents_kept, load_backbone, load_weights, save_weights
from netcodecs.transforms.gains import LAMBDAS
from netcodecs.transforms.hyper_context import HyperContext
from netcodecs.transforms.hyperprior import Hyperprior
from netcodecs.weight_files import read_weights, restored, shrunk, write_weights
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from netsim.errors import InputError


@pytest.fixture(scope="module")
def network(started: Backbone) -> Backbone:
    """scr-mca-ge before its first step, with an MCA that does something."""
    torch.manual_seed(0)
    network = Backbone(started.kind, scr=True, mca=True)
    network.load_state_dict(network.state_dict() | started.state_dict())
    assert network.aggregation is not None
    torch.nn.init.normal_(network.aggregation.project.weight, std=1e-3)
    return network.eval()


@pytest.fixture(scope="module")
def theirs() -> compressai.models.MeanScaleHyperprior:
    torch.manual_seed(1)
    return compressai.models.MeanScaleHyperprior(N, M).eval()


@pytest.fixture(scope="module")
def image(images: list[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(images[0][:128, :128]).permute(2, 0, 1)[None].float() / 255


def test_round_trip_is_off_by_half_a_step_of_int8_at_most(network: Backbone) -> None:
    tensors = {name: tensor for name, tensor in network.state_dict().items() if tensor.numel()}
    stored = shrunk(tensors)
    back = restored(stored)
    assert back.keys() == tensors.keys()
    kernels = [name for name, tensor in stored.items() if tensor.dtype == torch.uint8]
    assert "g_a.0.weight" in kernels
    assert "aggregation.fusion.weight" in kernels
    for name in kernels:
        axes = tuple(range(1, tensors[name].dim()))
        largest = tensors[name].abs().amax(axes, keepdim=True)
        assert bool(((back[name] - tensors[name]).abs() <= 0.51 * largest / 127 + 1e-7).all()), name
        assert stored[f"{name}/scale"].numel() == len(tensors[name])
    small = [name for name in tensors if name not in kernels]
    assert all(torch.equal(back[name], tensors[name]) for name in small)
    assert {"log_gain", "hyper.prior.means", "g_a.1.depthwise.weight"} < set(small)


def test_int8_as_it_was_before_it_was_deflated_is_read() -> None:
    stored = {"w": torch.tensor([[-127, 3], [5, 127]], dtype=torch.int8), "w/scale": torch.tensor([[0.5], [0.25]])}
    assert restored(stored)["w"].tolist() == [[-63.5, 1.5], [1.25, 31.75]]


@pytest.mark.parametrize("damage", ["cut", "swollen", "other shape", "negative shape", "noise"])
def test_what_can_not_be_inflated_is_refused(damage: str) -> None:
    """Content that inflates to more than its shape is not inflated whole."""
    stored = shrunk({"w": torch.linspace(-1, 1, 8192).reshape(64, 128)})
    if damage == "cut":
        stored["w"] = stored["w"][:-20]
    elif damage == "swollen":
        stored["w"] = torch.frombuffer(bytearray(zlib.compress(bytes(100_000_000), 9)), dtype=torch.uint8)
    elif damage == "noise":
        stored["w"] = torch.arange(200, dtype=torch.uint8)
    else:
        stored["w/shape"] = torch.tensor([64, 127] if damage == "other shape" else [-64, -128])
    with pytest.raises(InputError, match="w can't be inflated to the shape"):
        restored(stored)


def test_float16_is_for_weights_that_learn_on(network: Backbone) -> None:
    tensors = network.state_dict()
    back = restored(shrunk(tensors, in_int8=lambda name: False))
    for name, tensor in back.items():
        torch.testing.assert_close(tensor, tensors[name], rtol=5e-4, atol=1e-6)


@pytest.mark.parametrize("exactly", [True, False])
def test_a_file_says_what_it_holds_and_gives_the_image_back(
    network: Backbone, image: Tensor, tmp_path: Path, exactly: bool
) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(path, network, "scr-mca-ge", exactly=exactly, facts={"steps": 7})
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["netcodecs"])
    assert {key: facts[key] for key in ("method", "kind", "widths", "lambdas", "steps")} == {
        "method": "scr-mca-ge",
        "kind": "residual",
        "widths": [192, 1, 192, 1],
        "lambdas": list(LAMBDAS),
        "steps": 7,
    }
    loaded, method = load_weights(path)
    assert method is METHODS["scr-mca-ge"]
    assert loaded.scr
    assert loaded.aggregation is not None
    assert not loaded.training
    with torch.no_grad():
        before, after = (net(image, torch.tensor(LAMBDAS[2:3])) for net in (network, loaded))
    errors = [float((coded.image - image).square().mean()) for coded in (before, after)]
    assert errors[1] < 1.012 * errors[0]  # .05 dB
    assert float(after.bits) == pytest.approx(float(before.bits), rel=0.02)


def test_a_trained_network_is_stored_as_small_differences_from_its_base(
    started: Backbone, network: Backbone, tmp_path: Path
) -> None:
    """As float32 the base is what its own file holds; a difference is off by half a step of its int8 or float16."""
    base, path = tmp_path / "base.safetensors", tmp_path / "own.safetensors"
    save_weights(base, started, "mbt-mean")
    moved = Backbone(network.kind, scr=True, mca=True)
    moved.load_state_dict(network.state_dict())
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter += 0.01 * parameter.std(correction=0) * torch.randn_like(parameter)
    save_weights(path, moved, "scr-mca-u", base=base)
    loaded, given = load_weights(path)[0].state_dict(), load_backbone(base).state_dict()
    for name, tensor in moved.state_dict().items():
        if not tensor.is_floating_point():
            continue
        off, way = (loaded[name] - tensor).abs().max(), (tensor - given.get(name, torch.zeros(()))).abs().max()
        assert float(off) <= max(0.51 / 127, 5e-4) * float(way) + 1e-5, name
    stored = read_weights(path)[0]
    assert stored["g_s.2.weight"].dtype == stored["g_a.1.expand.weight"].dtype == torch.uint8
    assert stored["g_s.0.weight"].dtype == torch.float16  # in int8 it costs 1 % of the rate
    own = sum(tensor.nbytes for name, tensor in stored.items() if name.startswith("aggregation."))
    assert path.stat().st_size < 0.8 * base.stat().st_size + own
    save_weights(base, moved, "scr-mca-u")
    with pytest.raises(InputError, match=r"differences from another base.safetensors than the one here"):
        load_weights(path)
    base.unlink()
    with pytest.raises(InputError, match=r"no weights at .*base.safetensors"):
        load_weights(path)


@pytest.mark.parametrize("prefix", ["", "module."], ids=["plain", "module."])
def test_a_compressai_checkpoint_is_taken_as_it_is(
    prefix: str, theirs: compressai.models.MeanScaleHyperprior, image: Tensor, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.pth.tar"
    state = {prefix + name: tensor for name, tensor in theirs.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, path)
    network, method = load_weights(path)
    assert method is METHODS["mbt-mean"]
    assert network.kind.kind == "mbt"
    with torch.no_grad():
        expected, coded = theirs(image), network(image, torch.tensor([0.0035]))
    torch.testing.assert_close(coded.image, expected["x_hat"])
    bits = sum(float(-torch.log2(p).sum()) for p in expected["likelihoods"].values())
    assert float(coded.bits) == pytest.approx(bits, rel=1e-5)


def test_compressai_weights_as_safetensors_are_taken_too(
    theirs: compressai.models.MeanScaleHyperprior, tmp_path: Path
) -> None:
    path = tmp_path / "theirs.safetensors"
    save_file({name: t.contiguous() for name, t in theirs.state_dict().items() if t.numel()}, path)
    assert torch.equal(load_backbone(path).g_a[0].weight, theirs.g_a[0].weight)  # type: ignore[index,arg-type]


def test_a_network_of_mbt_or_elic_transforms_is_stored_and_found_again(image: Tensor, tmp_path: Path) -> None:
    from netcodecs.progressive.backbone import TransformKind

    for kind in ("mbt", "elic"):
        network = Backbone(TransformKind(kind, (16, 24, 32))).eval()  # type: ignore[arg-type]
        save_weights(tmp_path / "w.safetensors", network, "mbt-mean", exactly=True)
        loaded = load_backbone(tmp_path / "w.safetensors")
        assert loaded.kind == network.kind
        assert loaded(image, torch.tensor(LAMBDAS[2:3])).image.shape == image.shape
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=5e-4, atol=1e-6)


def test_other_files_are_refused_with_a_reason(tmp_path: Path) -> None:
    noise = tmp_path / "noise.safetensors"
    noise.write_bytes(b"no weights at all" * 9)
    torn = tmp_path / "noise.pth.tar"
    torn.write_bytes(b"no checkpoint")
    other = tmp_path / "other.safetensors"
    save_file({"g_a.6.weight": torch.zeros(320, 192, 5, 5)}, other)
    facts = tmp_path / "facts.safetensors"
    save_file({"a": torch.zeros(1)}, facts, metadata={"netcodecs": "{"})
    listed = tmp_path / "listed.safetensors"
    save_file({"a": torch.zeros(1)}, listed, metadata={"netcodecs": "[1]"})
    resicomp = tmp_path / "resicomp.safetensors"
    save_file({"a": torch.zeros(1)}, resicomp, metadata={"netcodecs": '{"codec": "resicomp"}'})
    for path, words in (
        (tmp_path / "none.safetensors", "no weights at"),
        (tmp_path / "none.pth", "no weights at"),
        (noise, "is not a safetensors file"),
        (torn, "can't be read as a checkpoint"),
        (other, "neither netcodecs' weights nor a mbt2018-mean"),
        (facts, "its facts can't be read"),
        (listed, r"its facts are \[1\]"),
        (resicomp, "no weights of this family"),
    ):
        with pytest.raises(InputError, match=words):
            load_backbone(path)


def test_files_of_differences_are_written_anew_where_their_base_changes_alone(
    started: Backbone, network: Backbone, image: Tensor, tmp_path: Path
) -> None:
    base, other = tmp_path / "mbt-mean.safetensors", tmp_path / "scr-mca-ge.safetensors"
    save_weights(base, started, "mbt-mean", exactly=True)
    save_weights(other, network, "scr-mca-ge", base=base)
    content, before = other.read_bytes(), load_weights(other)[0]
    with dependents_kept(base):
        save_weights(base, started, "mbt-mean", exactly=True, facts={"steps": 7})
    assert other.read_bytes() == content
    moved = Backbone(started.kind)
    moved.load_state_dict(started.state_dict())
    with torch.no_grad():
        moved.g_s[-1].bias.add_(0.5)  # type: ignore[index, union-attr, operator]
    with dependents_kept(base):
        save_weights(base, moved, "mbt-mean", exactly=True)
    assert other.read_bytes() != content
    lam = torch.tensor(LAMBDAS[2:3])
    with torch.no_grad():
        after = load_weights(other)[0]
        torch.testing.assert_close(after(image, lam).image, before(image, lam).image, rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": None}, "kind None"),
        ({"kind": "vgg"}, "kind vgg"),
        ({"widths": [192, 1, 192]}, "describes a network that can't be"),
        ({"widths": "wide"}, "widths wide"),
        ({"widths": [192, 1, 192, -1]}, "describes a network that can't be"),
        ({"widths": [208, 1, 192, 1]}, "does not hold this network's weights"),
        ({"lambdas": []}, r"lambdas \[\]"),
        ({"lambdas": [0.002, 0.001]}, "describes a network that can't be"),
        ({"lambdas": [0.1]}, "does not hold this network's weights: log_gain"),
        ({"method": "scr"}, "no method `scr`"),
        ({"base": "b"}, "has the base b"),
        ({"base": {"file": "w.safetensors", "sha256": ""}}, "is its own base"),
        ({"base": {"file": "../none.safetensors", "sha256": ""}}, "no weights at"),
        ({"method": "mca-ge"}, "does not hold this network's weights: aggregation"),
    ],
    ids=str,
)
def test_facts_that_do_not_fit_the_tensors_are_refused(
    started: Backbone, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, started, "mbt-mean")
    tensors, facts = read_weights(path)
    save_file(tensors, path, metadata={"netcodecs": json.dumps(facts | changes)})
    with pytest.raises(InputError, match=words):
        load_backbone(path)


def test_bases_in_a_circle_are_refused(started: Backbone, tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    save_weights(first, started, "mbt-mean")
    save_weights(second, started, "mbt-mean", base=first)
    tensors, facts = read_weights(first)
    circle = facts | {"base": {"file": second.name, "sha256": ""}}
    save_file(tensors, first, metadata={"netcodecs": json.dumps(circle)})
    with pytest.raises(InputError, match=r"second\.safetensors has the base first\.safetensors, which has one itself"):
        load_backbone(second)


def test_weights_are_replaced_whole_or_not_at_all(
    started: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, started, "mbt-mean")
    before = path.read_bytes()

    def full(tensors: Any, to: Path, metadata: Any) -> None:
        Path(to).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("netcodecs.weight_files.save_file", full)
    with pytest.raises(OSError, match="no space"):
        save_weights(path, started, "mbt-mean")
    assert path.read_bytes() == before


def test_weights_of_the_former_network_are_named_as_such(started: Backbone, tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    facts = {"method": "random", "widths": [48, 64, 128], "lambdas": [0.0005]}
    save_file({"a": torch.zeros(1)}, path, metadata={"netcodecs": json.dumps(facts)})
    with pytest.raises(InputError, match="earlier version of the network"):
        load_backbone(path)


def test_tensors_of_a_wrong_shape_type_or_scale_are_refused(started: Backbone, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, started, "mbt-mean")
    tensors, facts = read_weights(path)
    for name, tensor, words in (
        ("g_s.0.bias", torch.zeros(3), "does not hold this network's weights: g_s.0.bias"),
        ("g_a.0.weight/scale", torch.ones(5, 1, 1, 1), "the scale of g_a.0.weight has shape"),
        ("g_s.0.bias", torch.zeros(192, dtype=torch.int8), "does not hold this network's weights: g_s.0.bias"),
    ):
        save_file(tensors | {name: tensor}, path, metadata={"netcodecs": json.dumps(facts)})
        with pytest.raises(InputError, match=words):
            load_backbone(path)


def test_a_checkpoint_that_would_run_code_is_not_run(tmp_path: Path) -> None:
    """torch's restricted loader refuses what pickle would call."""
    path, mark = tmp_path / "evil.pth.tar", tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (mark,)

    torch.save({"state_dict": Evil()}, path)
    with pytest.raises(InputError, match="can't be read as a checkpoint"):
        load_backbone(path)
    assert not mark.exists()


@pytest.mark.parametrize("value", [math.nan, math.inf, -1e30, 2000.0])
@pytest.mark.parametrize("name", ["context.around", "context.bias", "hyper.context.bias", "hyper.context.quality"])
def test_contexts_that_fixed_point_can_not_hold_are_refused(
    network: Backbone, tmp_path: Path, name: str, value: float
) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(path, network, "scr-mca-ge")
    stored, facts = read_weights(path)
    stored[name].view(-1)[5] = value
    write_weights(path, stored, facts)
    with pytest.raises(InputError, match=f"holds numbers in {name} that can't be"):
        load_weights(path)


@pytest.mark.parametrize("value", [-1, 1 << 60])
def test_counts_that_can_not_be_are_refused(network: Backbone, tmp_path: Path, value: int) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(path, network, "scr-mca-ge")
    stored, facts = read_weights(path)
    stored["symbol_counts"][3, 4] = value
    write_weights(path, stored, facts)
    with pytest.raises(InputError, match="holds numbers in symbol_counts that can't be"):
        load_weights(path)


def test_weights_from_before_entropy_coding_was_fitted_start_from_the_prior(started: Backbone, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(path, started, "mbt-mean")
    stored, facts = read_weights(path)
    write_weights(path, {n: t for n, t in stored.items() if "context." not in n and n != "symbol_counts"}, facts)
    loaded = load_weights(path)[0]
    assert not any(tensor.any() for name, tensor in loaded.named_buffers() if "context." in name)
    Transforms(loaded)
    assert isinstance(loaded.hyper, Hyperprior)
    expected = HyperContext(N)
    expected.start_from(loaded.hyper.prior)
    assert torch.equal(loaded.hyper.context.bias, expected.bias)
