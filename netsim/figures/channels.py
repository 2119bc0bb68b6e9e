"""Channels beside their paper: loss rate and mean burst as printed, and as the numbers really give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netsim.figures.files import save
from netsim.figures.legends import legend
from netsim.figures.style import INK, figure_size, looks, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw", "draw_channels"]

_LABELS = {"loss_rate": "loss rate", "mean_burst": "mean burst (packets)"}


@styled
def draw(comparison: pd.DataFrame) -> Figure:
    """Two panels, a column per channel: a bar where the paper prints its number, a mark per variant.

    Args:
        comparison: Rows of ``netsim.studies.comparison`` with condition, scheme (the variant), quantity, ours,
            published.

    Returns:
        The figure; nothing is written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    figure = Figure(figsize=figure_size(7.2, 3.4), layout="constrained")
    panels = figure.subplots(1, len(_LABELS))
    variants = list(dict.fromkeys(comparison["scheme"]))
    styles = looks(variants)
    for axes, (quantity, label) in zip(panels, _LABELS.items(), strict=True):
        part = comparison[comparison["quantity"] == quantity]
        names = list(dict.fromkeys(part["condition"]))
        printed = part.drop_duplicates("condition").set_index("condition")["published"].astype(float)
        for x, name in enumerate(names):
            (bar,) = axes.plot([x - 0.4, x + 0.4], [printed[name]] * 2, color=INK, linewidth=1.2)
        bar.set_label("as printed: its ε and γ")
        for i, variant in enumerate(variants):
            one = part[part["scheme"] == variant].set_index("condition")["ours"].astype(float)
            places = [j + 0.22 * (i - (len(variants) - 1) / 2) for j in range(len(names))]
            look = styles[variant]
            axes.plot(places, one.reindex(names), look.marker, color=look.colour, label=variant, linestyle="none")
        if quantity == "loss_rate":
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xticks(range(len(names)), names)
        axes.set_ylabel(label)
    legend(figure, panels[0], "No mark: the printed numbers are not a chain.")
    return figure


def draw_channels(comparison: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw and write channels.png, .svg and .csv.

    Args:
        comparison: As for ``draw``.
        folder: Where the files go.

    Returns:
        Paths of the three files.
    """
    return save(draw(comparison), comparison, folder, "channels")
