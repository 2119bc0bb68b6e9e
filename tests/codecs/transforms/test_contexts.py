"""Coders that expect symbols from earlier ones: probabilities by formula, both ends alike, packets on their own."""

from __future__ import annotations

import copy
import math
from contextlib import suppress

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import Backbone
from netcodecs.progressive.transforms import Transforms
from netcodecs.training.progressive import entropy_coding
from netcodecs.training.progressive.entropy_coding import fit_entropy_coding
from netcodecs.transforms.contexts import neighbours
from netcodecs.transforms.entropy_tables import latent_tables
from netcodecs.transforms.fixed_point import scale_steps
from netcodecs.transforms.hyper_coder import ContextCoder
from netcodecs.transforms.hyper_context import HyperContext
from netcodecs.transforms.hyperprior import Hyperprior, LogisticPrior
from netcodecs.transforms.latent_coder import LatentCoder
from netcodecs.transforms.latent_context import LatentContext
from scipy.special import expit, ndtr
from skimage import data

from netsim.errors import InputError

RNG = np.random.default_rng(3)


def _hyper_context(channels: int, spread: float = 0.2) -> HyperContext:
    made, generator = HyperContext(channels), torch.Generator().manual_seed(1)
    for weights in made.buffers():
        weights.copy_(spread * torch.randn(weights.shape, generator=generator))
    return made


def _latent_context(channels: int) -> LatentContext:
    made, generator = LatentContext(channels), torch.Generator().manual_seed(2)
    made.around[0] = 0.3 * torch.randn(4, channels, generator=generator)
    made.around[1] = 0.2 * torch.randn(4, channels, generator=generator).abs()
    made.bias.copy_(-0.2 * torch.rand(channels, generator=generator))
    return made


def test_neighbours_by_hand() -> None:
    symbols = torch.tensor([[[1, 2, 3], [4, 5, 6]]])
    left, above, above_left, above_right = neighbours(symbols)[:, 0].tolist()
    assert left == [[0, 1, 2], [0, 4, 5]]
    assert above == [[0, 0, 0], [1, 2, 3]]
    assert above_left == [[0, 0, 0], [0, 1, 2]]
    assert above_right == [[0, 0, 0], [2, 3, 0]]


def test_code_lengths_of_a_hyperprior_are_those_of_the_logistic_distributions() -> None:
    """Mean and log-scale of each symbol from loops over what is known, in floating point; rounding costs a percent."""
    channels, height, width, quality = 5, 4, 6, 2.5
    context = _hyper_context(channels, 0.1)
    symbols = np.rint(RNG.normal(size=(channels, height, width)) * 1.5).astype(np.int64)
    bias, of_quality, around = (part.numpy() for part in (context.bias, context.quality, context.around))
    earlier = context.earlier.numpy().reshape(2, channels, channels)
    expected = 0.0
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                sums = bias[:, channel] + of_quality[:, channel] * quality
                places = [(row, column - 1), (row - 1, column), (row - 1, column - 1), (row - 1, column + 1)]
                for number, (y, x) in enumerate(places):
                    if y >= 0 and 0 <= x < width:
                        symbol = symbols[channel, y, x]
                        sums = sums + around[:, number, channel] * [symbol, min(abs(symbol), 8)]
                for other in range(channel):
                    symbol = symbols[other, row, column]
                    sums = sums + earlier[:, channel, other] * [symbol, min(abs(symbol), 8)]
                distance, scale = symbols[channel, row, column] - sums[0], math.exp(sums[1])
                expected -= math.log2(expit((distance + 0.5) / scale) - expit((distance - 0.5) / scale))
    assert ContextCoder(context).bits(symbols, quality) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("spread", [0.0, 0.2, 3.0])
def test_a_hyperprior_comes_back_whatever_its_context(spread: float) -> None:
    coder = ContextCoder(_hyper_context(7, spread))
    for height, width in ((1, 1), (1, 5), (5, 1), (4, 6)):
        symbols = np.rint(RNG.standard_t(1, (7, height, width)) * 3).astype(np.int64).clip(-(1 << 20), 1 << 20)
        coded = coder.encode(symbols, 1.375)
        assert np.array_equal(coder.decode(coded, height, width, 1.375), symbols)
        assert -3 < len(coded) - coder.bits(symbols, 1.375) / 8 < 2
    with pytest.raises(InputError, match="damaged payload: 0 bytes for"):
        coder.decode(b"", 300, 300, 1.0)
    for _ in range(200):
        with suppress(InputError):
            assert coder.decode(RNG.bytes(20), 4, 6, 1.0).shape == (7, 4, 6)


