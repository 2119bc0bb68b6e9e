from __future__ import annotations

import math

import pytest
import torch
from netcodecs.progressive.backbone import LAMBDAS, Backbone, widen
from torch import Tensor

from netsim.errors import InputError


def test_gains_between_two_trained_rates_are_their_geometric_mean(started: Backbone) -> None:
    middle = math.sqrt(LAMBDAS[0] * LAMBDAS[1])
    with torch.no_grad():
        gain, inverse = started.gains(torch.tensor([LAMBDAS[0], middle, *LAMBDAS[1:]]))
    assert gain.shape == inverse.shape == (5, 192, 1, 1)
    torch.testing.assert_close(gain[1], (gain[0] * gain[2]).sqrt())
    torch.testing.assert_close(gain[[0, 2, 3, 4], :, 0, 0], started.log_gain.exp())


@pytest.mark.parametrize("lam", [LAMBDAS[0] / 2, LAMBDAS[-1] * 2])
def test_untrained_rate_is_refused(started: Backbone, lam: float) -> None:
    with pytest.raises(InputError, match="outside the trained range"):
        started.gains(torch.tensor([lam]))


def test_folded_and_widened_network_is_the_same_function(started: Backbone, photos: list[Tensor]) -> None:
    """at() goes through widen(): a plain CompressAI model gives what the narrow backbone with gains gives."""
    picture = photos[0][None, :, :128, :128].float() / 255
    plain = started.at(LAMBDAS[1])
    with torch.no_grad():
        coded = started(picture, torch.tensor([LAMBDAS[1]]))
        theirs = plain(picture)
    bits = sum(float(-torch.log2(p).sum()) for p in theirs["likelihoods"].values())
    assert float((theirs["x_hat"] - coded.picture).abs().mean()) < 1e-4
    assert bits == pytest.approx(float(coded.bits), rel=1e-3)


def test_real_bytes_decode_to_the_picture_and_cost_what_was_estimated(started: Backbone, photos: list[Tensor]) -> None:
    picture = photos[0][None, :, :192, :192].float() / 255
    plain = started.at(LAMBDAS[-1])
    with torch.no_grad():
        stream = plain.compress(picture)
        decoded = plain.decompress(stream["strings"], stream["shape"])["x_hat"]
        coded = started(picture, torch.tensor(LAMBDAS[-1:]))
    assert float((decoded - coded.picture.clamp(0, 1)).abs().mean()) < 1e-3
    bits = 8 * sum(len(strings[0]) for strings in stream["strings"])
    assert bits == pytest.approx(float(coded.bits), rel=0.03)


def test_widened_network_has_the_published_size_and_can_learn() -> None:
    full = widen(Backbone((12, 48, 128)))
    network = sum(p.numel() for n, p in full.model.named_parameters())
    assert network == 7_028_003  # Table 2 of paper 1
    full.train()(torch.rand(1, 3, 64, 64), torch.tensor(LAMBDAS[:1])).picture.sum().backward()
    unheard = full.model.g_a[2].weight.grad
    assert unheard is not None
    assert bool((unheard[:, 12:].abs().amax((0, 2, 3)) > 0).all())


def test_rate_in_training_is_that_of_the_symbols_and_noise_moves_means_and_latent(started: Backbone) -> None:
    generator = torch.Generator().manual_seed(0)
    latent, scales, means = (torch.randn(2, 192, 4, 4, generator=generator, dtype=torch.double) for _ in range(3))
    scales = scales.abs() + 0.5
    for tensor in (latent, scales, means):
        tensor.requires_grad_()
    bits = started.train()._latent_bits(latent, scales, means)
    bits.sum().backward()
    moved = [tensor.grad for tensor in (latent, scales, means)]
    with torch.no_grad():
        torch.testing.assert_close(bits, started.eval()._latent_bits(latent, scales, means))
    assert all(gradient is not None for gradient in moved)
    torch.testing.assert_close(moved[0], -moved[2])
    # a finite difference: that of rounded samples, for scales alone
    with torch.no_grad():
        step = torch.full_like(scales, 1e-3)
        above, below = (started._latent_bits(latent, scales + sign * step, means).sum() for sign in (1, -1))
    assert float(moved[1].sum()) == pytest.approx(float(above - below) / 2e-3, rel=0.02)
