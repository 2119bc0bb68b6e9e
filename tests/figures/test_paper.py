"""Figures for a paper: as wide as its columns, 8-point type, no text over another."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from netsim.analysis.summary import summarise
from netsim.analysis.traces import trace_spread
from netsim.errors import InputError
from netsim.figures import context_modes, masked, preview_curve, progressive, radar, rd, sizes, strip, tradeoff
from netsim.figures import token_densities as densities
from netsim.figures.files import save_for_paper
from netsim.figures.highlight import MOST, highlighted
from netsim.figures.kinds import make
from netsim.figures.legends import CurveEnd, label_curves, legend
from netsim.figures.style import COLUMNS_IN, OTHERS, Look, as_wide_as, styled
from tests.figures.overlaps import overlapping_texts
from tests.figures.synthetic import LOSS, SCHEMES, sampled_log

IMAGE = np.full((48, 72, 3), 120, dtype=np.uint8)


@cache
def _log(schemes: int = 12, channels: int = 6) -> pd.DataFrame:
    """Once for all figures, which must not change it."""
    return sampled_log(list(SCHEMES)[:schemes], list(LOSS)[:channels], (0.25, 0.35, 0.5), trials=6, slots=4)


@cache
def _summary(channels: int) -> pd.DataFrame:
    return summarise(_log(channels=channels))


def _of_kind(kind: str, channels: int = 6) -> Callable[[], Figure]:
    return lambda: make(kind, _log(channels=channels), _summary(channels))[1]


def _ranged() -> Figure:
    log = _log(5, 1)
    return rd.draw(rd.numbers(summarise(log), spread=trace_spread(log, 13.0)))


def _masked() -> Figure:
    rows = [
        [f"resicomp ISC slices=100{name}", "quality=1.5", share, 0.31, 34 - 12 * share - drop, 33.0, 34.5]
        for name, drop in (("", 0), (" conceal=mean", 1), (" conceal=zero", 6))
        for share in (0.0, 0.3, 0.6, 0.9)
    ]
    columns = ["scheme", "operating_point", "lost", "bpp", "psnr_db", "psnr_low", "psnr_high"]
    return masked.draw_curve(pd.DataFrame(rows, columns=columns))


def _examples() -> Figure:
    lost, latent = np.eye(3, dtype=bool), np.eye(3)
    return masked.draw_examples(
        IMAGE, [masked_example(name, share, lost, latent) for name in ("one", "two") for share in (0.1, 0.5, 0.9)]
    )


def masked_example(name: str, share: float, lost: np.ndarray, latent: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(scheme=name, share=share, psnr_db=30.0, image=IMAGE, lost=lost, latent=latent)


def _preview() -> Figure:
    rows = [
        [name, "bpp=0.4", packet, 0.05 * packet, 20 + 2 * packet - low]
        for name, low in (("resicomp LC slices=32", 0), ("jpeg2000 prefix", 0.3))
        for packet in range(1, 8)
    ]
    return preview_curve.draw(pd.DataFrame(rows, columns=["scheme", "operating_point", "packet", "bpp", "psnr_db"]))


def _progressive() -> Figure:
    rows = [
        ["kodim20", scheme, "bpp=0.2", 0.2, kind, packet, False, "", 20.0 + packet, packet in (2, 5)]
        for scheme in ("jpeg2000 prefix", "progdtd", "scr-mca-ge")
        for kind in ("loss", "no loss")
        for packet in range(9)
    ]
    columns = ["image", "scheme", "operating_point", "bpp", "trace", "packet", "lost", "missing", "psnr_db", "shown"]
    return progressive.draw_curve(pd.DataFrame(rows, columns=columns))


def _strip() -> Figure:
    received = np.array([True, True, False, False] * 3)
    images = [
        SimpleNamespace(scheme=name, bpp=0.35, psnr_db=28.2, image=IMAGE, received=received)
        for name in ("vvc + 30% FEC", "jpeg2000 resilient", "scr-mca-ge", "resicomp MDC-2", "mbt-mean")
    ]
    return strip.draw(IMAGE, images, "EP4, seed 1")


def _sizes() -> Figure:
    rows = [
        [f"resicomp {mode}", "quality=2", packet, packet == 0, 90.0, 400.0, 0.03]
        for mode in ("LC", "MDC-2", "ISC")
        for packet in range(11)
    ]
    columns = ["scheme", "operating_point", "packet", "protected", "tokens", "bytes", "bpp"]
    return sizes.draw(pd.DataFrame(rows, columns=columns))


def _tradeoff() -> Figure:
    shared = {
        "channels": 6,
        "low_bpp": 0.3,
        "high_bpp": 0.4,
        "failure_db": 13.0,
        "engine": "exact",
        "psnr_low": 27.0,
        "covered": "range",
    }
    ours = [("resicomp LC", 18.0, 27.5), ("resicomp ISC", -2.0, 29.6), ("vvc + 30% FEC", -20.0, 28.0)]
    theirs = [("VTM", 24.0), ("ELIC", 26.9), ("GMM-Attn", 17.4), ("JointAR", 10.6), ("JPEG2000", -60.0)]
    rows = [shared | {"scheme": n, "anchor": "hevc", "bd_rate_percent": -r, "psnr_db": p} for n, r, p in ours]
    rows += [
        shared | {"scheme": f"{n} (published)", "anchor": "BPG (published)", "bd_rate_percent": -r, "psnr_db": np.nan}
        for n, r in theirs
    ]
    return tradeoff.draw(pd.DataFrame(rows).assign(psnr_high=30.0))


def _densities() -> Figure:
    symbols = np.arange(-64, 65)
    one = SimpleNamespace(channel=3, symbols=symbols, probabilities=np.exp(-(symbols**2) / 50) / 12.5, actual=-4)
    return densities.draw(densities.numbers(dict.fromkeys((0, 1, 3, 6), one)), "resicomp LC quality=2, coffee")


def _modes() -> Figure:
    return context_modes.draw({f"resicomp {mode}": np.tri(10, k=-1, dtype=bool) for mode in ("LC", "MDC-2", "ISC")})


FIGURES: dict[str, Callable[[], Figure]] = {
    "radar": _of_kind("radar"),
    "radar of two channels": _of_kind("radar", 2),
    "failure": _of_kind("failure"),
    "rd": _of_kind("rd"),
    "rd of one channel": _of_kind("rd", 1),
    "rd with ranges": _ranged,
    "timeline": _of_kind("timeline"),
    "masked": _masked,
    "examples": _examples,
    "preview": _preview,
    "progressive": _progressive,
    "strip": _strip,
    "sizes": _sizes,
    "tradeoff": _tradeoff,
    "densities": _densities,
    "modes": _modes,
}


@pytest.mark.parametrize("columns", [None, 1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_lies_over_another(name: str, columns: int | None) -> None:
    if columns is None:
        figure = FIGURES[name]()
    else:
        with as_wide_as(COLUMNS_IN[columns]):
            figure = FIGURES[name]()
        assert figure.get_size_inches()[0] == COLUMNS_IN[columns]
        assert {text.get_fontsize() for text in figure.findobj(Text)} == {8.0}
    assert overlapping_texts(figure) == []


def test_the_check_sees_an_overlap() -> None:
    figure = Figure(figsize=(3, 2))
    figure.text(0.5, 0.5, "here")
    figure.text(0.52, 0.5, "there")
    assert overlapping_texts(figure) == [("here", "there")]
    figure.text(0.99, 0.1, "beyond the edge")
    assert ("beyond the edge", "") in overlapping_texts(figure)


def _of_long_names(kind: str, names: list[str]) -> Figure:
    log = sampled_log(list(SCHEMES)[:5], list(LOSS)[: len(names)], (0.25, 0.35), trials=6, slots=4)
    log["channel"] = log["channel"].astype(str).replace(dict(zip(LOSS, names, strict=False)))
    with as_wide_as(COLUMNS_IN[1]):
        return make(kind, log, summarise(log))[1]


def test_names_of_channels_are_broken_or_slanted_where_a_column_is_narrow() -> None:
    short = [f"loss {loss} % burst {burst}" for loss in (5, 10, 20) for burst in (2, 5)]
    figure = _of_long_names("failure", short)
    assert overlapping_texts(figure) == []
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert [" ".join(label.split()) for label in labels] == short
    assert {label.get_rotation() for label in figure.axes[0].get_xticklabels()} == {0.0}
    figure = _of_long_names("failure", [f"measured-on-site-{site}" for site in "abcdef"])
    assert {label.get_rotation() for label in figure.axes[0].get_xticklabels()} == {35.0}


def test_a_radar_with_long_names_leaves_no_empty_height() -> None:
    names = [f"loss {loss} % burst {burst}" for loss in (5, 10, 20) for burst in (2, 5)]
    figure = _of_long_names("radar", names)
    assert overlapping_texts(figure) == []
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    panel = figure.axes[0].get_tightbbox(canvas.get_renderer())
    assert panel is not None
    assert figure.bbox.height - panel.y1 < 0.25 * figure.dpi
    assert panel.height > 0.5 * figure.bbox.height


def test_a_plug_in_that_knows_no_paper_is_as_wide_as_the_column(monkeypatch: pytest.MonkeyPatch) -> None:
    def plain(log: pd.DataFrame, summary: pd.DataFrame) -> tuple[pd.DataFrame, Figure]:
        figure = Figure(figsize=(5, 3))
        figure.subplots().set_xlabel("packets", fontsize=14)
        return summary, figure

    monkeypatch.setattr("netsim.figures.kinds.plugin_names", lambda kind: ["plain"])
    monkeypatch.setattr("netsim.figures.kinds.load_plugin", lambda kind, name: plain)
    with as_wide_as(4.0):
        figure = make("plain", _log(), _summary(1))[1]
    assert figure.get_size_inches()[0] == 4.0
    assert {text.get_fontsize() for text in figure.findobj(Text)} == {8.0}
    assert make("plain", _log(), _summary(1))[1].get_size_inches()[0] == 5.0


def test_a_width_that_no_page_has_is_refused() -> None:
    for width in (0.0, -3.5, 300.0, float("nan")):
        with pytest.raises(InputError, match="a figure of"), as_wide_as(width):
            pass


def test_a_figure_for_paper_is_two_pdfs(tmp_path: Path) -> None:
    paths = save_for_paper(_preview, tmp_path, "preview")
    assert [path.name for path in paths] == ["preview-1col.pdf", "preview-2col.pdf"]
    assert all(path.read_bytes().startswith(b"%PDF") for path in paths)
    [path] = save_for_paper(_preview, tmp_path, "preview", {"-5in": 5.0})
    assert path.name == "preview-5in.pdf"
    assert b"/MediaBox [ 0 0 360 " in path.read_bytes()
    paths = save_for_paper(_preview, tmp_path, "preview")
    again = save_for_paper(_preview, tmp_path / "again", "preview")
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]


def test_five_are_highlighted_the_best_of_each_condition_first() -> None:
    rows = [[f"c{c}", f"s{s}", 1.0 - 0.01 * s - (0.5 if s == 7 else 0)] for c in range(3) for s in range(8)]
    rows.append(["c4", "s7", 2.0])
    values = pd.DataFrame(rows, columns=["condition", "scheme", "value"])
    assert highlighted(values) == ["s0", "s1", "s2", "s3", "s7"]
    assert highlighted(values, ["s5"]) == ["s5"]
    assert highlighted(values[values["scheme"] < "s5"]) == [f"s{s}" for s in range(5)]
    with pytest.raises(InputError, match="no scheme `s9`"):
        highlighted(values, ["s9"])


def test_the_best_of_each_codec_is_highlighted_before_a_second_of_one_codec() -> None:
    level = {"a1": 30.0, "a2": 31.0, "a3": 32.0, "a4": 33.0, "b1": 20.0, "c1": 10.0, "c2": 11.0}
    values = pd.DataFrame(
        [["EP1", name, value] for name, value in level.items()], columns=["condition", "scheme", "value"]
    )
    codecs = {name: name[0] for name in level}
    assert highlighted(values) == ["a1", "a2", "a3", "a4", "b1"]
    assert highlighted(values, codecs=codecs) == ["a2", "a3", "a4", "b1", "c2"]
    assert highlighted(values, ["c1"], codecs) == ["c1"]
    six = {f"{codec}1": 10.0 + i for i, codec in enumerate("abcdef")} | {"f2": 99.0}
    values = pd.DataFrame(
        [["EP1", name, value] for name, value in six.items()], columns=["condition", "scheme", "value"]
    )
    assert highlighted(values, codecs={name: name[0] for name in six}) == ["b1", "c1", "d1", "e1", "f2"]


def test_a_codecs_best_is_that_of_the_highest_mean_not_of_most_wins() -> None:
    """e1 is ahead of all in two conditions by a little, e2 in one by much."""
    levels = {"e1": (14.0, 11.0, 11.0), "e2": (20.0, 10.5, 10.5)} | {f"{codec}1": (9.0, 9.0, 9.0) for codec in "abcd"}
    rows = [[f"EP{n}", name, value] for name, values in levels.items() for n, value in enumerate(values, 1)]
    values = pd.DataFrame(rows, columns=["condition", "scheme", "value"])
    assert highlighted(values, codecs={name: name[0] for name in levels}) == ["e2", "a1", "b1", "c1", "d1"]


def test_the_rest_is_grey_and_named_in_the_note() -> None:
    for module in (radar, rd):
        numbers = module.numbers(_summary(6))  # type: ignore[attr-defined]
        bold = set(numbers.loc[numbers["highlighted"], "scheme"])
        assert len(bold) == MOST
        figure = module.draw(numbers)  # type: ignore[attr-defined]
        assert {text.get_text() for text in figure.legends[0].get_texts()} == {*bold, OTHERS}
        note = figure.legends[0].get_title().get_text().replace("\n", " ")
        assert all(name in note for name in set(SCHEMES) - bold)


def _curves(ends: list[float]) -> tuple[Figure, bool]:
    figure = Figure(figsize=(5.6, 4.3), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 40])
    found = label_curves(
        figure, axes, [CurveEnd(f"curve {i}", Look("#000000", "o", "-"), 1.0, y) for i, y in enumerate(ends)], "Note."
    )
    return figure, found


def test_names_stand_at_their_curves_where_they_fit() -> None:
    figure, fits = _curves([10.0, 10.5, 30.0])
    assert fits
    assert overlapping_texts(figure) == []
    assert not _curves([10.0, 10.1, 10.2, 10.1, 10.05, 10.2])[1]  # all at one place
    assert not _curves([5.0 * i for i in range(9)])[1]  # too many


def test_a_legend_stands_in_where_names_do_not_fit() -> None:
    @styled
    def draw() -> Figure:
        figure = Figure(figsize=(5, 4), layout="constrained")
        axes = figure.subplots()
        for name in "ab":
            axes.plot([0, 1], [0, 1], label=name * 40)
        legend(figure, axes, "Note.", ends=[CurveEnd(name * 40, Look("#000000", "o", "-"), 1.0, 1.0) for name in "ab"])
        return figure

    assert [text.get_text() for text in draw().legends[0].get_texts()] == ["a" * 40, "b" * 40]
