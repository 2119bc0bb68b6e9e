"""Winner map: which scheme is best over two properties of a channel, a region for each."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netsim.errors import InputError
from netsim.figures.style import INK, MUTED, figure_size, own_panel, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["LOSS_RATE", "MEAN_BURST", "ROUND_TRIP", "Axis", "draw"]

# light tints of the house's colours, each with a hatch of its own, so that grey print will do
_TINTS = ("#9ecae6", "#f6c9a4", "#d9d9d9", "#a9dcc8", "#efcfe0", "#fbe2a8", "#d4ecfa")
_HATCHES = ("", "////", "....", "\\\\\\\\", "xxx", "--", "||", "oo", "++", "**", "//..", "\\\\..")
_FINER = 4  # drawn points per step of the grid
_SEPARATES = 0.01  # dB; a lead below it is none


class Axis(NamedTuple):
    """One axis of a map: its column, its label, which values get a tick, and how a tick is written."""

    column: str
    label: str
    ticks: tuple[float, ...]
    percent: bool = False


LOSS_RATE = Axis("loss_rate", "loss rate", (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5), True)
MEAN_BURST = Axis("mean_burst", "mean burst (packets)", (1, 1.5, 2, 3, 5, 7, 10, 15, 20))
_SECONDS = tuple(step * 10.0**power for power in range(-4, 4) for step in (1, 2, 5))
ROUND_TRIP = Axis("rtt_s", "round-trip time (s)", _SECONDS)


@styled
def draw(numbers: pd.DataFrame, x: Axis = LOSS_RATE, y: Axis = MEAN_BURST, ax: Axes | None = None) -> Figure:
    """The map of the best scheme at each point of a grid.

    Each scheme's region reaches to where another's expectation is equal. Marked channels stand where their loss rate
    and mean burst fall.

    Args:
        numbers: Rows of ``netsim.analysis.winner.winners`` with near_bpp, images, failure_db; or, for the axes
            ``LOSS_RATE`` and ``ROUND_TRIP``, those of ``netsim.analysis.winner_rtt``, with deadline_s and slots.
        x: What the horizontal axis shows.
        y: What the vertical axis shows.
        ax: Axes to draw into, for a figure of one panel; None: a new figure.

    Returns:
        The figure; that of ``ax`` where it is given.

    Raises:
        InputError: The numbers hold no grid, or ``ax`` can't hold the figure.
    """
    from matplotlib.figure import Figure

    cells = numbers[numbers["kind"] == "grid"]
    if cells.empty:
        raise InputError("no grid to draw", hint="`netsim plot winner RUN` makes one")
    schemes = list(dict.fromkeys(numbers["scheme"]))
    across, up, leads = _surface(cells, schemes, x, y)
    given = own_panel("winner", ax, 1)
    figure = given[0] if given else Figure(figsize=figure_size(7.2, 5.9), layout="constrained")
    axes = given[1] if given else figure.subplots()
    handles = [
        _region(axes, across, up, lead, i, label) for i, (lead, label) in enumerate(_leads_named(leads, numbers))
    ]
    _limits(axes, across, up, x, y)
    _names(axes, numbers, _Surface(across, up, leads), schemes, (x.column, y.column))
    _impossible(axes, across, up, leads, (x, y))
    _marks(axes, numbers, (x, y))
    notes = "\n".join(textwrap.wrap(_note(numbers, schemes, (x.column, y.column)), 126))
    kept = [handle for handle in handles if handle is not None]
    if ax is not None:
        ax.legend(handles=kept)
        return figure
    columns = 2 if max(len(str(handle.get_label())) for handle in kept) > 34 else 3
    figure.legend(
        handles=kept, loc="outside lower center", ncols=columns, title=notes, title_fontsize=7.5, handleheight=1.5
    )
    return figure


class _Surface(NamedTuple):
    """What is drawn: x [X] and y [Y], finer than the numbers; leads [schemes, Y, X] in dB, NaN where nothing can be."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    leads: NDArray[np.float64]


