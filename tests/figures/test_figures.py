"""Every figure: its numbers, its files, the same bytes each time, whatever matplotlib is set to."""

import hashlib
import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import netsim
from netsim.analysis.summary import summarise
from netsim.analysis.traces import trace_spread
from netsim.commands.plot import fitting_figure
from netsim.errors import InputError
from netsim.figures import failure, rd, timeline
from netsim.figures.files import figure_bytes, save
from netsim.figures.highlight import MOST
from netsim.figures.kinds import KINDS, make
from netsim.figures.select import nearest_point, with_condition
from netsim.figures.style import COLUMNS_IN, OTHERS, as_wide_as, looks
from tests.figures.synthetic import LOSS, SCHEMES, exact_log, sampled_log


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    return sampled_log(list(SCHEMES)[:3], ["EP1", "EP4", "EP6"], trials=5, slots=4)


@pytest.mark.parametrize("kind", list(KINDS))
def test_files_are_written_and_the_same_each_time(kind: str, log: pd.DataFrame, tmp_path: Path) -> None:
    digests = []
    for folder in ("one", "two"):
        numbers, figure = make(kind, log, summarise(log))
        paths = save(figure, numbers, tmp_path / folder, KINDS[kind].file_name)
        assert [path.suffix for path in paths] == [".png", ".svg", ".csv"]
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in paths])
        matplotlib.rcParams["font.size"] = 23.0  # a user's own settings change nothing
    matplotlib.rcdefaults()
    assert digests[0] == digests[1]
    written = pd.read_csv(tmp_path / "one" / f"{KINDS[kind].file_name}.csv", keep_default_na=False, na_values=[""])
    assert list(written.columns) == list(numbers.columns)
    assert len(written) == len(numbers)
    svg = (tmp_path / "one" / f"{KINDS[kind].file_name}.svg").read_text()
    assert "<dc:date>" not in svg
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(path.name for path in paths)


@pytest.mark.parametrize("kind", list(KINDS))
def test_one_scheme_in_one_channel_and_twelve_in_eight(kind: str) -> None:
    for schemes, channels in (([next(iter(SCHEMES))], ["EP4"]), (list(SCHEMES), list(LOSS))):
        log = sampled_log(schemes, channels, (0.35,), trials=2, slots=2)
        figure = make(kind, log, summarise(log))[1]
        assert len(figure_bytes(figure, "png")) > 5000
        named = [text for legend in figure.legends for text in legend.get_texts()] or figure.axes[0].texts
        labels = [text.get_text().rstrip("†‡") for text in named]
        few = kind in ("radar", "rd") and len(schemes) > MOST  # the rest are grey
        assert labels.count(OTHERS) == few
        labels = [label for label in labels if label != OTHERS]
        assert set(labels) <= set(schemes)
        assert len(labels) == (MOST if few else len(schemes))


def test_looks_differ_without_colour() -> None:
    found = looks(SCHEMES)
    assert len({(look.marker, str(look.dashes)) for look in found.values()}) == len(SCHEMES)
    assert len({look.marker for look in found.values()}) == 12


def test_unknown_kind_and_foreign_option_are_told(log: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="no figure `radr`") as caught:
        make("radr", log, summarise(log))
    assert "did you mean `radar`" in caught.value.hint
    with pytest.raises(InputError, match="rd figure has no option `trial`"):
        make("rd", log, summarise(log), trial=1)


def test_rd_curves_are_sorted_by_rate_within_a_scheme(log: pd.DataFrame) -> None:
    numbers = rd.numbers(summarise(log).iloc[::-1])
    for _, curve in numbers.groupby(["condition", "scheme"], sort=False):
        assert list(curve["bpp"]) == pytest.approx([0.25, 0.35, 0.5])
    assert len(numbers) == 27


def test_rd_bars_may_show_the_range_over_traces(log: pd.DataFrame) -> None:
    summary = summarise(log)
    numbers, figure = make("rd", log, summary, bars="range")
    plain = rd.numbers(summary)
    assert list(numbers.columns) == [*plain.columns, "traces", "psnr_least_db", "psnr_most_db"]
    assert (numbers["psnr_least_db"] <= numbers["psnr_db"] + 1e-9).all()
    assert (numbers["psnr_db"] <= numbers["psnr_most_db"] + 1e-9).all()
    assert "range of the means of 5 loss traces" in figure.legends[0].get_title().get_text().replace("\n", " ")
    with pytest.raises(InputError, match="bars `rnge`"):
        make("rd", log, summary, bars="rnge")
    with pytest.raises(InputError, match="no traces"):
        make("rd", exact_log(), summarise(exact_log()), bars="range")


