"""Hyper-synthesis in fixed point: near the float network, and the same to the last bit however it is computed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import Backbone
from netcodecs.transforms.blocks import ResidualBlock
from netcodecs.transforms.fixed_point import GRID_BITS, ExactMeanScale, ExactResidual, scale_steps
from netcodecs.transforms.hyperprior import HyperSynthesis
from netcodecs.transforms.mean_scale import MeanScaleHyperprior
from torch import Tensor, nn


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Puts the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def synthesis() -> HyperSynthesis:
    """A network none of whose weights is zero or on the grid."""
    torch.manual_seed(0)
    network = HyperSynthesis(192, 128).eval()
    with torch.no_grad():
        for block in network.modules():
            if isinstance(block, ResidualBlock):
                block.project.weight.normal_(0, 0.03)
    return network


@pytest.fixture(scope="module")
def mean_scale() -> MeanScaleHyperprior:
    torch.manual_seed(0)
    return MeanScaleHyperprior(192, 128).eval()


SYMBOLS = np.rint(np.random.default_rng(0).normal(size=(128, 5, 7)) * 4).astype(np.int64)


@torch.no_grad()
def _as_floats(network: HyperSynthesis, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-scales and means in float64, unrounded."""
    exact = copy.deepcopy(network).double()
    hyper = torch.from_numpy(symbols).double()[None]
    features = exact.blocks_16(
        nn.functional.pixel_shuffle(exact.up_16(exact.block_32(nn.functional.pixel_shuffle(exact.up_32(hyper), 2))), 2)
    )
    coarse = nn.functional.interpolate(exact.linear(hyper), scale_factor=4, mode="bilinear", align_corners=False)
    log_scales, means = (exact.outputs(features) + coarse)[0].chunk(2, 0)
    return log_scales.numpy(), means.numpy()


def test_it_is_the_float_network_to_within_the_grid(synthesis: HyperSynthesis) -> None:
    """Weights that are on the grid leave the rounding of activations."""
    network = copy.deepcopy(synthesis)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.round(parameter.double() * 2**GRID_BITS) / 2**GRID_BITS)
    indexes, means = ExactResidual(network)(SYMBOLS)
    log_scales, expected = _as_floats(network, SYMBOLS)
    assert means.shape == (192, 20, 28)
    assert np.abs(means - expected).max() < 4 / 2**GRID_BITS
    assert np.abs(means).max() > 0.5
    assert np.array_equal(means * 2**GRID_BITS, np.rint(means * 2**GRID_BITS))
    upper = np.append(np.log(scale_steps())[:-1], np.inf)
    lower = np.append(-np.inf, upper[:-1])
    slack = 4 / 2**GRID_BITS
    assert (log_scales <= upper[indexes] + slack).all()
    assert (log_scales > lower[indexes] - slack).all()
    assert len(np.unique(indexes)) > 5
    assert np.abs(ExactResidual(synthesis)(SYMBOLS)[1] - _as_floats(synthesis, SYMBOLS)[1]).max() < 3e-3


def test_the_network_that_learns_is_the_one_that_codes(started: Backbone) -> None:
    """``HyperSynthesis.forward`` in float32 against the float64 of its parts."""
    network = started.hyper.synthesis
    assert isinstance(network, HyperSynthesis)
    with torch.no_grad():
        both = network(torch.from_numpy(SYMBOLS).float()[None])[0].double().numpy()
    np.testing.assert_allclose(both, np.concatenate(_as_floats(network, SYMBOLS)), atol=1e-3)


def _hyper_order(network: HyperSynthesis, order: Tensor) -> HyperSynthesis:
    """The same function of symbols in another order: every sum over channels is added up in another order."""
    other = copy.deepcopy(network)
    with torch.no_grad():
        for layer in (other.up_32, other.linear):
            layer.weight.copy_(layer.weight[:, order])
        for block in other.modules():
            if isinstance(block, ResidualBlock):
                hidden = torch.randperm(len(block.expand.weight), generator=torch.Generator().manual_seed(4))
                block.expand.weight.copy_(block.expand.weight[hidden])
                assert block.expand.bias is not None
                block.expand.bias.copy_(block.expand.bias[hidden])
                block.project.weight.copy_(block.project.weight[:, hidden])
    return other


