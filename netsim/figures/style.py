"""How every figure looks, and how it is written: the same bytes for the same numbers."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from netsim.errors import InputError
from netsim.runs.atomic import make_folder, write_atomically

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BAND",
    "COLUMNS_IN",
    "GREY",
    "GRID",
    "INK",
    "MUTED",
    "OTHERS",
    "PAPER_WIDTHS_IN",
    "CurveEnd",
    "Look",
    "as_wide_as",
    "csv_bytes",
    "figure_bytes",
    "figure_size",
    "in_small_print",
    "label_curves",
    "legend",
    "looks",
    "name_ticks",
    "own_panel",
    "page_width",
    "save",
    "save_for_paper",
    "styled",
    "trim_height",
    "wrap_note",
]

INK, MUTED, GREY, GRID, BAND = "#1a1a1a", "#5f5f5f", "#bdbdbd", "#d9d9d9", "#f3f3f3"

OTHERS = "others"
"""The legend's name of all grey curves."""

# Okabe and Ito, "Color Universal Design", 2008, without the yellow that a white page swallows
_COLOURS = ("#0072B2", "#D55E00", "#000000", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "p", ">", "h", "*")
_SIZES = {"s": 4.6, "^": 5.6, "v": 5.6, "<": 5.6, ">": 5.6, "P": 6.0, "X": 6.0, "p": 6.0, "h": 5.8, "*": 8.0}
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.3)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1.2, 1, 1.2, 1, 1.2)))

_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    "lines.linewidth": 1.4,
    "lines.markersize": 5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "text.parse_math": False,  # a user's `$` is a dollar sign
    "svg.hashsalt": "netsim",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "path.simplify": False,
}


COLUMNS_IN = {1: 3.5, 2: 7.16}
"""Width of one and of two columns of a paper, in inches."""

PAPER_WIDTHS_IN = {f"-{columns}col": width for columns, width in COLUMNS_IN.items()}
"""The same by what follows the name of a figure's file."""

_PAPER_POINTS = 8.0
_NARROWEST_IN, _WIDEST_IN = 2.5, 20.0
_PAPER_RC: dict[str, Any] = dict.fromkeys(
    ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"),
    _PAPER_POINTS,
) | {"lines.linewidth": 1.1, "lines.markersize": 4, "legend.handlelength": 2.4}

_MARGIN_IN = 0.08
_LETTER_IN = 0.062  # mean width of a letter of 8 points
_MOST_LINES = 3

_column_width: ContextVar[float | None] = ContextVar("column_width", default=None)


class Look(NamedTuple):
    """How a scheme is drawn. Marker and dashes alone distinguish it, also in grey print."""

    colour: str
    marker: str
    dashes: Any

    @property
    def line(self) -> dict[str, Any]:
        """Keyword arguments of a line with markers; thin and behind the others without a marker."""
        if not self.marker:
            return {"color": self.colour, "linestyle": self.dashes, "linewidth": 0.9, "zorder": 1.5}
        return {
            "color": self.colour,
            "linestyle": self.dashes,
            "marker": self.marker,
            "markersize": _SIZES.get(self.marker, 5.0),
            "markeredgecolor": self.colour if self.marker in "PX" else "white",
            "markeredgewidth": 0.1 if self.marker in "PX" else 0.5,
        }


@contextmanager
def as_wide_as(width_in: float) -> Iterator[None]:
    """Figures drawn inside have this width and all text in 8 points.

    Args:
        width_in: Width in inches.

    Yields:
        Nothing; the size holds until the block ends.

    Raises:
        InputError: A width that no page has.
    """
    if not _NARROWEST_IN <= width_in <= _WIDEST_IN:
        raise InputError(f"a figure of {width_in:g} in", hint=f"a width of {_NARROWEST_IN:g} to {_WIDEST_IN:g} inches")
    token = _column_width.set(float(width_in))
    try:
        yield
    finally:
        _column_width.reset(token)


def in_small_print(figure: Figure) -> None:
    """Set all texts of a figure to the size of a paper's small print, 8 points.

    Args:
        figure: The figure.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_fontsize(_PAPER_POINTS)


def figure_size(width: float, height: float) -> tuple[float, float]:
    """Size of a figure in inches: as asked, or on paper (``as_wide_as``) as wide as the column.

    Text does not shrink with the column, so the height shrinks by half as much as the width; ``legend`` adds its own.

    Args:
        width: Width on a screen, in inches.
        height: Height, likewise.

    Returns:
        (width, height) in inches.
    """
    column = _column_width.get()
    return (width, height) if column is None else (column, height * min(1.0, 0.5 + 0.5 * column / width))


def page_width() -> float | None:
    """Width of the column that is drawn for.

    Returns:
        Inches; None where no column is set.
    """
    return _column_width.get()


def looks(schemes: Iterable[str]) -> dict[str, Look]:
    """A look for each scheme, by order of first appearance; the first twelve have markers of their own.

    Args:
        schemes: Names, repetitions allowed.

    Returns:
        By scheme: colour, marker and dashes.

    >>> looks(["vvc", "jpeg", "vvc"])["jpeg"].marker
    's'
    """
    names = list(dict.fromkeys(schemes))
    return {
        name: Look(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)], _DASHES[i % len(_DASHES)])
        for i, name in enumerate(names)
    }


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Decorator: what a function draws has the house's style, whatever matplotlib's settings are.

    Args:
        draw: Draws and returns a figure.

    Returns:
        The same function inside the style.
    """

    @wraps(draw)
    def inside(*arguments: Any, **named: Any) -> Figure:
        import matplotlib

        with matplotlib.rc_context(_fresh(_RC) | (_PAPER_RC if page_width() is not None else {})):
            figure = draw(*arguments, **named)
            if page_width() is not None:
                in_small_print(figure)
            return figure

    return inside


