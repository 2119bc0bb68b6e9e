"""Differences on logs whose differences are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from netsim.analysis.paired import compare_schemes, pair_points, paired_difference
from netsim.commands.compare import _interval
from netsim.errors import InputError
from netsim.statistics.intervals import difference_interval

FAILURE_DB = 13.0
COUNTS = ("packets_sent", "packets_delivered", "packets_lost", "packets_late", "packets_dropped", "packets_recovered")


def curve(
    scheme: str, psnr_db: np.ndarray, *, point: str = "qp=30", bpp: float = 0.3, engine: str = "array", **fixed: Any
) -> pd.DataFrame:
    """One scheme's slots: psnr_db [trials, slots], NaN where it failed; for the exact engine [images, outcomes]."""
    columns = psnr_db.shape[1]
    first, second = (axis.reshape(-1) for axis in np.indices(psnr_db.shape))
    exact = engine == "exact"
    frame = pd.DataFrame(
        {
            "row": 0,
            "engine": engine,
            "trial": 0 if exact else first,
            "slot": first if exact else second,
            "packet": pd.array([pd.NA] * psnr_db.size, dtype="Int32"),
            "image": [f"image {i}" for i in (first if exact else second % 2)],
            "codec": scheme.split()[0],
            "operating_point": point,
            "mode": "",
            "protection": "none",
            "scheme": scheme,
            "channel": "EP4",
            "link": "ideal",
            "seed": 7,
            "packets_usable": 5,
            "bytes": 1000,
            "bpp": bpp,
            "psnr_db": psnr_db.reshape(-1),
            "weight": np.full(psnr_db.size, 1 / columns) if exact else 1.0,
        }
        | dict.fromkeys(COUNTS, 5)
        | fixed
    )
    return frame.assign(status=np.where(frame["psnr_db"].isna(), "failed", "full"))


