"""Efficiency against resilience: one dot per scheme, better towards the upper right (ResiComp, Figs. 1 and 17)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.figures.style import BAND, MUTED, figure_size, legend, looks, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw"]

_PUBLISHED = " (published)"
_STRIP = 0.2  # of the axes' height: the strip of published codecs, whose quality under loss is not known


@styled
def draw(numbers: pd.DataFrame) -> Figure:
    """Bitrate saving against mean PSNR under loss; published codecs in a strip below, as their PSNR is not known.

    numbers: columns scheme, anchor, bd_rate_percent, psnr_db, psnr_low, psnr_high, channels, low_bpp, high_bpp,
    failure_db, engine (see ``netsim.studies.tradeoff``); a scheme that lacks a coordinate is named in the note.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=figure_size(6.0, 4.8), layout="constrained")
    axes = figure.subplots()
    shown = numbers.dropna(subset=["bd_rate_percent", "psnr_db"])
    theirs = numbers["scheme"].str.endswith(_PUBLISHED)
    for scheme, look in looks(numbers.loc[~theirs, "scheme"]).items():
        for row in shown[shown["scheme"] == scheme].to_dict("records"):
            saving = -row["bd_rate_percent"]
            axes.vlines(saving, row["psnr_low"], row["psnr_high"], color=look.colour, linewidth=1.0)
            axes.plot(saving, row["psnr_db"], label=scheme, **{**look.line, "linestyle": "none"})
    published = numbers[theirs & numbers["bd_rate_percent"].notna() & numbers["psnr_db"].isna()]
    _draw_strip(axes, published)
    axes.set_xlabel("bitrate saving, nothing lost (%)")
    axes.set_ylabel("mean PSNR under loss (dB)")
    left = [name for name in numbers["scheme"] if name not in {*shown["scheme"], *published["scheme"]}]
    legend(figure, axes, _note(numbers, left))
    return figure


def _draw_strip(axes: Axes, published: pd.DataFrame) -> None:
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
    for i, (name, saving) in enumerate(sorted(zip(published["scheme"], savings, strict=True), key=lambda one: one[1])):
        level = low - height * (0.2 + 0.6 * (i % 3) / 2)
        axes.plot(saving, level, "|", color=MUTED, markersize=6)
        text = " " + str(name).removesuffix(_PUBLISHED)
        axes.text(saving, level, text, fontsize=7, va="center", ha="left", color=MUTED)
    axes.set_xlim(left - room, right + 3 * room)
    axes.set_ylim(low - height, high)
    axes.set_yticks([tick for tick in axes.get_yticks() if low <= tick <= high])


def _note(numbers: pd.DataFrame, left: list[str]) -> str:
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
        "Exact." if set(numbers["engine"]) == {"exact"} else "Bars: 95 % interval.",
    ]
    return " ".join(
        notes + ([f"Left out, as no curve in that range or no BD-rate: {', '.join(left)}."] if left else [])
    )


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"
