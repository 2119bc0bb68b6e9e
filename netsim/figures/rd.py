"""Rate–distortion per channel: mean PSNR with its interval against all the bits that were sent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.analysis.rate_curve import mean_over_range
from netsim.figures.highlight import grey_entry, grey_note, highlighted, looks_of
from netsim.figures.legends import CurveEnd, legend
from netsim.figures.radar import common_range
from netsim.figures.select import interval_note, with_condition
from netsim.figures.style import Look, figure_size, looks, own_panel, page_width, styled
from netsim.text import counted_range

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "numbers"]

_DRAWN = ["bpp", "psnr_db", "psnr_low", "psnr_high"]
_KEY = ["channel", "link", "engine", "scheme", "operating_point"]
_RANGE = ["traces", "psnr_least_db", "psnr_most_db"]
_BETWEEN_PANELS_IN = 0.2  # tick labels at the ends of two axes are told apart
_COLUMNS = ["condition", "channel", "link", "engine", "scheme", "operating_point", "bpp"]
_COLUMNS += ["psnr_db", "psnr_low", "psnr_high", "failure_ratio", "failure_db"]


def numbers(
    summary: pd.DataFrame,
    spread: pd.DataFrame | None = None,
    published: pd.DataFrame | None = None,
    highlight: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The points of the curves.

    Args:
        summary: A run's summary.
        spread: From ``netsim.analysis.traces.trace_spread``; adds traces, psnr_least_db and psnr_most_db, and the bars
            show this range in place of the interval.
        published: Curves of others (columns channel, scheme, operating_point, bpp, psnr_db); those whose channel is
            drawn here are added.
        highlight: Schemes that are drawn in colour; None: five, the best of each codec first, by their mean over the
            rates that all share.

    Returns:
        One row per point, by condition and scheme in the summary's order, then by rate; with the columns
        ``highlighted`` and, for others' curves, ``published``.

    Raises:
        InputError: ``highlight`` names a scheme that is not there.
    """
    frame = with_condition(summary)[_COLUMNS]
    bold = highlighted(_levels(frame), highlight, dict(zip(summary["scheme"], summary["codec"], strict=True)))
    frame = frame.assign(highlighted=frame["scheme"].isin(bold))
    if spread is not None:
        frame = frame.merge(spread[[*_KEY, *_RANGE]], on=_KEY, how="left")
    frame = _with_published(frame, published)
    order = {key: i for i, key in enumerate(dict.fromkeys(zip(frame["condition"], frame["scheme"], strict=True)))}
    place = [order[key] for key in zip(frame["condition"], frame["scheme"], strict=True)]
    return (
        frame.assign(place=place)
        .sort_values(["place", "bpp"], kind="stable")
        .drop(columns="place")
        .reset_index(drop=True)
    )