def correlated(trials: int = 60, slots: int = 4, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Two schemes that suffer alike: a is b + 0.5 dB and a little noise of its own."""
    rng = np.random.default_rng(seed)
    b = 28 + 3 * rng.standard_normal((trials, slots))
    return b + 0.5 + 0.1 * rng.standard_normal((trials, slots)), b


def test_a_paired_interval_holds_the_difference_and_is_narrower_than_an_unpaired_one() -> None:
    a, b = correlated()
    found = compare_schemes(pd.concat([curve("vvc", a), curve("jpeg", b)]), "vvc", "jpeg", FAILURE_DB).iloc[0]
    assert found["how"] == "paired"
    assert found["pairs"] == a.size
    assert found["difference_db"] == pytest.approx((a - b).mean())
    assert found["difference_low"] < 0.5 < found["difference_high"]
    paired, unpaired = (found[f"{x}_high"] - found[f"{x}_low"] for x in ("difference", "unpaired"))
    assert paired < 0.5 * unpaired  # what is left is mostly that one of them may fail where none was seen to


def test_the_interval_is_that_of_the_trials_mean_differences() -> None:
    """Slots of a trial are not independent samples: t over trials, by hand."""
    from scipy.stats import t

    a, b = correlated(trials=12)
    a = a + np.linspace(-1, 1, 12)[:, None]  # what a trial does to all of its slots
    found = paired_difference(curve("vvc", a), curve("jpeg", b), FAILURE_DB)
    means = (a - b).mean(axis=1)
    half = t.ppf(0.975, 11) * means.std(ddof=1) / np.sqrt(12)
    unseen = 1 - 0.025 ** (1 / a.size)  # how often one of them may fail where neither was seen to
    low, high = (np.hypot(half, unseen * (one.mean() - FAILURE_DB)) for one in (a, b))
    assert found == pytest.approx((means.mean(), means.mean() - low, means.mean() + high))


def test_slots_are_matched_by_trial_and_slot_whatever_their_order() -> None:
    a, b = correlated(trials=8)
    shuffled = curve("jpeg", b).sample(frac=1, random_state=3)
    assert paired_difference(curve("vvc", a), shuffled, FAILURE_DB) == pytest.approx(
        paired_difference(curve("vvc", a), curve("jpeg", b), FAILURE_DB)
    )


def test_failures_count_as_told_and_are_reported() -> None:
    a, b = correlated(trials=10)
    a[0, 0] = np.nan
    found = compare_schemes(pd.concat([curve("vvc", a), curve("jpeg", b)]), "vvc", "jpeg", 10.0).iloc[0]
    assert found["difference_db"] == pytest.approx((np.nan_to_num(a, nan=10.0) - b).mean())
    assert (found["failure_a"], found["failure_b"]) == (1 / a.size, 0.0)


def test_more_trials_of_one_scheme_are_left_out_of_the_pairs() -> None:
    a, b = correlated(trials=20)
    found = compare_schemes(pd.concat([curve("vvc", a[:10]), curve("jpeg", b)]), "vvc", "jpeg", FAILURE_DB).iloc[0]
    assert found["pairs"] == 40
    assert found["difference_db"] == pytest.approx((a[:10] - b[:10]).mean())


def test_exact_minus_exact_has_no_width() -> None:
    a, b = np.array([[30.0, 32.0], [20.0, 22.0]]), np.array([[29.0, 31.0], [21.0, np.nan]])
    log = pd.concat([curve("vvc", a, engine="exact"), curve("jpeg", b, engine="exact")])
    found = compare_schemes(log, "vvc", "jpeg", FAILURE_DB).iloc[0]
    assert found["how"] == "exact"
    assert found["difference_db"] == pytest.approx(26 - (29 + 31 + 21 + 13) / 4)
    assert found["difference_low"] == found["difference_db"] == found["difference_high"]
    assert np.isnan(found["pairs"])


def test_one_exact_takes_the_sampled_ones_interval() -> None:
    a = correlated()[0]
    exact = curve("jpeg", np.array([[28.0, 30.0]]), engine="exact")
    found = compare_schemes(pd.concat([curve("vvc", a), exact]), "vvc", "jpeg", FAILURE_DB).iloc[0]
    back = compare_schemes(pd.concat([curve("vvc", a), exact]), "jpeg", "vvc", FAILURE_DB).iloc[0]
    assert found["how"] == back["how"] == "one exact"
    assert found["difference_db"] == pytest.approx(a.mean() - 29)
    assert found["difference_low"] < found["difference_db"] < found["difference_high"]
    assert back["difference_low"] == pytest.approx(-found["difference_high"])


def test_without_any_spread_an_unseen_failure_is_allowed_for() -> None:
    flat = np.full((20, 4), 30.0)
    log = pd.concat([curve("vvc", flat + 1), curve("jpeg", flat)])
    found = compare_schemes(log, "vvc", "jpeg", FAILURE_DB).iloc[0]
    assert found["difference_db"] == 1.0
    assert found["difference_low"] < 1.0 < found["difference_high"]


def test_a_scheme_that_showed_no_image_may_be_better_by_an_unknown_amount() -> None:
    """Twenty slots of which a tenth would show 30 dB: one sample in eight has none of them."""
    never = curve("vvc", np.full((20, 1), np.nan)).assign(can_fail=True)
    other = curve("jpeg", np.full((20, 1), 20.0)).assign(can_fail=False)
    found = compare_schemes(pd.concat([never, other]), "vvc", "jpeg", FAILURE_DB).iloc[0]
    back = compare_schemes(pd.concat([never, other]), "jpeg", "vvc", FAILURE_DB).iloc[0]
    assert (found["difference_db"], found["difference_low"]) == (-7.0, -7.0)
    assert np.isnan(found["difference_high"])
    assert (back["difference_db"], back["difference_high"]) == (7.0, 7.0)
    assert np.isnan(back["difference_low"])
    rng = np.random.default_rng(5)
    truth, held = 0.9 * 13 + 0.1 * 30 - 20, 0
    for _ in range(400):
        failed = rng.random(20) < 0.9
        values = [np.where(failed, 13.0, 30.0), np.full(20, 20.0)]
        which = [failed, np.zeros(20, bool)]
        _, low, high = difference_interval(values, which, np.ones(20), np.arange(20), failed * 1.0, 13.0, (True, False))
        held += (np.isnan(low) or low <= truth) and (np.isnan(high) or high >= truth)
    assert held >= 0.93 * 400  # 0.86 where the interval of such a sample has no width


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (-1.0, 2.0, "-1.00 … +2.00"),
        (-7.0, np.nan, "-7.00 … unknown"),
        (np.nan, 7.0, "unknown … +7.00"),
        (np.nan, np.nan, "unknown"),
        (3.0, 3.0, "exact"),
    ],
)
def test_an_end_that_is_not_known_is_said_to_be_unknown(low: float, high: float, shown: str) -> None:
    assert _interval({"difference_low": low, "difference_high": high}) == shown


def test_each_channel_and_link_has_its_row() -> None:
    a, b = correlated(trials=6)
    parts = [
        curve(scheme, values + shift, channel=channel, link=link)
        for scheme, values in (("vvc", a), ("jpeg", b))
        for channel, shift in (("EP4", 0), ("EP6", -3))
        for link in ("ideal", "geo")
    ]
    found = compare_schemes(pd.concat(parts), "vvc", "jpeg", FAILURE_DB)
    assert list(zip(found["channel"], found["link"], strict=True)) == [
        ("EP4", "ideal"),
        ("EP4", "geo"),
        ("EP6", "ideal"),
        ("EP6", "geo"),
    ]


def test_packet_rows_are_no_slots() -> None:
    a, b = correlated(trials=6)
    log = pd.concat([curve("vvc", a), curve("jpeg", b)])
    arrivals = log.assign(packet=pd.array([0] * len(log), dtype="Int32"), psnr_db=0.0)
    mixed = compare_schemes(pd.concat([log, arrivals]), "vvc", "jpeg", FAILURE_DB)
    pd.testing.assert_frame_equal(mixed, compare_schemes(log, "vvc", "jpeg", FAILURE_DB))


def test_points_are_paired_where_each_is_the_others_nearest() -> None:
    a = {"qp=30": 0.43, "qp=33": 0.30, "qp=36": 0.20, "qp=45": 0.06}
    b = {"bpp=0.2": 0.2, "bpp=0.6": 0.6}
    assert pair_points(a, b) == [("qp=30", "bpp=0.6"), ("qp=36", "bpp=0.2")]
    assert pair_points(a, b, ["qp=45"]) == [("qp=45", "bpp=0.2")]
    assert pair_points(a, b, ["qp=45", "bpp=0.6"]) == [("qp=45", "bpp=0.6")]


def test_names_that_are_none_are_refused_with_the_nearest() -> None:
    a, b = correlated(trials=6)
    log = pd.concat([curve("vvc + 30% FEC", a), curve("jpeg", b), curve("jpeg q=2", b)])
    assert compare_schemes(log, "vvc", "jpeg", FAILURE_DB).iloc[0]["scheme_a"] == "vvc + 30% FEC"
    with pytest.raises(InputError, match="no scheme `vvc \\+ 3% FEC`") as error:
        compare_schemes(log, "vvc + 3% FEC", "jpeg", FAILURE_DB)
    assert "vvc + 30% FEC" in error.value.hint
    with pytest.raises(InputError, match="no operating point `qp=31`"):
        compare_schemes(log, "vvc", "jpeg", FAILURE_DB, ["qp=31"])
    with pytest.raises(InputError, match="compared with itself"):
        compare_schemes(log, "jpeg", "jpeg", FAILURE_DB)
    with pytest.raises(InputError, match="3 operating points"):
        compare_schemes(log, "vvc", "jpeg", FAILURE_DB, ["qp=30"] * 3)


def test_a_codecs_name_that_fits_several_schemes_is_refused() -> None:
    a, b = correlated(trials=6)
    log = pd.concat([curve("jpeg2000 prefix", a), curve("jpeg2000 resilient", b), curve("vvc", b)])
    with pytest.raises(InputError, match="fits 2 schemes"):
        compare_schemes(log, "jpeg2000", "vvc", FAILURE_DB)
