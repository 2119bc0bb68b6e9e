"""The summary against numbers worked out by hand, and its intervals against repeated experiments."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, t

from netsim.analysis.sampled import SampledSlots
from netsim.analysis.summary import summarise
from netsim.errors import InputError
from netsim.metrics.further import LOSSLESS_DB, Scale
from netsim.statistics.bounded import bounded_mean
from netsim.statistics.intervals import batch_labels, clopper_pearson, mean_interval, ratio_interval
from tests.figures.synthetic import exact_log, sampled_log


def _log(psnr: list[float | None], **columns: object) -> pd.DataFrame:
    """Slots of one scheme in trials of one slot each; None = failed."""
    count = len(psnr)
    base = {
        "row": 0,
        "engine": "event",
        "trial": range(count),
        "slot": 0,
        "packet": pd.array([None] * count, dtype="Int32"),
        "image": "a",
        "codec": "vvc",
        "operating_point": "qp=37",
        "mode": "",
        "protection": "none",
        "scheme": "vvc",
        "channel": "EP4",
        "link": "ideal",
        "seed": 1,
        "packets_sent": 10,
        "packets_lost": [10 if one is None else 1 for one in psnr],
        "packets_late": 0,
        "packets_dropped": 0,
        "packets_recovered": 0,
        "packets_usable": [0 if one is None else 9 for one in psnr],
        "bytes": 1000,
        "bpp": 0.3,
        "status": ["failed" if one is None else "full" for one in psnr],
        "psnr_db": [math.nan if one is None else one for one in psnr],
        "weight": 1.0,
    }
    return pd.DataFrame(base | columns, index=range(count))


def test_means_by_hand() -> None:
    row = summarise(_log([30.0, 32.0, 34.0, None, 31.0])).iloc[0]
    values = np.array([30.0, 32.0, 34.0, 13.0, 31.0])
    drop = 127 / 4 - 13  # what a failure costs
    rest = (values.var(ddof=1) - drop**2 * np.array([0, 0, 0, 1, 0]).var(ddof=1)) / 5
    ratio = clopper_pearson(0.2, 5)
    ends = [math.hypot(t.ppf(0.975, 4) * math.sqrt(rest), drop * (end - 0.2)) for end in (ratio.high, ratio.low)]
    assert row["psnr_db"] == pytest.approx(28.0)
    assert (row["psnr_low"], row["psnr_high"]) == pytest.approx((28.0 - ends[0], 28.0 + ends[1]))
    assert row["psnr_variance_over_trials"] == pytest.approx(values.var(ddof=1))
    assert row["psnr_received_db"] == pytest.approx(127 / 4)
    assert row["failure_ratio"] == pytest.approx(0.2)
    assert row["loss_rate"] == pytest.approx(14 / 50)
    assert (row["bpp"], row["bytes_per_slot"], row["packets_per_slot"]) == pytest.approx((0.3, 1000, 10))
    assert (row["slots"], row["trials"], row["images"]) == (5, 5, 1)


def test_failure_counts_as_the_given_number_of_db() -> None:
    log = _log([30.0, None])
    assert summarise(log, failure_db=10.0)["psnr_db"].item() == pytest.approx(20.0)
    assert summarise(log, failure_db=0.0)["psnr_received_db"].item() == pytest.approx(30.0)


def test_lossless_counts_as_the_stated_db() -> None:
    assert summarise(_log([math.inf, 30.0]))["psnr_db"].item() == pytest.approx((LOSSLESS_DB + 30) / 2)


def test_an_image_with_an_error_does_not_count_more_than_one_without() -> None:
    """One sample off by one in a thousand times a thousand pixels: 48.13 + 10·log10(3,000,000) = 112.9 dB."""
    row = summarise(_log([112.9, 30.0, 30.0], engine="exact", trial=0, weight=1 / 3)).iloc[0]
    assert row["psnr_db"] == pytest.approx((LOSSLESS_DB + 60) / 3)
    assert row["psnr_high"] <= LOSSLESS_DB
    assert summarise(_log([112.9, 30.0]))["psnr_db"].item() == pytest.approx((LOSSLESS_DB + 30) / 2)


def test_weights_weigh() -> None:
    log = _log([30.0, 34.0, None], weight=[0.5, 0.25, 0.25], engine="exact", trial=0)
    row = summarise(log).iloc[0]
    assert row["psnr_db"] == pytest.approx(15 + 8.5 + 3.25)
    assert row["psnr_low"] == row["psnr_db"] == row["psnr_high"]
    assert row["failure_ratio"] == row["failure_low"] == row["failure_high"] == 0.25
    assert row["psnr_received_db"] == pytest.approx((15 + 8.5) / 0.75)
    assert row["loss_rate"] == pytest.approx((0.5 * 1 + 0.25 * 1 + 0.25 * 10) / 10)
    assert math.isnan(row["psnr_variance_over_trials"])


def test_unresolved_mass_widens_the_exact_answer_to_its_bounds() -> None:
    log = _log(
        [30.0, None, None, 40.0],
        status=["full", "failed", "unresolved", "full"],
        weight=[0.6, 0.2, 0.2, 1.0],
        image=["a", "a", "a", "b"],
        engine="exact",
        trial=0,
    )
    row = summarise(log).iloc[0]
    known = 0.6 * 30 + 0.2 * 13
    assert row["psnr_low"] == pytest.approx((known + 0.2 * 13 + 40) / 2)
    assert row["psnr_high"] == pytest.approx((known + 0.2 * 30 + 40) / 2)
    assert row["psnr_db"] == pytest.approx((known + 0.2 * known / 0.8 + 40) / 2)
    assert (row["failure_low"], row["failure_high"]) == pytest.approx((0.1, 0.2))
    assert row["failure_ratio"] == pytest.approx((0.2 / 0.8) / 2)
    assert row["unresolved"] == pytest.approx(0.1)


def test_bounds_of_an_image_of_which_nothing_is_known() -> None:
    bounds = bounded_mean(np.array([np.nan]), np.ones(1), np.zeros(1, int), np.array([True]), 13.0, 100.0, True)
    assert tuple(bounds) == (56.5, 13.0, 100.0)


def test_bounds_hold_for_whatever_the_hidden_masks_give() -> None:
    rng = np.random.default_rng(5)
    values, weights = rng.uniform(8, 40, 40), rng.dirichlet(np.ones(40))
    values[0] = 41.0  # the full mask is decoded
    truth = float((values * weights).sum())
    for share in (0.1, 0.5, 0.9):
        hidden = rng.random(40) < share
        hidden[0] = False
        low, high = bounded_mean(values, weights, np.zeros(40, int), hidden, 8.0, 100.0, True)[1:]
        assert low <= truth <= high


def test_ms_ssim_counts_failures_as_zero() -> None:
    row = summarise(_log([30.0, None], ms_ssim=[0.9, math.nan])).iloc[0]
    assert row["ms_ssim"] == pytest.approx(0.45)
    assert row["ms_ssim_received"] == pytest.approx(0.9)
    assert "ms_ssim" not in summarise(_log([30.0])).columns


@pytest.mark.parametrize(
    ("scale", "unknown"),
    [
        (Scale(failed=0.0, lowest=0.0, highest=1.0, higher_is_better=True), ["high"]),
        (Scale(failed=1.0, lowest=0.0, highest=1.0, higher_is_better=False), ["low"]),
        (Scale(failed=1.0, lowest=0.0, highest=1.0), ["low"]),
        (Scale(failed=0.7, higher_is_better=False), ["low"]),
        (Scale(failed=0.7), ["low", "high"]),
    ],
)
def test_where_every_slot_failed_the_end_on_the_images_side_is_unknown(scale: Scale, unknown: list[str]) -> None:
    log = _log([None] * 20, distance=math.nan)
    group = SampledSlots(13.0, {"distance": scale})
    group.add(log)
    row = group.row()
    assert row["distance"] == scale.failed
    assert [end for end in ("low", "high") if math.isnan(row[f"distance_{end}"])] == unknown
    assert all(row[f"distance_{end}"] == scale.failed for end in {"low", "high"} - {*unknown})


def test_packet_rows_are_left_out_and_order_is_the_logs() -> None:
    with_packets = sampled_log(["vvc", "jpeg2000 prefix"], ["EP4", "EP1"], (0.35,), 5, 4, packet_rows=True)
    without = sampled_log(["vvc", "jpeg2000 prefix"], ["EP4", "EP1"], (0.35,), 5, 4)
    summary = summarise(with_packets)
    pd.testing.assert_frame_equal(summary, summarise(without))
    assert list(summary["channel"]) == ["EP4", "EP4", "EP1", "EP1"]
    assert list(summary["scheme"][:2]) == ["vvc", "jpeg2000 prefix"]


def test_engines_are_not_mixed() -> None:
    both = pd.concat([_log([30.0, 31.0]), _log([20.0], engine="exact")], ignore_index=True)
    assert list(summarise(both)["psnr_db"]) == [30.5, 20.0]


def test_a_log_without_columns_or_slots_is_refused() -> None:
    with pytest.raises(InputError, match="lacks columns: weight"):
        summarise(_log([30.0]).drop(columns="weight"))
    with pytest.raises(InputError, match="no slots"):
        summarise(_log([30.0]).iloc[:0])


def test_one_slot_has_no_interval() -> None:
    row = summarise(_log([30.0])).iloc[0]
    assert math.isnan(row["psnr_low"])
    assert (row["failure_low"], row["failure_high"]) == pytest.approx((0.0, 0.975))


def test_five_trials_are_the_batches() -> None:
    trial, slot = np.repeat(np.arange(5), 4), np.tile(np.arange(4), 5)
    assert (batch_labels(trial, slot, images=4) == trial).all()


def test_one_trial_is_cut_into_whole_passes_over_the_images() -> None:
    labels = batch_labels(np.zeros(40, int), np.arange(40), images=4)
    assert labels.tolist() == np.repeat(np.arange(10), 4).tolist()
    assert len(np.unique(batch_labels(np.zeros(1000, int), np.arange(1000), images=4))) <= 20


def test_a_single_pass_is_cut_into_slots() -> None:
    assert batch_labels(np.zeros(6, int), np.arange(6)[::-1], images=6).tolist() == [5, 4, 3, 2, 1, 0]


def test_rule_of_three_and_its_mirror() -> None:
    never = ratio_interval(np.zeros(1000, bool), np.ones(1000), np.arange(1000), np.zeros(1000))
    always = ratio_interval(np.ones(1000, bool), np.ones(1000), np.arange(1000), np.zeros(1000))
    assert never.high == pytest.approx(3.7 / 1000, rel=0.01)
    assert (always.value, always.high) == (1.0, 1.0)
    assert always.low == pytest.approx(1 - never.high)


def test_where_nothing_failed_correlated_losses_widen_the_interval() -> None:
    trial = np.repeat(np.arange(50), 20)
    bad_trials = np.where(trial % 5 == 0, 0.3, 0.0)  # losses come in whole trials
    scattered = np.where(np.arange(1000) % 5 == 0, 0.3, 0.0)
    wide, narrow = (ratio_interval(np.zeros(1000, bool), np.ones(1000), trial, one) for one in (bad_trials, scattered))
    assert wide.high > 10 * narrow.high


def test_clopper_pearson_is_the_textbook_one() -> None:
    low, high = clopper_pearson(0.1, 50)[1:]
    assert (low, high) == pytest.approx((beta.ppf(0.025, 5, 46), beta.ppf(0.975, 6, 45)))


def test_intervals_cover_the_truth_where_slots_are_correlated() -> None:
    """Runs of 20 trials of 40 slots whose losses come in long bursts; the naive interval would cover about half."""
    rng = np.random.default_rng(2)
    repeats, trials, slots, loss, burst = 400, 20, 40, 0.2, 12.0
    uniforms = rng.random((repeats, trials, slots + 1))
    state = uniforms[..., 0] < loss
    bad = np.empty((repeats, trials, slots), dtype=bool)
    for i in range(slots):
        now = uniforms[..., i + 1]
        state = np.where(state, now >= 1 / burst, now < loss / (burst * (1 - loss)))
        bad[..., i] = state
    trial, slot = np.repeat(np.arange(trials), slots), np.tile(np.arange(slots), trials)
    batch, ones = batch_labels(trial, slot, images=4), np.ones(trials * slots)
    covered = np.zeros(3)
    for one in bad.reshape(repeats, -1):
        values = np.where(one, 13.0, 33.0)
        mean = mean_interval(values, ones, batch)
        ratio = ratio_interval(one, ones, batch, one.astype(float))
        naive = mean_interval(values, ones, np.arange(len(ones)))
        truth = 13.0 * loss + 33.0 * (1 - loss)
        covered += [
            mean.low <= truth <= mean.high,
            ratio.low <= loss <= ratio.high,
            naive.low <= truth <= naive.high,
        ]
    assert covered[0] / repeats > 0.9
    assert covered[1] / repeats > 0.9
    assert covered[2] / repeats < 0.75


def test_summary_of_an_exact_log_has_no_width() -> None:
    summary = summarise(exact_log())
    assert (summary["psnr_high"] - summary["psnr_low"]).abs().max() < 1e-12
    assert summary["slots"].isna().all()
    vvc = summary[summary["scheme"] == "vvc"].set_index("channel")["failure_ratio"]
    assert vvc["EP6"] == pytest.approx(1 - (1 - 0.323) ** 10)