def _levels(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns condition, scheme, value: mean PSNR over the rates that all curves of a condition share."""
    import pandas as pd

    rows = []
    for condition, here in frame.groupby("condition", sort=False):
        low, high = common_range(here)
        for scheme, curve in here.groupby("scheme", sort=False):
            points = curve[["bpp", "psnr_db", "psnr_db", "psnr_db"]].to_numpy(float)
            rows.append([condition, scheme, mean_over_range(points, low, high).psnr_db])
    return pd.DataFrame(rows, columns=["condition", "scheme", "value"]).dropna()


def _with_published(frame: pd.DataFrame, published: pd.DataFrame | None) -> pd.DataFrame:
    import pandas as pd

    if published is None or published.empty:
        return frame
    known = frame.drop_duplicates("condition")
    parts = [frame.assign(published=False)]
    for line in known.to_dict("records"):
        theirs = published[published["channel"] == line["channel"]]
        shared = {name: line[name] for name in ("condition", "link", "failure_db")}
        parts.append(theirs.assign(**shared, published=True))
    return pd.concat(parts, ignore_index=True)


@styled
def draw(numbers: pd.DataFrame, ax: Axes | None = None, to_bpp: float | None = None) -> Figure:
    """Small multiples, one panel per condition on shared axes.

    Args:
        numbers: From ``numbers``.
        ax: Axes to draw into, for a figure of one panel; None: a new figure.
        to_bpp: Where the axis of rates ends, if curves go on beyond; None: at the greatest rate.

    Returns:
        The figure; that of ``ax`` where it is given.

    Raises:
        InputError: ``ax`` can't hold the figure.
    """
    conditions = list(dict.fromkeys(numbers["condition"]))
    figure, panels = _panels(conditions, ax)
    theirs = numbers["published"] if "published" in numbers else np.zeros(len(numbers), dtype=bool)
    numbers, published = numbers[~theirs], numbers[theirs]
    bold = list(dict.fromkeys(numbers.loc[numbers["highlighted"].astype(bool), "scheme"]))
    thin = looks([*bold, *published["scheme"]])
    style = looks_of(list(numbers["scheme"]), bold)
    ranged = "traces" in numbers
    drawn = ["bpp", "psnr_db", *_RANGE[1:]] if ranged else _DRAWN
    shifts = _shifts(numbers, len(style)) if ranged else [0.0] * len(style)
    for panel, condition in zip(panels.flat, conditions, strict=False):
        here = numbers[numbers["condition"] == condition]
        panel.set_title(condition)
        _draw_curves(panel, here, drawn, style, shifts)
        _draw_published(panel, published[published["condition"] == condition], numbers, thin)
    grey_entry(panels[0, 0], style)
    for scheme in dict.fromkeys(published["scheme"]):  # named once, whatever panels they are in
        look = thin[scheme]
        panels[0, 0].plot([], [], label=scheme, color=look.colour, linestyle=look.dashes, linewidth=0.8)
    _label_axes(panels, len(conditions))
    cut = to_bpp if to_bpp is not None and to_bpp < numbers["bpp"].max() else None
    _set_limits(panels[0, 0], numbers, cut)
    ends = None if len(conditions) > 1 or len(published) else _ends(numbers, style)
    legend(figure, panels[0, 0], _note(numbers, published, bold, cut), ax, ends)
    return figure


def _panels(conditions: Sequence[str], ax: Axes | None) -> tuple[Figure, Any]:
    """(figure, axes [rows, columns]) with a panel for each condition."""
    from matplotlib.figure import Figure

    columns = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3, 9: 3}.get(len(conditions), 4)
    columns = min(columns, 2) if (page_width() or math.inf) < 4 else columns
    rows = math.ceil(len(conditions) / columns)
    size = (5.6, 4.3) if len(conditions) == 1 else ((3.0 if columns < 4 else 2.6) * columns + 0.6, 2.35 * rows + 0.9)
    given = own_panel("rd", ax, len(conditions))
    if given:
        return given[0], np.array([[given[1]]])
    figure = Figure(figsize=figure_size(*size), layout="constrained")
    between = columns * _BETWEEN_PANELS_IN / float(figure.get_size_inches()[0])
    figure.get_layout_engine().set(wspace=between)  # type: ignore[union-attr,call-arg]
    return figure, figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)


def _label_axes(panels: Any, used: int) -> None:
    """Labels of the outer axes; panels beyond the first ``used`` are hidden."""
    rows, columns = panels.shape
    for panel in list(panels.flat)[used:]:
        panel.set_visible(False)
    for column in range(columns):  # the lowest visible panel of a column carries the ticks
        lowest = max(i for i in range(rows) if i * columns + column < used)
        panels[lowest, column].tick_params(labelbottom=True)
        panels[lowest, column].set_xlabel("rate (bit/pixel)")
    for panel in panels[:, 0]:
        panel.set_ylabel("mean PSNR (dB)")


def _set_limits(panel: Axes, numbers: pd.DataFrame, cut_bpp: float | None) -> None:
    """The ends of both axes, where curves are cut at a rate; else those of the axis of rates alone."""
    left, right = _room(numbers["bpp"].min(), numbers["bpp"].max())
    panel.set_xlim(left, right if cut_bpp is None else cut_bpp)
    if cut_bpp is not None:
        inside = numbers.loc[numbers["bpp"] <= cut_bpp, ["psnr_low", "psnr_high"]]
        panel.set_ylim(*_spread(float(inside.min().min()), float(inside.max().max())))


def _note(numbers: pd.DataFrame, published: pd.DataFrame, bold: list[str], cut_bpp: float | None) -> str:
    """What bars, thin lines and failures mean."""
    bars = _range_note(numbers) if "traces" in numbers else interval_note(numbers)
    if len(published):
        bars += f" Thin lines: {_origin(published)}."
    failed = numbers["failure_ratio"].max() > 0
    counted = f"A slot without an image counts as {numbers['failure_db'].iloc[0]:g} dB." if failed else ""
    bars += f" Some curves go on beyond {cut_bpp:g} bit/pixel." if cut_bpp is not None else ""
    note = f"Rate: all that was sent. {bars} {counted} {grey_note(list(numbers['scheme']), bold)}"
    return " ".join(note.split())


def _draw_curves(
    panel: Axes, here: pd.DataFrame, drawn: list[str], style: dict[str, Look], shifts: list[float]
) -> None:
    """Curves of a panel. drawn: columns of rate, PSNR and both ends of its bar."""
    for (scheme, look), aside in zip(style.items(), shifts, strict=True):
        curve = here[here["scheme"] == scheme]
        rate, psnr, low, high = (curve[name].to_numpy(dtype=float) for name in drawn)
        spread = np.maximum(np.stack([psnr - low, high - psnr]), 0)  # two ways of summing may differ by 1e-15
        if look.marker:
            panel.errorbar(rate + aside, psnr, spread, fmt="none", ecolor=look.colour, elinewidth=0.9, capsize=1.8)
        panel.plot(rate + aside, psnr, label=scheme if look.marker else "_nolegend_", **look.line)


def _ends(numbers: pd.DataFrame, style: dict[str, Look]) -> list[CurveEnd]:
    """Where each highlighted curve of the one panel ends."""
    last = numbers.sort_values("bpp").groupby("scheme", sort=False).last()
    shown = [name for name, look in style.items() if look.marker]
    return [CurveEnd(name, style[name], *last.loc[name, ["bpp", "psnr_db"]].astype(float)) for name in shown]


def _origin(published: pd.DataFrame) -> str:
    """Where the thin lines come from, in words."""
    if "source" not in published:
        return "published"
    return "published, over Kodak without loss" if published["source"].astype(bool).all() else "others' points"


def _draw_published(panel: Axes, theirs: pd.DataFrame, ours: pd.DataFrame, style: dict[str, Look]) -> None:
    """Thin lines, as far as ours reach and a little beyond."""
    if theirs.empty:
        return
    low, high = _room(ours["bpp"].min(), ours["bpp"].max())
    ends = [ours["psnr_db"].min(), ours["psnr_db"].max()]
    for scheme in dict.fromkeys(theirs["scheme"]):
        look = style[scheme]
        curve = theirs[theirs["scheme"] == scheme].sort_values("bpp")
        rate, psnr = curve["bpp"].to_numpy(dtype=float), curve["psnr_db"].to_numpy(dtype=float)
        panel.plot(rate, psnr, color=look.colour, linestyle=look.dashes, linewidth=0.8, zorder=1)
        inside = np.clip([low, high], rate[0], rate[-1])
        ends += np.interp(inside, rate, psnr).tolist() if inside[0] < inside[1] else []
    margin = 0.04 * (max(ends) - min(ends))
    panel.set_ylim(min(ends) - margin, max(ends) + margin)


def _range_note(numbers: pd.DataFrame) -> str:
    traces = counted_range(numbers["traces"], "loss trace")
    without = "" if numbers["traces"].notna().all() else " Points without a bar: no traces (exact or stratified)."
    return f"Bars: range of the means of {traces}; curves are offset horizontally for legibility.{without}"


def _shifts(numbers: pd.DataFrame, schemes: int) -> list[float]:
    """How far each curve is moved sideways: schemes that meet the same rates have bars one over the other."""
    step = 0.012 * float(numbers["bpp"].max() - numbers["bpp"].min())
    return [step * (i - (schemes - 1) / 2) for i in range(schemes)]


def _spread(low: float, high: float) -> tuple[float, float]:
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def _room(low: float, high: float) -> tuple[float, float]:
    margin = 0.08 * (high - low) or 0.05
    return max(0.0, low - margin), high + margin
