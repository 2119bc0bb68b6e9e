"""PSNR, MS-SSIM and BD-rate against what is known."""

import math

import numpy as np
import pytest

from netsim.analysis.bd_rate import bd_rate_percent
from netsim.errors import InputError
from netsim.images import images_from_spec
from netsim.metrics.psnr import psnr_db
from netsim.registry import load_plugin


def test_psnr_agrees_with_scikit_image() -> None:
    from skimage.metrics import peak_signal_noise_ratio

    reference = images_from_spec({"samples": ["chelsea"]}).items[0].pixels()
    noise = np.random.default_rng(3).integers(-9, 10, reference.shape)
    noisy = np.clip(reference + noise, 0, 255).astype(np.uint8)
    found = psnr_db(reference, np.stack([noisy, reference]))
    assert found[0] == pytest.approx(peak_signal_noise_ratio(reference, noisy, data_range=255), abs=1e-9)
    assert np.isposinf(found[1])


def test_psnr_does_not_wrap_around_at_eight_bits() -> None:
    black, white = np.zeros((1, 4, 4, 3), np.uint8), np.full((1, 4, 4, 3), 255, np.uint8)
    assert psnr_db(black[0], white)[0] == psnr_db(white[0], black)[0] == 0.0


def test_psnr_refuses_other_shapes_and_types() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(InputError, match="do not match"):
        psnr_db(image, image)
    with pytest.raises(InputError, match="float64"):
        psnr_db(image, image[None].astype(float))


def test_ms_ssim_falls_with_noise_and_needs_161_pixels() -> None:
    ms_ssim = load_plugin("metric", "ms_ssim")
    reference = images_from_spec({"samples": ["chelsea"]}).items[0].pixels()[:161, :170]
    rng = np.random.default_rng(4)
    noisy = [np.clip(reference + rng.normal(0, s, reference.shape), 0, 255).astype(np.uint8) for s in (0, 10, 60)]
    values = ms_ssim(reference, np.stack(noisy))
    assert values.shape == (3,)
    assert values[0] == pytest.approx(1.0, abs=1e-6)
    assert values[0] > values[1] > values[2] > 0
    assert ms_ssim(reference, noisy[1][None])[0] == values[1]
    with pytest.raises(InputError, match="170×160 pixels is too small"):
        ms_ssim(reference[:160], reference[None, :160])
    with pytest.raises(InputError, match="do not match"):
        ms_ssim(reference, reference[None].astype(np.float32))


RATES, QUALITY = [0.1, 0.2, 0.4, 0.8], [28.0, 30.0, 32.5, 35.0]


def test_bd_rate_of_a_scaled_curve_is_the_scale_whatever_the_order() -> None:
    shuffled = [2, 0, 3, 1]
    rates, quality = [RATES[i] * 1.25 for i in shuffled], [QUALITY[i] for i in shuffled]
    assert bd_rate_percent(RATES, QUALITY, rates, quality) == pytest.approx(25.0)


@pytest.mark.parametrize(
    ("rates", "quality", "message"),
    [
        (RATES, [q + 7.5 for q in QUALITY], "do not overlap"),
        (RATES[:3], QUALITY[:3], "3 points"),
        (RATES, [28.0, 30.0, 29.0, 35.0], "PSNRs"),
        (RATES, [28.0, 30.0, float("nan"), 35.0], "finite|PSNRs"),
        (RATES[:3], QUALITY, "3 rates for 4"),
    ],
)
def test_bd_rate_refuses(rates: list[float], quality: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        bd_rate_percent(RATES, QUALITY, rates, quality)


def test_psnr_is_the_c_librarys_logarithm_of_whole_numbers() -> None:
    """To the last bit, on any processor: numpy's logarithm depends on the vector instructions there are."""
    rng = np.random.default_rng(0)
    reference = rng.integers(256, size=(5, 7, 3), dtype=np.uint8)
    images = rng.integers(256, size=(300, 5, 7, 3), dtype=np.uint8)
    squares = (images.astype(int) - reference).reshape(300, -1) ** 2
    by_hand = [10 * math.log10(255 * 255 * 105 / int(sum(row))) for row in squares]
    assert psnr_db(reference, images).tolist() == by_hand
