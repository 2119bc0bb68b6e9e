"""Fixed point: no sum is rounded, so that neither order, threads nor batch decide a bit; and it is the network's."""

from __future__ import annotations

import copy
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from netcodecs.resicomp import fixed_point_tables as tables
from netcodecs.resicomp.fixed_point import ExactTransformer, _Linear
from netcodecs.resicomp.fixed_point_functions import CompiledFunctions, Functions, to_grid
from netcodecs.resicomp.model import ResiCompModel
from netcodecs.resicomp.networks import Networks
from netcodecs.resicomp.sizes import Size
from netcodecs.resicomp.transformer import DualTransformer
from netcodecs.transforms.gained import LATENT_CHANNELS as M
from scipy import special
from torch import nn

from tests.codecs.resicomp.conftest import TINY, tiny_network

GRID = 2**16


def tokens_of(seed: int, loudness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, loudness, (8, 12, M)), rng.random((8, 12)) < 0.5


def densities(network: DualTransformer, loudness: float = 1.0) -> np.ndarray:
    tokens, known = tokens_of(0, loudness)
    return ExactTransformer(network).densities(tokens, known, 0.25, np.arange(96))


@pytest.mark.parametrize("window", [2, 4])
def test_what_the_network_says(window: int) -> None:
    network = tiny_network(0, replace(TINY, window=window))
    tokens, known = tokens_of(0)
    with torch.no_grad():
        hidden = network.double().hidden(
            torch.from_numpy(tokens)[None], torch.from_numpy(known)[None], torch.full((1,), 0.25, dtype=torch.float64)
        )
        logits, means, scales = network.densities(hidden)
    unknown = np.flatnonzero(~known)
    mine = ExactTransformer(network).densities(tokens, known, 0.25, unknown)
    assert np.abs(mine - torch.stack([logits.softmax(1), means, scales], 1).numpy()).max() < 5e-3


def permuted(network: DualTransformer) -> DualTransformer:
    """The same function, its inner units in another order: every sum over them is added up in another order."""
    other = copy.deepcopy(network)
    order = torch.randperm(4 * network.size.width, generator=torch.Generator().manual_seed(0))
    heads = torch.randperm(network.size.width, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for block in other.blocks:
            wide, narrow = block.mlp[0], block.mlp[2]  # type: ignore[index]
            wide.weight.copy_(wide.weight[order])
            wide.bias.copy_(wide.bias[order])
            narrow.weight.copy_(narrow.weight[:, order])
        first, last = other.density[0], other.density[2]
        first.weight.copy_(first.weight[heads])
        first.bias.copy_(first.bias[heads])
        last.weight.copy_(last.weight[:, heads])
    return other


@pytest.mark.parametrize(("loudness", "window"), [(1.0, 4), (1e4, 4), (1.0, 2)])
def test_neither_threads_nor_order_decide_a_bit(loudness: float, window: int, threads: None) -> None:
    """Also of features so large that they are clamped."""
    network = tiny_network(0, replace(TINY, window=window))
    torch.set_num_threads(1)
    alone = densities(network, loudness)
    shuffled = densities(permuted(network), loudness)
    torch.set_num_threads(2)
    assert np.array_equal(densities(network, loudness), alone)
    assert np.array_equal(shuffled, alone)
    assert all(np.isfinite(part).all() for part in alone)


@pytest.mark.parametrize(("loudness", "window"), [(1.0, 4), (1e4, 4), (1.0, 2)])
def test_compiled_functions_decide_no_bit(loudness: float, window: int) -> None:
    """Against PyTorch's operations, which CUDA uses: of a whole network, with shifted windows and clamped features."""
    network, (tokens, known) = tiny_network(0, replace(TINY, window=window)), tokens_of(0, loudness)
    mine, others = ExactTransformer(network), ExactTransformer(network)
    assert isinstance(mine._functions, CompiledFunctions)
    others._functions = Functions(torch.device("cpu"))
    cells = np.arange(96)
    assert np.array_equal(mine.densities(tokens, known, 0.25, cells), others.densities(tokens, known, 0.25, cells))


def test_each_compiled_function_decides_no_bit() -> None:
    """Of values from 2⁻¹⁶ to beyond all tables and bounds."""
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal(0, 1, (600, 48)) * 2.0 ** rng.integers(-16, 20, (600, 1)))
    bias = to_grid(torch.from_numpy(rng.normal(0, 1, 48)))
    scores, offsets = rows[:576].reshape(3, 4, 48, 48), to_grid(torch.from_numpy(rng.normal(0, 1, (4, 48, 48))))
    apart = torch.from_numpy(rng.random((3, 48, 48)) < 0.5) & ~torch.eye(48, dtype=torch.bool)
    results = []
    for functions in (CompiledFunctions(), Functions(torch.device("cpu"))):
        made = [functions.normed(to_grid(rows.clone()), bound) for bound in (2.5, 1e3)]
        made += [functions.gelu(rows.clone(), bias, bound) for bound in (2.5, 1e9)]
        made += [functions.attention(scores.clone(), offsets, pairs) for pairs in (None, apart)]
        results.append(made)
    assert all(torch.equal(mine, other) for mine, other in zip(*results, strict=True))