def test_code_lengths_of_a_latent_are_those_of_the_moved_normal_distributions() -> None:
    channels, height, width = 4, 6, 5
    context = _latent_context(channels)
    indexes = RNG.integers(20, 40, (channels, height, width))
    symbols = np.rint(RNG.normal(size=indexes.shape) * scale_steps()[indexes]).astype(np.int64)
    around, bias = context.around.numpy(), context.bias.numpy()
    expected = np.zeros(channels)
    for channel in range(channels):
        for row in range(height):
            for column in range(width):
                mean, shift = 0.0, bias[channel]
                places = [(row, column - 1), (row - 1, column), (row - 1, column - 1), (row - 1, column + 1)]
                for number, (y, x) in enumerate(places):
                    if y >= 0 and 0 <= x < width:
                        symbol = symbols[channel, y, x]
                        mean += around[0, number, channel] * symbol
                        shift += around[1, number, channel] * min(abs(symbol), 3)
                distance = symbols[channel, row, column] - mean
                scale = scale_steps()[indexes[channel, row, column]] * math.exp(shift)
                expected[channel] -= math.log2(ndtr((distance + 0.5) / scale) - ndtr((distance - 0.5) / scale))
    np.testing.assert_allclose(LatentCoder(context).bits(symbols, indexes), expected, rtol=0.03)


def test_parts_of_a_latent_decode_on_their_own() -> None:
    """Some channels, or some rows of one, and nothing else."""
    context = _latent_context(9)
    coder = LatentCoder(context)
    indexes = RNG.integers(0, 45, (9, 8, 12))
    symbols = np.rint(RNG.normal(size=indexes.shape) * scale_steps()[indexes]).astype(np.int64)
    for region in ((slice(0, 9), slice(0, 8)), (slice(3, 5), slice(0, 8)), (slice(4, 5), slice(2, 5))):
        coded = coder.encode(symbols[region], indexes[region], region[0].start)
        assert np.array_equal(coder.decode(coded, indexes[region], region[0].start), symbols[region])
    whole = coder.encode(symbols[3:5], indexes[3:5], 3)
    assert -3 < len(whole) - coder.bits(symbols, indexes)[3:5].sum() / 8 < 2
    with pytest.raises(InputError, match="damaged payload: 0 bytes for"):
        coder.decode(b"", np.full((9, 300, 300), 40), 0)


def test_without_a_fit_a_latent_has_the_hyperpriors_tables() -> None:
    counts = RNG.integers(0, 1000, (64, 32))
    coder, tables = LatentCoder(LatentContext(6), counts), latent_tables(counts)
    indexes = RNG.integers(0, 64, (6, 5, 7))
    symbols = RNG.integers(-9, 10, indexes.shape)
    np.testing.assert_array_equal(coder.bits(symbols, indexes), tables.bits(symbols, indexes).sum((1, 2)))
    counted = np.zeros((64, 4), np.int64)
    coder.count(symbols, indexes, counted)
    assert counted[:, 0].sum() == (symbols == 0).sum()
    assert counted.sum() == (np.abs(symbols) < 4).sum()


def test_tables_with_parts_of_a_mean_are_normal_distributions() -> None:
    tables = latent_tables(fractions=8)
    for index in (10, 30, 50):
        for part in range(8):
            counts, first = tables.counts[8 * index + part], tables.offsets[8 * index + part]
            values = np.arange(first, first + len(counts) - 2)
            shares, scale = np.diff(counts)[:-1] / (1 << 16), scale_steps()[index]
            likely = shares > 0.01
            expected = ndtr((values + 0.5 - part / 8) / scale) - ndtr((values - 0.5 - part / 8) / scale)
            np.testing.assert_allclose(shares[likely], expected[likely], rtol=0.05)


def test_a_context_starts_as_the_priors_means_and_spreads() -> None:
    prior = LogisticPrior(3)
    with torch.no_grad():
        prior.means.copy_(torch.tensor([[1.0, 1, 1], [0, 4, -4], [2, 2, 5]]))
        prior.log_scales.copy_(torch.tensor([[0.5, 0.5, 0.5], [-9, -9, -9], [0, 0, 0]]))
    context = _hyper_context(3)
    context.start_from(prior)
    assert context.bias[0].tolist() == pytest.approx([1, 0, 3])
    deviation = context.bias[1].exp() * math.pi / math.sqrt(3)
    assert deviation[0] == pytest.approx(math.exp(0.5) * math.pi / math.sqrt(3), rel=1e-5)
    assert deviation[1] == pytest.approx(math.sqrt(32 / 3), rel=1e-3)
    assert deviation[2] == pytest.approx(math.sqrt(math.pi**2 / 3 + 2), rel=1e-5)
    assert not context.earlier.any()