@pytest.mark.parametrize("size", [1.0, 300.0])
def test_order_of_sums_and_number_of_threads_change_no_bit(synthesis: HyperSynthesis, size: float) -> None:
    """Also with symbols far outside of any trained range, where activations are clamped."""
    symbols = np.rint(SYMBOLS * size).astype(np.int64)
    exact, order = ExactResidual(synthesis), torch.randperm(128, generator=torch.Generator().manual_seed(2))
    torch.set_num_threads(1)
    expected = exact(symbols)
    other = ExactResidual(_hyper_order(synthesis, order))
    hyper = torch.from_numpy(symbols).float()[None]
    with torch.no_grad():
        as_floats = [
            net(given) for net, given in ((synthesis, hyper), (_hyper_order(synthesis, order), hyper[:, order]))
        ]
    assert not torch.equal(*as_floats)  # floats do round
    for count, network, given in (
        (1, other, symbols[order.numpy()]),
        (3, exact, symbols),
        (3, other, symbols[order.numpy()]),
    ):
        torch.set_num_threads(count)
        assert all(np.array_equal(a, b) for a, b in zip(network(given), expected, strict=True))


def test_a_part_of_an_image_does_not_depend_on_what_is_far_from_it(synthesis: HyperSynthesis) -> None:
    """Blocked products of other sizes: the left half of a wide image, but for what its right border reaches."""
    wide = np.concatenate([SYMBOLS, SYMBOLS[:, :, ::-1]], 2)
    (alone_indexes, alone), (beside_indexes, beside) = (ExactResidual(synthesis)(s) for s in (SYMBOLS, wide))
    assert np.array_equal(alone[:, :, :16], beside[:, :, :16])
    assert np.array_equal(alone_indexes[:, :, :16], beside_indexes[:, :, :16])
    assert not np.array_equal(alone[:, :, -2:], beside[:, :, 26:28])


@torch.no_grad()
def test_mbt2018_means_synthesis_is_exact_too(mean_scale: MeanScaleHyperprior) -> None:
    exact = ExactMeanScale(mean_scale.h_s, mean_scale.medians)
    indexes, means = exact(SYMBOLS)
    hyper = torch.from_numpy(SYMBOLS).float()[None] + mean_scale.medians
    scales, expected = mean_scale.h_s(hyper)[0].double().numpy().reshape(2, 192, 20, 28)
    assert np.abs(means - expected).max() < 1e-3
    assert np.abs(np.searchsorted(scale_steps()[:-1], scales) - indexes).max() <= 1
    order = torch.randperm(128, generator=torch.Generator().manual_seed(2))
    layers = copy.deepcopy(mean_scale.h_s)
    layers[0].weight.copy_(layers[0].weight[order])
    assert not np.array_equal(layers(hyper[:, order])[0].double().numpy()[192:], expected)
    for count, network, given in (
        (3, exact, SYMBOLS),
        (3, ExactMeanScale(layers, mean_scale.medians[:, order]), SYMBOLS[order.numpy()]),
    ):
        torch.set_num_threads(count)
        assert all(np.array_equal(a, b) for a, b in zip(network(given), (indexes, means), strict=True))


def test_the_shipped_baseline_is_near_its_float_network() -> None:
    """Trained weights lose no more than untrained ones by the grid."""
    from netcodecs.progressive.methods import shipped_weights
    from netcodecs.progressive.weights import load_backbone

    path: Path = shipped_weights("mbt-mean")
    synthesis = load_backbone(path).hyper.synthesis
    assert isinstance(synthesis, HyperSynthesis)
    symbols = np.clip(SYMBOLS, -3, 3)
    _, means = ExactResidual(synthesis)(symbols)
    assert np.abs(means - _as_floats(synthesis, symbols)[1]).max() < 0.02
