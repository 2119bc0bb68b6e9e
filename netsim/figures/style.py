"""How every figure looks: colours, markers, sizes of text and of paper."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

from netsim.errors import InputError

if TYPE_CHECKING:
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
    "PAPER_POINTS",
    "PAPER_WIDTHS_IN",
    "Look",
    "as_wide_as",
    "figure_size",
    "house_style",
    "in_small_print",
    "looks",
    "own_panel",
    "page_width",
    "styled",
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

PAPER_POINTS = 8.0
"""Size of all text in figures for a paper."""

_NARROWEST_IN, _WIDEST_IN = 2.5, 20.0
_PAPER_RC: dict[str, Any] = dict.fromkeys(
    ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"),
    PAPER_POINTS,
) | {"lines.linewidth": 1.1, "lines.markersize": 4, "legend.handlelength": 2.4}

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
        text.set_fontsize(PAPER_POINTS)


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

        with matplotlib.rc_context(house_style() | (_PAPER_RC if page_width() is not None else {})):
            figure = draw(*arguments, **named)
            if page_width() is not None:
                in_small_print(figure)
            return figure

    return inside


def house_style() -> Any:
    """Matplotlib's own defaults (not the user's matplotlibrc) with ours on top.

    Returns:
        Settings for ``matplotlib.rc_context``.
    """
    import matplotlib

    skip = ("backend", "interactive", "toolbar", "webagg", "datapath")
    defaults: dict[str, Any] = {k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith(skip)}
    return defaults | _RC


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
