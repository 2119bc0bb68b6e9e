"""Failure ratio per channel: the share of slots in which no image could be shown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from netsim.figures.highlight import MOST
from netsim.figures.legends import legend, name_ticks
from netsim.figures.select import NEAR_BPP, interval_note, nearest_point, with_condition
from netsim.figures.style import BAND, MUTED, figure_size, looks, own_panel, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["draw", "numbers"]

_COLUMNS = ["condition", "channel", "link", "engine", "scheme", "operating_point", "bpp", "slots"]
_COLUMNS += ["failure_ratio", "failure_low", "failure_high"]
_DRAWN = ["failure_ratio", "failure_high", "failure_low", "exact"]
_DECADES = 1.3  # a wider span of ratios is drawn on a logarithmic axis
_DEEPEST = 1e-6
_STRIP = 0.12  # the strip's share of the axis


def numbers(summary: pd.DataFrame, near_bpp: float = NEAR_BPP, closed_form: pd.DataFrame | None = None) -> pd.DataFrame:
    """Failure ratio of every scheme and operating point in every channel.

    Args:
        summary: A run's summary.
        near_bpp: Rate of the operating points that are drawn, in bit/pixel.
        closed_form: Columns channel, scheme, failure_ratio: ratios that follow without sampling; None: those of the
            exact engine alone.

    Returns:
        The summary's rows with two more columns. ``drawn``: the one operating point of each scheme that the figure
        shows, nearest to ``near_bpp``. ``exact``: the exact engine's ratio, else that of ``closed_form``, else empty.
    """
    frame = with_condition(summary)[_COLUMNS]
    exact = frame["failure_ratio"].where(frame["engine"] == "exact")
    if closed_form is not None:
        known = closed_form.set_index(["channel", "scheme"])["failure_ratio"].to_dict()
        computed = [known.get(key, math.nan) for key in zip(frame["channel"], frame["scheme"], strict=True)]
        exact = exact.where(exact.notna(), computed)
    return frame.assign(exact=exact, drawn=nearest_point(frame, near_bpp), near_bpp=near_bpp).reset_index(drop=True)


@styled
def draw(numbers: pd.DataFrame, ax: Axes | None = None) -> Figure:
    """Dots with intervals, grouped by condition. A logarithmic axis has a strip below its foot for what is less.

    Args:
        numbers: From ``numbers``.
        ax: Axes to draw into, for a figure of one panel; None: a new figure.

    Returns:
        The figure; that of ``ax`` where it is given.

    Raises:
        InputError: ``ax`` can't hold the figure.
    """
    from matplotlib.figure import Figure

    shown = numbers[numbers["drawn"]]
    conditions = list(dict.fromkeys(shown["condition"]))
    style = looks(numbers["scheme"])
    width = min(12.0, max(4.8, 1.6 + 0.11 * len(conditions) * (len(style) + 2)))
    given = own_panel("failure", ax, 1)
    figure = given[0] if given else Figure(figsize=figure_size(width, 4.0), layout="constrained")
    axes = given[1] if given else figure.subplots()
    axis = _scale(shown)
    for i in range(1, len(conditions), 2):
        axes.axvspan(i - 0.5, i + 0.5, color=BAND, linewidth=0, zorder=0)
    for i, (scheme, look) in enumerate(style.items()):
        mine = shown[shown["scheme"] == scheme].set_index("condition").reindex(conditions)
        x = np.arange(len(conditions)) + (i - (len(style) - 1) / 2) * 0.8 / len(style)
        y, high, low, exact = (axis.place(mine[name].to_numpy(dtype=float)) for name in _DRAWN)
        low[(mine["failure_low"] > 0).to_numpy() & (low < axis.edge) & (y > axis.edge)] = axis.edge
        axes.vlines(x, low, high, color=look.colour, linewidth=1.0)
        axes.plot(x, y, label=scheme, clip_on=False, zorder=3, **{**look.line, "linestyle": "none"})
        exact[(mine["engine"] == "exact").to_numpy()] = np.nan  # there the dot is the exact ratio already
        axes.plot(x, exact, "_", color=look.colour, markersize=9, markeredgewidth=1.3, clip_on=False, zorder=2)
    axis.apply(axes)
    axes.set_ylabel("failure ratio")
    axes.grid(visible=False, axis="x")
    name_ticks(axes, conditions)
    axes.set_xlim(-0.5, len(conditions) - 0.5)
    axes.tick_params(axis="x", length=0)
    legend(figure, axes, _note(numbers), ax)
    return figure


def _note(numbers: pd.DataFrame) -> str:
    shown = numbers[numbers["drawn"]]
    sampled = shown[shown["engine"] != "exact"]
    known = shown["failure_high"] == shown["failure_low"]  # also where masks are sampled, or no slot can fail
    of_bars = shown.assign(engine=shown["engine"].mask(known, "exact"))
    notes = ["Share of slots without an image.", interval_note(of_bars, "failure_low", "failure_high")]
    if numbers["scheme"].nunique() > MOST:
        notes.append("Schemes stand in the legend's order, column by column.")
    if (exact := of_bars["engine"] == "exact").any() and not exact.all():
        notes.append("Schemes without a bar in any channel: exact.")
    if sampled["exact"].notna().any():
        notes.append("Dashes: closed form.")
    highest = shown.groupby("scheme", sort=False)["failure_high"].max()
    if never := [str(scheme) for scheme, high in highest.items() if high == 0 < highest.max()]:
        notes.append(f"Never fail here: {', '.join(never)}. Protected packets show an image by themselves.")
    if not numbers["drawn"].all():
        notes.append(f"Of each scheme, the operating point nearest to {numbers['near_bpp'].iloc[0]:g} bit/pixel.")
    return " ".join(notes)


class _Scale(NamedTuple):
    """A linear axis (foot None), or a logarithmic one down to ``foot``, with a strip below for less."""

    foot: float | None
    anything_between: bool = False  # ratios above 0 and below the foot

    @property
    def strip(self) -> float:
        """Height at which what is less than the foot is drawn."""
        return 0.0 if self.foot is None else float(self.foot ** (1 + _STRIP))

    @property
    def edge(self) -> float:
        """Upper edge of the strip: interval ends above 0 stop there, those at 0 go on."""
        return 0.0 if self.foot is None else float(self.foot ** (1 + _STRIP / 2))

    def place(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.foot is None:
            return values.copy()
        placed: NDArray[np.float64] = np.where(values < self.foot, self.strip, values)
        return placed

    def apply(self, axes: Axes) -> None:
        from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

        if self.foot is None:
            axes.set_ylim(bottom=0.0)
            return
        lowest = round(math.log10(self.foot))
        decades = [10.0**power for power in range(lowest, 1)]
        below = f"$<10^{{{lowest}}}$" if self.anything_between else "0"
        labels = [below, *(f"$10^{{{power}}}$" for power in range(lowest, 0)), "1"]
        minor = [k * decade for decade in decades[:-1] for k in range(2, 10)]
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator([self.strip, *decades]))
        axes.yaxis.set_major_formatter(FixedFormatter(labels))
        axes.yaxis.set_minor_locator(FixedLocator(minor) if lowest > -5 else NullLocator())
        axes.set_ylim(self.foot ** (1 + 1.35 * _STRIP), self.foot**-0.03)
        for tick in axes.get_yticklabels():
            tick.set_parse_math(True)
        axes.axhline(self.edge, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)))


def _scale(shown: pd.DataFrame) -> _Scale:
    """Logarithmic where the ratios span decades; down to the decade of the least one, no deeper than 1e-6."""
    ratios = shown[["failure_ratio", "failure_high", "exact"]].to_numpy(dtype=float).ravel()
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    if ratios.size == 0 or math.log10(ratios.max() / ratios.min()) < _DECADES:
        return _Scale(None)
    foot = max(10.0 ** math.floor(math.log10(ratios.min()) + 1e-9), _DEEPEST)
    return _Scale(foot, bool((ratios < foot).any()))
