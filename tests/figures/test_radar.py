"""The radar's numbers against an example by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from netsim.analysis.summary import summarise
from netsim.errors import InputError
from netsim.figures import radar
from tests.figures.synthetic import sampled_log


def _summary(curves: dict[str, list[tuple[float, float]]], channels: tuple[str, ...] = ("EP1",)) -> pd.DataFrame:
    rows = [
        {
            "scheme": scheme,
            "channel": channel,
            "link": "ideal",
            "engine": "event",
            "codec": scheme,
            "operating_point": f"bpp={bpp}",
        }
        | {"bpp": bpp, "psnr_db": psnr, "psnr_low": psnr - 1, "psnr_high": psnr + 2, "failure_db": 13.0}
        for channel in channels
        for scheme, points in curves.items()
        for bpp, psnr in points
    ]
    return pd.DataFrame(rows)


CURVES = {
    "a": [(0.2, 28.0), (0.35, 31.0), (0.5, 32.5)],  # a knee inside the range
    "b": [(0.35, 30.0), (0.45, 32.0)],  # covers the upper half
    "c": [(0.33, 29.0)],
    "d": [(0.5, 34.0), (0.6, 35.0)],  # outside
    "e": [(0.1, 20.0), (0.3, 24.0)],  # meets the range in one rate
}


A_DB, B_DB = 30.9422275, 30.5431534  # means of a and b over .3 to .4


def test_numbers_by_hand() -> None:
    found = radar.numbers(_summary(CURVES), 0.3, 0.4).set_index("scheme")
    # from (r0, y0) a curve is y0 + k·ln(r/r0), whose integral is y0·r + k·(r·ln(r/r0) − r): worked out by hand
    assert found.loc["a", "psnr_db"] == pytest.approx(A_DB, abs=1e-6)
    assert found.loc["b", "psnr_db"] == pytest.approx(B_DB, abs=1e-6)
    assert found.loc["c", "psnr_db"] == 29.0
    assert found.loc["e", "psnr_db"] == 24.0
    assert math.isnan(found.loc["d", "psnr_db"])
    assert found["kind"].to_dict() == {"a": "range", "b": "part", "c": "point", "d": "none", "e": "point"}
    assert tuple(found.loc["b", ["from_bpp", "to_bpp"]]) == (0.35, 0.4)
    assert found.loc["a", "relative"] == 1.0
    assert found.loc["b", "relative"] == pytest.approx(B_DB / A_DB)
    assert found.loc["b", "relative_low"] == pytest.approx((B_DB - 1) / A_DB)
    assert found.loc["b", "relative_high"] == pytest.approx((B_DB + 2) / A_DB)


def test_a_range_that_no_scheme_meets_is_refused_and_says_what_there_is() -> None:
    with pytest.raises(InputError, match=r"between 0.7 and 0.8") as caught:
        radar.numbers(_summary(CURVES), 0.7, 0.8)
    assert "0.10–0.60" in caught.value.hint
    with pytest.raises(InputError, match="not a range"):
        radar.numbers(_summary(CURVES), 0.4, 0.3)


def test_marks_and_notes_say_what_is_covered() -> None:
    numbers = radar.numbers(_summary(CURVES, ("EP1", "EP2", "EP3")), 0.3, 0.4)
    figure = radar.draw(numbers)
    legend = figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b†", "c‡", "e‡"]
    note = legend.get_title().get_text().replace("\n", " ")
    assert "d (0.5–0.6)" in note
    assert "counts as 13 dB" in note


def test_spokes_name_the_best_db() -> None:
    numbers = radar.numbers(summarise(sampled_log(trials=5, slots=4)))
    texts = [text.get_text() for text in radar.draw(numbers).axes[0].texts]
    best = numbers.groupby("channel")["psnr_db"].max()
    assert [f"{name}\nbest {best[name]:.1f} dB" in texts for name in best.index] == [True] * 6


@pytest.mark.parametrize("channels", [["EP4"], ["EP4", "EP6"]])
def test_fewer_than_three_channels_are_dots_not_a_polygon(channels: list[str]) -> None:
    figure = radar.draw(radar.numbers(summarise(sampled_log(["vvc", "jpeg"], channels, trials=5, slots=4))))
    assert figure.axes[0].name == "rectilinear"


def test_radial_range_lets_small_differences_be_seen() -> None:
    near = {name: [(0.3, psnr), (0.4, psnr)] for name, psnr in (("a", 31.0), ("b", 30.6))}
    summary = _summary(near, ("x", "y", "z")).assign(psnr_low=lambda f: f["psnr_db"], psnr_high=lambda f: f["psnr_db"])
    low, high = radar.draw(radar.numbers(summary)).axes[0].get_ylim()
    assert 0.9 < low < 30.6 / 31.0
    assert high >= 1.0


def test_schemes_at_the_ends_of_the_common_range_are_in_it() -> None:
    """Rates of a third of a bit have no end in decimals: the ends are those of the schemes that they come from."""
    curves = {"a": [(0.2, 28.0), (0.9, 32.5)], "low": [(1 / 3, 29.0)], "high": [(2 / 3, 30.0)]}
    summary = _summary(curves)
    found = radar.numbers(summary, *radar.common_range(summary)).set_index("scheme")
    assert found["kind"].to_dict() == {"a": "range", "low": "point", "high": "point"}
    assert radar.left_out(found.reset_index()) == []


def test_the_usual_range_is_the_one_of_the_report() -> None:
    curves = {"a": [(0.2, 28.0), (0.5, 31.0)], "b": [(0.25, 28.0), (0.6, 31.0)]}
    found = radar.numbers(_summary(curves))
    assert set(zip(found["low_bpp"], found["high_bpp"], strict=True)) == {(0.25, 0.5)}
    assert set(radar.numbers(_summary(curves), high_bpp=0.4)["high_bpp"]) == {0.4}


def test_markers_lie_on_their_spokes() -> None:
    axes = radar.draw(radar.numbers(summarise(sampled_log(trials=5, slots=4)))).axes[0]
    spokes = set(np.round(np.linspace(0, 2 * np.pi, 6, endpoint=False), 9))
    curves = [line for line in axes.lines if len(line.get_xdata()) == 7]  # six spokes, and back to the first
    assert len(curves) == 7
    for line in curves:
        assert set(np.round(np.asarray(line.get_xdata(), dtype=float), 9)) <= spokes


@pytest.mark.parametrize("channels", [("EP1",), ("EP1", "EP4", "EP6")])
def test_a_curve_whose_points_have_several_engines_is_one_curve(channels: tuple[str, ...]) -> None:
    """``engine: auto`` decides by operating point: few packets are exact, many are sampled."""
    summary = _summary({name: CURVES[name] for name in "ab"}, channels)
    mixed = summary.assign(engine=["exact" if bpp == 0.35 else "array" for bpp in summary["bpp"]])
    found = radar.numbers(mixed, 0.3, 0.4)
    assert found["scheme"].tolist() == ["a", "b"] * len(channels)
    assert found["psnr_db"].tolist() == pytest.approx([A_DB, B_DB] * len(channels), abs=1e-6)
    assert set(found["engine"]) == {"mixed"}
    assert "Bars: 95 % interval." in radar.draw(found).legends[0].get_title().get_text().replace("\n", " ")


def test_bars_of_exact_numbers_are_called_bounds() -> None:
    bounded = radar.numbers(_summary({"a": CURVES["a"]}).assign(engine="exact"), 0.3, 0.4)
    note = radar.draw(bounded).legends[0].get_title().get_text().replace("\n", " ")
    assert "Exact; bars: bounds, whatever was not decoded." in note
    assert "no interval" not in note
    known = radar.numbers(_without_bars(), 0.3, 0.4)
    assert "no interval" in radar.draw(known).legends[0].get_title().get_text().replace("\n", " ")


def _without_bars() -> pd.DataFrame:
    summary = _summary({"a": CURVES["a"]}).assign(engine="exact")
    return summary.assign(psnr_low=summary["psnr_db"], psnr_high=summary["psnr_db"])
