"""Radar: mean PSNR over a range of rates in every channel, relative to the best scheme there.

ResiComp, Fig. 11: the rate–distortion curve's integral over .3–.4 bpp, divided by that range and by the best
scheme's value in the same channel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.analysis.rate_curve import RangeMean, mean_over_range
from netsim.analysis.slot_values import one_or_mixed
from netsim.errors import InputError
from netsim.figures.highlight import grey_entry, grey_note, highlighted, looks_of
from netsim.figures.legends import legend, name_ticks, trim_height
from netsim.figures.select import interval_note, with_condition
from netsim.figures.style import MUTED, Look, figure_size, in_small_print, own_panel, page_width, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MARK_TEXTS", "common_range", "draw", "left_out", "mark_notes", "marks", "numbers"]

_MARKS = {"part": "†", "point": "‡"}
MARK_TEXTS = {"†": "† covers a part of that range.", "‡": "‡ one operating point in it, taken as it is."}
"""What the marks behind schemes' names mean."""

_SPOKES = 3  # with fewer there is no polygon: dots instead


def common_range(summary: pd.DataFrame) -> tuple[float, float]:
    """The range of rates in which a run's schemes are compared: the widest that every curve covers.

    Where there is none, the narrowest that every curve meets, so that none is left out.

    Args:
        summary: Columns channel, link, scheme, bpp.

    Returns:
        The range's ends in bit/pixel; where all schemes have one and the same rate, half a per cent around it.

    >>> import pandas as pd
    >>> curves = {"scheme": ["a", "a", "b", "b"], "bpp": [0.1, 0.4, 0.2, 0.5]}
    >>> common_range(pd.DataFrame(curves).assign(channel="EP4", link="ideal"))
    (0.2, 0.4)
    """
    rates = summary.groupby(["channel", "link", "scheme"], sort=False, observed=True)["bpp"]
    low, high = sorted((float(rates.min().max()), float(rates.max().min())))
    return (low, high) if high - low > 1e-9 else (0.995 * low, 1.005 * high)


def left_out(numbers: pd.DataFrame) -> list[str]:
    """The schemes that do not meet the range, each with its own rates.

    Args:
        numbers: From ``numbers``.

    Returns:
        Texts such as ``vvc (0.10–0.25)``, in bit/pixel.
    """
    left = numbers[numbers["kind"] == "none"].groupby("scheme", sort=False)[["from_bpp", "to_bpp"]].first()
    return [f"{name} ({row.from_bpp:.3g}–{row.to_bpp:.3g})" for name, row in left.iterrows()]


