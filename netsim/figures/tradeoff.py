"""Efficiency against resilience: one dot per scheme, better towards the upper right (ResiComp, Figs. 1 and 17)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.figures.style import legend, looks, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw"]


@styled
def draw(numbers: pd.DataFrame) -> Figure:
    """Bitrate saving against mean PSNR under loss.

    numbers: columns scheme, anchor, bd_rate_percent, psnr_db, psnr_low, psnr_high, channels, low_bpp, high_bpp,
    failure_db, engine (see ``netsim.studies.tradeoff``); a scheme that lacks a coordinate is named in the note.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.8), layout="constrained")
    axes = figure.subplots()
    shown = numbers.dropna(subset=["bd_rate_percent", "psnr_db"])
    for scheme, look in looks(numbers["scheme"]).items():
        for row in shown[shown["scheme"] == scheme].to_dict("records"):
            saving = -row["bd_rate_percent"]
            axes.vlines(saving, row["psnr_low"], row["psnr_high"], color=look.colour, linewidth=1.0)
            axes.plot(saving, row["psnr_db"], label=scheme, **{**look.line, "linestyle": "none"})
    axes.set_xlabel(f"bitrate saving against {numbers['anchor'].iloc[0]}, nothing lost (%)")
    axes.set_ylabel("mean PSNR under loss (dB)")
    legend(figure, axes, _note(numbers, shown))
    return figure


def _note(numbers: pd.DataFrame, shown: pd.DataFrame) -> str:
    first = numbers.iloc[0]
    left = [name for name in numbers["scheme"] if name not in set(shown["scheme"])]
    notes = [
        f"PSNR: mean over {_channels(first['channels'])}, {first['low_bpp']:g}–{first['high_bpp']:g} bit/pixel;",
        f"a slot without a picture counts as {first['failure_db']:g} dB.",
        "Exact." if set(numbers["engine"]) == {"exact"} else "Bars: 95 % interval.",
    ]
    return " ".join(
        notes + ([f"Left out, as no curve in that range or no BD-rate: {', '.join(left)}."] if left else [])
    )


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"
