"""How every figure looks, and how it is written: the same bytes for the same numbers."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable
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
    "GRID",
    "INK",
    "MUTED",
    "Look",
    "csv_bytes",
    "figure_bytes",
    "figure_size",
    "legend",
    "looks",
    "own_panel",
    "save",
    "styled",
]

INK, MUTED, GRID, BAND = "#1a1a1a", "#5f5f5f", "#d9d9d9", "#f3f3f3"

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
    "path.simplify": False,
}


_column_width: ContextVar[float | None] = ContextVar("column_width", default=None)


class Look(NamedTuple):
    """How a scheme is drawn: told apart by marker and dashes alone, so that grey print will do."""

    colour: str
    marker: str
    dashes: Any

    @property
    def line(self) -> dict[str, Any]:
        """Keyword arguments of a line with markers."""
        return {
            "color": self.colour,
            "linestyle": self.dashes,
            "marker": self.marker,
            "markersize": _SIZES.get(self.marker, 5.0),
            "markeredgecolor": self.colour if self.marker in "PX" else "white",
            "markeredgewidth": 0.1 if self.marker in "PX" else 0.5,
        }


def figure_size(width: float, height: float) -> tuple[float, float]:
    """Size of a figure in inches: as asked, or on paper (``on_paper``) as wide as the column, in proportion."""
    column = _column_width.get()
    return (width, height) if column is None else (column, height * column / width)


def looks(schemes: Iterable[str]) -> dict[str, Look]:
    """A look for each scheme, by order of first appearance; the first twelve have markers of their own.

    >>> looks(["vvc", "jpeg", "vvc"])["jpeg"].marker
    's'
    """
    names = list(dict.fromkeys(schemes))
    return {
        name: Look(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)], _DASHES[i % len(_DASHES)])
        for i, name in enumerate(names)
    }


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Decorator: what a function draws has the house's style, whatever matplotlib's settings are."""

    @wraps(draw)
    def inside(*arguments: Any, **named: Any) -> Figure:
        import matplotlib

        with matplotlib.rc_context(_fresh(_RC)):
            return draw(*arguments, **named)

    return inside


def _fresh(settings: dict[str, Any]) -> Any:
    """Matplotlib's own defaults (not the user's matplotlibrc) with ours on top."""
    import matplotlib

    skip = ("backend", "interactive", "toolbar", "webagg", "datapath")
    return {key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith(skip)} | settings


def own_panel(kind: str, ax: Axes | None, panels: int, projection: str = "") -> tuple[Figure, Axes] | None:
    """The figure and axes that a caller gave; None if there are none.

    Args:
        kind: The figure's kind, for errors.
        ax: What the caller gave.
        panels: How many panels the figure has.
        projection: What the panel needs: ``polar``, or empty.

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


def legend(figure: Figure, axes: Axes, note: str = "", ax: Axes | None = None) -> None:
    """One legend for the whole figure, under it, in as few rows as the width allows; over it a note in small print.

    In axes that a caller gave (``ax``) the legend stands inside them, without the note.
    """
    if ax is not None:
        axes.legend()
        return
    handles, labels = axes.get_legend_handles_labels()
    width = float(figure.get_size_inches()[0])
    widest = max((len(label) for label in labels), default=1) * 0.068 + 0.6
    columns = max(1, min(len(labels), int(width / widest)))
    columns = -(-len(labels) // -(-len(labels) // columns))  # rows of like length
    title = "\n".join(textwrap.wrap(note, int(17.5 * width)))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, title=title, title_fontsize=7.5)


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """The figure as ``svg`` or ``png`` (200 dpi); no date, no random ids."""
    import matplotlib

    told: dict[str, Any] = {"Date": None, "Creator": "netsim"} if kind == "svg" else {"Software": "netsim"}
    out = io.BytesIO()
    with matplotlib.rc_context(_fresh(_RC)):
        figure.savefig(out, format=kind, dpi=200, metadata=told)
    return out.getvalue()


def csv_bytes(numbers: pd.DataFrame) -> bytes:
    """The numbers as CSV, nine significant digits."""
    return numbers.to_csv(index=False, float_format="%.9g", lineterminator="\n").encode()


def save(figure: Figure, numbers: pd.DataFrame, out_dir: Path, name: str) -> list[Path]:
    """Write NAME.png, NAME.svg and NAME.csv, each whole or not at all; returns their paths."""
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