def _surface(cells: pd.DataFrame, schemes: list[str], x: Axis, y: Axis) -> _Surface:
    """How far each scheme is ahead of the best of the others.

    Qualities are interpolated (they are smooth), not leads (which have kinks). Of equals the first keeps 0, the others
    fall just below.
    """
    across, up = (np.unique(cells[axis.column]) for axis in (x, y))
    quality = np.full((len(schemes), len(up), len(across)), np.nan)
    at = np.searchsorted(up, cells[y.column]), np.searchsorted(across, cells[x.column])
    quality[[schemes.index(one) for one in cells["scheme"]], at[0], at[1]] = cells["psnr_db"]
    fine_x, fine_y = (np.geomspace(one[0], one[-1], _FINER * (len(one) - 1) + 1) for one in (across, up))
    smooth = np.stack([_finer(one, across, up, fine_x, fine_y) for one in quality])
    smooth[:, _blank(np.isnan(quality[0]), fine_x, fine_y, x, y)] = np.nan
    leads = np.empty_like(smooth)
    for i in range(len(schemes)):
        others = np.delete(smooth, i, axis=0)
        leads[i] = smooth[i] - others.max(axis=0) if len(others) else 0 * smooth[i]
        if i:
            leads[i][(smooth[:i].max(axis=0) >= smooth[i]) & (leads[i] >= 0)] = -1e-9
    return _Surface(fine_x, fine_y, leads)


def _finer(quality: NDArray[np.float64], across: Any, up: Any, fine_x: Any, fine_y: Any) -> NDArray[np.float64]:
    """Linear in the axes' logarithms; below what can be, the nearest value in y stands in."""
    for row in range(len(up) - 2, -1, -1):
        quality = quality.copy()
        quality[row] = np.where(np.isnan(quality[row]), quality[row + 1], quality[row])
    wide = np.stack([np.interp(np.log(fine_x), np.log(across), row) for row in quality])
    return np.stack([np.interp(np.log(fine_y), np.log(up), column) for column in wide.T], axis=1)


def _blank(missing: NDArray[np.bool_], fine_x: Any, fine_y: Any, x: Axis, y: Axis) -> NDArray[np.bool_]:
    """Where nothing can be, bool [Y, X]: exactly for bursts, else around the cells that lack numbers."""
    if (x, y) == (LOSS_RATE, MEAN_BURST):
        return np.asarray(fine_y[:, None] < (fine_x / (1 - fine_x))[None, :])
    rows, columns = (np.round(np.arange(len(fine)) / _FINER).astype(int) for fine in (fine_y, fine_x))
    return np.asarray(missing[np.ix_(rows, columns)])


def _leads_named(leads: NDArray[np.float64], numbers: pd.DataFrame) -> list[tuple[NDArray[np.float64], str]]:
    """Each scheme's leads with its name, operating point and rate, for the legend."""
    first = numbers.drop_duplicates("scheme").set_index("scheme")
    labels = [f"{name} ({row['operating_point']}: {row['bpp']:.2f} bpp)" for name, row in first.iterrows()]
    return list(zip(leads, labels, strict=True))


