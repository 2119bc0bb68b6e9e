"""Figures that look at streams: images of masked shares, bars of packets, efficiency against resilience."""

import numpy as np
import pandas as pd
import pytest

from netsim.figures import masked, sizes, tradeoff
from netsim.studies.masked import Example

SHARES = (0.1, 0.5, 0.9)
ORIGINAL = np.full((32, 48, 3), 100, dtype=np.uint8)


def _examples(tokens: bool) -> list[Example]:
    """Two schemes; the second has no image at the greatest share."""
    lost = np.array([[True, False, False], [False, False, True]]) if tokens else None
    examples = [
        Example(name, share, 30 - 10 * share, ORIGINAL + np.uint8(32), lost)
        for name in ("one", "two")
        for share in SHARES
    ]
    return [*examples[:-1], Example("two", SHARES[-1], float("nan"), None, lost)]


@pytest.mark.parametrize("tokens", [True, False])
def test_images_errors_and_lost_tokens_have_a_row_each(tokens: bool) -> None:
    figure = masked.draw_examples(ORIGINAL, _examples(tokens))
    assert len(figure.axes) == (4 + tokens) * len(SHARES)
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["10 % lost", "50 % lost", "90 % lost"]
    captions = [axes.get_xlabel() for axes in figure.axes]
    assert captions.count("29.00 dB") == 2
    assert captions.count("no image") == 1
    first = np.asarray(figure.axes[3 * tokens].images[0].get_array())
    error = np.asarray(figure.axes[3 * tokens + 3].images[0].get_array())
    assert (first == 132).all()
    assert (error == 127).all()  # an error of 32 levels is half-way to the darkest
    if tokens:
        grid = np.asarray(figure.axes[0].images[0].get_array())[..., 0]
        assert (grid[0, 0], grid[1, 2]) == (grid.min(), grid.min())
        assert (grid == grid.min()).sum() == 2


def test_a_curve_for_each_scheme_at_the_shares_really_lost() -> None:
    rows = [[name, "q=1", lost, 0.3, 30 - lost, 29.0, 31.0] for name in ("one", "two") for lost in (0.0, 0.48)]
    columns = ["scheme", "operating_point", "lost", "bpp", "psnr_db", "psnr_low", "psnr_high"]
    [axes] = masked.draw_curve(pd.DataFrame(rows, columns=columns)).axes
    assert [line.get_label() for line in axes.lines] == ["one (0.30 bit/pixel)", "two (0.30 bit/pixel)"]
    assert list(np.asarray(axes.lines[0].get_xdata())) == [0.0, 48.0]


@pytest.mark.parametrize("tokens", [9.0, np.nan])
def test_bars_are_as_long_as_the_packets(tokens: float) -> None:
    rows = [
        ["s", "q=1", image, packet, packet == 0, tokens, 40.0 * (packet + 1), 0.1 * (packet + 1)]
        for image in "ab"
        for packet in range(3)
    ]
    columns = ["scheme", "operating_point", "image", "packet", "protected", "tokens", "bytes", "bpp"]
    [axes] = sizes.draw(sizes.numbers(pd.DataFrame(rows, columns=columns))).axes
    assert [bar.get_x() for bar in axes.patches] == pytest.approx([0.0, 0.1, 0.3])
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.1, 0.2, 0.3])
    held = [text.get_text() for text in axes.texts]
    assert held == (["80", "120"] if np.isnan(tokens) else ["9", "9"])
    assert ("tokens" in axes.get_xlabel()) != np.isnan(tokens)


def test_a_scheme_without_a_coordinate_is_named_in_the_note() -> None:
    shared = {
        "anchor": "hevc",
        "channels": 6,
        "low_bpp": 0.3,
        "high_bpp": 0.4,
        "failure_db": 13.0,
        "engine": "exact",
        "covered": "range",
    }
    rows = [("a", -10.0, 30.0), ("b", 5.0, float("nan"))]
    frame = pd.DataFrame([shared | {"scheme": s, "bd_rate_percent": r, "psnr_db": p} for s, r, p in rows])
    figure = tradeoff.draw(frame.assign(psnr_low=frame["psnr_db"], psnr_high=frame["psnr_db"]))
    [line] = figure.axes[0].lines
    assert (list(np.asarray(line.get_xdata())), list(np.asarray(line.get_ydata()))) == ([10.0], [30.0])
    note = figure.legends[0].get_title().get_text().replace("\n", " ")
    assert "Left out" in note
    assert note.endswith(": b.")
    assert "†" not in note


def test_a_scheme_that_covers_less_than_the_range_is_marked() -> None:
    shared = {"anchor": "hevc", "channels": 6, "low_bpp": 0.3, "high_bpp": 0.4, "failure_db": 13.0, "engine": "exact"}
    rows = [("a", "range"), ("b", "part"), ("c", "point")]
    frame = pd.DataFrame([shared | {"scheme": s, "covered": covered, "bd_rate_percent": 1.0} for s, covered in rows])
    figure = tradeoff.draw(frame.assign(psnr_db=30.0, psnr_low=29.0, psnr_high=31.0))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b†", "c‡"]
    note = figure.legends[0].get_title().get_text().replace("\n", " ")
    assert "† covers a part of that range. ‡ one operating point in it, taken as it is." in note
    assert "Exact; bars: bounds" in note
