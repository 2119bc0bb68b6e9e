"""What is sampled follows the exact laws. Seeded; each check would raise a false alarm once in a million seeds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from netsim.channels import MarkovChannel, preset
from tests.channels.brute_force import valid_presets

ALARM = 1e-6
PRESETS = list(valid_presets())


def chi_square_p(counts: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """p-value of Pearson's χ²; cells that expect fewer than ten are pooled, impossible ones must be empty."""
    expected = probabilities * counts.sum()
    assert counts[probabilities == 0].sum() == 0
    rare = expected < 10
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    if expected[-1] < 10:  # too few even together: join them to the largest cell
        largest = int(expected[:-1].argmax())
        observed[largest] += observed[-1]
        expected[largest] += expected[-1]
        observed, expected = observed[:-1], expected[:-1]
    return float(stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue)


@pytest.mark.parametrize("start", ["stationary", "uniform", "G"])
@pytest.mark.parametrize("channel", PRESETS, ids=lambda c: c.name)
def test_masks_follow_their_exact_law(channel: MarkovChannel, start: str) -> None:
    packets, trials = 5, 60_000
    begun = MarkovChannel(channel.name, channel.transition, channel.loss, channel.states, start)
    rng = np.random.default_rng(20)
    states = np.array([begun.initial_state(u) for u in rng.random(trials).tolist()])
    received, _ = begun.receive_many(rng.random((trials, packets, 2)), states)
    masks = np.bincount(received @ (1 << np.arange(packets)), minlength=2**packets)
    assert chi_square_p(masks, begun.mask_probabilities(packets)) > ALARM


@pytest.mark.parametrize("channel", PRESETS, ids=lambda c: c.name)
def test_loss_rate_of_a_long_run(channel: MarkovChannel) -> None:
    """The mean of n correlated packets has variance ε(1−ε)/n · (1 + 2 Σ ρ_k)."""
    n = 400_000
    received, _ = channel.sample(n, np.random.default_rng(21))
    rate = channel.loss_rate
    variance = rate * (1 - rate) / n * (1 + 2 * sum(channel.autocorrelation(k) for k in range(1, 300)))
    assert abs((1 - received.mean()) - rate) < stats.norm.isf(ALARM / 2) * variance**0.5


@pytest.mark.parametrize("channel", [c for c in PRESETS if set(c.loss) == {0, 1}], ids=lambda c: c.name)
def test_burst_lengths_follow_their_law(channel: MarkovChannel) -> None:
    """Where one state loses everything and the others nothing, runs of losses are independent of each other."""
    received, _ = channel.sample(400_000, np.random.default_rng(22))
    edges = np.flatnonzero(np.diff(received.astype(np.int8)))  # complete runs lie between a fall and the next rise
    edges = edges[0 if received[edges[0]] else 1 :]
    lengths = (edges[1::2] - edges[: len(edges) // 2 * 2 : 2]).clip(max=200)
    law = channel.burst_length_probabilities(199)
    assert chi_square_p(np.bincount(lengths, minlength=201), np.append(law, 1 - law.sum())) > ALARM


def test_packets_some_steps_apart_follow_the_power_of_the_chain() -> None:
    channel, trials = preset("EP6", start="G"), 60_000
    rng = np.random.default_rng(23)
    received, _ = channel.receive_many(rng.random((trials, 4, 2)), np.zeros(trials, dtype=int), 3)
    masks = np.bincount(received @ (1 << np.arange(4)), minlength=16)
    assert chi_square_p(masks, channel.decimated(3).mask_probabilities(4)) > ALARM


def test_the_check_itself_sees_a_wrong_law() -> None:
    """EP3 as released loses almost what the corrected one does, yet its masks give it away."""
    right, wrong = preset("EP3"), preset("EP3", "released")
    received, _ = wrong.sample(200_000, np.random.default_rng(24))
    masks = np.bincount(received.reshape(-1, 5) @ (1 << np.arange(5)), minlength=32)
    assert chi_square_p(masks, right.mask_probabilities(5)) < ALARM
