"""Texts of a figure that lie over one another."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

__all__ = ["overlapping_texts"]

_SLACK_PIXELS = 1.5  # descenders that touch


def overlapping_texts(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of visible texts whose bounding boxes overlap, and texts that leave the figure (paired with "")."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer: Any = canvas.get_renderer()
    boxes = []
    for text in _shown(figure):
        box = text.get_window_extent(renderer)
        if box.width > 1 and box.height > 1:
            boxes.append((text.get_text(), box))
    page = figure.bbox
    slack = _SLACK_PIXELS
    out = [
        (name, "")
        for name, box in boxes
        if box.x0 < -slack or box.y0 < -slack or box.x1 > page.width + slack or box.y1 > page.height + slack
    ]
    pairs = [
        (one, other)
        for (one, a), (other, b) in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > slack and min(a.y1, b.y1) - max(a.y0, b.y0) > slack
    ]
    return out + pairs


def _shown(figure: Figure) -> list[Text]:
    """Texts that are drawn: not those of hidden panels, nor of ticks beyond the limits."""
    found = [text for text in figure.texts if text.get_visible()]
    for label in (figure._supxlabel, figure._supylabel):  # type: ignore[attr-defined]
        found += [label] if label is not None and label not in found else []
    for legend in figure.legends:
        found += [*legend.get_texts(), legend.get_title()]
    for axes in figure.axes:
        if not axes.get_visible():
            continue
        found += [text for text in axes.texts if text.get_visible()]
        found += [axes.title, axes._left_title, axes._right_title]  # type: ignore[attr-defined]
        if not axes.axison:
            continue
        for axis in (axes.xaxis, axes.yaxis):
            found.append(axis.label)
            low, high = sorted(axis.get_view_interval())
            inside = [tick for tick in axis.get_major_ticks() if low - 1e-9 <= tick.get_loc() <= high + 1e-9]
            found += [label for tick in inside for label in (tick.label1, tick.label2) if label.get_visible()]
        own = axes.get_legend()
        found += [] if own is None else [*own.get_texts(), own.get_title()]
    return [text for text in found if text.get_visible() and text.get_text().strip()]
