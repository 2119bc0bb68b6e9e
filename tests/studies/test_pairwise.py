"""Differences over traces and over images, and BD-rates, of a log made by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from netsim.analysis.summary import summarise
from netsim.errors import InputError
from netsim.studies.pairwise import bd_rates, curve_difference, differences
from netsim.studies.rate_distortion import curve_levels
from tests.figures.synthetic import sampled_log


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    return sampled_log(["vvc", "hevc"], ["EP4", "EP6"], (0.1, 0.2, 0.35, 0.5), trials=6, slots=8)


def test_differences_have_an_interval_over_traces_and_one_over_images(log: pd.DataFrame) -> None:
    shifted = log["psnr_db"] + 0.3 * (log["slot"] % 4) * (log["scheme"] == "vvc")  # images differ in the difference
    found = differences(log.assign(psnr_db=shifted, can_fail=False), [["vvc", "hevc"]], 13.0)  # spread alone
    assert len(found) == 2 * 4
    row = found[(found["channel"] == "EP4") & (found["point_a"] == "bpp=0.35")].iloc[0]
    assert row["how"] == "paired"
    mine = log.assign(psnr_db=shifted).query("channel == 'EP4' and operating_point == 'bpp=0.35'")
    quality = mine["psnr_db"].where(mine["status"] != "failed", 13.0)
    wide = mine.assign(quality=quality).pivot(index=["trial", "slot", "image"], columns="scheme", values="quality")
    apart = wide["vvc"] - wide["hevc"]
    assert row["difference_db"] == pytest.approx(apart.mean())
    for unit, low, high in (("trial", "difference_low", "difference_high"), ("image", "images_low", "images_high")):
        means = apart.groupby(unit).mean()
        half = t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
        assert (row[low], row[high]) == pytest.approx((means.mean() - half, means.mean() + half))


@pytest.mark.parametrize("engine", ["exact", "stratified"])
def test_an_interval_over_images_weighs_masks_by_their_probabilities(engine: str) -> None:
    """Image a: .9 · 40 + .1 · 20 - 35 = 3 dB; image b: .9 · 30 + .1 · 20 - 28 = 1 dB."""
    rows = []
    for scheme, image, outcomes in (
        ("vvc", "a", [(40.0, 0.9), (20.0, 0.1)]),
        ("vvc", "b", [(30.0, 0.9), (20.0, 0.1)]),
        ("hevc", "a", [(35.0, 1.0), (10.0, 0.0)]),
        ("hevc", "b", [(28.0, 1.0), (10.0, 0.0)]),
    ):
        rows += [{"scheme": scheme, "codec": scheme, "image": image, "psnr_db": db, "weight": w} for db, w in outcomes]
    one = sampled_log(["vvc"], ["EP4"], (0.3,), trials=1, slots=1).iloc[0]
    log = pd.DataFrame([{**one, **row} for row in rows]).assign(engine=engine, status="full", drawn=0, trial=0)
    log = log.assign(slot=log["image"].map({"a": 0, "b": 1}), usable_mask="11111", design_weight=log["weight"])
    row = differences(log, [["vvc", "hevc"]], 13.0).iloc[0]
    half = t.ppf(0.975, 1) * np.sqrt(2) / np.sqrt(2)  # of 3 and 1
    assert (row["images_low"], row["images_high"]) == pytest.approx((2 - half, 2 + half))


def test_links_are_told_apart(log: pd.DataFrame) -> None:
    clean = log.assign(status="full", psnr_db=30 + 10 * log["bpp"] + 0.4 * (log["scheme"] == "vvc"))
    slow = clean.assign(link="slow", psnr_db=clean["psnr_db"] - 3 * (clean["scheme"] == "vvc"))
    both = pd.concat([clean, slow])
    found = [curve_difference(both, f"EP4, {link}", "vvc", "hevc", 13.0) for link in ("ideal", "slow")]
    assert [one.value for one in found if one is not None] == pytest.approx([0.4, -2.6])
    levels = curve_levels(summarise(both)).set_index(["condition", "scheme"])["ours"]
    apart = [levels[f"EP4, {link}", "vvc"] - levels[f"EP4, {link}", "hevc"] for link in ("ideal", "slow")]
    assert apart == pytest.approx([0.4, -2.6])


def test_a_tenth_more_rate_is_a_bd_rate_of_ten_per_cent(log: pd.DataFrame) -> None:
    clean = log[(log["scheme"] == "vvc") & (log["channel"] == "EP4")].assign(status="full")
    clean = clean.assign(psnr_db=30 + 5 * np.log2(clean["bpp"]) + (clean["slot"] % 4))
    dearer = clean.assign(scheme="dear", bpp=1.1 * clean["bpp"])
    [row] = bd_rates(pd.concat([clean, dearer]), "EP4", [["vvc", "dear"]], 13.0).to_dict("records")
    assert row["bd_rate_percent"] == pytest.approx(10.0, abs=1e-6)
    assert (row["images"], row["points"], row["why_not"]) == (4, 4, "")
    assert (row["images_low"], row["images_high"]) == pytest.approx((10.0, 10.0), abs=1e-6)
    three = pd.concat([clean, dearer]).query("operating_point != 'bpp=0.1'")
    [row] = bd_rates(three, "EP4", [["vvc", "dear"]], 13.0).to_dict("records")
    assert row["bd_rate_percent"] == pytest.approx(10.0, abs=0.01)


def test_a_bd_rate_weighs_the_rows_of_a_log(log: pd.DataFrame) -> None:
    """Rows of the exact and the stratified engine have weights: an impossible mask does not count."""
    clean = log[(log["scheme"] == "vvc") & (log["channel"] == "EP4")].assign(status="ok")
    clean["psnr_db"] = 25 + 20 * clean["bpp"]
    dearer = clean.assign(scheme="dear", bpp=1.1 * clean["bpp"])
    halves = pd.concat([dearer.assign(weight=0.5), dearer.assign(weight=0.5), dearer.assign(weight=0.0, psnr_db=14.0)])
    [row] = bd_rates(pd.concat([clean, halves]), "EP4", [["vvc", "dear"]], 13.0).to_dict("records")
    assert row["bd_rate_percent"] == pytest.approx(10.0, abs=1e-9)
    assert row["images_mean"] == pytest.approx(10.0, abs=1e-9)


def test_curves_without_a_bd_rate_say_why(log: pd.DataFrame) -> None:
    flat = log[log["channel"] == "EP4"].assign(status="full", psnr_db=30.0)
    [row] = bd_rates(flat, "EP4", [["vvc", "hevc"]], 13.0).to_dict("records")
    assert np.isnan(row["bd_rate_percent"])
    assert "PSNR must rise" in row["why_not"]
    assert row["images"] == 0


def test_unknown_names_are_refused(log: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="no channel `EP5`"):
        bd_rates(log, "EP5", [["vvc", "hevc"]], 13.0)
    with pytest.raises(InputError, match="no scheme `hevx`"):
        bd_rates(log, "EP4", [["vvc", "hevx"]], 13.0)


def test_whole_curves_are_compared_trace_by_trace(log: pd.DataFrame) -> None:
    """What a trace adds to both curves is not in the interval of their difference."""
    bpp, trial = log["bpp"], log["trial"]
    quality = 30 + 10 * bpp + 2 * trial + 0.4 * (log["scheme"] == "vvc") + 0.01 * trial * (log["scheme"] == "vvc")
    paired = log.assign(status="full", psnr_db=quality)
    found = curve_difference(paired, "EP4", "vvc", "hevc", 13.0)
    assert found is not None
    apart = 0.4 + 0.01 * np.arange(6)
    half = t.ppf(0.975, 5) * apart.std(ddof=1) / np.sqrt(6)
    assert tuple(found) == pytest.approx((apart.mean(), apart.mean() - half, apart.mean() + half))
    assert curve_difference(paired.assign(engine="exact"), "EP4", "vvc", "hevc", 13.0) is None
    assert curve_difference(paired[paired["trial"] == 0], "EP4", "vvc", "hevc", 13.0) is None
    higher = paired["bpp"] + (paired["scheme"] == "vvc")
    assert curve_difference(paired.assign(bpp=higher), "EP4", "vvc", "hevc", 13.0) is None
