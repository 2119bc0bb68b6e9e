"""Efficiency against resilience: one dot per scheme, better towards the upper right (ResiComp, Figs. 1 and 17)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netsim.figures.legends import legend
from netsim.figures.radar import mark_notes, marks
from netsim.figures.select import interval_note
from netsim.figures.style import BAND, MUTED, figure_size, looks, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw"]

_PUBLISHED = " (published)"
_LEVELS, _POINTS = 7, 7.0  # of names in the strip
_STRIP = 0.3  # of the axes' height: the strip of published codecs, whose quality under loss is not known


@styled
def draw(numbers: pd.DataFrame) -> Figure:
    """Bitrate saving against mean PSNR under loss; published codecs in a strip below, as their PSNR is not known.

    Args:
        numbers: Columns scheme, anchor, bd_rate_percent, psnr_db, psnr_low, psnr_high, covered, channels, low_bpp,
            high_bpp, failure_db, engine (see ``netsim.studies.tradeoff``); a scheme that lacks a coordinate is named in
            the note, one that covers less than the range is marked as in the radar.

    Returns:
        The figure; nothing is written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=figure_size(6.0, 4.8), layout="constrained")
    axes = figure.subplots()
    shown = numbers.dropna(subset=["bd_rate_percent", "psnr_db"])
    theirs = numbers["scheme"].str.endswith(_PUBLISHED)
    covered = shown[["scheme", "covered"]].rename(columns={"covered": "kind"})
    marked = marks(covered)
    for scheme, look in looks(numbers.loc[~theirs, "scheme"]).items():
        for row in shown[shown["scheme"] == scheme].to_dict("records"):
            saving = -row["bd_rate_percent"]
            axes.vlines(saving, row["psnr_low"], row["psnr_high"], color=look.colour, linewidth=1.0)
            name = scheme + marked[scheme]
            axes.plot(saving, row["psnr_db"], label=name, **{**look.line, "linestyle": "none"})
    published = numbers[theirs & numbers["bd_rate_percent"].notna() & numbers["psnr_db"].isna()]
    _draw_strip(figure, axes, published)
    axes.set_xlabel("bitrate saving, nothing lost (%)")
    axes.set_ylabel("mean PSNR under loss (dB)")
    left = [name for name in numbers["scheme"] if name not in {*shown["scheme"], *published["scheme"]}]
    legend(figure, axes, _note(numbers, left, mark_notes(covered)))
    return figure


def _draw_strip(figure: Figure, axes: Axes, published: pd.DataFrame) -> None:
    """Published codecs by their saving alone, each named beside its mark."""
    if published.empty:
        return
    low, high = axes.get_ylim()
    height = (high - low) * _STRIP / (1 - _STRIP)
    axes.axhspan(low - height, low, color=BAND, linewidth=0, zorder=0)
    ends = axes.get_xlim()
    savings = -published["bd_rate_percent"].to_numpy(dtype=float)
    left, right = min(ends[0], savings.min()), max(ends[1], savings.max())
    room = 0.05 * (right - left)
    in_points = 0.8 * 72 * float(figure.get_size_inches()[0]) / (right - left + 4 * room)
    free = [-np.inf] * _LEVELS  # where the last name on each level ends
    for name, saving in sorted(zip(published["scheme"], savings, strict=True), key=lambda one: one[1]):
        text = " " + str(name).removesuffix(_PUBLISHED)
        level = next((i for i in range(_LEVELS) if free[i] <= saving), int(np.argmin(free)))
        free[level] = saving + (0.62 * _POINTS * (len(text) + 1)) / in_points
        place = low - height * (0.12 + 0.76 * level / (_LEVELS - 1))
        axes.plot(saving, place, "|", color=MUTED, markersize=6)
        axes.text(saving, place, text, fontsize=_POINTS, va="center", ha="left", color=MUTED)
    axes.set_xlim(left - room, right + 3 * room)
    axes.set_ylim(low - height, high)
    axes.set_yticks([tick for tick in axes.get_yticks() if low <= tick <= high])


def _note(numbers: pd.DataFrame, left: list[str], marked: list[str]) -> str:
    first = numbers.iloc[0]
    theirs = numbers["scheme"].str.endswith(_PUBLISHED)
    anchors = list(dict.fromkeys(numbers.loc[~theirs, "anchor"]))
    notes = [f"Saving: BD-rate against {anchors[0]}."]
    others = [anchor for anchor in dict.fromkeys(numbers.loc[theirs, "anchor"]) if anchor not in anchors]
    if theirs.any():
        notes.append(f"Grey: published{f', against {others[0]}' if others else ''}; their PSNR under loss: N/A.")
    notes += [
        f"PSNR: mean over {_channels(first['channels'])}, {first['low_bpp']:g}–{first['high_bpp']:g} bit/pixel;",
        f"a slot without an image counts as {first['failure_db']:g} dB.",
        interval_note(numbers),
        *marked,
    ]
    return " ".join(
        notes + ([f"Left out, as no curve in that range or no BD-rate: {', '.join(left)}."] if left else [])
    )


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"