def test_some_cells_get_what_all_would() -> None:
    exact = ExactTransformer(tiny_network(0))
    tokens, known = tokens_of(0)
    everything = exact.densities(tokens, known, 0.25, np.arange(96))
    cells = np.random.default_rng(1).permutation(96)[:17]
    some = exact.densities(tokens, known, 0.25, cells)
    assert np.array_equal(some, everything[cells])


def test_what_is_not_known_is_not_read() -> None:
    exact = ExactTransformer(tiny_network(0))
    tokens, known = tokens_of(0)
    other = np.where(known[..., None], tokens, 1e3)
    first, second = (exact.densities(given, known, 0.0, np.arange(96)) for given in (tokens, other))
    assert np.array_equal(first, second)
    known[0, 0] ^= True
    assert not np.array_equal(first, exact.densities(tokens, known, 0.0, np.arange(96)))


def test_a_linear_layer_adds_without_rounding() -> None:
    """Against Python's fractions, at the bound of what it lets in."""
    torch.manual_seed(0)
    layer = nn.Linear(96, 5)
    linear = _Linear(layer)
    values = to_grid((torch.rand(3, 96, dtype=torch.float64) * 2 - 1) * 4 * linear.bound)
    product = values.clamp(-linear.bound, linear.bound) @ linear.weight
    kept = values.clamp(-linear.bound, linear.bound)
    for row in range(3):
        for column in range(5):
            pairs = zip(kept[row].tolist(), linear.weight[:, column].tolist(), strict=True)
            assert Fraction(float(product[row, column])) == sum(Fraction(a) * Fraction(b) for a, b in pairs)
    assert torch.equal(kept * GRID, (kept * GRID).round())
    assert float((linear.weight.abs().sum(0) * linear.bound).max()) <= 2**20


def test_every_layer_keeps_to_53_bits() -> None:
    """Bound times the heaviest row, in units of 2⁻³², for a network of the paper's width too."""
    torch.manual_seed(0)
    for width in (32, 768):
        exact = ExactTransformer(DualTransformer(M, Size(1, width, 8)))
        block = exact._blocks[0]
        layers = [exact._embedding, exact._first, exact._last, block._queries_keys_values, block._out]
        for layer in [*layers, block._wide, block._narrow]:
            assert float(layer.weight.abs().sum(0).max()) * layer.bound * 2**32 <= 2**53
        assert block._bound**2 * (width // 8) * 2**32 <= 2**53


def test_a_norm_of_huge_features_is_finite_and_plain_ones_are_normed() -> None:
    rows = to_grid(torch.randn(4, 48, dtype=torch.float64) * torch.tensor([[1.0], [30.0], [1e5], [0.0]]))
    normed = CompiledFunctions().normed(rows, 1e9)
    assert torch.isfinite(normed).all()
    expected = nn.functional.layer_norm(rows[:2], (48,))
    assert torch.allclose(normed[:2], expected, atol=2e-3)


def test_mask_only_prediction_is_made_once(loaded: ResiCompModel, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = Networks(loaded)
    passes = []
    whole = networks._exact.densities
    monkeypatch.setattr(networks._exact, "densities", lambda *given: passes.append(1) or whole(*given))
    nothing, symbols = np.zeros((4, 5), bool), networks.no_symbols((4, 5))
    first = networks.densities(symbols, nothing, 2.0, np.arange(3))
    again = networks.densities(symbols + 5, nothing, 2.0, np.arange(3))
    assert len(passes) == 1
    assert np.array_equal(first.parameters, again.parameters)
    networks.densities(symbols, nothing, 1.0, np.arange(3))
    assert len(passes) == 2


def test_tables_are_the_functions() -> None:
    x = np.arange(tables.SOFTMAX_END * tables.POINTS + 1) / tables.POINTS
    assert np.abs(tables.falling() - np.exp(-x)).max() <= 2**-20
    x = x[: tables.GELU_END * tables.POINTS + 1]
    assert np.abs(tables.gelu_rest() - x * special.ndtr(-x)).max() <= 2**-16
    x = np.arange(tables.SOFTPLUS_END * tables.POINTS + 1) / tables.POINTS
    assert np.abs(tables.softplus_rest() - np.log1p(np.exp(-x))).max() <= 2**-20
    x = np.arange(-8 * 1024, 8 * 1024 + 1) / 1024
    assert np.abs(tables.tail(1024, 8) - special.ndtr(x)).max() < 1e-15