def test_link_and_engine_are_named_only_where_they_differ() -> None:
    frame = pd.DataFrame({"channel": ["EP1", "EP1"], "link": ["geo", "wlan"], "engine": ["event"] * 2})
    assert list(with_condition(frame)["condition"]) == ["EP1, geo", "EP1, wlan"]
    assert list(with_condition(frame.assign(link="geo"))["condition"]) == ["EP1", "EP1"]


def test_nearest_point_takes_the_lower_rate_of_two_equally_near() -> None:
    frame = pd.DataFrame({"condition": "x", "scheme": "a", "operating_point": list("pqr"), "bpp": [0.3, 0.4, 0.9]})
    assert nearest_point(frame, 0.35).tolist() == [True, False, False]


def test_failure_numbers_and_closed_form(log: pd.DataFrame) -> None:
    closed = pd.DataFrame({"channel": ["EP4"], "scheme": ["vvc"], "failure_ratio": [0.77]})
    numbers = failure.numbers(summarise(log), closed_form=closed)
    assert set(numbers[numbers["drawn"]]["operating_point"]) == {"bpp=0.35"}
    with_exact = numbers[numbers["exact"].notna()]
    assert set(zip(with_exact["channel"], with_exact["scheme"], with_exact["exact"], strict=True)) == {
        ("EP4", "vvc", 0.77)
    }
    assert "closed form" in failure.draw(numbers).legends[0].get_title().get_text()
    exact = failure.numbers(summarise(exact_log()))
    assert (exact["exact"] == exact["failure_ratio"]).all()


def test_zero_failures_stand_at_a_tick_called_zero() -> None:
    log = sampled_log(["vvc", "vvc + 70% FEC"], ["EP1", "EP4"], (0.35,), trials=20, slots=8)
    axes = failure.draw(failure.numbers(summarise(log))).axes[0]
    assert axes.get_yscale() == "log"
    ticks = dict(zip((text.get_text() for text in axes.get_yticklabels()), axes.get_yticks(), strict=True))
    never = next(line for line in axes.lines if line.get_label() == "vvc + 70% FEC").get_ydata()
    assert never[0] == ticks["0"] < 0.01


def test_what_is_too_small_for_the_axis_is_called_smaller_not_zero() -> None:
    axes = failure.draw(failure.numbers(summarise(exact_log()))).axes[0]
    assert axes.get_yticklabels()[0].get_text() == "$<10^{-6}$"


def test_like_ratios_get_a_linear_axis_from_zero() -> None:
    log = sampled_log(["vvc", "hevc"], ["EP4", "EP6"], (0.35,), trials=20, slots=8)
    axes = failure.draw(failure.numbers(summarise(log))).axes[0]
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] == 0.0


def test_timeline_shows_one_trial_with_failures_at_their_db(log: pd.DataFrame) -> None:
    numbers = timeline.numbers(log, failure_db=10.0, trial=3, slots=2)
    assert len(numbers) == 3 * 3 * 2
    assert set(numbers["operating_point"]) == {"bpp=0.35"}
    failed = numbers["status"] == "failed"
    assert failed.any()
    assert (numbers.loc[failed, "psnr_db"] == 10.0).all()
    source = log[(log["trial"] == 3) & (log["channel"] == "EP6") & (log["scheme"] == "vvc") & (log["slot"] == 1)]
    shown = numbers[(numbers["channel"] == "EP6") & (numbers["scheme"] == "vvc") & (numbers["slot"] == 1)]
    assert shown["loss_rate"].item() == source["packets_lost"].iloc[0] / 10


def test_timeline_shows_the_first_trial_in_which_a_packet_of_what_is_drawn_does_not_arrive(log: pd.DataFrame) -> None:
    calm = log.assign(packets_lost=0)
    assert set(timeline.numbers(calm)["trial"]) == {0}
    drawn, other = "bpp=0.35", next(one for one in log["operating_point"].unique() if one != "bpp=0.35")
    for where, column, shown in (
        ((3, 1, drawn), "packets_lost", 3),
        ((2, 0, drawn), "packets_late", 2),
        ((1, 0, other), "packets_lost", 0),  # at a rate that is not drawn
        ((4, 3, drawn), "packets_dropped", 0),  # after the slots that are drawn
    ):
        struck = (calm[["trial", "slot", "operating_point"]] == list(where)).all(axis=1)
        found = timeline.numbers(calm.assign(**{column: np.where(struck, 1, 0)}), slots=3)
        assert set(found["trial"]) == {shown}
    figure = timeline.draw(timeline.numbers(calm.assign(packets_lost=np.where(calm["trial"] > 1, 1, 0))))
    assert figure.legends[0].get_title().get_text().startswith("Trial 2. ")


