"""Range coding of tokens under mixtures: what comes out, how long it is, and noise in place of a code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.resicomp.mixture import LEAST_SCALE, log_likelihood
from netcodecs.resicomp.model import ResiCompModel
from netcodecs.resicomp.networks import Networks
from netcodecs.resicomp.sizes import Size
from netcodecs.resicomp.token_coder import LARGEST, Mixtures, TokenCoder
from netcodecs.resicomp.token_context import TokenContext
from netcodecs.resicomp.weights import load_weights, save_weights
from netcodecs.training.core.fitting import minimise
from netcodecs.training.resicomp.entropy_coding import Samples, fit_to, fit_token_context

from netsim.errors import InputError

CHANNELS = 5
PLAIN = TokenCoder(TokenContext(CHANNELS))


def mixtures_of(tokens: int, seed: int, loudness: float = 3.0) -> Mixtures:
    rng = np.random.default_rng(seed)
    weights = np.moveaxis(rng.dirichlet([1, 1, 1], (tokens, CHANNELS)), 2, 1)
    shape = tokens, 3, CHANNELS
    parameters = np.stack([weights, rng.normal(0, loudness, shape), np.exp(rng.normal(-1, 1.5, shape))], axis=1)
    return Mixtures(parameters, np.arange(tokens))


def drawn(mixtures: Mixtures, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    weights, means, scales = np.moveaxis(mixtures.parameters[mixtures.rows], 1, 0)
    chosen = (rng.random((len(weights), 1, CHANNELS)) > weights.cumsum(1)).sum(1, keepdims=True).clip(max=2)
    mean, scale = (np.take_along_axis(part, chosen, 1)[:, 0] for part in (means, scales))
    return np.rint(rng.normal(mean, np.maximum(scale, LEAST_SCALE))).astype(np.int64)


def one_gaussian(tokens: int, mean: float, scale: float) -> Mixtures:
    parameters = np.tile(np.array([1.0, mean, scale]).reshape(1, 3, 1, 1), (1, 1, 1, CHANNELS))
    return Mixtures(parameters, np.zeros(tokens, np.int64))


def fitted(seed: int) -> TokenContext:
    """A context of random weights."""
    made = TokenContext(CHANNELS)
    generator = torch.Generator().manual_seed(seed)
    for weights in made.buffers():
        weights.copy_(0.2 * torch.randn(weights.shape, generator=generator))
    return made


@pytest.mark.parametrize("context", [TokenContext(CHANNELS), fitted(0)])
@pytest.mark.parametrize("tokens", [1, 2, 140, 4000])
def test_symbols_come_back(context: TokenContext, tokens: int) -> None:
    mixtures, coder = mixtures_of(tokens, seed=tokens), TokenCoder(context)
    symbols = drawn(mixtures, seed=1)
    code = coder.encode(symbols, mixtures)
    assert np.array_equal(coder.decode(code, mixtures), symbols)
    assert -1 < len(code) - coder.bits(symbols, mixtures).sum() / 8 < 2


@pytest.mark.parametrize("loudness", [0.1, 3.0, 100.0])
def test_as_long_as_the_densities_say(loudness: float) -> None:
    """Within 1 % + 8 bytes of the entropy that training estimates, by another formula, in torch."""
    mixtures = mixtures_of(1000, seed=2, loudness=loudness)
    symbols = drawn(mixtures, seed=3)
    weights, means, scales = torch.from_numpy(mixtures.parameters).unbind(1)
    estimate = -float(log_likelihood(torch.from_numpy(symbols), weights.log(), means, scales).sum()) / np.log(2) / 8
    assert abs(len(PLAIN.encode(symbols, mixtures)) - estimate) < 0.01 * estimate + 8


def test_a_context_moves_and_widens_as_its_weights_say() -> None:
    """Two channels, the second with weights ½ from the first: its mean and scale worked out by hand."""
    context = TokenContext(2)
    context.known_log_scale[1, 0], context.known_mean[1, 0], context.bias[1, 1] = 0.5, 0.25, -0.25
    mixtures = Mixtures(np.array([1.0, 0.0, 2.0]).reshape(1, 3, 1, 1).repeat(2, axis=3), np.zeros(1, np.int64))
    symbols = np.array([[3, 4]])  # the first lies 1.5 standard deviations off
    moved = np.array([[1.0, 1.0], [0.0, 2.0 * 0.25 * 1.5], [2.0, 2.0 * np.exp(0.5 * 1.5 - 0.25)]])[None, :, None]
    expected = TokenCoder(TokenContext(2)).bits(symbols, Mixtures(moved, np.zeros(1, np.int64)))
    assert TokenCoder(context).bits(symbols, mixtures) == pytest.approx(expected, abs=1e-3)
    alone = Mixtures(mixtures.parameters, mixtures.rows, with_known=False)  # has the other weights, which are zero
    plain = TokenCoder(TokenContext(2)).bits(symbols, mixtures)
    assert TokenCoder(context).bits(symbols, alone) == plain != pytest.approx(expected, abs=0.1)


def test_weights_that_channels_have_of_themselves_and_of_later_ones_are_not_read() -> None:
    context, clean = fitted(3), fitted(3)
    for weights in (context.known_log_scale, context.known_mean):
        weights += 5 * torch.ones_like(weights).triu()
    mixtures = mixtures_of(50, seed=11)
    symbols = drawn(mixtures, seed=12)
    assert TokenCoder(context).encode(symbols, mixtures) == TokenCoder(clean).encode(symbols, mixtures)


def test_a_fit_finds_channels_that_go_together() -> None:
    """Channels whose scale is the token's own secret: knowing it would save the bits that a fit comes near to."""
    rng = np.random.default_rng(0)
    loud = np.exp(rng.normal(0, 1, (6000, 1)))
    symbols = np.rint(4 * loud * rng.normal(0, 1, (6000, 12))).astype(np.int64)
    scale = 4 * np.exp(0.5)
    flat = torch.zeros(5000, 1, 12)
    context = TokenContext(12)
    fit_to(context, 1, Samples(torch.from_numpy(symbols[:5000]).float(), flat, flat, flat + scale), steps=300)

    def spent(coder: TokenCoder, scales: np.ndarray) -> float:
        parameters = np.tile(np.array([1.0, 0.0, 1.0]).reshape(1, 3, 1, 1), (len(scales), 1, 1, 12))
        parameters[:, 2] *= scales[:, None]
        return float(coder.bits(symbols[5000:], Mixtures(parameters, np.arange(len(scales)))).mean())

    usual, plain = np.full((1000, 1), scale), TokenCoder(TokenContext(12))
    before, after, told = spent(plain, usual), spent(TokenCoder(context), usual), spent(plain, 4 * loud[5000:])
    assert told < after < before - 0.4 * (before - told)