def numbers(
    summary: pd.DataFrame,
    low_bpp: float | None = None,
    high_bpp: float | None = None,
    highlight: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Mean PSNR over a range of rates, by condition and scheme.

    Args:
        summary: A run's summary.
        low_bpp: Lower end of the range; None: that of ``common_range``.
        high_bpp: Upper end, likewise.
        highlight: Schemes that are drawn in colour; None: five, the best of each codec first.

    Returns:
        One row per condition and scheme: the mean over the range in dB with its interval, the same relative to the
        condition's best, ``highlighted``; ``kind``, from_bpp and to_bpp say what of the range the curve covers. A curve
        outside it (kind ``none``) has a row without values. ``engine``: that of all its points, or ``mixed``.

    Raises:
        InputError: The rates are not a range, or no curve meets it.
    """
    import pandas as pd

    if low_bpp is None or high_bpp is None:
        low, high = common_range(summary)
        low_bpp, high_bpp = low if low_bpp is None else low_bpp, high if high_bpp is None else high_bpp
    if not 0 <= low_bpp < high_bpp:
        raise InputError(
            f"rates from {low_bpp:g} to {high_bpp:g} bpp are not a range", hint="--low-bpp 0.3 --high-bpp 0.4"
        )
    frame = with_condition(summary)
    keys = ["condition", "channel", "link", "scheme"]
    rows: list[dict[str, Any]] = []
    for key, curve in frame.groupby(keys, sort=False, observed=True):  # a curve's points may have several engines
        mean = mean_over_range(curve[["bpp", "psnr_db", "psnr_low", "psnr_high"]].to_numpy(float), low_bpp, high_bpp)
        engine = {"engine": one_or_mixed(curve["engine"].unique())}
        rows.append(dict(zip(keys, key, strict=True)) | engine | _row(mean, len(curve), low_bpp, high_bpp))
    found = pd.DataFrame(rows).assign(failure_db=frame["failure_db"].iloc[0])
    if (found["kind"] == "none").all():
        seen = f"{found['from_bpp'].min():.2f}–{found['to_bpp'].max():.2f} bpp"
        hint = f"the run has points at {seen}: give another range (--low-bpp, --high-bpp) or other operating points"
        raise InputError(f"no scheme has a point between {low_bpp:g} and {high_bpp:g} bpp", hint=hint)
    best = found.groupby("condition", sort=False)["psnr_db"].transform("max")
    found["best_db"] = best
    for name, column in (("relative", "psnr_db"), ("relative_low", "psnr_low"), ("relative_high", "psnr_high")):
        found[name] = found[column] / best
    codecs = dict(zip(summary["scheme"], summary["codec"], strict=True))
    bold = highlighted(found.rename(columns={"relative": "value"}).dropna(subset=["value"]), highlight, codecs)
    return found.assign(highlighted=found["scheme"].isin(bold))


def _row(mean: RangeMean, points: int, low_bpp: float, high_bpp: float) -> dict[str, Any]:
    return {
        "points": points,
        "kind": mean.kind,
        "from_bpp": mean.from_bpp,
        "to_bpp": mean.to_bpp,
        "low_bpp": low_bpp,
        "high_bpp": high_bpp,
        "psnr_db": mean.psnr_db,
        "psnr_low": mean.low_db,
        "psnr_high": mean.high_db,
    }


@styled
def draw(numbers: pd.DataFrame, ax: Axes | None = None) -> Figure:
    """A polygon per scheme; with one or two channels, dots.

    Args:
        numbers: From ``numbers``.
        ax: Axes to draw into, for a figure of one panel; None: a new figure.

    Returns:
        The figure; that of ``ax`` where it is given.

    Raises:
        InputError: ``ax`` can't hold the figure.
    """
    from matplotlib.figure import Figure

    conditions = list(dict.fromkeys(numbers["condition"]))
    bold = list(dict.fromkeys(numbers.loc[numbers["highlighted"], "scheme"]))
    style = looks_of(list(numbers["scheme"]), bold)
    marked = marks(numbers)
    labels = {scheme: scheme + marked[scheme] for scheme in style if scheme in marked}
    given = own_panel("radar", ax, 1, "" if len(conditions) < _SPOKES else "polar")
    if given:
        figure = given[0]
        (_dots if len(conditions) < _SPOKES else _polygons)(given[1], numbers, conditions, style, labels)
    elif len(conditions) < _SPOKES:
        width = max(4.6, 1.5 + 0.16 * len(conditions) * (len(labels) + 2))
        figure = Figure(figsize=figure_size(width, 4.0), layout="constrained")
        _dots(figure.subplots(), numbers, conditions, style, labels)
    else:
        figure = Figure(figsize=(page_width() or 6.2, 1.12 * (page_width() or 6.2 / 1.12)), layout="constrained")
        _polygons(figure.add_subplot(projection="polar"), numbers, conditions, style, labels)
    axes = given[1] if given else figure.axes[0]
    grey_entry(axes, {scheme: style[scheme] for scheme in labels})
    legend(figure, axes, _note(numbers, relative=len(conditions) >= _SPOKES), ax)
    if page_width() is not None and not given and len(conditions) >= _SPOKES:
        in_small_print(figure)  # the size of the text decides that of the panel
        trim_height(figure)
    return figure


def _polygons(
    axes: Any, numbers: pd.DataFrame, conditions: list[str], style: dict[str, Look], labels: dict[str, str]
) -> None:
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    angles = np.linspace(0, 2 * np.pi, len(conditions), endpoint=False)
    closed = np.append(np.arange(len(conditions)), 0)
    for scheme in labels:
        mine = numbers[numbers["scheme"] == scheme].set_index("condition").reindex(conditions)
        axes.plot(
            angles[closed],
            mine["relative"].to_numpy()[closed],
            label=_label(labels[scheme], style[scheme]),
            **style[scheme].line,
        )
        if not style[scheme].marker:
            continue
        axes.vlines(angles, mine["relative_low"], mine["relative_high"], color=style[scheme].colour, linewidth=1.0)
    rings = _rings(numbers)
    highest = max(1.0, float(numbers["relative_high"].max()))
    axes.set_ylim(rings[0], highest + 0.02 * (1 - rings[0]))
    axes.set_yticks(rings[1:], [""] * len(rings[1:]))
    backing = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8}
    small: Any = {"ha": "center", "va": "center", "fontsize": 7, "color": MUTED, "bbox": backing, "zorder": 4}
    for ring in rings[1:]:
        axes.text(np.pi / len(conditions), ring, f"{100 * ring:.3g} %", **small)
    circle = np.linspace(0, 2 * np.pi, 361)
    axes.plot(circle, np.ones_like(circle), color=MUTED, linewidth=0.8, zorder=1)
    axes.spines["polar"].set_visible(False)
    axes.text(0, rings[0], f"{100 * rings[0]:.3g} %", **small)
    best = numbers.groupby("condition", sort=False)["best_db"].first()
    axes.set_xticks(angles, [""] * len(conditions))
    edge = highest + 0.07 * (highest - rings[0])
    for angle, name in zip(angles, conditions, strict=True):
        side, rise = np.sin(angle), np.cos(angle)
        named = {
            "ha": "center" if abs(side) < 0.1 else ("left" if side > 0 else "right"),
            "va": "center" if abs(rise) < 0.5 else ("bottom" if rise > 0 else "top"),
        }
        axes.text(angle, edge, f"{name}\nbest {best[name]:.1f} dB", fontsize=8.5, linespacing=1.35, **named)


def _label(name: str, look: Look) -> str:
    """Of the legend; grey curves have none."""
    return name if look.marker else "_nolegend_"


def _rings(numbers: pd.DataFrame) -> list[float]:
    """Radii of the grid, the centre first: about five rings, from below the worst value up to 1."""
    worst = float(np.nanmin(numbers[["relative", "relative_low"]].to_numpy(dtype=float)))
    for step in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2):
        steps = math.ceil((1 - max(0.0, worst)) / step + 0.25)
        if steps <= 6:
            break
    return [1 - step * i for i in range(steps, -1, -1) if 1 - step * i > -1e-9]


def _dots(
    axes: Axes, numbers: pd.DataFrame, conditions: list[str], style: dict[str, Look], labels: dict[str, str]
) -> None:
    step = 0.8 / len(labels)
    for i, scheme in enumerate(labels):
        mine = numbers[numbers["scheme"] == scheme].set_index("condition").reindex(conditions)
        x = np.arange(len(conditions)) + (i - (len(labels) - 1) / 2) * step
        psnr, low, high = (mine[name].to_numpy(dtype=float) for name in ("psnr_db", "psnr_low", "psnr_high"))
        spread = np.stack([psnr - low, high - psnr])
        named = style[scheme].line | {"linestyle": "none"}
        named = named if style[scheme].marker else named | {"marker": "o", "markersize": 3.5}
        label = _label(labels[scheme], style[scheme])
        axes.errorbar(x, psnr, spread, label=label, capsize=2, elinewidth=1, **named)
    name_ticks(axes, conditions)
    axes.set_xlim(-0.5, len(conditions) - 0.5)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel("mean PSNR (dB)")


def marks(numbers: pd.DataFrame) -> dict[str, str]:
    """For each scheme that can be drawn, the mark behind its name.

    Args:
        numbers: From ``numbers``.

    Returns:
        By scheme: † covers a part of the range only, ‡ has one operating point in it, else empty; all empty where each
        scheme has one operating point.
    """
    kinds: dict[str, str] = {}
    for scheme, mine in numbers.groupby("scheme", sort=False):
        met = [kind for kind in ("part", "point", "range") if (mine["kind"] == kind).any()]
        if met:
            kinds[str(scheme)] = met[0]
    alike = set(kinds.values()) == {"point"}
    return {scheme: "" if alike else _MARKS.get(kind, "") for scheme, kind in kinds.items()}


def mark_notes(numbers: pd.DataFrame) -> list[str]:
    """What the marks behind schemes' names mean.

    Args:
        numbers: As for ``marks``.

    Returns:
        Sentences; none where each curve covers the range.
    """
    seen = set(marks(numbers).values())
    notes = [text for mark, text in MARK_TEXTS.items() if mark in seen]
    if (numbers["kind"] == "point").any() and "‡" not in seen:
        notes.append("Each scheme has one operating point there, taken as it is.")
    return notes


def _note(numbers: pd.DataFrame, relative: bool) -> str:
    low, high, failure_db = (numbers[name].iloc[0] for name in ("low_bpp", "high_bpp", "failure_db"))
    notes = [f"Mean PSNR over {low:.3g}–{high:.3g} bit/pixel{', as a share of the best scheme’s' if relative else ''}."]
    notes += [interval_note(numbers), f"A slot without an image counts as {failure_db:g} dB."]
    notes += mark_notes(numbers)
    shown = list(marks(numbers))
    bold = set(numbers.loc[numbers["highlighted"], "scheme"])
    notes += [grey] if (grey := grey_note(shown, [name for name in shown if name in bold])) else []
    named = left_out(numbers)
    return " ".join(notes + (["Left out, as outside the range: " + ", ".join(named) + "."] if named else []))
