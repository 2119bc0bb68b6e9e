"""95 % intervals hold the truth in 93 to 97 of 100 samples: every engine that samples, `precision:` and `compare`.

An image is a synthetic table of qualities over the 1,024 masks of ten packets; the truth is its exact expectation, and
everything in between is the product's: channels, engines, estimators, the stopping rule. A thousand seeds each, which
gives a coverage of .95 a standard error of .007.

An interval for a count of rare failures can't keep to .97: with 0, 1, 2 … as the only outcomes its coverage jumps, and
Clopper–Pearson stays on the safe side. So the upper limit holds where ten failures or more are expected, or none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from netsim.channels import MarkovChannel, preset
from netsim.channels.chains import bernoulli, burst
from netsim.engines import stratified
from netsim.engines.event import simulate_trial
from netsim.engines.exact import all_masks
from netsim.links.packets import DELIVERED, PacketBurst
from netsim.runs.adaptive_sampling import FIRST_TRIALS, greater_distance, trials_wanted
from netsim.statistics.intervals import Estimate, difference_interval, quality_interval, variance_interval
from netsim.statistics.stratified import StratifiedSample, stratified_quality
from netsim.statistics.surrogate import features
from netsim.streams import Streams
from tests.statistics.samples import FAILURE_DB, IDEAL, PACKETS, array_masks, exact_masks

SEEDS = 1_000
LEAST, MOST = 0.93, 0.97
ENOUGH_FAILURES = 10
MASKS = all_masks(PACKETS)
OFFER = PacketBurst((100,) * PACKETS, (False,) * PACKETS)
GAINS_DB = np.array([4, 3, 2.5, 2, 1.6, 1.4, 1.2, 1, 0.9, 0.8])


@dataclass(frozen=True)
class Image:
    """usable: bool [1024, 10], what of each mask is usable; quality_db: float64 [1024]; failed: bool [1024]."""

    usable: NDArray[np.bool_]
    quality_db: NDArray[np.float64]
    failed: NDArray[np.bool_]


def _image(usable: NDArray[np.bool_], quality_db: NDArray[np.float64]) -> Image:
    failed = ~usable.any(axis=1)
    return Image(usable, np.where(failed, FAILURE_DB, quality_db), failed)


def _layered(usable: NDArray[np.bool_], seed: int) -> Image:
    """Each usable packet adds its gain; which packets come together matters a little."""
    outcomes, outcome = np.unique(usable, axis=0, return_inverse=True)
    together = np.random.default_rng(seed).normal(0, 0.7, len(outcomes))[outcome.reshape(-1)]
    return _image(usable, 16 + usable @ GAINS_DB + together)


def _additive(seed: int) -> Image:
    """Packets that all are usable alone; each lost one, and some pairs, add to the mean squared error."""
    rng, lost = np.random.default_rng(seed), (~MASKS).astype(float)
    pairs = np.triu(rng.normal(0, 0.06, (PACKETS, PACKETS)), 1)
    error = 30 * (1 + 1.3 * lost @ rng.uniform(0.4, 1.6, PACKETS) + np.einsum("ni,ij,nj->n", lost, pairs, lost))
    return _image(MASKS, 10 * np.log10(255**2 / error))


@cache
def image(scheme: str, seed: int = 5) -> Image:
    if scheme == "rs(10,7)":
        whole = MASKS.sum(axis=1) >= 7
        return _image(np.repeat(whole[:, None], PACKETS, axis=1), np.full(len(MASKS), 33.0))
    if scheme == "first packet":
        return _image(np.repeat(MASKS[:, :1], PACKETS, axis=1), np.full(len(MASKS), 33.0))
    if scheme == "additive":
        return _additive(seed)
    usable = {"isc": MASKS, "slc": MASKS & MASKS[:, :1], "prefix": np.cumprod(MASKS, axis=1).astype(bool)}[scheme]
    return _layered(usable, seed)


def channel(name: str) -> MarkovChannel:
    if name == "long bursts":
        return burst(0.2, 200)
    return bernoulli(float(name)) if name[0] == "0" else preset(name)


def law(name: str) -> NDArray[np.float64]:
    return next(exact_masks(channel(name), 1, OFFER))


def lost_share(masks: NDArray[np.int64]) -> NDArray[np.float64]:
    return (~MASKS[masks]).mean(axis=-1)


def held(intervals: list[Estimate], truth: float) -> float:
    """Share of the intervals that hold the truth."""
    tiny = 1e-9 * max(1.0, abs(truth))
    return float(np.mean([not (truth < one.low - tiny or truth > one.high + tiny) for one in intervals]))


def check(coverage: float, what: str, failures: float = ENOUGH_FAILURES) -> None:
    """failures: how many are expected in a sample."""
    assert coverage >= LEAST, f"{what}: an interval holds the truth in {coverage:.3f} of {SEEDS} samples"
    if failures >= ENOUGH_FAILURES or failures < 0.01:
        assert coverage <= MOST, f"{what}: an interval holds the truth in {coverage:.3f} of {SEEDS} samples"


SAMPLED = [  # scheme, channel, trials, slots
    ("first packet", "0.04", 100, 1),  # t alone: .914
    ("first packet", "0.01", 400, 1),  # t alone: .907
    ("first packet", "0.1", 1000, 1),
    ("rs(10,7)", "0.1", 400, 1),
    ("rs(10,7)", "0.1", 1500, 1),
    ("slc", "EP4", 20, 1),
    ("slc", "EP4", 400, 1),
    ("slc", "EP2", 400, 1),
    ("prefix", "EP6", 100, 1),
    ("isc", "ge-15", 30, 1),
    ("isc", "EP6", 10, 1),
    ("prefix", "EP5", 40, 4),  # slots of a trial share their bursts
    ("slc", "EP5", 100, 4),
]


@pytest.mark.parametrize(("scheme", "name", "trials", "slots"), SAMPLED)
def test_means_and_failure_ratios_of_sampled_trials(scheme: str, name: str, trials: int, slots: int) -> None:
    decoded, probability = image(scheme), law(name)
    masks = array_masks(channel(name), SEEDS * trials, slots, OFFER).reshape(SEEDS, trials * slots)
    batch = np.repeat(np.arange(trials), slots)
    possible = name != "ge-15"  # where all ten packets are never lost
    found = [
        quality_interval(
            decoded.quality_db[one],
            decoded.failed[one],
            np.ones(len(one)),
            batch,
            lost_share(one),
            FAILURE_DB,
            possible,
        )
        for one in masks
    ]
    share = float(probability @ decoded.failed)
    expected = trials * share if possible else 0.0
    check(held([mean for mean, _ in found], float(probability @ decoded.quality_db)), "mean", expected)
    if possible:
        assert held([ratio for _, ratio in found], share) >= LEAST


RARE = [  # channel, trials, slots, least coverage
    ("EP1", 5, 4, LEAST),  # t alone: .07 for the mean, .05 for the difference
    ("EP1", 20, 4, LEAST),  # .25, .21
    ("EP1", 100, 4, 0.85),  # .67, .60; one to four slots with losses tell too little of what a loss costs
    ("0.001", 20, 1, LEAST),  # .19, .17
    ("0.001", 400, 1, 0.87),  # .83, .82
]


@pytest.mark.parametrize(("name", "trials", "slots", "least"), RARE)
def test_rare_losses_where_no_slot_can_fail(name: str, trials: int, slots: int, least: float) -> None:
    """A base layer that is never lost gives an image. Over EP1, 9 of 10 samples of 5 × 4 slots lose no packet."""
    usable = np.cumprod(MASKS, axis=1).astype(bool)
    quality = 16 + usable @ GAINS_DB
    other = 18 + MASKS @ GAINS_DB  # of a scheme that takes any packet
    masks = array_masks(channel(name), SEEDS * trials, slots, OFFER).reshape(SEEDS, trials * slots)
    batch, ones = np.repeat(np.arange(trials), slots), np.ones(trials * slots)
    none = np.zeros(trials * slots, dtype=bool)
    lost = [lost_share(one) for one in masks]
    every = list(zip(masks, lost, strict=True))
    found = [quality_interval(quality[m], none, ones, batch, share, FAILURE_DB, False, True) for m, share in every]
    truth = float(law(name) @ quality)
    assert held([mean for mean, _ in found], truth) >= least
    assert {tuple(ratio) for _, ratio in found} == {(0.0, 0.0, 0.0)}
    differences = [
        difference_interval(
            (quality[m], other[m]), (none, none), ones, batch, share, FAILURE_DB, [not share.any()] * 2, share > 0
        )
        for m, share in every
    ]
    assert held(differences, float(law(name) @ (quality - other))) >= least


def test_without_the_failures_part_a_mean_would_not_be_held() -> None:
    """What the tests above can see: a t interval alone."""
    decoded, probability = image("first packet"), law("0.04")
    masks = array_masks(channel("0.04"), SEEDS * 100, 1, OFFER).reshape(SEEDS, 100)
    ones, each = np.ones(100), np.arange(100)
    alone = [
        quality_interval(decoded.quality_db[one], decoded.failed[one], ones, each, ones, FAILURE_DB, can_fail=False)[0]
        for one in masks
    ]
    assert held(alone, float(probability @ decoded.quality_db)) < LEAST


@pytest.mark.slow
def test_means_and_failure_ratios_of_the_event_engine() -> None:
    decoded, probability, trials = image("prefix"), law("EP6"), 10
    losses, bits = Streams(3, "losses", "EP6"), 1 << np.arange(PACKETS)
    masks = np.array(
        [
            (
                simulate_trial(1, lambda slot, _: OFFER, channel("EP6"), IDEAL, losses, losses, trial)[0].outcome
                == DELIVERED
            )
            @ bits
            for trial in range(SEEDS * trials)
        ]
    ).reshape(SEEDS, trials)
    found = [
        quality_interval(
            decoded.quality_db[one],
            decoded.failed[one],
            np.ones(trials),
            np.arange(trials),
            lost_share(one),
            FAILURE_DB,
        )
        for one in masks
    ]
    share = float(probability @ decoded.failed)
    check(held([mean for mean, _ in found], float(probability @ decoded.quality_db)), "mean", trials * share)
    assert held([ratio for _, ratio in found], share) >= LEAST


STRATIFIED = [  # scheme, channels that share the sample, decodings, slots
    ("slc", ("EP2",), 60, 1),
    ("slc", ("EP4",), 60, 4),
    ("isc", ("EP6",), 100, 1),
    ("additive", ("EP2", "EP4", "EP6"), 60, 1),
]


def sample_of(
    image: Image, probabilities: NDArray[np.float64], which: int, draws: int, rng: np.random.Generator
) -> tuple[StratifiedSample, NDArray[np.float64]]:
    """A slot of the stratified engine and its qualities."""
    chosen = stratified.select(image.usable, stratified.given_a_loss(MASKS, probabilities), draws, rng)
    design, left = chosen.design_weight(probabilities[which]), ~chosen.certain & ~image.failed
    mean = probabilities[which, left] @ features(image.usable[left])
    usable = image.usable[chosen.index]
    weight = stratified.estimator_weights(usable, chosen.replicate, design, mean)
    return StratifiedSample(weight, design, chosen.replicate, usable), image.quality_db[chosen.index]


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "names", "draws", "slots"), STRATIFIED)
def test_means_of_stratified_draws(scheme: str, names: tuple[str, ...], draws: int, slots: int) -> None:
    """And failure ratios are exact."""
    images, probabilities = [image(scheme, 5 + slot) for slot in range(slots)], np.stack([law(n) for n in names])
    for which, probability in enumerate(probabilities):
        truth = float(np.mean([probability @ decoded.quality_db for decoded in images]))
        means = []
        for seed in range(SEEDS):
            rng = np.random.default_rng([seed, 7])
            found = [sample_of(decoded, probabilities, which, draws, rng) for decoded in images]
            mean, ratio = stratified_quality(found, FAILURE_DB)
            means.append(mean)
            share = float(probability @ images[0].failed)
            assert ratio.low == ratio.high == pytest.approx(share, abs=1e-12)
        check(held(means, truth), "mean")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "others", "seeds"),
    [("EP4", (), SEEDS), ("long bursts", ("0.001", "0.0011", "0.0012", "0.0013", "0.0014"), 300)],
)
def test_means_and_failure_ratios_of_long_streams(
    name: str, others: tuple[str, ...], seeds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty packets, the first of which all need; its loss is estimated from drawn masks, here 1,000 of them.

    Channels that hardly lose a packet draw as many masks each, but these tell nothing about failures: if they
    counted, .88 and .87.
    """
    monkeypatch.setattr(stratified, "DRAWN_MASKS", 1_000)
    packets, gains = 20, 12 * 0.8 ** np.arange(20) / 4
    channels = [channel(one) for one in (name, *others)]
    offer = PacketBurst((100,) * packets, (False,) * packets)
    means, ratios = [], []
    for seed in range(seeds):
        [batch] = stratified.simulate_strata(
            1, lambda _: offer, channels, 0, IDEAL, Streams(seed, "s"), 100, lambda _, r: r & r[:, :1]
        )
        usable = (batch.outcome == DELIVERED) & (batch.outcome[:, :1] == DELIVERED)
        assert batch.design_weight is not None
        sample = StratifiedSample(batch.weight, batch.design_weight, batch.trials, usable, batch.drawn)
        values = np.where(sample.failed, FAILURE_DB, 16 + usable @ gains)
        mean, ratio = stratified_quality([(sample, values)], FAILURE_DB)
        means.append(mean)
        ratios.append(ratio)
    masks = array_masks(channel(name), 400_000, 1, PacketBurst((100,) * packets, (False,) * packets))[:, 0]
    there = (masks[:, None] >> np.arange(packets)) & 1 == 1
    usable = there & there[:, :1]
    truth = float(np.where(usable.any(axis=1), 16 + usable @ gains, FAILURE_DB).mean())  # known to .01 dB
    for found, what in ((held(means, truth), "mean"), (held(ratios, channel(name).loss_rate), "failure ratio")):
        check(found, what, 0 if not others else 1)


