"""Residual transforms: shapes, new blocks, and what the lapped initialisation makes of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import Backbone
from netcodecs.training.init.lapped import _block_transform, lapped_transform
from netcodecs.transforms.blocks import ResidualBlock, whiten
from netcodecs.transforms.gains import LAMBDAS
from netcodecs.transforms.residual import COMPACT, LARGE, ResidualAnalysis, ResidualSynthesis, step_size
from skimage import data
from torch import Tensor
from torch.nn import functional


def psnr_db(a: Tensor, b: Tensor) -> float:
    return -10 * math.log10(float((a - b).square().mean()))


@pytest.fixture(scope="module")
def image() -> Tensor:
    """A photograph that the initialisation has not seen, (1, 3, 192, 192)."""
    return torch.from_numpy(data.astronaut()[64:256, 128:320].copy()).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("size", [COMPACT, LARGE], ids=["compact", "large"])
@torch.no_grad()
def test_a_sixteenth_of_each_side_and_back(size) -> None:  # type: ignore[no-untyped-def]
    latent = ResidualAnalysis(size, 192)(torch.rand(2, 3, 32, 48))
    assert latent.shape == (2, 192, 2, 3)
    assert ResidualSynthesis(size, 192)(latent).shape == (2, 3, 32, 48)


@pytest.mark.parametrize(("size", "blocks"), [(COMPACT, 5), (LARGE, 9)], ids=["compact", "large"])
def test_sizes_have_the_blocks_they_say(size, blocks: int) -> None:  # type: ignore[no-untyped-def]
    for transform in (ResidualAnalysis(size, 192), ResidualSynthesis(size, 192)):
        assert sum(isinstance(layer, ResidualBlock) for layer in transform) == blocks


@torch.no_grad()
def test_a_new_block_is_the_identity() -> None:
    block, features = ResidualBlock(12), 5 + 3 * torch.randn(2, 12, 6, 7)
    assert torch.equal(block(features), features)
    whiten(block, features)
    assert torch.equal(block(features), features)
    block.project.weight[0, 0] = 1.0
    assert not torch.equal(block(features), features)


@torch.no_grad()
def test_a_whitened_block_reads_zero_mean_and_unit_variance() -> None:
    torch.manual_seed(0)
    scales, means = torch.logspace(-0.5, 1.5, 12)[:, None, None], torch.linspace(-9, 9, 12)[:, None, None]
    features = means + scales * torch.randn(4, 12, 40, 40)
    block = ResidualBlock(12)
    whiten(block, features)
    inside = block.depthwise(features)[:, :, 1:-1, 1:-1]
    assert float(inside.mean((0, 2, 3)).abs().max()) < 0.1
    torch.testing.assert_close(inside.std((0, 2, 3)), torch.ones(12), atol=0.6, rtol=0)


def test_the_step_is_where_a_bit_costs_as_much_as_it_saves() -> None:
    """dD/dR = −2 ln 2 · D / n at high rate, for n = 3 samples per pixel: λ·255²·D + R is least where that is −1 / λ."""
    for lam in LAMBDAS:
        distortion = step_size(lam) ** 2 / 12
        assert lam * 255**2 * 2 * math.log(2) / 3 * distortion == pytest.approx(1.0)


def test_the_lapped_transform_is_orthogonal_also_across_blocks() -> None:
    transform = lapped_transform(16)
    assert transform.shape == (16, 32)
    np.testing.assert_allclose(transform @ transform.T, np.eye(16), atol=1e-12)
    np.testing.assert_allclose(transform[:, 16:] @ transform[:, :16].T, 0, atol=1e-12)


def test_the_lapped_transform_gains_more_than_a_block_transform() -> None:
    """Coding gain on a first-order process with correlation .95: 9.46 dB for the DCT of 16 (its known value)."""
    transform = lapped_transform(16)
    covariance = 0.95 ** np.abs(np.subtract.outer(np.arange(32), np.arange(32)))
    variances = np.einsum("bi,ij,bj->b", transform, covariance, transform)
    gain_db = 10 * np.log10(variances.mean() / np.exp(np.log(variances).mean()))
    assert 9.6 < gain_db < 10.0


@torch.no_grad()
def test_an_untrained_network_round_trips_an_image_it_never_saw(started: Backbone, image: Tensor) -> None:
    """192 of the 768 bands, not quantised; then coded: rate and quality grow with λ, from .1 to 1.3 bpp."""
    assert psnr_db(started.g_s(started.g_a(image)), image) > 32
    coded = [started(image, torch.tensor([lam])) for lam in LAMBDAS]
    bpp = [float(c.bits) / image[0, 0].numel() for c in coded]
    quality_db = [psnr_db(c.image, image) for c in coded]
    assert bpp == sorted(bpp)
    assert 0.05 < bpp[0] < bpp[-1] < 1.5
    assert quality_db == sorted(quality_db)
    assert quality_db[0] > 22
    assert quality_db[-1] > 30


@torch.no_grad()
def test_the_initial_analysis_keeps_energy(started: Backbone, image: Tensor) -> None:
    """Orthonormal but for the quiet weights and the bands left out: the latent has the pixels' energy."""
    pixels = ResidualAnalysis.pixels(image)
    assert float(started.g_a(image).square().sum() / pixels.square().sum()) == pytest.approx(1.0, abs=0.06)


@torch.no_grad()
def test_the_initial_hyperprior_knows_local_scales(started: Backbone, image: Tensor) -> None:
    """Fewer bits than a normal distribution per channel would take, whatever its mean and scale."""
    gain = started.gains(torch.tensor([LAMBDAS[2]]))[0]
    latent = started.analysed(image, gain)
    bits, hyper_bits, _ = started.hyper.rate(latent)  # type: ignore[operator]
    variances = latent.var((0, 2, 3)) + 1 / 12
    entropy = 0.5 * torch.log2(2 * math.pi * math.e * variances).clamp(min=0.05).sum() * latent[0, 0].numel()
    assert float(bits.sum() + hyper_bits.sum()) < 0.8 * float(entropy)


def test_the_first_layer_is_orthonormal_and_a_grey_block_is_one_coefficient() -> None:
    blocks = torch.from_numpy(_block_transform()).float()
    torch.testing.assert_close(blocks @ blocks.T, torch.eye(192), atol=1e-5, rtol=0)
    grey = functional.pixel_unshuffle(torch.ones(1, 3, 8, 8), 8)[0, :, 0, 0]
    bands = blocks @ grey
    assert float(bands[0]) == pytest.approx(math.sqrt(192))
    assert float(bands[1:].abs().max()) < 1e-4