def _region(axes: Axes, across: Any, up: Any, lead: NDArray[np.float64], i: int, label: str) -> Any:
    """Paint one scheme's region; returns its entry in the legend, None where it wins nowhere."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    if not (lead >= 0).any():
        return None
    tint, hatch = _TINTS[i % len(_TINTS)], _HATCHES[i % len(_HATCHES)]
    shown = np.ma.masked_invalid(np.where(lead == 0, 1e-6, lead))  # the first of equals: above the lowest level
    levels = [0.0, max(1.0, float(np.nanmax(lead)) + 1)]
    cells = np.ma.masked_where(~(lead >= 0), np.zeros_like(lead))  # where equals meet, contours leave gaps
    axes.pcolormesh(across, up, cells, shading="nearest", cmap=ListedColormap([tint]), zorder=0.5)
    area = axes.contourf(across, up, shown, levels=levels, colors=[tint], hatches=[hatch])
    area.set_edgecolor("#7a7a7a")
    area.set_linewidth(0)
    if (shown < 0).any():
        axes.contour(across, up, shown, levels=[0.0], colors=[INK], linewidths=1.1)
    return Patch(facecolor=tint, hatch=hatch, edgecolor="#7a7a7a", linewidth=0.6, label=label)


def _limits(axes: Axes, across: Any, up: Any, x: Axis, y: Axis) -> None:
    for axis, values, side in ((x, across, "x"), (y, up, "y")):
        getattr(axes, f"set_{side}scale")("log")
        getattr(axes, f"set_{side}lim")(values[0], values[-1])
        ticks = [tick for tick in axis.ticks if values[0] * 0.999 <= tick <= values[-1] * 1.001]
        texts = [f"{100 * tick:g} %" if axis.percent else f"{tick:g}" for tick in ticks]
        getattr(axes, f"set_{side}ticks")(ticks, texts)
        getattr(axes, f"set_{side}ticks")([], minor=True)
        getattr(axes, f"set_{side}label")(axis.label)
    axes.grid(visible=False)
    for spine in ("top", "right"):
        axes.spines[spine].set_visible(True)
    axes.set_title("Best scheme by expected PSNR")


def _names(axes: Axes, numbers: pd.DataFrame, surface: _Surface, schemes: list[str], names: tuple[str, str]) -> None:
    """Each region's name where it has most room, in one line or two, if it has enough."""
    taken = _taken(numbers, surface, names)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.9}
    for lead, name in zip(surface.leads, schemes, strict=True):
        inside = (np.nan_to_num(lead, nan=-1.0) >= 0) & ~taken
        spots = [(*_roomiest(inside, text), text) for text in (name, name.replace(" + ", "\n+ "))]
        room, row, column, text = spots[0] if spots[0][0] >= 2 else max(spots)
        if room >= 1:
            at = surface.x[column], surface.y[row]
            axes.text(*at, text, ha="center", va="center", fontsize=8.5, bbox=box, weight="bold", zorder=4)


def _taken(numbers: pd.DataFrame, surface: _Surface, names: tuple[str, str]) -> NDArray[np.bool_]:
    """Points under a mark and its name, bool [Y, X]."""
    taken = np.zeros(surface.leads.shape[1:], dtype=bool)
    for _, mark in numbers[numbers["kind"] == "mark"].iterrows():
        column, row = (int(np.searchsorted(one, mark[name])) for one, name in zip(surface[:2], names, strict=True))
        taken[max(row - _FINER, 0) : row + 2 * _FINER, max(column - _FINER, 0) : column + 4 * _FINER] = True
    return taken


def _roomiest(inside: NDArray[np.bool_], text: str) -> tuple[float, int, int]:
    """Where in a region a text is farthest from its edges: room (1: it just fits), row and column."""
    from scipy.ndimage import distance_transform_edt

    lines = text.splitlines()
    half = 1.1 * len(lines) * _FINER, 0.42 * max(len(line) for line in lines) * _FINER  # steps of about 0.1 inch
    room = distance_transform_edt(np.pad(inside, 1), sampling=(1 / half[0], 1 / half[1]))[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(room)), room.shape)
    return float(room[row, column]), int(row), int(column)