DIFFERENCES = [  # first scheme, second, channel, trials
    ("slc", "prefix", "EP4", 200),
    ("slc", "prefix", "EP6", 40),
    ("first packet", "slc", "0.1", 200),
    ("rs(10,7)", "first packet", "0.04", 400),
]


@pytest.mark.parametrize(("one", "other", "name", "trials"), DIFFERENCES)
def test_differences_of_two_schemes_that_meet_the_same_losses(one: str, other: str, name: str, trials: int) -> None:
    first, second, probability = image(one), image(other), law(name)
    found = []
    for masks in array_masks(channel(name), SEEDS * trials, 1, OFFER).reshape(SEEDS, trials):
        values = [decoded.quality_db[masks] for decoded in (first, second)]
        failed = [decoded.failed[masks] for decoded in (first, second)]
        ones = np.ones(trials)
        found.append(difference_interval(values, failed, ones, np.arange(trials), lost_share(masks), FAILURE_DB))
    alone = [trials * float(probability @ x) for x in (first.failed & ~second.failed, second.failed & ~first.failed)]
    fewest = min((count for count in alone), default=0.0)
    truth = float(probability @ (first.quality_db - second.quality_db))
    check(held(found, truth), "difference", fewest if fewest >= ENOUGH_FAILURES else 1.0)