def test_the_most_unlikely_symbols_come_back() -> None:
    mixtures = mixtures_of(2, seed=4)
    symbols = np.array([[LARGEST, -LARGEST, LARGEST - 1, 0, 1], [-1, 4000, -129, 128, -7]])
    for coder in (PLAIN, TokenCoder(fitted(1))):
        for order in (symbols, symbols[:, ::-1]):
            assert np.array_equal(coder.decode(coder.encode(order, mixtures), mixtures), order)
    for mean, scale in ((9e9, 0.0), (-9e9, 1e9)):
        edge = one_gaussian(2, mean, scale)
        symbols = np.array([[-LARGEST] * CHANNELS, [LARGEST] * CHANNELS])
        assert np.array_equal(PLAIN.decode(PLAIN.encode(symbols, edge), edge), symbols)


def test_a_code_far_longer_than_usual_finds_room() -> None:
    silent = one_gaussian(3000, 0.0, 0.05)
    symbols = np.random.default_rng(5).integers(-LARGEST, LARGEST + 1, (3000, CHANNELS))
    assert np.array_equal(PLAIN.decode(PLAIN.encode(symbols, silent), silent), symbols)


def test_what_is_sure_costs_next_to_nothing() -> None:
    sure, symbols = one_gaussian(4000, 7.0, 0.01), np.full((4000, CHANNELS), 7)
    code = PLAIN.encode(symbols, sure)
    assert len(code) <= 1
    assert np.array_equal(PLAIN.decode(code, sure), symbols)


def test_parts_are_coded_as_they_would_be_alone() -> None:
    """A receiver predicts other slices together than the sender did."""
    mixtures, coder = mixtures_of(180, seed=5), TokenCoder(fitted(2))
    symbols = drawn(mixtures, seed=6)
    alone = Mixtures(mixtures.parameters[60:140].copy(), np.arange(80))
    assert coder.encode(symbols[60:140], mixtures.part(60, 140)) == coder.encode(symbols[60:140], alone)


