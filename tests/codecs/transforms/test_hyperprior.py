"""Bits and their gradients, against scipy and finite differences; the prior; what is not sent."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import Backbone
from netcodecs.transforms.hyperprior import (
    LARGEST_SCALE,
    LEAST_SCALE,
    GaussianBits,
    Hyperprior,
    LogisticPrior,
    gaussian_bits,
    round_ste,
)
from netcodecs.transforms.mean_scale import MeanScaleHyperprior
from scipy import stats
from torch import Tensor


def _samples(count: int = 400) -> tuple[Tensor, ...]:
    """Latent, means, log-scales and noise in float64; the noisy sample within three standard deviations."""
    rng = np.random.default_rng(0)
    scales = np.exp(rng.uniform(math.log(0.3), math.log(20), count))
    means, noise = rng.normal(size=count), rng.uniform(-0.5, 0.5, count)
    latent = means + scales * rng.uniform(-2, 2, count)
    return tuple(torch.from_numpy(a) for a in (latent, means, np.log(scales), noise))


def _mass(distance: np.ndarray, scales: np.ndarray) -> np.ndarray:
    return stats.norm.cdf((distance + 0.5) / scales) - stats.norm.cdf((distance - 0.5) / scales)


def test_the_value_is_the_information_of_the_rounded_sample() -> None:
    latent, means, log_scales, noise = _samples()
    expected = -np.log2(_mass(np.rint((latent - means).numpy()), np.exp(log_scales.numpy())))
    np.testing.assert_allclose(GaussianBits.apply(latent, means, log_scales, noise), expected, rtol=1e-9)
    np.testing.assert_allclose(gaussian_bits(torch.round(latent - means), log_scales), expected, rtol=1e-9)


def test_gradients_are_those_of_the_rounded_sample_for_scales_and_of_the_noisy_one_for_latent_and_means() -> None:
    latent, means, log_scales, noise = (tensor.requires_grad_() for tensor in _samples())
    GaussianBits.apply(latent, means, log_scales, noise).sum().backward()
    where, scales, step = (latent - means).detach().numpy(), np.exp(log_scales.detach().numpy()), 1e-5
    rounded, noisy = np.rint(where), where + noise.detach().numpy()
    of_scales = -np.log2(_mass(rounded, scales * np.exp(step)) / _mass(rounded, scales * np.exp(-step))) / (2 * step)
    of_latent = -np.log2(_mass(noisy + step, scales) / _mass(noisy - step, scales)) / (2 * step)
    assert latent.grad is not None
    assert means.grad is not None
    assert log_scales.grad is not None
    np.testing.assert_allclose(log_scales.grad, of_scales, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(latent.grad, of_latent, rtol=1e-6, atol=1e-8)
    assert torch.equal(means.grad, -latent.grad)
    assert noise.grad is None


def test_far_tails_have_finite_gradients_towards_the_mean_and_towards_wider_scales() -> None:
    """Where float32 knows no probability: it must still learn the way back."""
    latent = torch.tensor([-300.0, -40.0, 40.0, 300.0], requires_grad=True)
    log_scales = torch.full((4,), math.log(LEAST_SCALE), requires_grad=True)
    bits = GaussianBits.apply(latent, torch.zeros(4), log_scales, torch.zeros(4))
    bits.sum().backward()
    assert latent.grad is not None
    assert log_scales.grad is not None
    assert bool(bits.isfinite().all())
    assert torch.sign(latent.grad).tolist() == [-1, -1, 1, 1]
    assert bool((log_scales.grad < 0).all())
    assert bool((latent.grad.abs() < 1e3).all())


def test_scales_end_at_those_that_have_a_table() -> None:
    zeros, least, largest = torch.zeros(1), math.log(LEAST_SCALE), math.log(LARGEST_SCALE)
    for beyond, end in ((least - 5, least), (largest + 5, largest)):
        assert torch.equal(gaussian_bits(zeros, zeros + beyond), gaussian_bits(zeros, zeros + end))


def test_rounding_passes_gradients_straight_through() -> None:
    values = torch.tensor([0.2, 0.7, -1.6], requires_grad=True)
    rounded = round_ste(values)
    rounded.sum().backward()
    assert rounded.tolist() == [0, 1, -2]
    assert values.grad is not None
    assert values.grad.tolist() == [1, 1, 1]


def _prior() -> LogisticPrior:
    prior = LogisticPrior(5)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return prior


@torch.no_grad()
def test_the_prior_is_a_mixture_of_three_logistic_distributions() -> None:
    prior, whole = _prior(), torch.arange(-60.0, 61.0)
    bits = prior.bits(whole.expand(1, 5, 1, -1))[0, :, 0].numpy()
    weights, means, scales = (
        p.double().numpy() for p in (prior.logits.softmax(-1), prior.means, prior.log_scales.exp())
    )
    for channel in range(5):
        law = [stats.logistic(m, s) for m, s in zip(means[channel], scales[channel], strict=True)]
        masses = np.array([one.cdf(whole + 0.5) - one.cdf(whole - 0.5) for one in law])
        mass = weights[channel] @ masses
        likely = mass > 1e-5
        np.testing.assert_allclose(bits[channel][likely], -np.log2(mass[likely]), rtol=1e-3)
    assert (2.0**-bits).sum(1) == pytest.approx(1.0, abs=1e-4)


def test_a_prior_that_does_not_learn_has_no_gradients_but_gives_them() -> None:
    prior, values = _prior(), torch.randn(1, 5, 2, 2, requires_grad=True)
    prior.bits(values, learn=False).sum().backward()
    assert values.grad is not None
    assert bool(values.grad.any())
    assert all(parameter.grad is None for parameter in prior.parameters())
    prior.bits(values).sum().backward()
    assert all(parameter.grad is not None for parameter in prior.parameters())


@torch.no_grad()
def test_a_fitted_prior_is_nearly_as_short_as_a_histogram() -> None:
    hyper = torch.round(torch.randn(4, 3, 20, 20, generator=torch.Generator().manual_seed(0)) * 2 + 1)
    prior = LogisticPrior(3)
    prior.fit(hyper)
    counts = np.unique(hyper.numpy(), return_counts=True)[1]
    assert float(prior.bits(hyper).mean()) < stats.entropy(counts, base=2) * 1.05


@pytest.fixture(params=["residual", "mbt"])
def hyper(request: pytest.FixtureRequest, started: Backbone) -> Hyperprior | MeanScaleHyperprior:
    if request.param == "residual":
        made = copy.deepcopy(started.hyper)
        assert isinstance(made, Hyperprior)
        return made
    torch.manual_seed(2)
    return MeanScaleHyperprior(192, 128).eval()


LATENT = 3 * torch.randn(2, 192, 4, 8, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def test_the_rate_in_training_is_that_of_the_symbols(hyper: Hyperprior | MeanScaleHyperprior) -> None:
    """Noise moves gradients, not the latent's rate: the same in both modes."""
    bits, hyper_bits, decoded = hyper.eval().rate(LATENT)
    learning, _, same = hyper.train().rate(LATENT)
    assert bits.shape == decoded.shape == LATENT.shape
    assert hyper_bits.shape == (2, 128)
    torch.testing.assert_close(learning, bits, rtol=1e-3, atol=1e-3)
    assert torch.equal(same, decoded)
    assert float((decoded - LATENT).abs().max()) <= 0.5 + 1e-5