@pytest.mark.parametrize(
    ("scheme", "name", "trials", "slots"), [("slc", "EP4", 10, 24), ("prefix", "EP6", 100, 24), ("slc", "EP2", 100, 24)]
)
def test_variances_of_traces(scheme: str, name: str, trials: int, slots: int) -> None:
    decoded = image(scheme)
    masks = array_masks(channel(name), SEEDS * trials, slots, OFFER)
    means = decoded.quality_db[masks].mean(axis=1)
    truth = float(means.var())  # of 10,000 and more traces: slots of a trace are correlated, and have no closed form
    check(held([variance_interval(one) for one in means.reshape(SEEDS, trials)], truth), "variance")


def sampled_until(
    precision_db: float, decoded: Image, masks: NDArray[np.int64], can_fail: bool, can_lose: bool = False
) -> Estimate:
    """The mean where the stopping rule stops. masks: int64 [most trials, slots]."""
    have, want, slots = 0, FIRST_TRIALS, masks.shape[1]
    while want > have:
        have, some = want, masks[:want].reshape(-1)
        batch, lost = np.repeat(np.arange(have), slots), lost_share(some)
        mean, _ = quality_interval(
            decoded.quality_db[some],
            decoded.failed[some],
            np.ones(len(some)),
            batch,
            lost,
            FAILURE_DB,
            can_fail,
            can_lose,
        )
        lossy = len(np.unique(batch[lost > 0]))
        want = trials_wanted(greater_distance(mean), have, precision_db, len(masks), lossy, mean.value - FAILURE_DB)
    return mean


