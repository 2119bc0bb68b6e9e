"""A symbol's predicted distribution, given ever more context slices (ResiComp, Fig. 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from netsim.figures.legends import legend
from netsim.figures.style import GRID, INK, figure_size, looks, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw", "numbers"]


def numbers(densities: Mapping[int, Any]) -> pd.DataFrame:
    """One row per number of context slices and symbol.

    Args:
        densities: By number of context slices, what a codec's ``token_densities`` gives.

    Returns:
        Columns contexts, channel, symbol, probability, actual (the symbol that was encoded).
    """
    import pandas as pd

    rows = [
        [count, one.channel, int(symbol), float(probability), int(one.actual)]
        for count, one in densities.items()
        for symbol, probability in zip(one.symbols, one.probabilities, strict=True)
    ]
    return pd.DataFrame(rows, columns=["contexts", "channel", "symbol", "probability", "actual"])


@styled
def draw(numbers: pd.DataFrame, about: str) -> Figure:
    """A panel per number of context slices on shared axes; the symbol that was encoded is marked.

    Args:
        numbers: From ``numbers``.
        about: The title: scheme and image.

    Returns:
        The figure; nothing is written.
    """
    from matplotlib.figure import Figure

    counts = list(dict.fromkeys(numbers["contexts"]))
    figure = Figure(figsize=figure_size(1.75 * len(counts) + 0.5, 2.6), layout="constrained")
    panels = figure.subplots(1, len(counts), sharex=True, sharey=True, squeeze=False)[0]
    colour = next(iter(looks(["one"]).values())).colour
    likely = numbers[numbers["probability"] > 0.002]
    actual = int(numbers["actual"].iloc[0])
    low, high = min(likely["symbol"].min(), actual) - 1, max(likely["symbol"].max(), actual) + 1
    for panel, count in zip(panels, counts, strict=True):
        mine = numbers[numbers["contexts"] == count]
        panel.bar(mine["symbol"], mine["probability"], width=0.9, color=colour, label="predicted")
        panel.axvline(actual, color=INK, linewidth=1.1, linestyle=(0, (4, 2)), label="encoded")
        panel.set_title("no context" if count == 0 else f"{count} slice{'' if count == 1 else 's'}", fontsize=9)
        panel.set_xlim(low - 0.5, high + 0.5)
        panel.grid(visible=False, axis="x")
        panel.grid(axis="y", color=GRID)
    for panel in panels:
        panel.set_xlabel("symbol")
    panels[0].set_ylabel("probability")
    legend(figure, panels[0], f"{about}: channel {numbers['channel'].iloc[0]} of the last slice's first token.")
    return figure