def _impossible(axes: Axes, across: Any, up: Any, leads: NDArray[np.float64], axis: tuple[Axis, Axis]) -> None:
    """Say why a corner is blank."""
    blank = np.isnan(leads[0])
    if not blank.any() or axis != (LOSS_RATE, MEAN_BURST):
        return
    edge = np.geomspace(max(across[0], up[0] / (1 + up[0])), across[-1], 60)
    axes.plot(edge, edge / (1 - edge), color=INK, linewidth=1.1)
    at = (across[-1] * 0.955, up[0] + (edge[-1] / (1 - edge[-1]) - up[0]) * 0.12)
    arrow = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.8}
    text = "no such channel:\nbursts are at least\nε/(1−ε) long"
    axes.annotate(
        text, at, (1.02, 0.0), textcoords="axes fraction", fontsize=7, color=MUTED, va="bottom", arrowprops=arrow
    )


def _marks(axes: Axes, numbers: pd.DataFrame, axis: tuple[Axis, Axis]) -> None:
    from matplotlib.patheffects import withStroke

    marks = numbers[(numbers["kind"] == "mark") & numbers["wins"]]
    halo = [withStroke(linewidth=2.5, foreground="white")]
    right = axes.get_xlim()[1]
    for _, mark in marks.iterrows():
        at = (float(mark[axis[0].column]), float(mark[axis[1].column]))
        axes.plot(*at, "o", color=INK, markersize=5, markeredgecolor="white", markeredgewidth=1, zorder=5)
        side = -1 if at[0] > right / 1.15 else 1
        where: dict[str, Any] = {
            "xytext": (5 * side, 4),
            "textcoords": "offset points",
            "ha": "left" if side > 0 else "right",
        }
        axes.annotate(mark["channel"], at, fontsize=8, path_effects=halo, zorder=6, **where)


def _note(numbers: pd.DataFrame, schemes: list[str], names: tuple[str, str]) -> str:
    near, images, failure_db = (numbers[name].iloc[0] for name in ("near_bpp", "images", "failure_db"))
    over = "one image" if images == 1 else f"{images} images"
    sampled = ROUND_TRIP.column in names
    notes = [
        f"{'Independent losses' if sampled else 'Two-state channels'}; each scheme at {near:g} bpp (PSNR linear "
        f"in the rate's logarithm between its operating points), or its nearest; mean over {over}."
    ]
    if sampled:
        deadline_s, slots = (numbers[name].iloc[0] for name in ("deadline_s", "slots"))
        notes.append(f"The deadline is {deadline_s:g} s after the slot's start.")
        notes.append(f"Sampled: {slots} images a cell under the same losses for all; borders are as rough as that.")
    notes.append(f"No image counts as {failure_db:g} dB.{'' if sampled else ' Exact, from mask tables.'}")
    if "link" in numbers and numbers["link"].iloc[0] != "ideal":
        notes.append(f"What is late or dropped on link {numbers['link'].iloc[0]} counts as lost.")
    grid = numbers[numbers["kind"] == "grid"]
    never = [name for name in schemes if not grid.loc[grid["scheme"] == name, "wins"].any()]
    if never:
        notes.append("Best nowhere: " + ", ".join(never) + ".")
    apart = _elsewhere(numbers, names)
    if apart:
        notes.append("A marked channel is not always two-state; over its own chain another is best: " + apart + ".")
    return " ".join(notes)


def _elsewhere(numbers: pd.DataFrame, names: tuple[str, str]) -> str:
    """Marks whose own winner is not that of the grid cell they lie in (by a lead that counts)."""
    grid = numbers[numbers["kind"] == "grid"]
    cells = grid[grid["wins"]]
    found = []
    for _, mark in numbers[(numbers["kind"] == "mark") & numbers["wins"]].iterrows():
        away = sum(np.log(cells[name] / mark[name]) ** 2 for name in names)
        cell = cells.loc[away.idxmin()]
        here = grid[(grid[names[0]] == cell[names[0]]) & (grid[names[1]] == cell[names[1]])]
        behind = float(here.loc[here["scheme"] == mark["scheme"], "behind_db"].iloc[0])
        if mark["scheme"] != cell["scheme"] and behind > _SEPARATES:
            found.append(f"{mark['channel']} {mark['scheme']}")
    return ", ".join(found)
