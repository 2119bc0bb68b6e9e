"""A fitted channel beside the recordings that it was fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netsim.channels.fitting.card import COVERAGE, Card
from netsim.channels.fitting.observed import WINDOW, Observed
from netsim.figures.legends import legend
from netsim.figures.style import looks, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_card"]


@styled
def draw_card(card: Card, title: str = "") -> Figure:
    """Four panels: lengths of bursts and of gaps, autocorrelation, losses among ten packets.

    Args:
        card: The card.
        title: Above the panels; empty: the channel's name.

    Returns:
        The figure. Marks are the recordings, lines the channel, bands where simulations of the channel lie.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    for axes, of, noun in ((panels[0], "bursts", "burst"), (panels[1], "gaps", "gap")):
        _lengths(axes, card, of)
        axes.set(xlabel=f"{noun} length (packets)", ylabel=f"share of {of} at least so long", xscale="log")
        if any(_has(one, of) for one in (card.recorded, *card.simulated)):  # else there is nothing for a log scale
            axes.set_yscale("log")
    _series(panels[2], card, "autocorrelation", 1)
    panels[2].set(xlabel="lag (packets)", ylabel="correlation of losses")
    _series(panels[3], card, "loss_counts", 0)
    panels[3].set(xlabel=f"lost of {WINDOW} packets", ylabel="share of windows", yscale="log")
    panels[3].set_xticks(range(0, WINDOW + 1, 2))
    for axes in panels:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_formatter(StrMethodFormatter("{x:g}"))
                axis.set_minor_formatter(NullFormatter())
    panels[2].set_xticks([1, 5, 10, 15, 20])
    legend(figure, panels[0])
    figure.suptitle(title or card.channel.name, fontsize=9.5, fontweight="bold", x=0.01, ha="left")
    return figure


def _has(seen: Observed, of: str) -> bool:
    return bool(seen.longer(of).any())


def _lengths(axes: Any, card: Card, of: str) -> None:
    """Shares of at least each length, at lengths that recordings or simulations have, evenly on a log scale."""
    recorded = card.recorded.longer(of)
    mean, low, high = card.band(of)
    longest = max(1, int(np.flatnonzero((recorded > 0) | (mean > 0)).max(initial=1)))
    places = np.unique(np.geomspace(1, longest, 40).round().astype(int))
    _draw(axes, card, places, recorded[places], mean[places], low[places], high[places], positive=True)


def _series(axes: Any, card: Card, of: str, first: int) -> None:
    recorded = np.atleast_1d(getattr(card.recorded, of))
    places = np.arange(first, first + len(recorded))
    _draw(axes, card, places, recorded, *card.band(of), positive=of == "loss_counts")


def _draw(axes: Any, card: Card, places: Any, recorded: Any, mean: Any, low: Any, high: Any, positive: bool) -> None:
    if positive:  # a log scale has no zero
        recorded, mean, low, high = (np.where(values > 0, values, np.nan) for values in (recorded, mean, low, high))
        low = np.where(np.isnan(low), np.nanmin(np.append(mean, 1.0)), low)
    fitted, marks = looks(["fitted", "recorded"]).values()
    axes.fill_between(
        places, low, high, color=fitted.colour, alpha=0.2, linewidth=0, label=f"{100 * COVERAGE:g} % band"
    )
    axes.plot(places, mean, color=fitted.colour, label=f"channel: {card.channel.name}")
    axes.plot(places, recorded, marks.marker, color=marks.colour, markersize=3, linestyle="none", label="recorded")
