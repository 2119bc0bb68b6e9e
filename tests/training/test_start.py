from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from netcodecs.progressive.backbone import LAMBDAS, Backbone
from netcodecs.training.start import lapped_start, lapped_transform
from torch import Tensor

from netsim.errors import InputError


def _psnr_db(a: Tensor, b: Tensor) -> float:
    return -10 * math.log10(float(((a - b) ** 2).mean()))


def test_lapped_transform_is_orthogonal_also_across_blocks() -> None:
    transform = lapped_transform(16)
    assert transform.shape == (16, 32)
    np.testing.assert_allclose(transform @ transform.T, np.eye(16), atol=1e-12)
    np.testing.assert_allclose(transform[:, 16:] @ transform[:, :16].T, 0, atol=1e-12)


def test_lapped_transform_gains_more_than_a_block_transform() -> None:
    """Coding gain on a first-order process with correlation .95: 9.46 dB for the DCT of 16 (its known value)."""
    transform = lapped_transform(16)
    covariance = 0.95 ** np.abs(np.subtract.outer(np.arange(32), np.arange(32)))
    variances = np.einsum("bi,ij,bj->b", transform, covariance, transform)
    gain_db = 10 * np.log10(variances.mean() / np.exp(np.log(variances).mean()))
    assert 9.6 < gain_db < 10.0


def test_untrained_network_round_trips_a_picture_it_never_saw(started: Backbone, photos: list[Tensor]) -> None:
    picture = photos[0][None, :, 64:320, 64:320].float() / 255
    with torch.no_grad():
        assert _psnr_db(started.model.g_s(started.model.g_a(picture)), picture) > 28
        coded = started(picture, torch.tensor(LAMBDAS[-1:]))
    assert _psnr_db(coded.picture, picture) > 27
    assert 0.1 < float(coded.bits) / 256**2 < 2


def test_bands_come_in_order_of_their_variance(started: Backbone, photos: list[Tensor]) -> None:
    pictures = torch.stack([p[:, :256, :256] for p in photos]).float() / 255
    with torch.no_grad():
        variance = started.model.g_a(pictures).var((0, 2, 3))
    assert variance[0] == variance.max()
    assert variance[:48].mean() > 4 * variance[48:96].mean() > 8 * variance[144:].mean()


def test_too_narrow_a_network_is_refused() -> None:
    with pytest.raises(InputError, match="too narrow"):
        lapped_start(Backbone((8, 48, 128)), torch.zeros(1, 3, 64, 64))