@pytest.mark.slow
def test_a_fit_saves_bits_on_another_image(started: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real bytes of an image that it was not fitted to; all other weights stay."""
    monkeypatch.setattr(entropy_coding, "_LEAST_LATENT_PLACES", 0)
    monkeypatch.setattr(entropy_coding, "_LEAST_HYPER_PLACES", 0)
    network = Backbone(started.kind, lambdas=started.lambdas)
    network.load_state_dict(started.state_dict())
    assert isinstance(network.hyper, Hyperprior)
    network.hyper.context.start_from(network.hyper.prior)
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def sizes() -> tuple[int, int]:
        own = Backbone(started.kind, lambdas=started.lambdas)
        own.load_state_dict(network.state_dict())
        ready = Transforms(own.eval())
        coded, hyper = ready.at_quality(ready.analyse(data.astronaut()[:256, :256]), 2.0)
        indexes, means = ready.entropy_parameters(hyper)
        coder = LatentCoder(network.context, network.symbol_counts.numpy())
        latent = coder.encode(np.rint(coded - means).astype(np.int64), indexes, 0)
        return len(latent), len(ready.hyper_coder.encode(hyper, 2.0))

    unfitted = sizes()
    fit_entropy_coding(network.eval(), [data.coffee()[:384, :576], data.chelsea()[:256, :448]])
    fitted = sizes()
    assert fitted[0] < 0.995 * unfitted[0]
    assert fitted[1] < 0.97 * unfitted[1]
    after = network.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert all("context." in name or name == "symbol_counts" for name in changed)


def test_of_a_large_photo_the_centre_counts(started: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """All symbols are kept at once: those of a few photos of many megapixels would not fit into memory."""
    monkeypatch.setattr(entropy_coding, "_SIDE", 64)
    made = []
    for image in (data.astronaut()[:101, :130], data.astronaut()[18:82, 33:97]):
        network = Backbone(started.kind, lambdas=started.lambdas)
        network.load_state_dict(started.state_dict())
        fit_entropy_coding(network.eval(), [image])
        made.append(network.symbol_counts)
    assert made[0].any()
    assert torch.equal(*made)


def test_a_few_images_are_too_few_for_a_fit(started: Backbone) -> None:
    network = Backbone(started.kind, lambdas=started.lambdas)
    network.load_state_dict(started.state_dict())
    network.context.bias.fill_(0.5)
    fit_entropy_coding(network.eval(), [data.astronaut()[:128, :128]])
    assert not any(weights.any() for weights in network.context.buffers())
    assert isinstance(network.hyper, Hyperprior)
    assert not network.hyper.context.earlier.any()
    assert network.symbol_counts.any()


def test_what_the_tables_that_were_used_can_not_hold_is_refused() -> None:
    """Some tables have next to no bits for a likely symbol; those of these symbols have several."""
    with pytest.raises(InputError, match="damaged payload: 20 bytes for 6400 symbols"):
        LatentCoder(LatentContext(4)).decode(bytes(20), np.full((4, 40, 40), 40), 0)
    wide = HyperContext(4)
    wide.bias[1] = 2.0
    with pytest.raises(InputError, match="damaged payload: 20 bytes for 6400 symbols"):
        ContextCoder(wide).decode(bytes(20), 40, 40, 1.0)


def test_a_start_from_the_prior_is_that_of_float64() -> None:
    """In float32, machines differ in the last bits, and so could their tables."""
    prior, generator = LogisticPrior(128), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.copy_(3 * torch.randn(parameter.shape, generator=generator))
    exact = copy.deepcopy(prior).double()
    shares, spreads = exact.logits.softmax(-1), exact.log_scales.exp() * math.pi / math.sqrt(3)
    mean = (shares * exact.means).sum(-1)
    variance = (shares * (spreads.square() + (exact.means - mean[:, None]).square())).sum(-1)
    context = HyperContext(128)
    context.start_from(prior)
    assert torch.equal(context.bias[0], mean.float())
    assert torch.equal(context.bias[1], (variance.sqrt() / math.pi * math.sqrt(3)).log().float())


def test_with_scr_no_context_is_fitted_to_the_latent(started: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is the one counted with that it had from the weights it started from: its codec has none."""
    monkeypatch.setattr(entropy_coding, "_HYPER_STEPS", 1)
    made = []
    for bias in (0.0, 2.0):
        network = Backbone(started.kind, scr=True, lambdas=started.lambdas)
        network.load_state_dict(started.state_dict())
        network.context.bias.fill_(bias)
        fit_entropy_coding(network.eval(), [data.astronaut()[:64, :64]])
        assert not network.context.bias.any()
        made.append(network.symbol_counts)
    assert made[0].any()
    assert torch.equal(*made)
