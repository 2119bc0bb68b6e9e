"""Names in a figure: of the curves, of the places on an axis, and the note in small print."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from netsim.figures.style import OTHERS, PAPER_POINTS, Look, page_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CurveEnd", "label_curves", "legend", "name_ticks", "trim_height", "wrap_note"]

_MARGIN_IN = 0.08
_LETTER_IN = 0.062  # mean width of a letter of 8 points
_MOST_LINES = 3


def name_ticks(axes: Axes, names: Sequence[str]) -> None:
    """Names below the places 0, 1, … of an axis: on one line, on several, or slanted where words are too wide.

    Args:
        axes: The axes; its figure has its final width.
        names: One for each place.
    """
    room = float(axes.get_position().width * axes.figure.get_figwidth()) / max(1, len(names))  # type: ignore[union-attr]
    letters = max(1, int(room / _LETTER_IN))
    lines = [_wrapped(name, letters) for name in names]
    if all(len(some) <= _MOST_LINES and max(map(len, some), default=0) <= letters for some in lines):
        axes.set_xticks(range(len(names)), ["\n".join(some) for some in lines])
    else:
        axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")


def _wrapped(name: str, letters: int) -> list[str]:
    """A name on lines of so many letters; a number stays with its per cent sign, and no letter becomes another."""
    tied = "\N{NO-BREAK SPACE}%"
    lines = textwrap.wrap(name.replace(" %", tied), letters, break_long_words=False, break_on_hyphens=False)
    return [line.replace(tied, " %") for line in lines]


def legend(
    figure: Figure, axes: Axes, note: str = "", ax: Axes | None = None, ends: Sequence[CurveEnd] | None = None
) -> None:
    """One legend for the whole figure, under it, in as few rows as the width allows.

    Args:
        figure: Grows by the legend's height.
        axes: Whose entries are shown.
        note: Small print above the entries.
        ax: Axes that a caller gave: the legend stands inside them, without the note.
        ends: Where each curve ends, if all end at the right: where labels fit there, they stand at the curves, and the
            note stands alone.
    """
    if ax is not None:
        axes.legend()
        return
    handles, labels = axes.get_legend_handles_labels()
    width = float(figure.get_size_inches()[0])
    wrapped = wrap_note(note, width)
    if (
        ends is not None
        and {end.label for end in ends} == {*labels} - {OTHERS}
        and label_curves(figure, axes, ends, wrapped)
    ):
        return
    inches = (0.068, 0.6) if page_width() is None else (0.06, 0.45)
    widest = max((len(label) for label in labels), default=1) * inches[0] + inches[1]
    columns = max(1, min(len(labels), int(width / widest)))
    columns = -(-len(labels) // -(-len(labels) // columns))  # rows of like length
    if page_width() is not None:
        rows = -(-len(labels) // columns) + wrapped.count("\n") + 1
        figure.set_size_inches(width, float(figure.get_size_inches()[1]) + PAPER_POINTS * 1.5 / 72 * rows)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, title=wrapped, title_fontsize=7.5)


def trim_height(figure: Figure) -> None:
    """Take away the height above and below the panels that a figure of a given width leaves empty.

    A round panel is as high as it is wide, so long names at its sides make both smaller.

    Args:
        figure: One panel with a legend under it, in constrained layout.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer: Any = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    panel = figure.axes[0].get_tightbbox(renderer)
    if panel is None:
        return
    foot = max((box.get_window_extent(renderer).y1 for box in figure.legends), default=0.0)
    above, below = figure.bbox.height - panel.y1, panel.y0 - foot
    empty = (above + below) / figure.dpi - 2 * _MARGIN_IN
    figure.set_size_inches(width, height - max(0.0, float(empty)))


def wrap_note(note: str, width_in: float) -> str:
    """A note in small print, broken into lines that fit a figure.

    Args:
        note: The text.
        width_in: The figure's width in inches.

    Returns:
        The text with line ends.
    """
    return "\n".join(textwrap.wrap(note, int((17.5 if page_width() is None else 15.5) * width_in)))


class CurveEnd(NamedTuple):
    """A curve's name, look and last point, in data coordinates."""

    label: str
    look: Look
    x: float
    y: float


_MOST_LABELS, _LONGEST_LABEL = 6, 26
_FARTHEST = 1.6  # heights of a label that it may be moved from its curve


def label_curves(figure: Figure, axes: Axes, ends: Sequence[CurveEnd], note: str) -> bool:
    """Write each curve's marker and name at its end, and the note under the figure.

    Args:
        figure: The figure.
        axes: The axes that hold the curves.
        ends: Where each curve ends, its label and its look.
        note: Small print under the figure.

    Returns:
        True; False, and nothing is drawn, where the names do not fit: too many, too long, or ends too near to each
        other.
    """
    from matplotlib.transforms import blended_transform_factory

    longest = max((len(end.label) for end in ends), default=0)
    if not 0 < len(ends) <= _MOST_LABELS or longest > _LONGEST_LABEL:
        return False
    low, high = axes.get_xlim()
    points = 8.0
    share = (longest + 3) * 0.62 * points / 72 / (float(figure.get_size_inches()[0]) * 0.8)  # of the axes' width
    if share > 0.4 or max(end.x for end in ends) - min(end.x for end in ends) > 0.25 * (high - low):
        return False
    height = points * 1.25 / 72 / (float(figure.get_size_inches()[1]) * 0.75)  # of the axes' height
    bottom, top = axes.get_ylim()
    wanted = [(end.y - bottom) / (top - bottom) for end in ends]
    places = _spread(wanted, height)
    if max(abs(a - b) for a, b in zip(wanted, places, strict=True)) > _FARTHEST * height:
        return False
    axes.set_xlim(low, low + (high - low) / (1 - share))
    right = max(end.x for end in ends)
    gap = 0.012 * (axes.get_xlim()[1] - low)
    beside = blended_transform_factory(axes.transData, axes.transAxes)
    for end, place in zip(ends, places, strict=True):
        axes.plot(right + 2 * gap, place, **end.look.line, transform=beside, clip_on=False, label="_nolegend_")
        axes.text(right + 3.5 * gap, place, end.label, fontsize=points, va="center", transform=beside)
    if note:
        figure.supxlabel(note, fontsize=7.5)
    return True


def _spread(wanted: Sequence[float], gap: float) -> list[float]:
    """The nearest places (least squares) in the same order with at least ``gap`` between neighbours.

    >>> [round(place, 3) for place in _spread([0.5, 0.52, 0.9], 0.1)]
    [0.46, 0.56, 0.9]
    """
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    blocks: list[list[float]] = []  # sum of (wanted - rank · gap), members
    for rank, index in enumerate(order):
        blocks.append([wanted[index] - rank * gap, 1.0])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, members = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += members
    means = [total / members for total, members in blocks for _ in range(int(members))]
    places = [0.0] * len(wanted)
    for rank, index in enumerate(order):
        places[index] = means[rank] + rank * gap
    return places