STOPPED = [  # scheme, channel, precision in dB
    ("rs(10,7)", "0.1", 0.25),
    ("slc", "EP4", 0.5),
    ("slc", "EP2", 0.3),
    ("prefix", "EP6", 0.5),
    ("isc", "ge-15", 0.2),
]


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "name", "precision_db"), STOPPED)
def test_sampling_until_a_precision_is_reached_reaches_it(scheme: str, name: str, precision_db: float) -> None:
    """A thousand runs: the mean lies within the stated precision, and in its interval, in 93 of 100 or more."""
    decoded, limit = image(scheme), 4_000
    truth = float(law(name) @ decoded.quality_db)
    masks = array_masks(channel(name), SEEDS * limit, 1, OFFER).reshape(SEEDS, limit, 1)
    means = [sampled_until(precision_db, decoded, one, name != "ge-15") for one in masks]
    assert max(map(greater_distance, means)) <= precision_db
    assert np.mean([abs(mean.value - truth) <= precision_db for mean in means]) >= LEAST
    assert held(means, truth) >= LEAST


RARE_STOPPED = [  # scheme, loss rate, mean burst, slots, precision in dB
    ("base + any", 0.01, 3, 4, 0.1),  # stopped at the first narrow interval: .86
    ("base + prefix", 0.005, 4, 1, 0.1),  # .83
    ("base + prefix", 0.02, 10, 4, 0.25),  # .88
    ("base + prefix", 0.01, 100, 4, 0.25),  # .80: one burst hits several slots
    ("isc", 0.01, 100, 4, 0.25),  # .79; a slot may fail
]


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "loss_rate", "mean_burst", "slots", "precision_db"), RARE_STOPPED)
def test_precision_is_reached_where_losses_are_rare_and_bursty(
    scheme: str, loss_rate: float, mean_burst: float, slots: int, precision_db: float
) -> None:
    """A sample that met few or cheap losses has a narrow interval about too good a mean."""
    lossy, limit = burst(loss_rate, mean_burst), 2_500
    usable = MASKS if scheme == "base + any" else np.cumprod(MASKS, axis=1).astype(bool)
    base = Image(usable, 20 + usable @ GAINS_DB, np.zeros(len(MASKS), dtype=bool))
    decoded, can_fail = (image(scheme), True) if scheme == "isc" else (base, False)
    truth = float(next(exact_masks(lossy, 1, OFFER)) @ decoded.quality_db)
    masks = array_masks(lossy, SEEDS * limit, slots, OFFER).reshape(SEEDS, limit, slots)
    means = [sampled_until(precision_db, decoded, one, can_fail, can_lose=True) for one in masks]
    assert max(map(greater_distance, means)) <= precision_db
    assert held(means, truth) >= LEAST
