"""Packets of each scheme as a bar: as long as their bytes, with the number of their tokens (ResiComp, Fig. 18)."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from netsim.figures.style import INK, figure_size, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "numbers"]

_TINTS = ("#9fc4de", "#d3e4f0")  # light enough for print on them


def numbers(sizes: pd.DataFrame) -> pd.DataFrame:
    """Means over the images, one row per scheme, operating point and packet.

    Args:
        sizes: From ``netsim.studies.sizes.packet_sizes``; columns scheme, operating_point, packet, protected, tokens,
            bytes, bpp.

    Returns:
        Columns scheme, operating_point, packet, protected, tokens, bytes, bpp.
    """
    keys = ["scheme", "operating_point", "packet", "protected"]
    return sizes.groupby(keys, sort=False)[["tokens", "bytes", "bpp"]].mean().reset_index()


@styled
def draw(numbers: pd.DataFrame) -> Figure:
    """A bar per scheme and operating point, first on top; in each packet its tokens, or its bytes where it has none.

    Args:
        numbers: From ``numbers``.

    Returns:
        The figure; nothing is written.
    """
    from matplotlib.figure import Figure

    bars: list[tuple[Any, pd.DataFrame]] = list(numbers.groupby(["scheme", "operating_point"], sort=False))
    several = numbers.groupby("scheme")["operating_point"].nunique().max() > 1
    figure = Figure(figsize=figure_size(9.0, 0.42 * len(bars) + 1.1), layout="constrained")
    axes = figure.subplots()
    for line, (_, packets) in enumerate(bars):
        _bar(axes, line, packets)
    axes.set_yticks(range(len(bars)), [" ".join(key) if several else key[0] for key, _ in bars])
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    inside = "bytes" if numbers["tokens"].isna().all() else "tokens"
    label = f"rate (bit/pixel); in each packet: its {inside}; black: protected packets"
    axes.set_xlabel("\n".join(textwrap.wrap(label, int(13 * figure.get_size_inches()[0]))))
    return figure


def _bar(axes: Axes, line: int, packets: pd.DataFrame) -> None:
    start, total = 0.0, float(packets["bpp"].sum())
    for row in packets.sort_values("packet").to_dict("records"):
        colour = INK if row["protected"] else _TINTS[int(row["packet"]) % 2]
        axes.barh(line, row["bpp"], left=start, height=0.74, color=colour, edgecolor="white", linewidth=0.6)
        held = row["bytes"] if row["tokens"] != row["tokens"] else row["tokens"]
        if not row["protected"] and row["bpp"] > 0.035 * total:
            axes.text(start + row["bpp"] / 2, line, f"{held:.0f}", ha="center", va="center", fontsize=7)
        start += row["bpp"]