def test_noise_is_decoded_or_refused() -> None:
    """Random bytes, cut and lengthened codes: symbols in their range or ValueError, nothing else."""
    mixtures, coder = mixtures_of(8, seed=7), TokenCoder(fitted(4))
    code = coder.encode(drawn(mixtures, seed=8), mixtures)
    rng = np.random.default_rng(9)
    outcomes = {"symbols": 0, "refused": 0}
    for trial in range(400):
        noise = (
            rng.bytes(int(rng.integers(60))),
            code[: int(rng.integers(len(code)))],
            code + rng.bytes(9),
            bytes([255 * (trial % 2)]) * int(rng.integers(60)),
        )[trial % 4]
        try:
            symbols = coder.decode(noise, mixtures)
        except ValueError:
            outcomes["refused"] += 1
            continue
        assert symbols.shape == (8, CHANNELS)
        assert np.abs(symbols).max() <= LARGEST
        outcomes["symbols"] += 1
    assert outcomes["symbols"] > 0


def tiny_model() -> ResiCompModel:
    torch.manual_seed(0)
    return ResiCompModel(size=Size(layers=1, width=16, heads=2, mixtures=2)).eval()


def test_contexts_are_stored_and_older_weights_have_none(tmp_path: Path) -> None:
    model, path = tiny_model(), tmp_path / "mine.safetensors"
    model.context.known_mean[3, 1], model.context.bias[0, 7] = 0.25, -0.5
    save_weights(path, model)
    read = load_weights(path).context
    assert float(read.known_mean[3, 1]) == pytest.approx(0.25, rel=1e-3)
    assert float(read.bias[0, 7]) == -0.5
    del model.context
    save_weights(path, model)
    assert not any(weights.any() for weights in load_weights(path).context.buffers())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_weights_beyond_the_coders_sums_are_refused(tmp_path: Path, value: float) -> None:
    model, path = tiny_model(), tmp_path / "mine.safetensors"
    model.context.bias[0, 7] = value
    save_weights(path, model)
    with pytest.raises(InputError, match=r"context\.bias"):
        load_weights(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["spread", "transforms.g_a.", "transforms.log_gain", "transformer.mask_token"])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, name: str, value: float) -> None:
    """A latent of NaN would be symbols that no code holds."""
    model, path = tiny_model(), tmp_path / "mine.safetensors"
    damaged = next(tensor for found, tensor in model.state_dict().items() if found.startswith(name))
    damaged.view(-1)[0] = value
    save_weights(path, model)
    with pytest.raises(InputError, match=re.escape(name) + ".* is not finite"):
        load_weights(path)


def test_symbols_out_of_range_are_refused() -> None:
    far = np.array([[0, 0, LARGEST + 1, 0, 0]])
    with pytest.raises(InputError, match="too large to be coded"):
        PLAIN.encode(far, mixtures_of(1, seed=13))


@pytest.mark.parametrize("symbol", [LARGEST, -LARGEST, 1000])
def test_counted_bits_of_far_symbols_are_about_the_coders(symbol: int) -> None:
    one = one_gaussian(1, 0.0, 1.0)
    symbols = np.full((1, CHANNELS), symbol)
    assert one.counted_bits(symbols) == pytest.approx(PLAIN.bits(symbols, one).sum(), rel=0.3)


def test_gains_that_are_too_large_are_damage() -> None:
    model = tiny_model()
    model.transforms.log_gain.data.fill_(800.0)
    with pytest.raises(InputError, match=r"gains of quality 2 are not finite"):
        Networks(model).rate(2.0)


def test_few_images_leave_a_context_unfitted() -> None:
    """Not what it was: that belongs to other weights."""
    model = tiny_model()
    model.context.known_mean[3, 1] = 0.25
    fit_token_context(model, [np.zeros((256, 256, 3), np.uint8)] * 31)
    assert not any(weights.any() for weights in model.context.buffers())


def test_the_minimum_of_a_parabola() -> None:
    place, lowest = torch.zeros(3), torch.tensor([1.0, -2.0, 0.5])
    minimise([place], lambda chosen: (place - lowest).square()[:, None].expand(3, len(chosen)), 9, 400, 4, 0.1)
    assert place.tolist() == pytest.approx(lowest.tolist(), abs=1e-2)