@torch.no_grad()
def test_hyperprior_channels_that_are_not_sent_cost_nothing_and_tell_nothing(
    hyper: Hyperprior | MeanScaleHyperprior,
) -> None:
    """Two images with nothing sent have the same means: what is decoded differs by whole numbers."""
    sent = torch.arange(128) < torch.tensor([[0], [60]])
    images = 40 * LATENT, 40 * LATENT.flip(3)
    decoded, whole = ([hyper.eval().rate(image, what) for image in images] for what in (sent, None))
    for (_, bits, _), (_, all_bits, _) in zip(decoded, whole, strict=True):
        assert not bits[~sent].any()
        torch.testing.assert_close(bits[sent], all_bits[sent])

    def apart(pair: list[tuple[Tensor, ...]], number: int) -> float:
        gap = pair[0][2][number] - pair[1][2][number]
        return float((gap - torch.round(gap)).abs().max())

    assert apart(decoded, 0) < 1e-3
    assert apart(decoded, 1) > 0.01
    assert apart(whole, 0) > 0.01


def test_every_part_of_the_hyperprior_learns(hyper: Hyperprior | MeanScaleHyperprior) -> None:
    latent = LATENT.clone().requires_grad_()
    bits, hyper_bits, _ = hyper.train().rate(latent)
    (bits.sum() + hyper_bits.sum()).backward()
    assert latent.grad is not None
    idle = [n for n, p in hyper.named_parameters() if p.grad is None and "quantiles" not in n]
    assert idle == []