def test_timeline_of_packet_rows_runs_over_time() -> None:
    log = sampled_log(["jpeg2000 prefix"], ["EP4"], (0.35,), trials=1, slots=6, packet_rows=True)
    numbers = timeline.numbers(log)
    assert numbers["slot"].max() == 2
    assert numbers["packet"].notna().any()
    axes = timeline.draw(numbers).axes[0]
    assert axes.get_xlabel() == "time (s)"
    rising = axes.lines[0].get_ydata()
    assert (np.diff(rising[np.isfinite(rising)]) >= 0).all()


def test_timeline_names_the_operating_point_that_it_draws_where_there_are_more(log: pd.DataFrame) -> None:
    def labels(frame: pd.DataFrame) -> set[str]:
        return {text.get_text() for text in timeline.draw(timeline.numbers(frame)).legends[0].get_texts()}

    schemes = log.drop_duplicates("scheme").set_index("scheme")
    first, point = schemes.index[0], schemes["operating_point"].iloc[0]
    one = log[(log["operating_point"].astype(str) == str(point)) | (log["scheme"] != first)]
    assert first in labels(one)
    far = one[one["scheme"] == first].assign(operating_point="far", bpp=9.0)
    assert f"{first}, {point}" in labels(pd.concat([one, far], ignore_index=True))


def test_timeline_leaves_out_weighted_outcomes(log: pd.DataFrame) -> None:
    """Rows of the stratified engine are outcomes with weights: their trials and slots are not a time line."""
    weighted = log.assign(engine="stratified", scheme="drawn " + log["scheme"].astype(str))
    both = timeline.numbers(pd.concat([log, weighted], ignore_index=True))
    pd.testing.assert_frame_equal(both, timeline.numbers(log), check_dtype=False, check_categorical=False)
    left_out = "drawn " + str(log["scheme"].iloc[0])
    assert left_out in timeline.draw(both).legends[0].get_title().get_text().replace("\n", " ")
    with pytest.raises(InputError, match="no slots in time"):
        timeline.numbers(weighted)


def test_timeline_refuses_what_has_no_course_in_time(log: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="no slots in time"):
        timeline.numbers(exact_log())
    with pytest.raises(InputError, match="no trial 99") as caught:
        timeline.numbers(log, trial=99)
    assert "0 … 4" in caught.value.hint


def test_interval_of_a_sample_without_spread_has_a_width() -> None:
    never = summarise(sampled_log(["vvc + 70% FEC"], ["EP1"], (0.35,), trials=20, slots=4)).iloc[0]
    assert never["failure_ratio"] == 0
    assert never["psnr_low"] == pytest.approx(never["psnr_db"] - never["failure_high"] * (never["psnr_db"] - 13))
    assert not math.isnan(never["psnr_high"])


_TWO = [{"jpeg": {"quality": 20}}, {"webp": {"quality": 20}}]
_CURVE = [{"jpeg": {"quality": [20, 40]}}]


@pytest.mark.parametrize(
    ("codecs", "channels", "more", "figure"),
    [
        (_TWO, ["EP1", "EP2", "EP3"], {}, "radar"),
        (_TWO, ["EP1", "EP2"], {"link": [{"ideal": {}}, {"wlan": {}}]}, "radar"),  # four conditions
        (_TWO, ["EP1", "EP2"], {}, "failure"),
        ([*_CURVE, _TWO[1]], ["EP1", "EP2"], {}, "rd"),
        (_CURVE, ["EP1", "EP2", "EP3"], {}, "rd"),  # a scheme has no other to be compared with
        (_CURVE, ["EP1"], {"log": "packets"}, "timeline"),
    ],
)
def test_the_figure_that_is_suggested_fits_the_run(codecs: Any, channels: Any, more: Any, figure: str) -> None:
    plan = netsim.plan(images={"samples": ["coffee"]}, codecs=codecs, channels=channels, **more)
    assert fitting_figure(plan) == figure


