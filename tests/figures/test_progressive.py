"""Images under loss and their curve."""

import numpy as np
import pandas as pd
import pytest

from netsim.figures.files import figure_bytes
from netsim.figures.progressive import draw_curve, draw_images


@pytest.fixture
def numbers() -> pd.DataFrame:
    rows = []
    for scheme, course, packet in ((s, c, p) for s in ("a", "b") for c in ("loss", "no loss") for p in range(6)):
        missing = "2" if course == "loss" and packet >= 2 else ""
        row = {"image": "i", "scheme": scheme, "operating_point": "bpp=1", "bpp": 0.2, "trace": course}
        row |= {"packet": packet, "lost": course == "loss" and packet == 2, "missing": missing}
        row |= {"psnr_db": np.nan if scheme == "b" and not packet else 20.0 + packet}
        rows.append(row | {"shown": course == "loss" and packet in (0, 3, 5)})
    return pd.DataFrame(rows)


def test_each_image_says_what_arrived(numbers: pd.DataFrame) -> None:
    grey = np.full((16, 24, 3), 128, np.uint8)
    images = {(scheme, packet): grey for scheme in "ab" for packet in (0, 3, 5)} | {("b", 0): None}
    figure = draw_images(numbers, images)
    captions = [panel.get_xlabel() for panel in figure.axes]
    assert captions[:3] == ["#0, none lost: 20.00 dB", "#3, without #2: 23.00 dB", "#5 (all), without #2: 25.00 dB"]
    assert captions[3] == "#0, none lost: no image"
    assert [text.get_text() for text in figure.axes[3].texts] == ["no image"]
    assert figure.axes[0].get_ylabel() == "a\n0.200 bit/pixel"
    assert figure_bytes(figure, "png") == figure_bytes(draw_images(numbers, images), "png")


def test_the_curve_marks_lost_packets_and_shows_the_course_without_loss(numbers: pd.DataFrame) -> None:
    figure = draw_curve(numbers)
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines if not line.get_label().startswith("_")] == ["a", "b"]
    crosses = [line for line in lines if line.get_marker() == "x"]
    assert [list(line.get_xdata()) for line in crosses] == [[2], [2]]
    assert len(lines) == 6