def _fresh(settings: dict[str, Any]) -> Any:
    """Matplotlib's own defaults (not the user's matplotlibrc) with ours on top."""
    import matplotlib

    skip = ("backend", "interactive", "toolbar", "webagg", "datapath")
    return {key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith(skip)} | settings


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


def own_panel(kind: str, ax: Axes | None, panels: int, projection: str = "") -> tuple[Figure, Axes] | None:
    """The figure and axes that a caller gave.

    Args:
        kind: The figure's kind, for errors.
        ax: What the caller gave.
        panels: How many panels the figure has.
        projection: What the panel needs: ``polar``, or empty.

    Returns:
        (figure, axes), or None where a new figure is to be made.

    Raises:
        InputError: The figure needs several panels, or axes of another projection.
    """
    if ax is None:
        return None
    if panels > 1:
        message = f"the {kind} figure of this run has {panels} panels, ax= is one"
        raise InputError(message, hint="leave ax= out, and style the axes of the figure that is returned")
    if projection and ax.name != projection:
        message = f"the {kind} figure of this run needs {projection} axes, ax= is {ax.name}"
        raise InputError(message, hint=f'plt.subplots(subplot_kw={{"projection": "{projection}"}})')
    if ax.figure is None:
        raise InputError("ax= belongs to no figure", hint="figure, ax = plt.subplots()")
    root: Any = ax.figure.figure  # of a part of a figure, the whole
    return root, ax


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
        figure.set_size_inches(width, float(figure.get_size_inches()[1]) + _PAPER_POINTS * 1.5 / 72 * rows)
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


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """The figure as ``svg``, ``pdf`` or ``png`` (200 dpi); no date, no random ids.

    Args:
        figure: The drawing.
        kind: ``svg``, ``pdf`` or ``png``.

    Returns:
        Content of the file; equal drawings give equal bytes.
    """
    import matplotlib

    metadata: dict[str, Any] = {"Software": "netsim"}
    if kind in ("svg", "pdf"):
        metadata = {"Creator": "netsim", "Date" if kind == "svg" else "CreationDate": None}
    out = io.BytesIO()
    with matplotlib.rc_context(_fresh(_RC)):
        figure.savefig(out, format=kind, dpi=200, metadata=metadata)
    return out.getvalue()


def csv_bytes(numbers: pd.DataFrame) -> bytes:
    """The numbers as CSV, nine significant digits.

    Args:
        numbers: A table.

    Returns:
        The CSV in UTF-8, with a line of column names.
    """
    return numbers.to_csv(index=False, float_format="%.9g", lineterminator="\n").encode()


def save(figure: Figure, numbers: pd.DataFrame, out_dir: Path, name: str) -> list[Path]:
    """Write NAME.png, NAME.svg and NAME.csv, each whole or not at all.

    Args:
        figure: The drawing.
        numbers: What is drawn.
        out_dir: The folder; it is made.
        name: Of the files.

    Returns:
        Paths of PNG, SVG and CSV.

    Raises:
        InputError: The folder or a file can't be written.
    """
    make_folder(out_dir)
    contents = {
        "png": figure_bytes(figure, "png"),
        "svg": figure_bytes(figure, "svg"),
        "csv": csv_bytes(numbers),
    }
    paths = [out_dir / f"{name}.{suffix}" for suffix in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        write_atomically(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
    return paths


def save_for_paper(
    draw: Callable[[], Figure], out_dir: Path, name: str, widths: Mapping[str, float] = PAPER_WIDTHS_IN
) -> list[Path]:
    """Write a figure as PDFs for a paper, all text in 8 points.

    Args:
        draw: Draws the figure anew for each width.
        out_dir: Folder; it is made if it is missing.
        name: File name without its ending.
        widths: Width in inches by what follows the name (``{"-5in": 5.0}``).

    Returns:
        Paths of the files.

    Raises:
        InputError: A width that no page has, or a file that can't be written.
    """
    paths = []
    for suffix, width in widths.items():
        with as_wide_as(width):
            content = figure_bytes(draw(), "pdf")
        make_folder(out_dir)
        paths.append(out_dir / f"{name}{suffix}.pdf")
        write_atomically(paths[-1], lambda file, content=content: file.write(content))  # type: ignore[misc]
    return paths
