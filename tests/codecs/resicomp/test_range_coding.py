"""Range coding under mixtures: what comes out, how long it is, and noise in place of a code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from netcodecs.resicomp.mixture import LEAST_SCALE, log_likelihood
from netcodecs.resicomp.range_coding import LARGEST, Mixtures, coded_bits, decode, encode


def mixtures_of(count: int, seed: int, loudness: float = 3.0) -> Mixtures:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet([1, 1, 1], count).T
    return Mixtures(weights, rng.normal(0, loudness, (3, count)), np.exp(rng.normal(-1, 1.5, (3, count))))


def drawn(mixtures: Mixtures, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    count = mixtures.weights.shape[1]
    chosen = (rng.random(count) > mixtures.weights.cumsum(0)).sum(0).clip(max=2)
    means, scales = (part[chosen, np.arange(count)] for part in (mixtures.means, mixtures.scales))
    return np.rint(rng.normal(means, np.maximum(scales, LEAST_SCALE))).astype(np.int64)


@pytest.mark.parametrize("count", [1, 2, 700, 20_000])
def test_numbers_come_back(count: int) -> None:
    mixtures = mixtures_of(count, seed=count)
    numbers = drawn(mixtures, seed=1)
    code = encode(numbers, mixtures)
    assert np.array_equal(decode(code, mixtures), numbers)
    assert abs(len(code) - coded_bits(numbers, mixtures).sum() / 8) < 5


@pytest.mark.parametrize("loudness", [0.1, 3.0, 100.0])
def test_as_long_as_the_densities_say(loudness: float) -> None:
    """Within 1 % + 8 bytes of the entropy that training estimates, by another formula, in torch."""
    mixtures = mixtures_of(5000, seed=2, loudness=loudness)
    numbers = drawn(mixtures, seed=3)
    given = (torch.from_numpy(part) for part in (numbers, np.log(mixtures.weights), mixtures.means, mixtures.scales))
    estimate = -float(log_likelihood(*given).sum()) / np.log(2) / 8
    assert abs(len(encode(numbers, mixtures)) - estimate) < 0.01 * estimate + 8


def test_the_most_unlikely_numbers_come_back() -> None:
    mixtures = mixtures_of(9, seed=4)
    numbers = np.array([LARGEST, -LARGEST, LARGEST - 1, 0, 1, -1, 4000, -129, 128])
    for order in (numbers, numbers[::-1]):
        assert np.array_equal(decode(encode(order, mixtures), mixtures), order)
    edge = Mixtures(np.ones((1, 2)), np.array([[9e9, -9e9]]), np.array([[0.0, 1e9]]))
    numbers = np.array([-LARGEST, LARGEST])
    assert np.array_equal(decode(encode(numbers, edge), edge), numbers)


def test_what_is_sure_costs_next_to_nothing() -> None:
    sure = Mixtures(np.ones((1, 20_000)), np.full((1, 20_000), 7.0), np.full((1, 20_000), 0.01))
    numbers = np.full(20_000, 7)
    code = encode(numbers, sure)
    assert len(code) <= 1
    assert np.array_equal(decode(code, sure), numbers)


def test_no_numbers_no_bytes() -> None:
    nothing = mixtures_of(0, seed=0)
    assert encode(np.zeros(0, np.int64), nothing) == b""
    assert len(decode(b"", nothing)) == 0


def test_parts_are_coded_as_they_would_be_alone() -> None:
    """A receiver predicts other slices together than the sender did."""
    mixtures = mixtures_of(900, seed=5)
    numbers = drawn(mixtures, seed=6)
    alone = Mixtures(*(p[:, 300:700].copy() for p in (mixtures.weights, mixtures.means, mixtures.scales)))
    assert encode(numbers[300:700], mixtures.part(300, 700)) == encode(numbers[300:700], alone)


def test_noise_is_decoded_or_refused() -> None:
    """Random bytes, cut and lengthened codes: numbers in their range or ValueError, nothing else."""
    mixtures = mixtures_of(40, seed=7)
    code = encode(drawn(mixtures, seed=8), mixtures)
    rng = np.random.default_rng(9)
    outcomes = {"numbers": 0, "refused": 0}
    for trial in range(400):
        noise = (
            rng.bytes(int(rng.integers(60))),
            code[: int(rng.integers(len(code)))],
            code + rng.bytes(9),
            bytes([255 * (trial % 2)]) * int(rng.integers(60)),
        )[trial % 4]
        try:
            numbers = decode(noise, mixtures)
        except ValueError:
            outcomes["refused"] += 1
            continue
        assert numbers.shape == (40,)
        assert np.abs(numbers).max() <= 5 * LARGEST
        outcomes["numbers"] += 1
    assert outcomes["numbers"] > 0
