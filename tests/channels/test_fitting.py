"""Fits against brute force over all state paths, against closed forms, and against what was sampled."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.channels import MarkovChannel, bernoulli, burst, preset
from netsim.channels.fitting.baum_welch import Parameters, expectation, log_likelihood, maximise
from netsim.channels.fitting.card import goodness_card
from netsim.channels.fitting.families import families, family_names
from netsim.channels.fitting.fit import compare_families, fit_family
from netsim.channels.fitting.runs import LossRuns
from netsim.commands.trace import _print_card
from netsim.errors import InputError
from netsim.figures.fit_card import draw_card
from tests.channels import brute_force

BY_NAME = {family.name: family for family in families()}


def random_chain(rng: np.random.Generator, states: int) -> Parameters:
    return Parameters(rng.dirichlet(np.ones(states), states), rng.random(states))


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=30), min_size=1, max_size=4))
def test_runs_are_the_recordings(series: list[list[bool]]) -> None:
    runs = LossRuns.of([np.array(one) for one in series])
    flat = np.repeat(runs.symbols == 0, runs.run_lengths).tolist()
    assert flat == [arrived for one in series for arrived in one]
    assert runs.recording_lengths.tolist() == [len(one) for one in series]
    assert runs.packets_lost == flat.count(False)
    first = runs.chosen([len(series) - 1])
    assert np.repeat(first.symbols == 0, first.run_lengths).tolist() == series[-1]
    halves = runs.split()
    if halves is not None:
        assert sum(half.packets for half in halves) == runs.packets


@pytest.mark.parametrize("states", [1, 2, 3])
def test_the_likelihood_is_the_probability_of_the_mask(states: int) -> None:
    """Against the sum over all state paths, for every mask of five packets, and for several recordings."""
    rng = np.random.default_rng(states)
    chain = random_chain(rng, states)
    channel = MarkovChannel("random", chain.transition, chain.loss)
    expected = brute_force.mask_probabilities(channel.transition, channel.loss, channel.stationary, 5)
    masks = [np.array([bool(mask >> j & 1) for j in range(5)]) for mask in range(32)]
    for mask, probability in zip(masks, expected, strict=True):
        assert log_likelihood(LossRuns.of([mask]), chain) == pytest.approx(np.log(probability), abs=1e-12)
    assert log_likelihood(LossRuns.of(masks), chain) == pytest.approx(np.log(expected).sum(), abs=1e-10)


def test_the_likelihood_of_very_long_runs_neither_under_nor_overflows() -> None:
    """100,000 losses in a row under a chain that loses half: exactly 100,000 bits."""
    half = Parameters(np.full((2, 2), 0.5), np.array([0.25, 0.75]))
    runs = LossRuns.of([np.zeros(100_000, dtype=bool)])
    assert log_likelihood(runs, half) / np.log(2) == pytest.approx(-100_000, rel=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_expected_transitions_are_those_of_all_paths(seed: int, states: int, recordings: int) -> None:
    rng = np.random.default_rng(seed)
    chain = random_chain(rng, states)
    series = [rng.random(rng.integers(1, 6)) < 0.6 for _ in range(recordings)]
    by_outcome, begin, total = expectation(LossRuns.of(series), chain)
    start = MarkovChannel("random", chain.transition, chain.loss).stationary
    counts, first, logs = np.zeros((2, states, states)), np.zeros(states), 0.0
    for received in series:
        weights = {}
        for path in product(range(states), repeat=len(received) + 1):
            weight = start[path[0]]
            for j, arrived in enumerate(received):
                loss = chain.loss[path[j + 1]]
                weight *= chain.transition[path[j], path[j + 1]] * (1 - loss if arrived else loss)
            weights[path] = weight
        probability = sum(weights.values())
        logs += np.log(probability)
        for path, weight in weights.items():
            first[path[0]] += weight / probability
            for j, arrived in enumerate(received):
                counts[0 if arrived else 1, path[j], path[j + 1]] += weight / probability
    np.testing.assert_allclose(by_outcome, counts, atol=1e-9)
    np.testing.assert_allclose(begin, first, atol=1e-9)
    assert total == pytest.approx(logs, abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_the_likelihood_never_falls(seed: int, states: int, recordings: int) -> None:
    rng = np.random.default_rng(seed)
    series = [rng.random(rng.integers(1, 120)) < rng.random() for _ in range(recordings)]
    runs = LossRuns.of(series)
    found = maximise(runs, random_chain(rng, states), cycles=15)
    assert np.diff(found.history).min(initial=0) >= -1e-9 * max(1, abs(found.log_likelihood))
    assert log_likelihood(runs, found.parameters) == found.log_likelihood
    np.testing.assert_allclose(found.parameters.transition.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("family", ["gilbert", "three-state"])
def test_impossible_transitions_stay_impossible(family: str) -> None:
    received, _ = preset("EP6").sample(3000, np.random.default_rng(0))
    fit = fit_family(LossRuns.of([received]), BY_NAME[family], starts=2)
    pattern = next(BY_NAME[family].starts(LossRuns.of([received]), np.random.default_rng(0)))
    assert ((fit.parameters.transition > 0) == (pattern.transition > 0)).all()
    assert fit.parameters.loss.tolist() == pattern.loss.tolist()


def test_bernoulli_and_gilbert_have_the_maxima_known_in_closed_form() -> None:
    """Loss rate, and transitions counted; of a long recording, whose start counts for little."""
    received, _ = burst(0.1, 4).sample(100_000, np.random.default_rng(5))
    lost = ~received
    fit = fit_family(LossRuns.of([received]), BY_NAME["bernoulli"])
    assert fit.channel.loss_rate == pytest.approx(lost.mean(), abs=1e-12)
    assert fit.log_likelihood == pytest.approx(
        lost.sum() * np.log(lost.mean()) + received.sum() * np.log(received.mean()), rel=1e-12
    )
    gilbert = fit_family(LossRuns.of([received]), BY_NAME["gilbert"]).channel.transition
    begins = (~lost[:-1] & lost[1:]).sum() / (~lost[:-1]).sum()
    ends = (lost[:-1] & ~lost[1:]).sum() / lost[:-1].sum()
    np.testing.assert_allclose([gilbert[0, 1], gilbert[1, 0]], [begins, ends], rtol=1e-3)


def test_recordings_that_start_alike_pull_the_stationary_start() -> None:
    """Recordings of one packet each know nothing but the loss rate: the fit has it, whatever its transitions."""
    received = np.random.default_rng(3).random(500) < 0.7
    runs = LossRuns.of(list(received[:, None]))
    found = maximise(runs, Parameters(np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([0.0, 1.0])), tolerance=1e-6)
    rate = 1 - received.mean()
    best = len(received) * (rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    assert found.log_likelihood == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("series", [[True] * 50, [False] * 50, [True], [True, False] * 40])
def test_recordings_without_variety_are_fitted(series: list[bool]) -> None:
    fits = compare_families([np.array(series)], starts=2)
    assert all(np.isfinite(fit.log_likelihood) for fit in fits)
    assert fits[0].channel.loss_rate == pytest.approx(1 - np.mean(series), abs=0.01)


SAMPLED = [
    "uniform-10",
    "EP3",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("ge-15", "EP2", "EP4", "EP6")),
]


@pytest.mark.parametrize("name", SAMPLED)
def test_a_fit_has_the_loss_rate_and_burst_of_what_was_sampled(name: str) -> None:
    channel = preset(name)
    received, _ = channel.sample(200_000, np.random.default_rng(11))
    fits = compare_families([received], ["bernoulli", "gilbert", "gilbert-elliott", "three-state"], held_out=False)
    best = fits[0]
    assert best.family.name == {"uniform-10": "bernoulli", "ge-15": "gilbert-elliott", "EP4": "three-state"}.get(
        name, "three-state" if name == "EP6" else "gilbert"
    )
    assert best.channel.loss_rate == pytest.approx(channel.loss_rate, rel=0.05)
    assert best.channel.mean_burst == pytest.approx(channel.mean_burst, rel=0.05)


def test_larger_families_are_never_less_likely() -> None:
    """Hidden Markov models of three states hold all smaller families: EM has to find what those found."""
    received, _ = preset("EP4").sample(20_000, np.random.default_rng(2))
    by_name = {fit.family.name: fit for fit in compare_families([received], held_out=False, starts=3)}
    largest = by_name["hmm-3"].log_likelihood
    assert all(largest >= fit.log_likelihood - 0.1 for fit in by_name.values())


def test_fits_are_the_same_for_the_same_seed() -> None:
    received, _ = preset("EP6").sample(5000, np.random.default_rng(2))
    one, two = (compare_families([received], ["gilbert-elliott"], seed=4) for _ in range(2))
    assert one[0].log_likelihood == two[0].log_likelihood
    assert one[0].held_out_bits == two[0].held_out_bits


def test_held_out_recordings_tell_overfitting() -> None:
    """Of independent loss, the true family predicts best, but for noise; of bursts, a chain predicts far better."""
    received, _ = bernoulli(0.2).sample(2000, np.random.default_rng(8))
    fits = {fit.family.name: fit for fit in compare_families([received])}
    assert fits["bernoulli"].held_out_bits >= fits["hmm-3"].held_out_bits  # type: ignore[operator]
    received, _ = burst(0.2, 5).sample(2000, np.random.default_rng(8))
    fits = {fit.family.name: fit for fit in compare_families([received], ["bernoulli", "gilbert"])}
    assert fits["gilbert"].held_out_bits > fits["bernoulli"].held_out_bits + 0.1  # type: ignore[operator]


def test_bands_hold_recordings_of_the_channel_and_not_of_another() -> None:
    """Under the channel itself some 5 % of the lines lie outside; under independent loss of equal rate, most do."""
    channel = burst(0.1, 4)
    outside = []
    for seed in range(10):
        received, _ = channel.sample(5000, np.random.default_rng(seed))
        outside += [not line.inside for line in goodness_card(channel, [received], seed).lines()]
    assert np.mean(outside) < 0.12
    wrong = goodness_card(bernoulli(0.1), [received]).lines()
    assert np.mean([line.inside for line in wrong]) < 0.5


def test_bands_hold_more_of_a_recording_that_the_channel_was_fitted_to(capsys: pytest.CaptureFixture[str]) -> None:
    """`netsim trace fit` says 1 to 2 % outside; of new recordings it would be 5 %, so 25 of 500 lines."""
    outside = []
    for seed in range(20):
        received, _ = burst(0.05, 4).sample(2000, np.random.default_rng([4, seed]))
        [fit] = compare_families([received], ["gilbert"], held_out=False, starts=1)
        outside += [not line.inside for line in goodness_card(fit.channel, [received], seed).lines()]
    assert 0 < np.mean(outside) < 0.03
    _print_card(goodness_card(fit.channel, [received], seed), fit)
    assert "1 to 2 % are where the family is right" in capsys.readouterr().out


def test_a_simulation_without_losses_has_no_bursts() -> None:
    """300 packets of which one in 500 is lost: half the simulations lose none; a mean burst is 1.5, never below 1."""
    channel = burst(0.002, 1.5)
    received = np.ones(300, dtype=bool)
    received[100:102] = False
    lines = {line.name: line for line in goodness_card(channel, [received]).lines()}
    assert lines["mean burst"].fitted == pytest.approx(1.5, abs=0.25)
    assert lines["mean burst"].low == 1
    assert lines["bursts of 2 or more"].fitted == pytest.approx(1 / 3, abs=0.15)
    assert not any("burst" in name for name in (line.name for line in goodness_card(channel, [received[:100]]).lines()))


@pytest.mark.parametrize("loss_rate", [0.0, 1.0])
def test_a_card_without_bursts_or_without_gaps_is_drawn(loss_rate: float) -> None:
    received = np.full(40, loss_rate == 0)
    figure = draw_card(goodness_card(bernoulli(loss_rate), [received]))
    figure.canvas.draw()
    bursts, gaps = figure.axes[:2]
    assert [axes.get_yscale() for axes in (bursts, gaps)] == (["log", "linear"] if loss_rate else ["linear", "log"])


def test_bands_of_rare_events_hold_long_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording longer than what is sampled at once; bursts of ten or more come some four times in it.

    Scaled bands of simulations of a tenth of the length hold five sixths of all lines, and two thirds of these.
    """
    from netsim.channels.fitting import card as card_module

    monkeypatch.setattr(card_module, "_AT_ONCE", 1000)
    monkeypatch.setattr(card_module, "_PACKETS", 0)  # as few simulations as for millions of packets
    channel, packets, cards = burst(0.1, 2.5), 10_000, 40
    inside: dict[str, list[bool]] = {}
    for seed in range(cards):
        received, _ = channel.sample(packets, np.random.default_rng([9, seed]))
        card = goodness_card(channel, [received], seed)
        assert {seen.packets for seen in card.simulated} == {packets}
        for line in card.lines():
            inside.setdefault(line.name, []).append(line.inside)
    rare = [np.mean(inside[name]) for name in ("bursts of 10 or more", "9 of 10 lost", "10 of 10 lost")]
    assert np.mean(rare) > 0.85
    assert np.mean(list(inside.values())) > 0.92


def test_the_card_does_not_depend_on_how_much_is_sampled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from netsim.channels.fitting import card as card_module

    rng = np.random.default_rng(3)
    recordings = [burst(0.1, 4).sample(length, rng)[0] for length in (600, 2000, 600, 600, 1)]
    whole = goodness_card(burst(0.1, 4), recordings).lines()
    for at_once in (1500, 700):
        monkeypatch.setattr(card_module, "_AT_ONCE", at_once)
        assert goodness_card(burst(0.1, 4), recordings).lines() == whole


def test_unknown_families_and_too_many_states_are_refused() -> None:
    with pytest.raises(InputError, match="no family `gilber`") as caught:
        family_names(["gilber"])
    assert "`gilbert`" in caught.value.hint
    assert [family.name for family in family_names(["hmm-4"])] == ["hmm-4"]
    with pytest.raises(InputError, match="9 states"):
        families(9)
    with pytest.raises(InputError, match="no packets"):
        compare_families([np.zeros(0, dtype=bool)])