@pytest.mark.parametrize("columns", [None, 1, 2])
def test_tick_labels_of_neighbouring_rd_panels_keep_apart(columns: int | None) -> None:
    """An axis from 0 to 2.002: the labels 0 and 2 reach beyond its ends."""
    rows = [
        {"channel": f"EP{n}", "link": "ideal", "engine": "exact", "scheme": "vvc", "codec": "vvc", "bpp": bpp}
        | {"operating_point": f"bpp={bpp}", "failure_ratio": 0.1, "failure_db": 13.0}
        | dict.fromkeys(("psnr_db", "psnr_low", "psnr_high"), 30.0 + 5 * bpp)
        for n in (1, 2)
        for bpp in (0.05, 1.857)
    ]
    with as_wide_as(COLUMNS_IN[columns]) if columns else nullcontext():
        figure = rd.draw(rd.numbers(pd.DataFrame(rows)))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = []
    for axes in figure.axes:
        low, high = axes.get_xlim()
        labels = [tick.label1 for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
        extents = [label.get_window_extent(canvas.get_renderer()) for label in labels if label.get_visible()]
        boxes.append((min(one.x0 for one in extents), max(one.x1 for one in extents)))
    ((_, right), (left, _)) = boxes
    assert left - right > 0.18 * figure.dpi  # in inches


def test_notes_are_about_the_points_that_are_drawn() -> None:
    """``engine: auto`` may sample one operating point of a scheme and sum another exactly."""
    summary = summarise(sampled_log(["vvc", "jpeg"], ["EP4"], trials=3, slots=2))
    exact = summary["operating_point"] == "bpp=0.35"
    mixed = summary.assign(engine=summary["engine"].mask(exact, "exact"))
    for end in ("failure_low", "failure_high"):
        mixed[end] = mixed[end].mask(exact, mixed["failure_ratio"])
    note = " ".join(failure.draw(failure.numbers(mixed)).legends[0].get_title().get_text().split())
    assert "Exact: no sampling, no interval." in note
    assert "95 %" not in note


def test_a_failure_ratio_without_an_interval_is_exact_whatever_the_engine() -> None:
    """The stratified engine samples masks, and knows how likely a failure is."""
    summary = summarise(sampled_log(["vvc", "jpeg"], ["EP1", "EP4"], trials=3, slots=2))
    known = dict.fromkeys(("failure_low", "failure_high"), summary["failure_ratio"])
    stratified = summary.assign(engine="stratified", **known)
    mixed = pd.concat([stratified[stratified["scheme"] == "vvc"], summary[summary["scheme"] != "vvc"]])
    for one, bars in ((stratified, False), (mixed, True)):
        note = " ".join(failure.draw(failure.numbers(one)).legends[0].get_title().get_text().split())
        assert ("Bars: 95 % interval." in note) is bars
        assert ("Schemes without a bar in any channel: exact." in note) is bars
        assert ("Exact: no sampling, no interval." in note) is not bars


def test_schemes_that_never_fail_are_named_where_others_do() -> None:
    summary = summarise(sampled_log(["vvc", "jpeg"], ["EP1", "EP4"], trials=3, slots=2)).assign(engine="exact")
    columns = ["failure_ratio", "failure_low", "failure_high"]
    for vvc, jpeg, said in ((0.0, 0.5, True), (0.25, 0.5, False), (0.0, 0.0, False)):
        known = summary.assign(**dict.fromkeys(columns, summary["scheme"].map({"vvc": vvc, "jpeg": jpeg})))
        note = " ".join(failure.draw(failure.numbers(known)).legends[0].get_title().get_text().split())
        assert ("Never fail here: vvc. Protected packets show an image by themselves." in note) is said
        assert ("Never fail here" in note) is said


def test_points_without_traces_are_said_to_have_no_range() -> None:
    log = sampled_log(["vvc", "jpeg"], ["EP1", "EP4"], trials=5, slots=2)
    mixed = log.assign(engine=log["engine"].mask(log["operating_point"] == "bpp=0.35", "exact"))
    for one, said in ((log, False), (mixed, True)):
        figure = rd.draw(rd.numbers(summarise(one), trace_spread(one)))
        note = " ".join(figure.legends[0].get_title().get_text().split())
        assert ("Points without a bar: no traces (exact or stratified)." in note) is said
